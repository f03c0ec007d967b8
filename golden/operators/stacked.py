"""X-volutions as networks of their two branches: those that one dynamic convolution cannot express, and any other.

The attention and the convolution are two layers and their sum. A ``stack`` of N has N - 1 unweighted attentions
before the weighted one. Each is a layer of its own, without convolution. The convolution takes the features before
the stack::

    input -> stack1 -> ... -> attention -+-> sum
          `-----------------> conv ------'

With a ``weighting`` of 3, the products of each direction are a layer of their own. The weighted sum is a
convolution of all of them::

    stack... -> product1 .. productT -> concat -> attention

What is known of the attention, its weight and its norm, is folded into the layer ``attention``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from golden.contract.network.concat import Concat
from golden.contract.network.network import IMAGE
from golden.operators.dynamic_conv import DynamicConv2d
from golden.operators.merge import filled
from golden.operators.network import Network
from golden.operators.pixel_shift import Offset
from golden.operators.step import Step

#: Side of the weighted sum where each direction's products are a layer of their own.
WEIGHTING = 3


@dataclass(frozen=True, kw_only=True, eq=False)
class Branches:
    """The two branches of an X-volution, batch norms folded in.

    Attributes:
        like: a layer of the X-volution's geometry, dtype and device. Its weights do not matter.
        product: ``"hadamard"``, ``"inner"`` or ``"dynamic"``.
        heads: None for ``hadamard``.
        offsets: the T tap offsets.
        stack: attentions on top of each other.
        conv_weight, conv_bias: of the convolution, ``[O, C/groups, K, K]`` and ``[O]``.
        attn_weight: of the last attention, ``[O, F/groups, T]``, or ``[O, F/groups, T, 3, 3]``. F is ``heads``
            for ``inner``, else C.
        attn_bias: ``[O]``.
    """

    like: DynamicConv2d
    product: str
    heads: int | None
    offsets: Sequence[Offset]
    stack: int
    conv_weight: Tensor
    conv_bias: Tensor
    attn_weight: Tensor
    attn_bias: Tensor


def as_network(branches: Branches) -> Network:
    """The network that computes what ``branches`` do, in eval mode."""
    builder = _Builder(branches)
    conv = builder.layer("conv", IMAGE, builder.convolution())
    x = IMAGE
    for level in range(1, branches.stack):
        x = builder.layer(f"stack{level}", x, builder.unweighted())
    attention = builder.attention(x) if branches.attn_weight.ndim == 3 else builder.weighting(x)
    builder.steps.append(Step(name="sum", op="add", inputs=(conv, attention)))
    return Network(builder.steps, builder.parts).eval()


class _Builder:
    """Collects steps and parts. A method that adds steps returns the name of the last one."""

    def __init__(self, branches: Branches) -> None:
        self.branches = branches
        self.steps: list[Step] = []
        self.parts: dict[str, nn.Module] = {}

    def layer(self, name: str, x: str, part: DynamicConv2d) -> str:
        self.parts[name] = part
        self.steps.append(Step(name=name, op="layer", inputs=(x,)))
        return name

    def convolution(self) -> DynamicConv2d:
        b = self.branches
        return filled(self.slides(offsets=()), conv_weight=b.conv_weight, bias=b.conv_bias)

    def unweighted(self) -> DynamicConv2d:
        """Every offset weighs 1/T, and for ``inner`` every channel of a head its part of the head's mean."""
        b = self.branches
        shares = self.same_head() / len(b.offsets)
        if b.product == "inner":
            shares = shares / (self.channels // self.heads)
        return self.at_each_pixel(shares[:, :, None].expand(-1, -1, len(b.offsets)), b.offsets)

    def attention(self, x: str) -> str:
        b = self.branches
        weight = b.attn_weight
        if b.product == "inner":
            weight = weight.repeat_interleave(self.channels // self.heads, dim=1)
        # The centres are those of any kernel, if there is padding. With the smallest one, hardware multiplies least.
        kernel = 1 if b.like.padding == "same" else b.like.kernel_size
        part = self.slides(offsets=b.offsets, product=b.product, kernel=kernel)
        return self.layer("attention", x, filled(_without_convolution(part), attn_weight=weight, bias=b.attn_bias))

    def weighting(self, x: str) -> str:
        """A layer of products for each direction, and a convolution of all."""
        b = self.branches
        products = [
            self.layer(f"product{t}", x, self.at_each_pixel(self.features()[:, :, None], [offset]))
            for t, offset in enumerate(b.offsets, start=1)
        ]
        like = self.branches.like
        kernel, padding = like.kernel_size, like.padding
        if padding == "same" or kernel == 1:
            kernel, padding = WEIGHTING, "same"
        channels = len(products) * self.feature_count
        part = self.slides(offsets=(), channels=channels, groups=1, kernel=kernel, padding=padding)
        weight = self.dense_weight().transpose(1, 2).flatten(1, 2)  # direction by direction, as they are joined
        inside = torch.zeros(part.conv_weight.shape, dtype=weight.dtype)
        room = (inside.shape[-1] - weight.shape[-1]) // 2
        inside[:, :, room : room + weight.shape[-2], room : room + weight.shape[-1]] = weight
        joined = self.concat("products", products)
        return self.layer("attention", joined, filled(part, conv_weight=inside, bias=b.attn_bias))

    def concat(self, name: str, inputs: Sequence[str]) -> str:
        """The channels of all ``inputs``: as many at once as a step may join, and then these."""
        most = Concat.takes[1]
        while len(inputs) > most:
            parts = [inputs[n : n + most] for n in range(0, len(inputs), most)]
            inputs = [
                part[0] if len(part) == 1 else self.concat(f"{name}{n}", part) for n, part in enumerate(parts, start=1)
            ]
        if len(inputs) == 1:
            return inputs[0]
        self.steps.append(Step(name=name, op="concat", inputs=tuple(inputs)))
        return name

    # --- weights ---

    @property
    def channels(self) -> int:
        return self.branches.like.in_channels

    @property
    def heads(self) -> int:
        return self.branches.heads or self.channels

    @property
    def feature_count(self) -> int:
        return self.heads if self.branches.product == "inner" else self.channels

    def same_head(self) -> Tensor:
        """1 where the products of a channel reach that of an output: ``[C, C]``, or ``[C, 1]`` for ``hadamard``."""
        if self.branches.product != "inner":
            hadamard = self.branches.product == "hadamard"
            return torch.ones(self.channels, 1).double() if hadamard else torch.eye(self.channels).double()
        head = torch.arange(self.channels) // (self.channels // self.heads)
        return (head[:, None] == head).double()

    def features(self) -> Tensor:
        """What makes the features of one direction: ``[F, C]``, or ``[C, 1]``."""
        if self.branches.product != "inner":
            return self.same_head()
        head = torch.arange(self.channels) // (self.channels // self.heads)
        return (torch.arange(self.heads)[:, None] == head).double()

    def dense_weight(self) -> Tensor:
        """The weight of a weighted sum of all features, ``[O, F, T, 3, 3]``, that of a depthwise layer included."""
        weight = self.branches.attn_weight
        if self.branches.like.groups == 1:
            return weight
        dense = weight.new_zeros(len(weight), self.feature_count, *weight.shape[2:])
        own = torch.arange(len(weight))
        dense[own, own] = weight[:, 0]
        return dense

    # --- layers ---

    def slides(
        self,
        *,
        offsets: Sequence[Offset],
        product: str = "hadamard",
        channels: int | None = None,
        groups: int | None = None,
        kernel: int | None = None,
        padding: str | None = None,
    ) -> DynamicConv2d:
        """A layer around the centres of the X-volution, of its geometry where nothing else is said."""
        like = self.branches.like
        dynamic = product == "dynamic"
        return DynamicConv2d(
            channels or like.in_channels,
            like.out_channels,
            kernel_size=kernel or like.kernel_size,
            stride=like.stride,
            padding=padding or like.padding,
            groups=groups or like.groups,
            product="dynamic" if dynamic else "hadamard",
            heads=self.branches.heads if dynamic else None,
            attn_offsets=offsets,
            device=like.bias.device,
            dtype=like.bias.dtype,
        ).eval()

    def at_each_pixel(self, weight: Tensor, offsets: Sequence[Offset]) -> DynamicConv2d:
        """Attention at every pixel, without convolution, with ``weight`` ``[F, C, T]``, or ``[C, 1, T]``."""
        like, dynamic = self.branches.like, self.branches.product == "dynamic"
        part = DynamicConv2d(
            like.in_channels,
            len(weight),
            kernel_size=1,
            groups=like.in_channels if weight.shape[1] == 1 else 1,
            product="dynamic" if dynamic else "hadamard",
            heads=self.branches.heads if dynamic else None,
            attn_offsets=offsets,
            device=like.bias.device,
            dtype=like.bias.dtype,
        ).eval()
        return filled(_without_convolution(part), attn_weight=weight)


def _without_convolution(part: DynamicConv2d) -> DynamicConv2d:
    return filled(part, conv_weight=torch.zeros_like(part.conv_weight))
