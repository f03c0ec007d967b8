"""Output stream: a FIFO that takes what the pipeline puts out, and a registered AXI4-Stream port."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import UnitConfig
from hw.pipeline import index_shape, wrap_increment


class OutputStream(wiring.Component):
    """Output beats with back-pressure; the pipeline in front of it never waits.

    The sequencer issues a beat only if an entry is free for it, so a write never meets a
    full FIFO.

    Members:
        i_valid, i_beat, i_last: an output beat, and whether it is its frame's last.
        i_user: a mark that goes with it (only in reloadable units).
        o_popped: an entry has become free.
        o: the output beats, ``latency`` cycles after ``i_valid`` if nothing waits.
    """

    latency = 2

    def __init__(self, config: UnitConfig, *, depth: int) -> None:
        self._beat = data.ArrayLayout(config.result, config.folding.pe)
        self._depth = depth
        self._marks = config.reload is not None
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
        entry = self.o.payload.shape()
        m.submodules.fifo = fifo = memory.Memory(shape=entry, depth=self._depth, init=[])
        write, read = fifo.write_port(), fifo.read_port(domain="comb")
        head = Signal(index_shape(self._depth))
        tail = Signal(index_shape(self._depth))
        level = Signal(range(self._depth + 1))

        m.d.comb += [
            write.addr.eq(tail),
            write.en.eq(self.i_valid),
            write.data.beat.eq(self.i_beat),
            write.data.last.eq(self.i_last),
            read.addr.eq(head),
        ]
        if self._marks:
            m.d.comb += write.data.user.eq(self.i_user)
        with m.If(self.i_valid):
            m.d.sync += tail.eq(wrap_increment(tail, 1, self._depth))

        payload = Signal(entry, reset_less=True)
        valid = Signal()
        # Whether there are entries is a register of its own, so that little waits for the sink.
        some = Signal()
        pop = Signal()
        m.d.comb += [pop.eq(some & (~valid | self.o.ready)), self.o_popped.eq(pop)]
        m.d.sync += [level.eq(level + self.i_valid - pop), some.eq(self.i_valid | Mux(pop, level > 1, some))]
        with m.If(pop):
            m.d.sync += [payload.eq(read.data), head.eq(wrap_increment(head, 1, self._depth))]
        m.d.sync += valid.eq(Mux(pop, 1, valid & ~self.o.ready))
        m.d.comb += [self.o.valid.eq(valid), self.o.payload.eq(payload)]
        return m
