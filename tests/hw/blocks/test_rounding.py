"""Rounding: every value of a few bits, with a sign and without, in each mode."""

from __future__ import annotations

from fractions import Fraction

import pytest
from amaranth.hdl import Module, Shape, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.contract.ranges import Range
from golden.contract.rounding import ROUNDINGS, Rounding
from hw.blocks.rounding import LATENCY, rounded
from tests.support import rounding as expected
from tests.support.components import stream_through


class Rounded(wiring.Component):
    def __init__(self, value: Shape, limits: Range, shift: int, rounding: Rounding, *, split: bool) -> None:
        self._how = shift, limits, signed(6)
        self._rounding, self._split = rounding, split
        super().__init__({"i": In(value), "o": Out(signed(6))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.o.eq(rounded(m, self.i, *self._how, rounding=self._rounding, split=self._split))
        return m


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize("limits", [Range(-4, 3), Range(0, 7)], ids=str)
@pytest.mark.parametrize("value", [signed(6), unsigned(6)], ids=str)
def test_every_value(value: Shape, limits: Range, rounding: Rounding) -> None:
    values = range(-32, 32) if value.signed else range(64)
    for shift in (0, 1, 2, 3, 5, 7):
        dut = Rounded(value, limits, shift, rounding, split=shift % 2 == 0)
        [shown] = stream_through(dut, [{"i": number} for number in values], [dut.o])
        late = LATENCY + (shift % 2 == 0)
        nearest = [expected.rounded(Fraction(number, 1 << shift), rounding) for number in values]
        assert shown[late:][: len(values)] == [min(max(number, limits.low), limits.high) for number in nearest], shift
