"""Wish: what a unit or a network is to reach on a device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from golden.support.numbers import number
from hw.estimate.fit import EXACT, TOLERANCE
from hw.targets.area import RESOURCES, Area
from hw.targets.devices import Device

#: Resources that decide, one after the other, between designs whose largest share of a device is the same.
THEN = ("dsp", "lut")
#: What is the least, in words.
LEAST = "the smallest largest share of any resource; then the fewest DSPs, then LUTs"
_KEYS = tuple(RESOURCES.values())
#: The places of `THEN` in `RESOURCES`.
THEN_PLACES = tuple(map(_KEYS.index, THEN))


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is to be reached.

    Attributes:
        device: the device.
        fps: frames a second, at least; None for as many as fit.
        clock_mhz: clock that the design is taken to run at; None for that of the device.
        fill: share of the device that may be used.
    """

    device: Device
    fps: float | None = None
    clock_mhz: float | None = None
    fill: float = 1

    @property
    def mhz(self) -> float:
        """Clock that the design is taken to run at."""
        return self.device.mhz if self.clock_mhz is None else self.clock_mhz

    @cached_property
    def room(self) -> Sequence[Fraction]:
        """What may be taken of each of `RESOURCES`, in `counted` units.

        LUTs and flip-flops are estimated. So much less of them counts as the estimate may be off, that what fits in the
        estimate fits in truth.
        """
        sure = 1 - Fraction(str(TOLERANCE))
        shares = [Fraction(str(self.fill)) * (1 if key in EXACT else sure) for key in _KEYS]
        return [share * amount for share, amount in zip(shares, counted(self.device.has), strict=True)]

    @property
    def most_cycles(self) -> int | None:
        """Cycles of a frame that are few enough; None where the fewest that fit are wanted."""
        return None if self.fps is None else int(Fraction(self.mhz) * 10**6 / Fraction(self.fps))

    def rate(self, cycles: int) -> float:
        """Frames a second."""
        return 1e6 * self.mhz / cycles


def counted(area: Area) -> list[int]:
    """``area`` in integers, in the order of `RESOURCES`: block RAMs in halves."""
    return [int(2 * getattr(area, key)) if key == "bram" else getattr(area, key) for key in _KEYS]


def amount(resource: int, count: int) -> float:
    """What ``count``, of a resource by its place in `RESOURCES`, is in the units of `hw.targets.area.Area`."""
    return count / 2 if _KEYS[resource] == "bram" else count


def named(resource: int, count: int, sign: str = "") -> str:
    """``count`` of a resource, by its place in `RESOURCES`, in words, behind a ``sign``."""
    name, key = list(RESOURCES.items())[resource]
    return f"{'' if key in EXACT else 'about '}{sign}{number(amount(resource, count))} {name}"
