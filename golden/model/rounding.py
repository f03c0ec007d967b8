"""Rounding and saturation, in int64."""

from __future__ import annotations

import numpy as np

from golden.contract.ranges import Range
from golden.contract.rounding import Rounding


def requantised(scaled: np.ndarray, shift: int, limits: Range, rounding: Rounding) -> np.ndarray:
    """``saturate(round(scaled / 2^shift))``, in the memory of ``scaled``.

    The shift drops what is left of a fraction. Before it, `half_up` adds half. `half_even` adds half
    where the quotient is odd, and just under half where it is even. So ties are rounded to even.

    Args:
        scaled: int64 of any shape, below ``2^63 - 2^47`` in magnitude.
        shift: 0 to 47.
        limits: what the result saturates to.
        rounding: how the quotient is rounded.

    Returns:
        ``scaled``, every element in ``limits``.
    """
    if shift > 0:
        if rounding == "half_even":
            is_odd = (scaled >> shift) & 1
            scaled += is_odd
            scaled += 2 ** (shift - 1) - 1
        elif rounding == "half_up":
            scaled += 2 ** (shift - 1)
        scaled >>= shift
    return scaled.clip(limits.low, limits.high, out=scaled)
