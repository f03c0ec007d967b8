"""Rounding half to even, and saturation, in int64."""

from __future__ import annotations

import numpy as np

from golden.contract.ranges import Range


def requantised(scaled: np.ndarray, shift: int, limits: Range) -> np.ndarray:
    """``saturate(round_half_even(scaled / 2^shift))``, in the memory of ``scaled``.

    Before the shift, half is added where the quotient is odd, and just under half where it is
    even. So ties are rounded to even.

    Args:
        scaled: int64 of any shape, below ``2^63 - 2^47`` in magnitude.
        shift: 0 to 47.
        limits: what the result saturates to.

    Returns:
        ``scaled``, every element in ``limits``.
    """
    if shift > 0:
        is_odd = (scaled >> shift) & 1
        scaled += is_odd
        scaled += 2 ** (shift - 1) - 1
        scaled >>= shift
    return scaled.clip(limits.low, limits.high, out=scaled)
