"""Pacer: admits the beats of a frame at an even rate.

A beat passes only with a token. An accumulator as in Bresenham's lines spreads the ``frame_beats`` tokens of a
frame over ``interval`` cycles. Tokens that no beat is there for wait in a bucket of `CAPACITY`. While the
bucket is full, the accumulator stands still. After a reset the bucket is full.
"""

from __future__ import annotations

import numpy as np
from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.network.beat import Beat
from hw.network.node import one_a_cycle

#: Tokens that wait at most: beats that pass one after the other after a pause of the source.
CAPACITY = 1


def pace(frame_beats: int, interval: int, beats: int) -> np.ndarray:
    """int64 ``[beats]``: when each beat passes, from the first at 0 on, where source and sink never pause."""
    behind = np.maximum(np.arange(beats, dtype=np.int64) + 1 - CAPACITY, 0)
    return one_a_cycle(-(-behind * interval // frame_beats))


def is_needed(frame_beats: int, interval: int) -> bool:
    """Whether a pacer ever holds a beat back."""
    return frame_beats < interval


class Pacer(wiring.Component):
    """Lets ``frame_beats`` beats pass in ``interval`` cycles, without latency.

    Members:
        i, o: the beats.
    """

    def __init__(self, beat: Beat, frame_beats: int, interval: int) -> None:
        assert 1 <= frame_beats <= interval, "a beat a cycle is the most"
        self._frame_beats, self._interval = frame_beats, interval
        super().__init__({"i": In(beat.signature), "o": Out(beat.signature)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.o.payload.eq(self.i.payload)
        if not is_needed(self._frame_beats, self._interval):
            m.d.comb += [self.o.valid.eq(self.i.valid), self.i.ready.eq(self.o.ready)]
            return m
        tokens = Signal(range(CAPACITY + 1), init=CAPACITY)
        passes, full, earned = (Signal(name=name) for name in ("passes", "full", "earned"))
        m.d.comb += [
            self.o.valid.eq(self.i.valid & tokens.any()),
            self.i.ready.eq(self.o.ready & tokens.any()),
            passes.eq(self.o.valid & self.o.ready),
            full.eq((tokens == CAPACITY) & ~passes),
        ]
        # Less what is missing to a token, so that the sign tells whether there is one.
        rest = self._interval - self._frame_beats
        lead = Signal(range(-rest, self._frame_beats), init=-rest)
        m.d.comb += earned.eq((lead >= 0) & ~full)
        with m.If(~full):
            m.d.sync += lead.eq(lead + Mux(lead >= 0, -rest, self._frame_beats))
        m.d.sync += tokens.eq(tokens + earned - passes)
        return m
