"""X-volution in floating point: the layer as it is trained (arXiv 2106.02253)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from golden.contract.layer_config import NEIGHBOURS
from golden.operators.convolution import check_static_branch
from golden.operators.dynamic_conv import DynamicConv2d
from golden.operators.merge import Mergeable, filled, without_means
from golden.operators.network import Network
from golden.operators.norms import channel_affine
from golden.operators.parts import in_float64, refuse_hooks, refuse_own_forward, settled
from golden.operators.pixel_shift import PixelShiftAttention, check_offsets
from golden.operators.self_attention import SelfAttention
from golden.operators.sliding import Centres, check_choice, check_count
from golden.operators.stacked import Branches, as_network
from golden.support.cli import UserError

#: Products that have a merged form. A layer with another is for floats only.
PRODUCTS = ("hadamard", "inner", "dynamic")
#: Values that ``softmax`` allows for the options of pixel shifts: it shifts nothing.
UNSHIFTED = {"directions": NEIGHBOURS, "shift": 1, "weighting": 1, "stack": 1}


class XVolution(Mergeable):
    """Convolution and self-attention side by side, each with its batch norm::

        y = BN_c(conv(x)) + BN_a(attention(x))

    The layer takes the place of a `torch.nn.Conv2d` in any network. Once it is trained, `merge` turns
    it into one dynamic convolution with equal outputs. The attention branch is pixel-shift attention
    (`golden.operators.pixel_shift`). ``x0`` is the centre pixel, ``x_t`` the pixel at tap offset ``t``,
    and ``<,>_h`` the inner product over head ``h`` (consecutive channels)::

        hadamard   attention(x)[o] = sum_{c,t} weight[o,c,t] x0[c] x_t[c]
        inner      attention(x)[o] = sum_{h,t} weight[o,h,t] <x0, x_t>_h
        dynamic    attention(x)[o] = sum_{c,t} weight[o,c,t] sim_t[h(c)] x_t[c]

    The similarity ``sim_t[h] = <x0, x_t>_h heads / C`` is a mean over the head: its scale is fixed.
    With the batch norm of the branch, training does not depend on this scale. Without that norm, the
    mean keeps the attention of wide heads, which is cubic in ``x``, from outweighing the convolution.

    Pixel shifts stand for attention over all pixels (`golden.operators.self_attention`)::

        softmax    attention(x)[o] = sum_i softmax_i(<q_h, k_h[i]> / sqrt(C/heads)) v_h[i][o]

    With ``softmax`` the layer is the paper's X-volution(SA), a reference in floats. It cannot be
    merged. A layer with ``weighting`` or ``stack`` above 1 merges into a network of several convolutions.

    Where ``groups`` is C, output channel ``o`` sees only input channel ``o``, in both branches.

    Args:
        product: ``"hadamard"``, ``"inner"``, ``"dynamic"`` or ``"softmax"``. ``dynamic`` and
            ``softmax`` are for dense layers only. ``inner`` merges into a ``hadamard`` layer, where the
            channels of a head have the same attention weights.
        heads: a divisor of C, for ``softmax`` of O, too; not for ``hadamard``. The default is
            ``groups``, which is also the only choice of a depthwise layer.
        directions: unit shifts ``(dy, dx)``, no pair twice. A layer without any is a plain
            convolution. ``softmax`` takes only the defaults of ``directions``, ``shift``,
            ``weighting`` and ``stack``.
        shift: L >= 1, tap offset = L * direction.
        weighting: kernel size of the weighted sum, 1 or 3. With 3 the sum at a pixel runs over the
            3x3 pixels around it, step 4 of the paper.
        stack: N >= 1, attention layers on top of each other. The first N - 1 are unweighted
            (`golden.operators.pixel_shift.unweighted_attention`). Each widens what a pixel sees by ``shift``.
        branch_norm: whether the attention branch has a batch norm. Without it ``inner`` tends
            to diverge.
        feature_norm: whether the attention branch sees each channel less its running mean, divided
            by its running deviation. So a product of unlike features is negative even after a ReLU.
            A pixel outside the frame is 0 before the norm. It is for ``hadamard`` and ``inner``
            only, with offsets inside the kernel, ``weighting`` 1 and ``stack`` 1. So merging can make
            the means part of the convolution.
        bias: whether the convolution has a bias, which its batch norm makes redundant.
        device: of the parameters.
        dtype: of the parameters.

    The other arguments are those of `SlidingModule`.

    Attributes:
        conv: the convolution, `torch.nn.Conv2d`.
        conv_norm: the convolution's batch norm.
        attention: the attention branch, `PixelShiftAttention` or, for ``softmax``, `SelfAttention`.
        attn_norm: the attention branch's batch norm, or the identity.
        feature_norm: the batch norm before the attention branch, or None.
        attn_offsets: the T tap offsets, none for ``softmax``.

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
        feature_norm: bool = False,
        bias: bool = False,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, kernel_size=kernel_size, stride=stride, padding=padding, groups=groups
        )
        self.product: str = check_choice("product", product, (*PRODUCTS, "softmax"))
        self.weighting: int = check_choice("weighting", weighting, (1, 3))
        self.stack = check_count("stack", stack)
        self.shift = check_count("shift", shift)
        branch_norm = check_choice("branch_norm", branch_norm, (True, False))
        feature_norm = check_choice("feature_norm", feature_norm, (True, False))
        bias = check_choice("bias", bias, (True, False))
        self.heads = self.check_heads(self.product, heads)
        self.directions = check_offsets("directions", directions)
        self.attn_offsets = tuple((self.shift * dy, self.shift * dx) for dy, dx in self.directions)
        if self.product == "softmax":
            for name, allowed in UNSHIFTED.items():
                if getattr(self, name) != allowed:
                    raise UserError(f"{name} {getattr(self, name)} is not for product 'softmax', allowed is {allowed}")
            self.attn_offsets = ()
        if feature_norm:
            self._check_feature_norm()
        factory = {"device": device, "dtype": dtype}
        self.feature_norm = nn.BatchNorm2d(self.in_channels, affine=False, **factory) if feature_norm else None
        self.conv = nn.Conv2d(
            self.in_channels,
            self.out_channels,
            self.kernel_size,
            self.stride,
            self.pad,
            groups=self.groups,
            bias=bias,
            **factory,
        )
        self.conv_norm = nn.BatchNorm2d(self.out_channels, **factory)
        self.attention: PixelShiftAttention | SelfAttention
        if self.product == "softmax":
            self.attention = SelfAttention(self.in_channels, self.out_channels, heads=self.heads or 1, **factory)
        else:
            self.attention = PixelShiftAttention(
                self.in_channels,
                self.out_channels,
                self.attn_offsets,
                product=self.product,
                heads=self.heads,
                groups=self.groups,
                weighting=self.weighting,
                stack=self.stack,
                **factory,
            )
        normed = branch_norm and self.has_attention
        self.attn_norm = nn.BatchNorm2d(self.out_channels, **factory) if normed else nn.Identity()

    @property
    def has_attention(self) -> bool:
        """False for pixel shifts without directions: a plain convolution and its batch norm."""
        return self.product == "softmax" or bool(self.attn_offsets)

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, H, W]`` to ``[N, O, Ho, Wo]``. Raises `UserError` for another shape."""
        centres = self.centres(x)
        y = self.conv_norm(self.conv(x))
        if self.has_attention:
            y = y + self.attn_norm(self._attended(x, centres))
        return y

    def _attended(self, x: Tensor, centres: Centres) -> Tensor:
        norm = self.feature_norm
        if norm is None:
            return self.attention(x, centres)
        if self.training:
            with torch.no_grad():
                norm(x)  # moves the statistics along
        reach = self._reach
        padded = F.pad(x, (reach, reach, reach, reach))
        normed = F.batch_norm(padded, norm.running_mean, norm.running_var, eps=norm.eps)
        rows, columns = (slice(part.start + reach, part.stop + reach, part.step) for part in centres)
        return self.attention(normed, (rows, columns))

    @property
    def _reach(self) -> int:
        return max([0, *(abs(d) for offset in self.attn_offsets for d in offset)])

    def _check_feature_norm(self) -> None:
        for name, allowed in (("product", ("hadamard", "inner")), ("weighting", (1,)), ("stack", (1,))):
            if getattr(self, name) not in allowed:
                choices = ", ".join(map(repr, allowed))
                raise UserError(f"{name} {getattr(self, name)!r} is not for feature_norm, allowed: {choices}")
        if self._reach > self.kernel_size // 2:
            raise UserError(
                f"feature_norm with shift {self.shift} reaches {self._reach} pixels, allowed are "
                f"{self.kernel_size // 2}, those of kernel_size {self.kernel_size}"
            )

    def merge(self) -> DynamicConv2d | Network:
        """This layer as one dynamic convolution, its batch norms folded in.

        A layer with ``weighting`` or ``stack`` above 1 becomes a network of several (`golden.operators.stacked`).
        The parameters are new ones of the convolution's dtype and device. They are folded in float64.
        Pruning, weight norm, spectral norm and parametrisations are baked in. A norm that somebody put
        in a batch norm's place is folded where `channel_affine` can.

        Raises:
            UserError: for ``softmax``, which has no merged form; in training mode, where the batch
                norms have no fixed scale yet; for a part that has hooks or was replaced by what merging
                does not know, by its name; and for statistics that make a merged parameter infinite or
                not a number.
        """
        folded = self._folded()
        if self.has_attention and (self.stack > 1 or self.weighting > 1):
            return as_network(folded)
        conv_weight, attn_weight = folded.conv_weight, folded.attn_weight
        if self.product == "inner" and self.heads is not None:
            attn_weight = attn_weight.repeat_interleave(self.in_channels // self.heads, dim=1)
        bias = folded.conv_bias + folded.attn_bias
        if self.feature_norm is not None:
            attn_weight, static, constant = without_means(
                attn_weight, self.feature_norm, self.attn_offsets, kernel_size=self.kernel_size, groups=self.groups
            )
            conv_weight, bias = conv_weight + static, bias + constant
        merged = filled(folded.like, conv_weight=conv_weight, attn_weight=attn_weight, bias=bias)
        return merged.train(self.training)

    def side_by_side(self) -> Network:
        """This layer as a network of its branches, batch norms folded in: convolution, attention and their sum.

        It computes what `merge` gives, and shows what merging saves (`golden.operators.stacked`).

        Raises:
            UserError: as `merge` does; for a layer without attention; and for ``feature_norm``, whose means go from
                one branch to the other.
        """
        if not self.has_attention:
            raise UserError("directions [] leave one branch, side by side are allowed layers with attention")
        if self.feature_norm is not None:
            raise UserError("feature_norm True is not for branches side by side, allowed is False")
        return as_network(self._folded())

    def _folded(self) -> Branches:
        """The branches with their batch norms folded in. Raises `UserError` as `merge` does."""
        if self.product not in PRODUCTS:
            choices = ", ".join(map(repr, PRODUCTS))
            raise UserError(f"product {self.product!r} has no merged form and no hardware, allowed: {choices}")
        refuse_own_forward(self, XVolution)
        refuse_hooks(self)
        check_static_branch(self.conv, self)
        if not isinstance(self.attention, PixelShiftAttention):
            raise UserError(f"attention is a {type(self.attention).__name__}, allowed is PixelShiftAttention")
        refuse_own_forward(self.attention, PixelShiftAttention)
        conv, attention = settled(self.conv), settled(self.attention)
        conv_scale, conv_bias = channel_affine(self.conv_norm, self.out_channels, name="conv_norm")
        if conv.bias is not None:
            conv_bias = conv_bias + conv_scale * in_float64(conv.bias)
        attn_weight, attn_bias = in_float64(attention.weight), torch.zeros_like(conv_bias)
        if self.has_attention:
            attn_scale, attn_bias = channel_affine(self.attn_norm, self.out_channels, name="attn_norm")
            attn_weight = attn_scale.reshape(-1, *[1] * (attn_weight.ndim - 1)) * attn_weight
        return Branches(
            like=self._merged_geometry(conv.weight),
            product=self.product,
            heads=self.heads,
            offsets=self.attn_offsets,
            stack=self.stack,
            conv_weight=conv_scale[:, None, None, None] * in_float64(conv.weight),
            conv_bias=conv_bias,
            attn_weight=attn_weight,
            attn_bias=attn_bias,
        )

    def _merged_geometry(self, like: Tensor) -> DynamicConv2d:
        """A dynamic convolution of this layer's geometry, with the dtype and device of ``like``."""
        dynamic = self.product == "dynamic"
        return DynamicConv2d(
            self.in_channels,
            self.out_channels,
            kernel_size=self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            groups=self.groups,
            product="dynamic" if dynamic else "hadamard",
            heads=self.heads if dynamic else None,
            attn_offsets=self.attn_offsets,
            device=like.device,
            dtype=like.dtype,
        )

    def extra_repr(self) -> str:
        """The geometry and the attention's options, as ``repr`` shows them."""
        names = ("product", "heads", "directions", "shift", "weighting", "stack")
        options = {name: getattr(self, name) for name in names if self.product != "softmax" or name not in UNSHIFTED}
        shown = "".join(f", {name}={value!r}" for name, value in options.items() if value is not None)
        becomes = ", merges into a 'hadamard' layer" if self.product == "inner" else ""
        return super().extra_repr() + shown + becomes
