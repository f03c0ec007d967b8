"""Pauses at any port change nothing of what comes out."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import ClockCycles

from sim.reloadable.testbench import ReloadTestbench
from sim.reloadable.tests.unit import JOB, SHAPES, SINGLE_BUFFERED, generator, loaded


@cocotb.test()
@cocotb.parametrize(port=["source", "sink", "weights", "bus", "all"])
async def paused(dut: Any, port: str) -> None:
    """Layers are loaded and frames of changing size come out right, whoever pauses."""
    rng = generator(f"paused_{port}")
    bench = await ReloadTestbench.start(dut, JOB)
    shares = {name: 0.5 for name in ("source", "sink", "weights", "bus") if port in (name, "all")}
    bench.pause(rng, **shares)
    for index in range(3):
        layer = bench.layer(rng, *bench.size(rng))
        await bench.within(bench.driver.load(layer, at=None if SINGLE_BUFFERED else 2 * index))
        bench.send(rng, layer, 2)
        if SINGLE_BUFFERED:
            await bench.settle()
    await bench.settle()
    assert bench.reference.completed == 6
    await bench.check_counters()
    await bench.expect_errors()


@cocotb.test()
async def stalled(dut: Any) -> None:
    """The sink takes nothing for several frames. The counters say for how long."""
    rng = generator("stalled")
    bench, layer = await loaded(dut, rng)
    await bench.within(bench.driver.clear_counters())
    bench.send(rng, layer, 4)
    await bench.until(lambda: bool(bench.monitor.outputs))
    bench.board.sink.pause = True
    await ClockCycles(dut.aclk, 3 * SHAPES.schedule.frame_cycles + 100)
    assert dut.m_axis_tvalid.value == 1
    bench.board.sink.pause = False
    await bench.settle()
    counters = await bench.check_counters()
    assert counters["stalled"] >= 3 * SHAPES.schedule.frame_cycles + 100
    assert counters["frames"] == 4
