"""X-volution as one operation of an exported program, which would be a dozen otherwise.

Programs that are saved with it are loaded where this module was imported.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from golden.operators.dynamic_conv import DynamicConv2d
from golden.operators.pixel_shift import pixel_shift_attention
from golden.operators.sliding import SlidingModule


@torch.library.custom_op("xvolution::dynamic_conv", mutates_args=())
def dynamic_conv(
    x: Tensor,
    conv_weight: Tensor,
    attn_weight: Tensor,
    bias: Tensor,
    stride: int,
    padding: str,
    groups: int,
    product: str,
    heads: int | None,
    offsets: list[int],
) -> Tensor:
    """A merged X-volution; ``offsets`` are ``dy, dx, dy, dx, ...``."""
    sliding = _sliding(conv_weight, stride, padding, groups)
    y = torch.conv2d(x, conv_weight, bias, stride, sliding.pad, groups=groups)
    pairs = list(zip(offsets[::2], offsets[1::2], strict=True))
    return y + pixel_shift_attention(
        x, attn_weight, pairs, product=product, heads=heads, centres=sliding.centres(x), groups=groups
    )


@dynamic_conv.register_fake
def _(
    x: Tensor,
    conv_weight: Tensor,
    attn_weight: Tensor,
    bias: Tensor,
    stride: int,
    padding: str,
    groups: int,
    product: str,
    heads: int | None,
    offsets: list[int],
) -> Tensor:
    return torch.conv2d(x, conv_weight, bias, stride, _sliding(conv_weight, stride, padding, groups).pad, groups=groups)


class Leaf(nn.Module):
    """``part`` as one operation. Its weights are the same parameters."""

    def __init__(self, part: DynamicConv2d) -> None:
        super().__init__()
        self.part = part

    def forward(self, x: Tensor) -> Tensor:
        """``[N, C, H, W]`` to ``[N, O, Ho, Wo]``, as the part does."""
        part = self.part
        part.centres(x)
        offsets = [d for offset in part.attn_offsets for d in offset]
        geometry = (part.stride, part.padding, part.groups, part.product, part.heads)
        return dynamic_conv(x, part.conv_weight, part.attn_weight, part.bias, *geometry, offsets)


def _sliding(conv_weight: Tensor, stride: int, padding: str, groups: int) -> SlidingModule:
    outputs, own, kernel, _ = conv_weight.shape
    return SlidingModule(own * groups, outputs, kernel_size=kernel, stride=stride, padding=padding, groups=groups)
