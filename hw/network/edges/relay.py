"""Relay: two beats in registers, so that no path within a cycle leads through it, in either direction.

``ready`` and ``valid`` are registers, and the beat that is offered is one of two. A beat is taken in a cycle exactly if
fewer than two are inside, and offered in the next one at the earliest. So a relay takes and gives a beat in every
cycle. It costs one cycle of latency.

Beats go into the two registers in turn. Whichever is free is written in every cycle, whether a beat comes or not. So
what comes from far away only moves a few bits, and no beat waits for it.

What is told to both ends has registers of its own, the opposite of those that are looked at inside. So whether a beat
moves is decided at both ends, each for itself. Nothing is decided at one end and told to the other in the same cycle.
"""

from __future__ import annotations

import numpy as np
from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.network.beat import Beat
from hw.network.node import behind, one_a_cycle

#: Beats inside at most.
PLACES = 2
#: Cycles from a beat that is taken to the first in which it is offered.
LATENCY = 1


def taken(arrivals: np.ndarray, left: np.ndarray | None = None) -> np.ndarray:
    """When each beat is taken.

    Args:
        arrivals: int64, the cycle from which each beat is offered once those before it are taken.
        left: int64, when each beat leaves the relay; by default each as soon as it is offered.
    """
    return one_a_cycle(arrivals if left is None else np.maximum(arrivals, behind(left, PLACES)))


def given(taken: np.ndarray, left: np.ndarray | None = None) -> np.ndarray:
    """When each beat that is ``taken`` is offered: also once the one before it has left."""
    offered = taken + LATENCY
    return offered if left is None else np.maximum(offered, behind(left, 1))


class Relay(wiring.Component):
    """A relay.

    Members:
        i, o: the beats.
    """

    def __init__(self, beat: Beat) -> None:
        self._beat = beat
        super().__init__({"i": In(beat.signature), "o": Out(beat.signature)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        valid, empty = Signal(name="valid"), Signal(init=1, name="empty")
        waits, room = Signal(name="waits"), Signal(init=1, name="room")
        tail, head = Signal(name="tail"), Signal(name="head")
        places = [Signal(self._beat.size, reset_less=True, name=f"place_{place}") for place in range(PLACES)]
        arrives, stays = self.i.valid & ~waits, ~empty & ~self.o.ready
        some, full = arrives | waits | stays, (arrives | waits) & stays
        m.d.sync += [
            valid.eq(some),
            empty.eq(~some),
            waits.eq(full),
            room.eq(~full),
            tail.eq(tail ^ arrives),
            head.eq(head ^ (~empty & self.o.ready)),
        ]
        for number, place in enumerate(places):
            with m.If(~waits & (tail == number)):
                m.d.sync += place.eq(self.i.payload)
        m.d.comb += [
            self.i.ready.eq(room),
            self.o.valid.eq(valid),
            Value.cast(self.o.payload).eq(Mux(head, *reversed(places))),
        ]
        return m
