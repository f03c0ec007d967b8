"""Fit: whether a unit fits a device, from its estimate."""

from __future__ import annotations

from dataclasses import dataclass

from golden.support.numbers import number
from hw.estimate.estimate import Estimate
from hw.targets.area import RESOURCES
from hw.targets.devices import CAPACITY

#: Resources whose estimate is exact.
EXACT = ("dsp", "bram")
#: Largest relative error of the other estimates, as ``python -m scripts.estimate`` measures it.
TOLERANCE = 0.2
#: A unit does not fit, however far off its estimate is, where that is so many times what the device has. The worst
#: estimate that was seen, among random units on an ECP5, is 1.35 times the truth: stride 2 on frames one pixel wide.
CERTAIN = 1.5


@dataclass(frozen=True, kw_only=True)
class Use:
    """What a unit takes of one resource of a device.

    Attributes:
        name: the resource's name for people.
        takes: estimated amount; None where synthesis is free to choose.
        has: what the device has.
        exact: whether ``takes`` is no mere estimate.
    """

    name: str
    takes: float | None
    has: float
    exact: bool

    @property
    def fits(self) -> bool:
        """Whether there is enough, as far as is known."""
        return self.takes is None or self.takes <= self.has

    @property
    def surely_lacks(self) -> bool:
        """Whether there is too little, however far the estimate is off."""
        return self.takes is not None and self.takes > self.has * (1 if self.exact else CERTAIN)

    @property
    def is_close(self) -> bool:
        """Whether the error of the estimate decides."""
        return self.takes is not None and not self.exact and abs(self.takes / self.has - 1) <= TOLERANCE

    def __str__(self) -> str:
        return f"{'' if self.exact else 'about '}{number(self.takes or 0)} {self.name} of {number(self.has)}"


def uses(unit: Estimate, device: str) -> list[Use]:
    """What a unit takes of each resource of ``device``, one of `CAPACITY`."""
    return [
        Use(name=name, takes=getattr(unit, key), has=getattr(CAPACITY[device], key), exact=key in EXACT)
        for name, key in RESOURCES.items()
    ]


def verdict(unit: Estimate, device: str) -> str:
    """Whether a unit fits into ``device``, in words: yes, no or perhaps, and what decides."""
    found = uses(unit, device)
    lacking = [use for use in found if not use.fits and not use.is_close]
    close = [use for use in found if use.is_close]
    if lacking:
        return f"no: {', '.join(map(str, lacking))}"
    if close:
        return f"perhaps: {', '.join(map(str, close))}, which may be {100 * TOLERANCE:g} % off"
    return "yes" if unit.dsp is not None else "perhaps: synthesis chooses how many DSP and BRAM it takes"


def fits(unit: Estimate, device: str) -> bool:
    """Whether the estimate says that a unit fits into ``device``."""
    return all(use.fits for use in uses(unit, device))
