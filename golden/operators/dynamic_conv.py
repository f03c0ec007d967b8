"""The merged form of X-volution: one dynamic convolution (arXiv 2106.02253)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from golden.contract.layer_config import NEIGHBOURS
from golden.operators.pixel_shift import check_offsets, pixel_shift_attention, trained
from golden.operators.sliding import SlidingModule, check_choice


class DynamicConv2d(SlidingModule):
    """A convolution whose kernel is a static part plus one made from the content.

    The coefficient of the tap at offset ``i`` around ``x0`` is ``conv_weight[o,c,i]`` plus
    ``attn_weight[o,c,i] * x0[c]``. A weight that an offset lacks counts as 0::

        y[o] = bias[o] + sum_c (sum_i conv_weight[o,c,i] x_i[c] + x0[c] sum_t attn_weight[o,c,t] x_t[c])

    With the ``dynamic`` product the content-dependent part is ``attn_weight[o,c,i] * sim_i[h(c)]``.
    ``sim_i[h]`` is the mean of ``x0[c] x_i[c]`` over the channels ``c`` of head ``h``.

    A new layer is a plain convolution: its attention weights are 0. `XVolution.merge` returns a
    trained one, ready for inference, quantisation or fine-tuning.

    Args:
        product: ``"hadamard"`` or ``"dynamic"``.
        heads: for ``dynamic`` only, a divisor of C; by default 1. A ``dynamic`` layer is dense.
        attn_offsets: the T places ``(dy, dx)`` of ``x_t``, no pair twice; may be empty.
        device: of the parameters.
        dtype: of the parameters.

    The other arguments are those of `SlidingModule`.

    Attributes:
        conv_weight: Parameter ``[O, C/groups, K, K]``.
        attn_weight: Parameter ``[O, C/groups, T]``. Without offsets it is empty, and a buffer.
        bias: Parameter ``[O]``.

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
        groups: int = 1,
        product: str = "hadamard",
        heads: int | None = None,
        attn_offsets: Iterable[Sequence[int]] = NEIGHBOURS,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size=kernel_size, stride=stride, padding=padding, groups=groups
        )
        self.product: str = check_choice("product", product, ("hadamard", "dynamic"))
        self.heads = self.check_heads(self.product, heads)
        self.attn_offsets = check_offsets("attn_offsets", attn_offsets)
        weights = (self.out_channels, self.in_channels // self.groups)
        factory = {"device": device, "dtype": dtype}
        self.conv_weight = nn.Parameter(torch.empty(*weights, self.kernel_size, self.kernel_size, **factory))
        self.attn_weight = trained(torch.zeros(*weights, len(self.attn_offsets), **factory))
        self.bias = nn.Parameter(torch.zeros(self.out_channels, **factory))
        nn.init.kaiming_uniform_(self.conv_weight, a=math.sqrt(5))  # what Conv2d does

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, H, W]`` to ``[N, O, Ho, Wo]``. Raises `UserError` for another shape."""
        centres = self.centres(x)
        y = F.conv2d(x, self.conv_weight, self.bias, self.stride, self.pad, groups=self.groups)
        if not self.attn_offsets:
            return y
        return y + pixel_shift_attention(
            x,
            self.attn_weight,
            self.attn_offsets,
            product=self.product,
            heads=self.heads,
            centres=centres,
            groups=self.groups,
        )

    def extra_repr(self) -> str:
        """The geometry, the product and the offsets, as ``repr`` shows them."""
        heads = "" if self.heads is None else f", heads={self.heads}"
        return f"{super().extra_repr()}, product={self.product!r}{heads}, attn_offsets={list(self.attn_offsets)}"
