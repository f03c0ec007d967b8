"""What additions and means take, so that their results may have zero points.

These steps have no bias. So what they take has the zero point of what they give, in finer steps where that is nearer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from golden.contract.layer_config import FIELD_RANGES
from golden.contract.ranges import Range
from golden.convert.fitted import reach
from golden.convert.held import Held
from golden.convert.multipliers import Multipliers, multipliers_for

#: The most bits by which steps are made finer: a weight of 8 bits does it.
FINEST = 6
#: The most bits of what is taken.
MOST_BITS = FIELD_RANGES["out_bits"][1]


@dataclass(frozen=True, kw_only=True, eq=False)
class Summands:
    """What a sum takes.

    Attributes:
        held: what the integers of each stand for.
        bits: of each, with a sign.
        multipliers: from steps of each to steps of the result.
        bound: how many of its steps the result may be off before it is rounded.
    """

    held: tuple[Held, ...]
    bits: tuple[int, ...]
    multipliers: Multipliers
    bound: float


def summands(
    limits: Sequence[Range], units: Sequence[float], values: Sequence[float], given: Held, count: int
) -> Summands | None:
    """What a sum takes that gives what is held as ``given``. None: no integers do.

    Args:
        limits: of what it takes, in steps of the source.
        units: what these steps are worth, each above 0.
        values: what they are worth in the result, each time that they are added.
        given: what integers of its result stand for.
        count: how many of each are added.
    """
    sign, scale, chosen = int(np.sign(given.scale)), abs(given.scale), int(np.argmax(values))
    if given.zero and not values[chosen]:
        return None
    best: Summands | None = None
    for fine in range(FINEST + 1 if given.zero else 1):
        finer = np.ones(len(units), np.int64)
        finer[chosen] <<= fine
        wanted = given.zero * scale / values[chosen] / count * 2.0**fine if given.zero else 0.0
        zero = round(wanted)
        zeros = [zero if index == chosen else 0 for index in range(len(units))]
        ranges = [_held(own, sign * int(f), z) for own, f, z in zip(limits, finer, zeros, strict=True)]
        bits = tuple(max(2, own.signed_bits) for own in ranges)
        if max(bits) > MOST_BITS:
            break
        ratios = multipliers_for(np.array(values) / finer / scale)
        off = (np.array([reach(own) for own in ranges]) * count * ratios.errors).sum()
        off += abs(wanted - zero) * count * ratios.ratios[chosen]
        if best is None or off < best.bound:
            held = tuple(Held(scale=sign * u / f, zero=z) for u, f, z in zip(units, finer.tolist(), zeros, strict=True))
            best = Summands(held=held, bits=bits, multipliers=ratios, bound=float(off))
    return best


def _held(limits: Range, factor: int, zero: int) -> Range:
    low, high = sorted((limits.low * factor + zero, limits.high * factor + zero))
    return Range(low, high)
