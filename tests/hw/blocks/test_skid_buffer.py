"""Skid buffer: order, room for two, and offers that do not wait for the sink."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.blocks.skid_buffer import SkidBuffer
from tests.support.components import simulate


class Wrapped(wiring.Component):
    def __init__(self) -> None:
        super().__init__({"i": In(stream.Signature(8)), "o": Out(stream.Signature(8))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        buffer = SkidBuffer(m, self.o, valid=self.i.valid, payload=self.i.payload)
        m.d.comb += self.i.ready.eq(buffer.ready)
        return m


@pytest.mark.parametrize(("offer", "ready"), [(1, 1), (1, 0.3), (0.3, 1), (0.6, 0.6), (0.9, 0.2)])
def test_holds_two_in_order(offer: float, ready: float) -> None:
    rng = np.random.default_rng(3)
    dut, held = Wrapped(), deque[int]()

    async def bench(ctx: Any) -> None:
        for cycle in range(400):
            ctx.set(dut.i.valid, bool(rng.random() < offer))
            ctx.set(dut.i.payload, cycle % 256)
            ctx.set(dut.o.ready, bool(rng.random() < ready))
            assert ctx.get(dut.i.ready) == (len(held) < 2)
            assert ctx.get(dut.o.valid) == bool(held)
            if held:
                assert ctx.get(dut.o.payload) == held[0]
            takes, gives = ctx.get(dut.i.valid & dut.i.ready), ctx.get(dut.o.valid & dut.o.ready)
            await ctx.tick()
            if gives:
                held.popleft()
            if takes:
                held.append(cycle % 256)

    simulate(dut, bench)
