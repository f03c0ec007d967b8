"""Outlet: credit for as many results as there is room for, and for each in time while the sink is ready."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from hw.blocks.outlet import LATENCY, Outlet, queue_depth
from hw.blocks.pipeline import delay
from tests.support.components import simulate


class Pipeline(wiring.Component):
    """Hands numbers on, ``latency`` cycles later."""

    def __init__(self, latency: int, late: bool) -> None:
        self._latency, self._late = latency, late
        super().__init__({"begins": In(1), "number": In(8), "credit": Out(1), "o": Out(stream.Signature(8))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        outlet = Outlet(m, self.o, cycles=self._latency, late=self._late)
        outlet.give(m, self.begins, delay(m, self.number, self._latency))
        m.d.comb += self.credit.eq(outlet.credit)
        return m


@pytest.mark.parametrize("latency", [1, 2, 3, 6])
@pytest.mark.parametrize(("begin", "ready"), [(1, 1), (1, 0.4), (0.4, 1), (0.7, 0.7), (0.95, 0.9)])
@pytest.mark.parametrize("late", [False, True])
def test_every_result_once_and_in_order(latency: int, begin: float, ready: float, late: bool) -> None:
    rng = np.random.default_rng(latency)
    dut, begun = Pipeline(latency, late), deque[tuple[int, int]]()

    async def bench(ctx: Any) -> None:
        shown = None
        for cycle in range(400):
            credit = ctx.get(dut.credit)
            begins = bool(credit and rng.random() < begin)
            ctx.set(dut.begins, begins)
            ctx.set(dut.number, cycle % 256)
            valid, number = ctx.get(dut.o.valid), ctx.get(dut.o.payload)
            takes = bool(rng.random() < ready)
            ctx.set(dut.o.ready, takes)
            assert (ctx.get(dut.credit), ctx.get(dut.o.valid)) == (credit, valid)
            if ready == 1:
                assert credit, "a sink that is ready never makes the pipeline wait"
                assert valid == (bool(begun) and begun[0][0] == cycle - latency - LATENCY)
            if shown is not None:
                assert valid, "valid fell"
            shown = None
            if valid:
                assert number == begun[0][1]
                shown = None if takes else number
            await ctx.tick()
            if begins:
                begun.append((cycle, cycle % 256))
            if valid and takes:
                begun.popleft()

    simulate(dut, bench)


@pytest.mark.parametrize("latency", [1, 2, 5])
@pytest.mark.parametrize("late", [False, True])
def test_holds_what_it_gave_credit_for(latency: int, late: bool) -> None:
    """While nobody takes, so many results begin as there are places in the queue."""
    dut = Pipeline(latency, late)

    async def bench(ctx: Any) -> None:
        begun = received = 0
        for _round in range(3):
            ctx.set(dut.o.ready, 0)
            for _cycle in range(3 * queue_depth(latency, 1)):
                begins = ctx.get(dut.credit)
                ctx.set(dut.begins, begins)
                ctx.set(dut.number, begun)
                await ctx.tick()
                begun += begins
            assert begun - received == queue_depth(latency, 1)
            ctx.set(dut.begins, 0)
            ctx.set(dut.o.ready, 1)
            while received < begun:
                assert ctx.get(dut.o.valid) and ctx.get(dut.o.payload) == received
                await ctx.tick()
                received += 1
            assert not ctx.get(dut.o.valid)

    simulate(dut, bench)
