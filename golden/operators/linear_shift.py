"""The control of X-volution without its product: it has as many shifts and parameters, but is linear."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from golden.contract.layer_config import NEIGHBOURS
from golden.operators.convolution import check_static_branch
from golden.operators.dynamic_conv import DynamicConv2d
from golden.operators.merge import Mergeable, filled
from golden.operators.norms import channel_affine
from golden.operators.parts import in_float64, refuse_hooks, refuse_own_forward, settled
from golden.operators.pixel_shift import branch_weight, check_offsets, feature_count
from golden.operators.sliding import check_choice, check_count
from golden.operators.xvolution import PRODUCTS
from golden.support.cli import UserError


class LinearShift(Mergeable):
    """`golden.operators.xvolution.XVolution` whose attention branch is a weighted sum of shifted features::

        y = BN_c(conv(x)) + BN_a(shifts(x))
        shifts(x)[o] = sum_{f,t} weight[o,f,t] x_t[f]

    ``x_t[f]`` is channel ``f`` at tap offset ``t``. For the ``inner`` product it is the sum of the
    channels of head ``f`` at tap offset ``t``. The layer has as many parameters as the X-volution of
    equal options, and merges into a convolution. So what X-volution gains over it comes from the
    product.

    Args:
        product: ``"hadamard"``, ``"inner"`` or ``"dynamic"``, which decides the number of parameters.
        heads: a divisor of C, not for ``hadamard``.
        directions: unit shifts ``(dy, dx)``, at least one.
        shift: L >= 1, tap offset = L * direction.
        device: of the parameters.

    The other arguments are those of `SlidingModule`. The layer is dense, its padding is ``same``.

    Raises:
        UserError: naming the argument, its value and what is allowed.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int = 3,
        stride: int = 1,
        padding: str = "same",
        product: str = "hadamard",
        heads: int | None = None,
        directions: Iterable[Sequence[int]] = NEIGHBOURS,
        shift: int = 1,
        device: str | None = None,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size=kernel_size, stride=stride, padding=padding, groups=1)
        check_choice("padding", padding, ("same",))
        self.product: str = check_choice("product", product, PRODUCTS)
        shift = check_count("shift", shift)
        self.heads = self.check_heads(self.product, heads)
        self.offsets = tuple((shift * dy, shift * dx) for dy, dx in check_offsets("directions", directions))
        if not self.offsets:
            raise UserError("directions () has no shift, allowed is at least one")
        self.conv = nn.Conv2d(
            self.in_channels, self.out_channels, self.kernel_size, self.stride, self.pad, bias=False, device=device
        )
        self.conv_norm = nn.BatchNorm2d(self.out_channels, device=device)
        shape = (self.out_channels, feature_count(self.in_channels, self.product, self.heads), len(self.offsets))
        self.weight = branch_weight(shape, device=device)
        self.attn_norm = nn.BatchNorm2d(self.out_channels, device=device)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, H, W]`` to ``[N, O, Ho, Wo]``. Raises `UserError` for another shape."""
        self.centres(x)
        kernel = self._kernel(self.weight)
        shifts = F.conv2d(x, kernel, stride=self.stride, padding=kernel.shape[-1] // 2)
        return self.conv_norm(self.conv(x)) + self.attn_norm(shifts)

    def merge(self) -> DynamicConv2d:
        """This layer as one convolution without attention, wide enough for the farthest shift.

        Raises:
            UserError: in training mode, where the batch norms have no fixed scale yet; for a shift
                that no kernel is wide enough for; for a part that has hooks or was replaced by what
                merging does not know, by its name; and for statistics that make a merged parameter
                infinite or not a number.
        """
        refuse_own_forward(self, LinearShift)
        refuse_hooks(self)
        check_static_branch(self.conv, self)
        conv_scale, conv_bias = channel_affine(self.conv_norm, self.out_channels, name="conv_norm")
        attn_scale, attn_bias = channel_affine(self.attn_norm, self.out_channels, name="attn_norm")
        kernel = attn_scale[:, None, None, None] * self._kernel(in_float64(settled(self).weight))
        static = conv_scale[:, None, None, None] * in_float64(settled(self.conv).weight)
        size = max(kernel.shape[-1], self.kernel_size)
        merged = DynamicConv2d(
            self.in_channels,
            self.out_channels,
            kernel_size=size,
            stride=self.stride,
            attn_offsets=(),
            device=self.weight.device,
            dtype=self.weight.dtype,
        )
        filled(merged, conv_weight=_widened(kernel, size) + _widened(static, size), bias=conv_bias + attn_bias)
        return merged.train(self.training)

    def _kernel(self, weight: Tensor) -> Tensor:
        """``[O, F, T]`` as a kernel ``[O, C, K, K]`` with zeros where no shift leads."""
        full = weight.repeat_interleave(self.in_channels // weight.shape[1], dim=1)
        reach = max(abs(d) for offset in self.offsets for d in offset)
        size = 2 * reach + 1
        places = torch.tensor([(dy + reach) * size + dx + reach for dy, dx in self.offsets])
        flat = full.new_zeros(*full.shape[:2], size * size).index_copy(2, places, full)
        return flat.unflatten(2, (size, size))


def _widened(kernel: Tensor, size: int) -> Tensor:
    rim = (size - kernel.shape[-1]) // 2
    return F.pad(kernel, (rim, rim, rim, rim))
