"""Output stream: a FIFO that takes what the pipeline puts out, and a registered AXI4-Stream port."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.blocks.queue import Queue


class OutputStream(wiring.Component):
    """Output beats with back-pressure. The pipeline in front of it never waits.

    The sequencer issues a beat only if an entry is free for it. So a write never meets a full FIFO.

    Args:
        beat: what a beat is.
        depth: entries.
        lasts: whether it is told which beats are their frame's last.
        marks: whether beats are marked.
        late: the sink may be far away, so that there is no time for a carry behind what it says.

    Members:
        i_valid, i_beat: an output beat.
        i_last: the beat is its frame's last (only with ``lasts``).
        i_user: a mark that goes with the beat (only with ``marks``).
        o_popped: an entry has become free.
        o: the output beats, ``latency`` cycles after ``i_valid`` if nothing waits.
    """

    latency = 2

    def __init__(
        self, beat: data.ArrayLayout, *, depth: int, lasts: bool = True, marks: bool = False, late: bool = False
    ) -> None:
        self._depth, self._late = depth, late
        self._flags = [name for name, wanted in (("last", lasts), ("user", marks)) if wanted]
        payload = data.StructLayout({"beat": beat} | dict.fromkeys(self._flags, 1))
        super().__init__(
            {
                "i_valid": In(1),
                "i_beat": In(beat),
                **({"i_last": In(1)} if lasts else {}),
                "o_popped": Out(1),
                "o": Out(stream.Signature(payload)),
                **({"i_user": In(1)} if marks else {}),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        entry = Signal(self.o.payload.shape())
        m.d.comb += entry.beat.eq(self.i_beat)
        m.d.comb += [entry[flag].eq(getattr(self, f"i_{flag}")) for flag in self._flags]
        pop = Signal()
        fifo = Queue(
            m, entry.shape(), self._depth, push=self.i_valid, entry=entry, pop=pop, name="fifo", late=self._late
        )
        valid = Signal()
        payload = Signal(entry.shape(), reset_less=True)
        m.d.comb += [pop.eq(fifo.some & (~valid | self.o.ready)), self.o_popped.eq(pop)]
        with m.If(pop):
            m.d.sync += payload.eq(fifo.head)
        m.d.sync += valid.eq(Mux(pop, 1, valid & ~self.o.ready))
        m.d.comb += [self.o.valid.eq(valid), self.o.payload.eq(payload)]
        return m
