"""Outlet: where a pipeline that never stalls leaves its results, and the credit that makes sure of room there.

A beat may enter the pipeline only while there is credit. The beat that a result comes of takes an entry of a
queue; the entry is free again a cycle after the result has left. The queue is just so deep that a sink that is
always ready never makes a beat wait.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream

from hw.blocks.pipeline import delay
from hw.blocks.queue import Queue

#: Cycles from the end of the pipeline to the first cycle in which the result is offered.
LATENCY = 1


def queue_depth(cycles: int, apart: int) -> int:
    """Entries for results that come ``cycles`` cycles after their beats, which are ``apart`` or more apart.

    The results of so many beats can be on the way before the first entry is seen to be free again. One entry more
    keeps up the credit of the beats between.
    """
    return cycles // apart + 2


class Outlet:
    """The end of a pipeline at the stream ``port``.

    Args:
        cycles: from a beat to the result that comes of it.
        apart: cycles between two such beats, at least.
        late: the sink and the source of beats may be far away, so that there is no time for a carry behind what they
            say.
        name: of the queue.

    Attributes:
        credit: whether a beat may enter the pipeline; a register.
    """

    def __init__(
        self,
        m: Module,
        port: stream.Interface,
        *,
        cycles: int,
        apart: int = 1,
        late: bool = False,
        name: str = "results",
    ) -> None:
        self._port, self._cycles, self._late, self._name = port, cycles, late, name
        self._depth = queue_depth(cycles, apart)
        if late:
            # Whether more than 0, 1, 2, ... entries are free. It counts without a carry.
            self._free = Signal(self._depth, init=(1 << self._depth) - 1, name=f"{name}_free")
            self.credit: Value = self._free[0]
        else:
            # One less than the free entries, so that the sign tells.
            self._spare = Signal(range(-1, self._depth), init=self._depth - 1, name=f"{name}_spare")
            self.credit = Signal(name=f"{name}_credit")
            m.d.comb += self.credit.eq(~self._spare[-1])

    def give(self, m: Module, started: Value, result: Value) -> None:
        """Offer ``result``, which comes so many cycles after the beat with which it was ``started``."""
        popped = self._port.valid & self._port.ready
        queue = Queue(
            m,
            self._port.payload.shape(),
            self._depth,
            push=delay(m, started, self._cycles, reset_less=False),
            entry=result,
            pop=popped,
            name=self._name,
            late=self._late,
        )
        if self._late:
            with m.If(popped ^ started):
                m.d.sync += self._free.eq(Mux(popped, Cat(1, self._free[:-1]), self._free >> 1))
        else:
            m.d.sync += self._spare.eq(self._spare + popped - started)
        m.d.comb += [self._port.valid.eq(queue.some), self._port.payload.eq(queue.head)]
