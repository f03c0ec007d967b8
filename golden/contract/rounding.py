"""Rounding: what becomes of the fraction where a result is made."""

from __future__ import annotations

import math
from fractions import Fraction
from reprlib import repr as brief
from typing import Any, Literal, get_args

from golden.contract.fields import LayerError

#: To the nearest integer, ties to the even one; to the nearest, ties up; down.
Rounding = Literal["half_even", "half_up", "floor"]
ROUNDINGS: tuple[Rounding, ...] = get_args(Rounding)
#: What is meant where a file does not say it.
HALF_EVEN: Rounding = "half_even"


def check_rounding(value: Any) -> None:
    """Raise `LayerError` unless ``value`` is one of `ROUNDINGS`."""
    if type(value) is not str or value not in ROUNDINGS:
        raise LayerError(f"rounding {brief(value)} is not one of {', '.join(map(repr, ROUNDINGS))}")


def round_quotient(value: int, shift: int, rounding: Rounding) -> int:
    """``value / 2^shift`` as an integer. It is monotonic: the extremes of values become those of results."""
    quotient = Fraction(value, 1 << shift)
    if rounding == "half_even":
        return round(quotient)  # as Python does
    return math.floor(quotient + Fraction(1, 2) if rounding == "half_up" else quotient)
