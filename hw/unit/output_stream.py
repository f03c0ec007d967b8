"""Output stream: a FIFO that takes what the pipeline puts out, and a registered AXI4-Stream port."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.blocks.queue import Queue
from hw.plan.shapes import Shapes


class OutputStream(wiring.Component):
    """Output beats with back-pressure. The pipeline in front of it never waits.

    The sequencer issues a beat only if an entry is free for it. So a write never meets a full FIFO.

    Members:
        i_valid, i_beat, i_last: an output beat, and whether it is its frame's last.
        i_user: a mark that goes with the beat (only where there are ``marks``).
        o_popped: an entry has become free.
        o: the output beats, ``latency`` cycles after ``i_valid`` if nothing waits.
    """

    latency = 2

    def __init__(self, shapes: Shapes, *, depth: int, marks: bool) -> None:
        self._beat = data.ArrayLayout(shapes.result, shapes.folding.pe)
        self._depth = depth
        self._marks = marks
        payload = data.StructLayout({"beat": self._beat, "last": 1} | ({"user": 1} if self._marks else {}))
        super().__init__(
            {
                "i_valid": In(1),
                "i_beat": In(self._beat),
                "i_last": In(1),
                "o_popped": Out(1),
                "o": Out(stream.Signature(payload)),
            }
            | ({"i_user": In(1)} if self._marks else {})
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        entry = Signal(self.o.payload.shape())
        m.d.comb += [entry.beat.eq(self.i_beat), entry.last.eq(self.i_last)]
        if self._marks:
            m.d.comb += entry.user.eq(self.i_user)
        pop = Signal()
        fifo = Queue(m, entry.shape(), self._depth, push=self.i_valid, entry=entry, pop=pop, name="fifo")
        valid = Signal()
        payload = Signal(entry.shape(), reset_less=True)
        m.d.comb += [pop.eq(fifo.some & (~valid | self.o.ready)), self.o_popped.eq(pop)]
        with m.If(pop):
            m.d.sync += payload.eq(fifo.head)
        m.d.sync += valid.eq(Mux(pop, 1, valid & ~self.o.ready))
        m.d.comb += [self.o.valid.eq(valid), self.o.payload.eq(payload)]
        return m
