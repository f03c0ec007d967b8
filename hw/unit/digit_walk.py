"""Digit walk: which digits of the multipliers are read, where products of adders take turns (`hw.plan.scale`).

All lanes complete their sums at the same time, so one walk serves all. The digits of a sum's multipliers stand behind
each other in their store, and the sums come in the order of the store. So the walk is a counter that goes on for as
many cycles as there are digits.

    cycle       0        1       ...   digits - 1   digits
    starts      1        0              0            1 at the earliest
    address     digit 0  digit 1        the last     digit 0 of the next sum
    goes on     1        1              0            ...
"""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.blocks.pipeline import Counter, index_shape


class DigitWalk(wiring.Component):
    """Counts through ``digits`` digits of each of ``depth`` words, again and again.

    Members:
        i_starts: the digits of the next word are read from now on. The word before must be done.
        o_address: number of the digit that is read.
        o_goes_on: whether a digit is read, and another one of the same word follows.
    """

    def __init__(self, *, digits: int, depth: int) -> None:
        assert digits > 1, "a single digit takes no turns"
        self._digits, self._depth = digits, depth
        super().__init__({"i_starts": In(1), "o_address": Out(index_shape(digits * depth)), "o_goes_on": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # Digits that are left, less the one that is read in the cycle of the start.
        left = Signal(range(self._digits))
        more = Signal()
        with m.If(self.i_starts):
            m.d.sync += [left.eq(self._digits - 1), more.eq(self._digits > 2)]
        with m.Elif(left.any()):
            m.d.sync += [left.eq(left - 1), more.eq(left > 2)]
        reads = self.i_starts | left.any()
        address = Counter(m, self._digits * self._depth, reads, name="address")
        m.d.comb += [self.o_address.eq(address.value), self.o_goes_on.eq(self.i_starts | more)]
        return m
