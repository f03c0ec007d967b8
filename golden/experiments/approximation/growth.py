"""How the cost of attention grows with the number of pixels: multiplications, counted, and seconds, measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from golden.operators.pixel_shift import PixelShiftAttention
from golden.operators.self_attention import SelfAttention


def multiplications(attention: PixelShiftAttention | SelfAttention, pixels: int) -> int:
    """Products of two numbers that a frame of ``pixels`` takes, at a stride of 1.

    Constant factors (of means, and the root of self-attention) do not count. Exponentials do not, either.
    """
    if isinstance(attention, SelfAttention):
        projections = sum(part.weight.numel() for part in (attention.query, attention.key, attention.value))
        # Each pair of pixels takes an inner product of query and key, then its result times the value.
        return pixels * projections + pixels**2 * (attention.query.out_channels + attention.value.out_channels)
    channels = attention.in_channels
    factors = 2 if attention.product == "dynamic" else 1
    per_layer = factors * channels * len(attention.offsets)
    return pixels * (attention.stack * per_layer + attention.weight.numel())


def fastest(work: Callable[[], object], repeat: int) -> float:
    """Seconds of the fastest of ``repeat`` runs, after one that warms up. Other work of the machine only adds time."""
    work()
    seconds = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """The power of the size that the cost grows with: the slope of a line through both logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(costs), 1)[0])
