"""X-volution in floating point: the layer as it is trained (arXiv 2106.02253)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from golden.cli import UserError
from golden.layer import NEIGHBOURS
from golden.merge import DynamicConv2d, batch_norm_affine, in_float64
from golden.pssa import check_offsets, pixel_shift_attention, similarity_attention
from golden.sliding import SlidingModule, check_choice, check_count


class XVolution(SlidingModule):
    """Convolution and pixel-shift self-attention side by side, each with its batch norm::

        y = BN_c(conv(x)) + BN_a(pssa(x))

    It takes the place of a `torch.nn.Conv2d` in any network; once trained, `merge` turns it
    into one dynamic convolution that computes the same. With ``x0`` the centre pixel, ``x_t``
    the one at tap offset ``t`` and ``<,>_h`` the inner product over head ``h`` (consecutive
    channels), the attention branch is one of::

        hadamard   pssa(x)[o] = sum_{c,t} attn_weight[o,c,t] x0[c] x_t[c]
        inner      pssa(x)[o] = sum_{h,t} attn_weight[o,h,t] <x0, x_t>_h
        dynamic    pssa(x)[o] = sum_{c,t} attn_weight[o,c,t] sim_t[h(c)] x_t[c]

    where the similarity ``sim_t[h] = <x0, x_t>_h heads / C`` is a mean over the head. Its scale is
    fixed. The batch norm of the branch makes training the same whatever it is; without one, a
    mean keeps the attention of wide heads, cubic in ``x``, from outweighing the convolution.

    Where ``groups`` is C, output channel ``o`` sees only input channel ``o``, in both branches.

    Args:
        product: ``"hadamard"``, ``"inner"`` or ``"dynamic"`` (dense layers only).
        heads: not for ``hadamard``, a divisor of C; by default ``groups``, which is also the only
            choice of a depthwise layer.
        directions: unit shifts ``(dy, dx)``, no pair twice; none make a plain convolution.
        shift: L >= 1, tap offset = L * direction.
        weighting: kernel size of the weighted sum; only 1 as yet.
        stack: attention layers on top of each other; only 1 as yet.
        branch_norm: whether the attention branch has a batch norm. Without it ``inner`` tends
            to diverge.
        bias: whether the convolution has a bias, which its batch norm makes redundant.
        device: of the parameters.
        dtype: of the parameters.

    The others are `SlidingModule`'s.

    Attributes:
        conv: the convolution, `torch.nn.Conv2d`.
        conv_norm: its batch norm.
        attn_weight: Parameter ``[O, C/groups, T]``, for ``inner`` ``[O, heads/groups, T]``.
        attn_norm: batch norm of the attention branch, or the identity.
        attn_offsets: the T tap offsets.

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
        directions: Iterable[Sequence[int]] = NEIGHBOURS,
        shift: int = 1,
        weighting: int = 1,
        stack: int = 1,
        branch_norm: bool = True,
        bias: bool = False,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size=kernel_size, stride=stride, padding=padding, groups=groups
        )
        if weighting == 3:
            raise UserError(f"weighting {weighting!r} is not supported yet")
        check_choice("product", product, ("hadamard", "inner", "dynamic"))
        check_choice("weighting", weighting, (1,))
        check_count("stack", stack)
        if stack > 1:
            raise UserError(f"stack {stack} is not supported yet, allowed is 1")
        check_count("shift", shift)
        check_choice("branch_norm", branch_norm, (True, False))
        check_choice("bias", bias, (True, False))
        factory = {"device": device, "dtype": dtype}
        self.product = product
        self.heads = self.check_heads(product, heads)
        self.directions = check_offsets("directions", directions)
        self.shift = shift
        self.attn_offsets = tuple((shift * dy, shift * dx) for dy, dx in self.directions)
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, stride, self.pad, groups=groups, bias=bias, **factory
        )
        self.conv_norm = nn.BatchNorm2d(out_channels, **factory)
        # hadamard is inner with one channel a head
        fan_in = (self.heads if product == "inner" and self.heads is not None else in_channels) // groups
        self.attn_weight = nn.Parameter(torch.empty(out_channels, fan_in, len(self.attn_offsets), **factory))
        normed = branch_norm and bool(self.attn_offsets)
        self.attn_norm = nn.BatchNorm2d(out_channels, **factory) if normed else nn.Identity()
        if self.attn_offsets:
            nn.init.kaiming_uniform_(self.attn_weight, a=math.sqrt(5))  # what Conv2d does

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, H, W]`` to ``[N, O, Ho, Wo]``. Raises `UserError` for another shape."""
        centres = self.centres(x)
        y = self.conv_norm(self.conv(x))
        if self.attn_offsets:
            y = y + self.attn_norm(self._attention(x, centres))
        return y

    def _attention(self, x: Tensor, centres: tuple[slice, slice]) -> Tensor:
        """``pssa(x)``, ``[N, O, Ho, Wo]``."""
        weight, offsets = self.attn_weight, self.attn_offsets
        if self.product == "dynamic":
            assert self.heads is not None
            return similarity_attention(x, weight, offsets, centres=centres, heads=self.heads)
        return pixel_shift_attention(x, weight, offsets, centres=centres, groups=self.groups)

    def merge(self) -> DynamicConv2d:
        """The same function as one dynamic convolution, both batch norms folded in.

        The parameters are new ones, folded in float64, of the convolution's dtype and device.

        Raises:
            UserError: in training mode, where the batch norms have no fixed scale yet, and
                for statistics that make a merged parameter infinite or not a number.
        """
        conv_scale, bias = batch_norm_affine(self.conv_norm)
        if self.conv.bias is not None:
            bias = bias + conv_scale * in_float64(self.conv.bias)
        conv_weight = conv_scale[:, None, None, None] * in_float64(self.conv.weight)
        attn_weight = in_float64(self.attn_weight)
        if self.product == "inner" and self.heads is not None:
            attn_weight = attn_weight.repeat_interleave(self.in_channels // self.heads, dim=1)
        if isinstance(self.attn_norm, nn.BatchNorm2d):
            attn_scale, attn_shift = batch_norm_affine(self.attn_norm)
            attn_weight = attn_scale[:, None, None] * attn_weight
            bias = bias + attn_shift
        dynamic = self.product == "dynamic"
        merged = DynamicConv2d(
            self.in_channels,
            self.out_channels,
            kernel_size=self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            groups=self.groups,
            product="dynamic" if dynamic else "hadamard",
            heads=self.heads if dynamic else None,
            attn_offsets=self.attn_offsets,
            device=self.conv.weight.device,
            dtype=self.conv.weight.dtype,
        )
        with torch.no_grad():
            for name, value in (("conv_weight", conv_weight), ("attn_weight", attn_weight), ("bias", bias)):
                parameter = merged.get_parameter(name).copy_(value)
                if not parameter.isfinite().all():
                    raise UserError(f"merged {name} is not finite in {parameter.dtype}, check the batch norms")
        return merged.train(self.training)

    def extra_repr(self) -> str:
        """The geometry and the attention's options, as ``repr`` shows them."""
        heads = "" if self.heads is None else f", heads={self.heads}"
        return (
            f"{super().extra_repr()}, product={self.product!r}{heads}, "
            f"directions={list(self.directions)}, shift={self.shift}"
        )
