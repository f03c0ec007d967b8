"""Multipliers and shifts for given ratios: exact where they can be, else as near as 16 bits allow, and how near."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from golden.contract.layer_config import FIELD_RANGES, MULTIPLIER_BITS
from golden.support.cli import UserError

LARGEST = 2**MULTIPLIER_BITS - 1


@dataclass(frozen=True, kw_only=True, eq=False)
class Multipliers:
    """``values / 2**shift`` stand for ratios.

    Attributes:
        values: int64, at least 1 each.
        shift: what they share.
        errors: how far each is from its ratio.
    """

    values: np.ndarray
    shift: int
    errors: np.ndarray

    @property
    def ratios(self) -> np.ndarray:
        """What they are, float64."""
        return np.ldexp(self.values.astype(np.float64), -self.shift)


def multipliers_for(ratios: np.ndarray) -> Multipliers:
    """The multipliers nearest to positive ``ratios``, with the least shift at which they are exact, if there is one.

    Raises `UserError` where a ratio is more than the largest multiplier.
    """
    low, high = FIELD_RANGES["out_shift"]
    fine = low
    for shift in range(low, high + 1):
        scaled = np.ldexp(ratios, shift)
        if np.rint(scaled.max()) > LARGEST:
            break
        if np.array_equal(scaled, np.rint(scaled)):
            return Multipliers(values=scaled.astype(np.int64), shift=shift, errors=np.zeros_like(ratios))
        fine = shift
    if np.rint(np.ldexp(ratios.max(), fine)) > LARGEST:
        raise UserError(f"a step of what it takes is {ratios.max():g} steps of its result, allowed are {LARGEST}")
    values = np.maximum(np.rint(np.ldexp(ratios, fine)), 1).astype(np.int64)
    return Multipliers(values=values, shift=fine, errors=np.abs(np.ldexp(values.astype(np.float64), -fine) - ratios))
