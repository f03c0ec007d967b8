"""Outlet: where a pipeline that never stalls leaves its results, and the credit that makes sure of room there.

A beat may enter the pipeline only while there is credit. The beat that a result comes of takes an entry of a
queue; the entry is free again a cycle after the result has left. The queue is just so deep that a sink that is
always ready never makes a beat wait.
"""

from __future__ import annotations

from amaranth.hdl import Module, Signal, Value
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
        name: of the queue.

    Attributes:
        credit: whether a beat may enter the pipeline; a register.
    """

    def __init__(
        self, m: Module, port: stream.Interface, *, cycles: int, apart: int = 1, name: str = "results"
    ) -> None:
        self._port, self._cycles, self._name = port, cycles, name
        self._depth = queue_depth(cycles, apart)
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
        )
        m.d.sync += self._spare.eq(self._spare + popped - started)
        m.d.comb += [self._port.valid.eq(queue.some), self._port.payload.eq(queue.head)]
