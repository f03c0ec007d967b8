"""Hopeless: what is so far beyond a device that its estimate, which takes longer, is not worth while."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import TypeVar

from hw.estimate.wish import Wish
from hw.plan.config import UnitConfig
from hw.plan.dsp_count import products_a_cycle
from hw.targets.area import RESOURCES
from hw.targets.families import NARROW_OPERAND

#: What surely takes more than so many times what there is, is not looked at, unless nothing else is there. What takes
#: less is looked at, so that it can be said what lacks.
MOST = 2
_PLACES = {key: place for place, key in enumerate(RESOURCES.values())}

Candidate = TypeVar("Candidate")


def surely_takes(wish: Wish, units: Iterable[UnitConfig], dsps: int) -> Fraction:
    """A bound on the largest share that ``units`` take, of which it is known that they have as many ``dsps``."""
    if dsps:
        return Fraction(dsps) / wish.room[_PLACES["dsp"]]
    return Fraction(sum(map(_fewest_luts, units))) / wish.room[_PLACES["lut"]]


def _fewest_luts(unit: UnitConfig) -> int:
    """A bound on the LUTs of products of adders. Each adds as many bits as an operand has, at least once."""
    layer = unit.layer.config
    return products_a_cycle(unit) * (layer.in_bits if layer.weight_bits > NARROW_OPERAND else 1)


def hopeful(shares: Iterable[tuple[Fraction, Candidate]]) -> list[Candidate]:
    """Candidates, each with a bound on its share, without the hopeless ones."""
    found = list(shares)
    most = max(min(share for share, _ in found), Fraction(MOST))
    return [candidate for share, candidate in found if share <= most]
