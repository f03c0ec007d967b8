"""Fork: one stream to several consumers, none of which waits for another.

Each consumer is offered a beat as soon as it is there. The beat stays until all have taken it.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.network.beat import Beat


class Fork(wiring.Component):
    """An eager fork to ``consumers`` streams, without latency.

    Members:
        i: the beats.
        o_0, o_1, ...: the same beats for each consumer.
    """

    def __init__(self, beat: Beat, consumers: int) -> None:
        self._consumers = consumers
        outputs = {f"o_{number}": Out(beat.signature) for number in range(consumers)}
        super().__init__({"i": In(beat.signature)} | outputs)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        outputs = [getattr(self, f"o_{number}") for number in range(self._consumers)]
        # Whether a consumer has taken the beat that is there in a cycle before.
        done = Signal(self._consumers)
        served = done | Cat(output.ready for output in outputs)
        for output, has in zip(outputs, done, strict=True):
            m.d.comb += [output.valid.eq(self.i.valid & ~has), output.payload.eq(self.i.payload)]
        m.d.comb += self.i.ready.eq(served.all())
        with m.If(self.i.valid):
            m.d.sync += done.eq(served & ~served.all().replicate(self._consumers))
        return m
