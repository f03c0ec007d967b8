"""The heads of the ``dynamic`` product in tests: the control of a beat, and the contract's similarities."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from hw.plan.heads import Heads
from hw.plan.shapes import Shapes


def control(heads: Heads, *, valid: bool, first: bool, channel: int) -> int:
    """The control of a beat, `hw.unit.head_sum.head_control`, as a number."""
    flags = [valid, first, *(pattern >> channel & 1 for pattern in heads.patterns)]
    return sum(bool(flag) << bit for bit, flag in enumerate(flags))


def completed(heads: Heads, channel: int) -> list[int]:
    """The numbers of the heads whose last channel lies in channel beat ``channel``, in order."""
    channels = range(channel * heads.simd, (channel + 1) * heads.simd)
    return [c // heads.head_channels for c in channels if c % heads.head_channels == heads.head_channels - 1]


def similarity(shapes: Shapes, centres: Sequence[int], others: Sequence[int]) -> int:
    """The contract's ``sim`` of one head and tap.

    Args:
        shapes: the unit.
        centres: elements of the head's channels at the centre.
        others: elements of the head's channels at the tap.
    """
    c = shapes.layer.config
    assert c.sim_bits is not None and c.sim_shift is not None
    total = 0
    for centre, other in zip(centres, others, strict=True):
        total += centre * other
    limit = 2 ** (c.sim_bits - 1)
    # Python rounds a fraction half to even.
    return max(-limit, min(limit - 1, round(Fraction(total, 2**c.sim_shift))))
