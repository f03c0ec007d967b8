"""Folding for a device: the fewest cycles that fit, or the least design that is fast enough.

What a layer's and a network's foldings have in common. `hw.estimate.layer_space` and
`hw.estimate.network_space` find the least design of a number of cycles.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Generic, Protocol, TypeVar

from golden.support.cli import UserError
from golden.support.numbers import at_most, number
from hw.estimate.solver import Value, value_of
from hw.estimate.wish import THEN_PLACES, Wish, amount, counted, named
from hw.targets.area import Area

#: Part of the device that a slower design must save to be worth a word.
NOTICED = Fraction(1, 100)

Config = TypeVar("Config", covariant=True)
Own = TypeVar("Own")


@dataclass(frozen=True, kw_only=True)
class Found(Generic[Config]):
    """A design.

    Attributes:
        config: the design.
        cycles: cycles of a frame.
        amounts: what it takes of each of `hw.targets.area.RESOURCES`, as `hw.estimate.wish.counted` counts.
        value: what makes it better than others.
        bound: no design of as few cycles has a smaller value.
    """

    config: Config
    cycles: int
    amounts: Sequence[int]
    value: Value
    bound: Value

    @property
    def fits(self) -> bool:
        return self.value[0] <= 1

    @property
    def is_least(self) -> bool:
        """Whether no other design of as few cycles is better."""
        return self.bound >= self.value


def found_of(wish: Wish, config: Own, cycles: int, area: Area) -> Found[Own]:
    """A design that takes ``area``, its own bound."""
    amounts = counted(area)
    value = value_of(amounts, wish.room, THEN_PLACES)
    return Found(config=config, cycles=cycles, amounts=amounts, value=value, bound=value)


class Space(Protocol[Config]):
    """All designs of a layer or of a network on a device."""

    @property
    def wish(self) -> Wish:
        """What is to be reached."""

    @property
    def cycles(self) -> Sequence[int]:
        """Cycles of a frame that there are, ascending."""

    def least_share(self, cycles: int) -> Fraction:
        """A bound on the largest share that a design of at most so many ``cycles`` takes of what may be used."""

    def least(self, cycles: int) -> Found[Config]:
        """The least design of at most so many cycles of a frame, whether it fits or not."""


@dataclass(frozen=True, kw_only=True)
class Chosen(Generic[Config]):
    """A design that was chosen for a device.

    Attributes:
        wish: what was asked for.
        found: the design.
        faster: the least design of the next fewer cycles, whether it fits or not; None where there is none.
        slower: the least one of the next more cycles whose largest share is less by `NOTICED`; None if there is none.
    """

    wish: Wish
    found: Found[Config]
    faster: Found[Config] | None
    slower: Found[Config] | None


def choose(space: Space[Config]) -> Chosen[Config]:
    """The design that is wished for. Raises `UserError` where nothing fits, naming the resource."""
    wish, cycles = space.wish, space.cycles
    found = fewest_cycles(space) if wish.most_cycles is None else _fast_enough(space, wish.most_cycles)
    if not found.fits:
        raise UserError(f"nothing fits {wish.device.name}: the least takes {lack(wish, found)}")
    place = bisect_left(cycles, found.cycles)
    enough = found.value[0] - NOTICED
    slower = (space.least(more) for more in cycles[place + 1 :] if space.least_share(more) <= enough)
    return Chosen(
        wish=wish,
        found=found,
        faster=space.least(cycles[place - 1]) if place else None,
        slower=next((other for other in slower if other.value[0] <= enough), None),
    )


def fewest_cycles(space: Space[Config]) -> Found[Config]:
    """The least design of the fewest cycles that fit. Where nothing fits, the least of all."""
    cycles = space.cycles
    # What fits in more cycles may take fewer, too. So what is lacking in some is lacking in all that are fewer.
    first = bisect_left(cycles, True, key=lambda fewest: space.least_share(fewest) <= 1)
    for fewest in cycles[first:]:
        if (found := space.least(fewest)).fits:
            return found
    return space.least(cycles[-1])


def _fast_enough(space: Space[Config], most: int) -> Found[Config]:
    wish, cycles = space.wish, space.cycles
    assert wish.fps is not None
    asked = f"{number(wish.fps)} fps are out of reach on {wish.device.name} at {number(wish.mhz)} MHz"
    enough = bisect_right(cycles, most)
    if enough and (found := space.least(cycles[enough - 1])).fits:
        return found
    best = fewest_cycles(space)
    if not best.fits:
        return best
    said = f"the least that is fast enough takes {lack(wish, found)}; " if enough else ""
    raise UserError(f"{asked}: {said}at most {at_most(wish.rate(best.cycles))} frames/s fit")


def lack(wish: Wish, found: Found[Config]) -> str:
    """What there is too little of, in words."""
    return ", ".join(
        f"{named(resource, takes)} of {number(amount(resource, int(may)))}"
        for resource, (takes, may) in enumerate(zip(found.amounts, wish.room, strict=True))
        if takes > may
    )
