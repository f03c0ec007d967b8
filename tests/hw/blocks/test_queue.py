"""Queue: order, level, and when an entry shows."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.blocks.queue import Queue
from tests.support.components import simulate


class Wrapped(wiring.Component):
    def __init__(self, depth: int) -> None:
        self._depth = depth
        super().__init__({"push": In(1), "entry": In(8), "pop": In(1), "some": Out(1), "head": Out(8), "level": Out(8)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        queue = Queue(m, unsigned(8), self._depth, push=self.push, entry=self.entry, pop=self.pop, name="queue")
        m.d.comb += [self.some.eq(queue.some), self.head.eq(queue.head), self.level.eq(queue.level)]
        return m


@pytest.mark.parametrize("depth", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("eagerness", [(0.9, 0.3), (0.3, 0.9), (0.7, 0.7), (1.0, 1.0)])
def test_order(depth: int, eagerness: tuple[float, float]) -> None:
    rng = np.random.default_rng(depth)
    dut, held = Wrapped(depth), deque[int]()

    async def bench(ctx: Any) -> None:
        for cycle in range(300):
            assert ctx.get(dut.some) == bool(held)
            assert ctx.get(dut.level) == len(held)
            if held:
                assert ctx.get(dut.head) == held[0]
            push = len(held) < depth and rng.random() < eagerness[0]
            pop = bool(held) and rng.random() < eagerness[1]
            ctx.set(dut.push, push)
            ctx.set(dut.pop, pop)
            ctx.set(dut.entry, cycle % 256)
            await ctx.tick()
            if pop:
                held.popleft()
            if push:
                held.append(cycle % 256)

    simulate(dut, bench)
