"""Ranges of integers, and the extremes of weighted sums of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: Bits of the widest accumulator that the contract allows (a DSP48's).
ACCUMULATOR_BITS = 48


@dataclass(frozen=True)
class Range:
    """All integers from ``low`` to ``high``, both included."""

    low: int
    high: int

    @classmethod
    def of_format(cls, bits: int, signed: bool) -> Range:
        """Range of a two's complement or unsigned number of ``bits`` bits."""
        return cls(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else cls(0, 2**bits - 1)

    @classmethod
    def hull(cls, low: np.ndarray, high: np.ndarray) -> Range:
        """The range of many sums with these extremes, as `weighted_sum` gives them."""
        return cls(int(low.min()), int(high.max()))

    @property
    def signed_bits(self) -> int:
        """Bits of the narrowest two's complement number that holds the range."""
        return max((end if end >= 0 else ~end).bit_length() for end in (self.low, self.high)) + 1

    def product(self, other: Range) -> Range:
        """Range of a product of two independent factors."""
        corners = [a * b for a in (self.low, self.high) for b in (other.low, other.high)]
        return Range(min(corners), max(corners))

    def times(self, count: int) -> Range:
        """Range of a sum of ``count`` terms, each in this range."""
        return Range(count * self.low, count * self.high)

    def square(self) -> Range:
        """Range of the square of a factor that may be 0."""
        return Range(0, max(self.low**2, self.high**2))


def weighted_sum(weight: np.ndarray, element: Range | Sequence[Range]) -> tuple[np.ndarray, np.ndarray]:
    """Extremes of ``sum_k weight[..., k] * e_k`` over all ``e_k`` in ``element``.

    Args:
        weight: int64 ``[..., k]``.
        element: range of every element, or one for each ``k``; all must hold 0.

    Returns:
        ``(low, high)``, int64 ``[...]`` each.
    """
    ranges = [element] * weight.shape[-1] if isinstance(element, Range) else element
    lows, highs = (np.array(ends, np.int64) for ends in ([r.low for r in ranges], [r.high for r in ranges]))
    positive, negative = np.maximum(weight, 0), np.minimum(weight, 0)
    return positive @ lows + negative @ highs, positive @ highs + negative @ lows
