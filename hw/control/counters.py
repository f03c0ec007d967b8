"""Counters of what happens in a unit. They wrap."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.control.interface import counts
from hw.control.register_table import WORD
from hw.plan.shapes import Shapes


class Counters(wiring.Component):
    """Sums of what `hw.control.interface.counts` says in each cycle.

    Members:
        i_counts: what happens in this cycle.
        i_clear: strobe: count from 0 again. What happens in the same cycle and in the next one is not counted.
        o_totals: a number for each member of `i_counts`. It has what happened up to two cycles before.
    """

    def __init__(self, shapes: Shapes) -> None:
        layout = counts(shapes)
        self._names = list(layout.members)
        totals = data.StructLayout(dict.fromkeys(self._names, WORD))
        super().__init__({"i_counts": In(layout), "i_clear": In(1), "o_totals": Out(totals)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # What happens is known late in its cycle.
        happened, cleared, clearing = Signal.like(self.i_counts, name="happened"), Signal(), Signal(init=1)
        m.d.sync += [happened.eq(self.i_counts), cleared.eq(self.i_clear), clearing.eq(self.i_clear | cleared)]
        for name in self._names:
            total = Signal(WORD, name=f"total_{name}", reset_less=True)
            m.d.sync += total.eq(total + Value.cast(happened[name]))
            with m.If(clearing):
                m.d.sync += total.eq(0)
            m.d.comb += self.o_totals[name].eq(total)
        return m
