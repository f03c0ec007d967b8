"""Multipliers that are powers of two, so that requantising is nothing but a shift."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def nearest_power(values: np.ndarray) -> np.ndarray:
    """For each positive real number the power of two next to it, in logarithm: float64 of the same shape."""
    return np.exp2(np.rint(np.log2(values)))


def least_power(values: np.ndarray) -> np.ndarray:
    """For each positive real number the smallest power of two that is not below it: float64 of the same shape."""
    fractions, exponents = np.frexp(values)
    return np.exp2(exponents - (fractions == 0.5))


def in_lowest_terms(multipliers: np.ndarray, shift: int) -> tuple[np.ndarray, int]:
    """The same ``multipliers / 2**shift`` with the least integers: divided by a power of two that all share.

    Args:
        multipliers: int64, none below 0.
        shift: 0 or more.

    Returns:
        Multipliers of the same shape, int64, and their shift.
    """
    common = int(np.gcd.reduce(multipliers, initial=2**shift))
    return multipliers // common, shift - (common.bit_length() - 1)


def are_powers(multipliers: Iterable[int]) -> bool:
    """Whether all ``multipliers`` are powers of two."""
    return all(m > 0 and m & (m - 1) == 0 for m in map(int, multipliers))
