"""Rounding: ``saturate(round_half_even(value / 2^shift))`` for every value.

It is proven for ever, by k-induction, for every input value of every build. Builds have values wider and
narrower than the shift, signed and unsigned results, and the register in the middle or not.

The specification has no rounding in it. ``d = 2 value - 2 y 2^shift`` is twice what the result is off by:

- ``|d| <= 2^shift``, and ``y`` is even where both are equal (a tie).
- At the upper limit, ``d`` may be as large as it likes. At the lower limit, it may be as small as it likes.
"""

from __future__ import annotations

import itertools
from functools import partial

from amaranth.hdl import Module, Signal, Value, signed, unsigned
from amaranth.lib.wiring import In

from golden.contract.ranges import Range
from hw.blocks.pipeline import delay
from hw.blocks.rounding import LATENCY, rounded
from tests.proofs.proof import Bug, Harness, Proof

#: Ranges of results: unsigned, signed, and signed but never negative.
LIMITS = {"unsigned": Range(0, 7), "signed": Range(-4, 3), "relu": Range(0, 3)}
#: Ranges of an 8-bit value that is shifted by 3. They end where the result just reaches a limit, or one beyond.
PROVEN = {
    f"{name}, {ends}": (limits, Range(8 * limits.low - below, 8 * limits.high + above))
    for name, limits in LIMITS.items()
    for ends, below, above in (("within", 4, 3), ("below", 5, 3), ("above", 4, 4), ("both", 5, 4))
}


def claim_rounded(
    harness: Harness, m: Module, value: Value, shift: int, limits: Range, y: Value, *, cycles: int
) -> None:
    """Claim that ``y`` is the ``value`` of ``cycles`` before, shifted, rounded and saturated."""
    exact = delay(m, value, cycles)
    here = Signal(range(cycles + 1))
    with m.If(here < cycles):
        m.d.sync += here.eq(here + 1)
    claim_rounded_where(harness, m, here == cycles, exact, shift, limits, y)


def claim_rounded_where(
    harness: Harness, m: Module, known: Value, exact: Value, shift: int, limits: Range, y: Value
) -> None:
    """Claim that ``y`` is ``exact``, shifted, rounded and saturated, where that is ``known``."""
    off = Signal(signed(max(len(exact), len(y) + shift) + 3))
    m.d.comb += off.eq(2 * exact - (y << (shift + 1)))
    tie = 2**shift
    harness.claim(m, ~known | ((y >= limits.low) & (y <= limits.high)))
    harness.claim(m, ~known | (y == limits.high) | (off < tie) | ((off == tie) & ~y[0]))
    harness.claim(m, ~known | (y == limits.low) | (off > -tie) | ((off == -tie) & ~y[0]))


class RoundingHarness(Harness):
    def __init__(self, width: int, shift: int, limits: Range, split: bool, proven: Range | None = None) -> None:
        self._shift, self._limits, self._split, self._proven = shift, limits, split, proven
        super().__init__({"value": In(signed(width))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        low, high = self._limits.low, self._limits.high
        shape = signed(high.bit_length() + 1) if low else unsigned(high.bit_length())
        y, how = Signal(shape), {"split": self._split, "proven": self._proven}
        if self._proven is not None:
            self.assume(m, (self.value >= self._proven.low) & (self.value <= self._proven.high))
        m.d.comb += y.eq(rounded(m, self.value, self._shift, self._limits, shape, **how))
        claim_rounded(self, m, self.value, self._shift, self._limits, y, cycles=LATENCY + self._split)
        return m


def _bug(name: str, old: str, new: str, build: str) -> Bug:
    return Bug(name=name, module="hw.blocks.rounding", old=old, new=new, build=build)


PROOF = Proof(
    name="rounding",
    claim="every value is rounded half to even and saturated",
    unbounded=True,
    depth=5,
    builds={
        f"{width} bit, shift {shift}, {name}{', split' * split}": partial(RoundingHarness, width, shift, limits, split)
        for (width, shifts), (name, limits), split in itertools.product(
            ((3, (0, 2, 5)), (8, (0, 1, 3, 8))), LIMITS.items(), (False, True)
        )
        for shift in shifts
    }
    | {
        f"proven range, {name}{', split' * split}": partial(RoundingHarness, 8, 3, limits, split, proven)
        for (name, (limits, proven)), split in itertools.product(PROVEN.items(), (False, True))
    },
    bugs=(
        _bug(
            "a range is rounded down",
            "(round(Fraction(end, 1 << shift)) for end",
            "(end >> shift for end",
            "proven range, signed, above",
        ),
        _bug("nothing is ever below", "reached.low < limits.low", "False", "proven range, unsigned, below"),
        _bug("half rounds up", "Cat(odd, fraction)", "Cat(1, fraction)", "8 bit, shift 3, unsigned"),
        _bug("half rounds down", "Cat(odd, fraction)", "Cat(0, fraction)", "8 bit, shift 3, signed"),
        _bug(
            "a carry into saturation is forgotten", "Mux(reaches, minus_one, zero)", "zero", "8 bit, shift 3, unsigned"
        ),
        _bug("the lowest number saturates", "Mux(reaches, minus_two, minus_one)", "Const(0)", "8 bit, shift 1, signed"),
    ),
)
