"""Skid buffer: a register in front of a stream, and one more for the beat that comes while the sink stops."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import stream

#: Cycles from taking a beat to offering it, where nothing waits.
LATENCY = 1
#: Beats that it holds.
BEATS = 2


class SkidBuffer:
    """Up to two beats, at full rate, without a way from the sink's ``ready`` to the source's.

    Attributes:
        ready: whether a beat is taken. It is a register, and always on while the sink is ready.
    """

    def __init__(self, m: Module, port: stream.Interface, *, valid: Value, payload: Value) -> None:
        """Bring to ``port`` each ``payload`` that is ``valid`` while this is ready."""
        shape = port.payload.shape()
        first, second = Signal(shape, reset_less=True, name="first"), Signal(shape, reset_less=True, name="second")
        some, both = Signal(name="some"), Signal(name="both")
        self.ready = ~both
        m.d.comb += [port.valid.eq(some), port.payload.eq(first)]
        with m.If(self.ready):
            m.d.sync += second.eq(payload)
        with m.If(port.ready | ~some):
            m.d.sync += [some.eq(valid | both), both.eq(0), first.eq(payload)]
            with m.If(both):
                m.d.sync += first.eq(second)
        with m.Elif(valid):
            m.d.sync += both.eq(1)
