"""Numbers as people write them."""

from __future__ import annotations

import math

#: Digits of `at_most` that count.
_SIGNIFICANT = 4


def number(value: float) -> str:
    """``value`` with commas between thousands and at most six decimals: ``5,000,000``, ``97,656.25``, ``0.5``.

    What is too large or too small to be read that way has an exponent.
    """
    if value and not 1e-3 <= abs(value) < 1e15:
        return f"{value:.4g}"
    text = f"{value:,.6f}"
    return text.rstrip("0").rstrip(".")


def at_most(value: float) -> str:
    """A positive ``value`` rounded down, so that no more is promised: ``97,656``, ``97.65``, ``0.01234``."""
    scale = 10 ** max(0, _SIGNIFICANT - 1 - math.floor(math.log10(value)))
    return number(math.floor(value * scale) / scale)
