"""Fit: whether a unit or a network fits a device, from its estimate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from golden.support.numbers import number
from hw.targets.area import RESOURCES
from hw.targets.devices import CAPACITY

#: Resources whose estimate is exact.
EXACT = ("dsp", "bram", "uram")
#: Largest relative error of the other estimates, as ``python -m scripts.estimate`` measures it.
TOLERANCE = 0.2
#: A unit does not fit, however far off its estimate is, where that is so many times what the device has. The worst
#: estimate that was seen, among random units on an ECP5, is 1.35 times the truth: stride 2 on frames one pixel wide.
CERTAIN = 1.5


class Cost(Protocol):
    """An estimate, of a unit or of a network."""

    @property
    def lut(self) -> int: ...

    @property
    def ff(self) -> int: ...

    @property
    def dsp(self) -> int | None: ...

    @property
    def bram(self) -> float | None: ...

    @property
    def uram(self) -> int: ...


@dataclass(frozen=True, kw_only=True)
class Use:
    """What a unit or a network takes of one resource of a device.

    Attributes:
        name, key: the resource's name for people, and the field that has it.
        takes: estimated amount; None where synthesis is free to choose.
        has: what the device has.
        exact: whether ``takes`` is no mere estimate.
    """

    name: str
    key: str
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


def uses(cost: Cost, device: str) -> list[Use]:
    """What is taken of each resource of ``device``, one of `CAPACITY`."""
    return [
        Use(name=name, key=key, takes=getattr(cost, key), has=getattr(CAPACITY[device], key), exact=key in EXACT)
        for name, key in RESOURCES.items()
    ]


def verdict(cost: Cost, device: str) -> str:
    """Whether what is estimated fits into ``device``, in words: yes, no or perhaps, and what decides."""
    found = uses(cost, device)
    lacking = [use for use in found if not use.fits and not use.is_close]
    close = [use for use in found if use.is_close]
    if lacking:
        return f"no: {', '.join(map(str, lacking))}"
    if close:
        return f"perhaps: {', '.join(map(str, close))}, which may be {100 * TOLERANCE:g} % off"
    return "yes" if cost.dsp is not None else "perhaps: synthesis chooses how many DSP and BRAM it takes"


def fits(cost: Cost, device: str) -> bool:
    """Whether an estimate fits into ``device``."""
    return all(use.fits for use in uses(cost, device))
