"""Outlet: the end of a pipeline that never waits, where its results wait for the sink.

The pipeline begins a result only while there is `Outlet.credit`, so its push always finds room.

    cycle     0       latency      latency + 1     latency + 2
            begins     pushed       in the queue      offered
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import stream

from hw.blocks.queue import Queue

#: Cycles from a push to the offer, where nothing waits.
LATENCY = 2


class Outlet:
    """A queue in front of a stream with registered outputs.

    Attributes:
        credit: whether a result may begin. It is a register, and always on while the sink is ready.
    """

    def __init__(
        self, m: Module, port: stream.Interface, *, begins: Value, push: Value, entry: Value, latency: int, name: str
    ) -> None:
        """Bring to ``port`` each ``entry``, pushed ``latency`` cycles after its result ``begins``.

        ``begins`` only while there is credit.
        """
        # A result's entry is free again for the one that begins this many cycles later.
        depth = latency + LATENCY
        payload_shape = port.payload.shape()
        pop, valid = Signal(name=f"{name}_pop"), Signal(name=f"{name}_valid")
        payload = Signal(payload_shape, reset_less=True, name=f"{name}_payload")
        queue = Queue(m, payload_shape, depth, push=push, entry=entry, pop=pop, name=name)
        m.d.comb += [pop.eq(queue.some & (~valid | port.ready)), port.valid.eq(valid), port.payload.eq(payload)]
        m.d.sync += valid.eq(Mux(pop, 1, valid & ~port.ready))
        with m.If(pop):
            m.d.sync += payload.eq(queue.head)
        # One less than the entries that are free and not promised, so that the sign tells.
        spare = Signal(range(-1, depth), init=depth - 1, name=f"{name}_spare")
        m.d.sync += spare.eq(spare + pop - begins)
        self.credit = ~spare[-1]
