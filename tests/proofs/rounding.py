"""Rounding: ``saturate(round(value / 2^shift))`` for every value, in every mode of rounding.

It is proven for ever, by k-induction, for every input value of every build. Builds have values wider and
narrower than the shift, signed and unsigned results, and the register in the middle or not.

The specification has no rounding in it. ``d = 2 value - 2 y 2^shift`` is twice what the result is off by:

- Half to even: ``|d| <= 2^shift``, and ``y`` is even where both are equal (a tie).
- Half up: ``-2^shift <= d < 2^shift``.
- Down: ``0 <= d < 2 2^shift``.
- At the upper limit, ``d`` may be as large as it likes. At the lower limit, it may be as small as it likes.
"""

from __future__ import annotations

import itertools
from functools import partial

from amaranth.hdl import Module, Signal, Value, signed, unsigned
from amaranth.lib.wiring import In

from golden.contract.ranges import Range
from golden.contract.rounding import Rounding
from hw.blocks.pipeline import delay
from hw.blocks.rounding import LATENCY, rounded
from tests.proofs.proof import Bug, Harness, Proof

#: Ranges of results: unsigned, signed, and signed but never negative.
LIMITS = {"unsigned": Range(0, 7), "signed": Range(-4, 3), "relu": Range(0, 3)}
#: How far an 8-bit value that is shifted by 3 may be below and above a limit, and still be rounded to it.
REACHES: dict[Rounding, tuple[int, int]] = {"half_even": (4, 3), "half_up": (4, 3), "floor": (0, 7)}
#: Ranges of such a value. They end where the result just reaches a limit, or one beyond.
PROVEN = {
    f"{name}, {ends}": (limits, more_below, more_above)
    for name, limits in LIMITS.items()
    for ends, more_below, more_above in (("within", 0, 0), ("below", 1, 0), ("above", 0, 1), ("both", 1, 1))
}


def claim_rounded(
    harness: Harness,
    m: Module,
    value: Value,
    shift: int,
    limits: Range,
    y: Value,
    *,
    cycles: int,
    rounding: Rounding,
) -> None:
    """Claim that ``y`` is the ``value`` of ``cycles`` before, shifted, rounded and saturated."""
    exact = delay(m, value, cycles)
    here = Signal(range(cycles + 1))
    with m.If(here < cycles):
        m.d.sync += here.eq(here + 1)
    claim_rounded_where(harness, m, here == cycles, exact, shift, limits, y, rounding)


def claim_rounded_where(
    harness: Harness,
    m: Module,
    known: Value,
    exact: Value,
    shift: int,
    limits: Range,
    y: Value,
    rounding: Rounding,
) -> None:
    """Claim that ``y`` is ``exact``, shifted, rounded and saturated, where that is ``known``."""
    off = Signal(signed(max(len(exact), len(y) + shift) + 3))
    m.d.comb += off.eq(2 * exact - (y << (shift + 1)))
    tie = 2**shift
    not_above, not_below = {
        "half_even": ((off < tie) | ((off == tie) & ~y[0]), (off > -tie) | ((off == -tie) & ~y[0])),
        "half_up": (off < tie, off >= -tie),
        "floor": (off < 2 * tie, off >= 0),
    }[rounding]
    harness.claim(m, ~known | ((y >= limits.low) & (y <= limits.high)))
    harness.claim(m, ~known | (y == limits.high) | not_above)
    harness.claim(m, ~known | (y == limits.low) | not_below)


class RoundingHarness(Harness):
    def __init__(
        self,
        width: int,
        shift: int,
        limits: Range,
        rounding: Rounding,
        split: bool,
        proven: Range | None = None,
    ) -> None:
        self._shift, self._limits, self._rounding, self._split, self._proven = shift, limits, rounding, split, proven
        super().__init__({"value": In(signed(width))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        low, high = self._limits.low, self._limits.high
        shape = signed(high.bit_length() + 1) if low else unsigned(high.bit_length())
        y, how = Signal(shape), {"rounding": self._rounding, "split": self._split, "proven": self._proven}
        if self._proven is not None:
            self.assume(m, (self.value >= self._proven.low) & (self.value <= self._proven.high))
        m.d.comb += y.eq(rounded(m, self.value, self._shift, self._limits, shape, **how))
        cycles = LATENCY + self._split
        claim_rounded(self, m, self.value, self._shift, self._limits, y, cycles=cycles, rounding=self._rounding)
        return m


def _bug(name: str, old: str, new: str, build: str) -> Bug:
    return Bug(name=name, module="hw.blocks.rounding", old=old, new=new, build=build)


def _proven(limits: Range, rounding: Rounding, more_below: int, more_above: int) -> Range:
    below, above = REACHES[rounding]
    return Range(8 * limits.low - below - more_below, 8 * limits.high + above + more_above)


#: Endings of builds' names. The register in the middle is the same in every mode.
HOW: dict[str, tuple[Rounding, bool]] = {
    "": ("half_even", False),
    ", split": ("half_even", True),
    ", half up": ("half_up", True),
    ", floor": ("floor", False),
}
BUILDS = {
    f"{width} bit, shift {shift}, {name}{ending}": partial(RoundingHarness, width, shift, limits, *how)
    for (width, shifts), (name, limits), (ending, how) in itertools.product(
        ((3, (0, 2, 5)), (8, (0, 1, 3, 8))), LIMITS.items(), HOW.items()
    )
    for shift in shifts
    # Without a shift, nothing is rounded in any mode.
    if shift or how[0] == "half_even"
} | {
    f"proven range, {name}{ending}": partial(
        RoundingHarness, 8, 3, limits, rounding, split, _proven(limits, rounding, *more)
    )
    for (name, (limits, *more)), (ending, (rounding, split)) in itertools.product(PROVEN.items(), HOW.items())
}
#: Builds of 8 bits beside those of the shift in the middle.
SLOW = ("8 bit, shift 0", "8 bit, shift 1", "8 bit, shift 8")

PROOF = Proof(
    name="rounding",
    claim="every value is rounded as is asked, and saturated",
    unbounded=True,
    depth=5,
    builds=BUILDS,
    slow=frozenset(name for name in BUILDS if name.startswith(SLOW)) - {"8 bit, shift 1, signed"},
    bugs=(
        _bug(
            "every range is rounded half to even",
            "round_quotient(end, shift, rounding)",
            'round_quotient(end, shift, "half_even")',
            "proven range, signed, below, floor",
        ),
        _bug(
            "ties are not up", "fraction[-1]", "(fraction[-1] & fraction[:-1].any())", "8 bit, shift 3, signed, half up"
        ),
        _bug(
            "a range is rounded down",
            "round_quotient(end, shift, rounding)",
            "end >> shift",
            "proven range, signed, above",
        ),
        _bug("down is to the nearest", ' or rounding == "floor"', "", "8 bit, shift 3, signed, floor"),
        _bug("nothing is ever below", "reached.low < limits.low", "False", "proven range, unsigned, below"),
        _bug("half rounds up", "Cat(odd, fraction)", "Cat(1, fraction)", "8 bit, shift 3, unsigned"),
        _bug("half rounds down", "Cat(odd, fraction)", "Cat(0, fraction)", "8 bit, shift 3, signed"),
        _bug(
            "a carry into saturation is forgotten", "Mux(reaches, minus_one, zero)", "zero", "8 bit, shift 3, unsigned"
        ),
        _bug("the lowest number saturates", "Mux(reaches, minus_two, minus_one)", "Const(0)", "8 bit, shift 1, signed"),
    ),
)
