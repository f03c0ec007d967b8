"""Rounding, as tests expect it: an opinion of its own, in plain comparisons."""

from __future__ import annotations

import math
from fractions import Fraction

#: The modes beside the usual one, `half_even`.
OTHERS = ("half_up", "floor")


def rounded(value: Fraction, rounding: str) -> int:
    """``value`` as an integer. Between two integers it is nearer to one of them, or half-way."""
    low = math.floor(value)
    above = 2 * (value - low)
    goes_up = {
        "half_even": above > 1 or (above == 1 and low % 2 == 1),
        "half_up": above >= 1,
        "floor": False,
    }
    return low + goes_up[rounding]
