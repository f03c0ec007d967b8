"""How much of a frame one output pixel depends on, measured by gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class ReceptiveField:
    """What the output pixel in the middle of a frame depends on.

    Attributes:
        pixels: number of input pixels, of any channel, with an influence.
        reach: distance of the farthest of these pixels, in rows or columns, whichever is more.
    """

    pixels: int
    reach: int


def receptive_field(layer: Callable[[Tensor], Tensor], channels: int, side: int, seed: int = 0) -> ReceptiveField:
    """Measure ``layer``, ``[1, C, S, S]`` to ``[1, O, S, S]`` in float64, on a random frame.

    The frame's values are positive. A gradient of exactly 0 is no influence. Any other gradient is
    one, however small. With random weights no gradient vanishes by chance.
    """
    x = torch.rand(1, channels, side, side, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    x.requires_grad_()
    middle = side // 2
    (gradient,) = torch.autograd.grad(layer(x)[0, :, middle, middle].sum(), x)
    places = gradient[0].abs().sum(0).nonzero()
    return ReceptiveField(pixels=len(places), reach=int((places - middle).abs().max()) if len(places) else 0)
