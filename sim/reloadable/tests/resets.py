"""Resets in any cycle, by the wire and by the command."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles

from hw.control.register_table import Access
from hw.plan.weight_layout import weight_image
from sim.cases.stimulus import random_frames
from sim.reloadable.testbench import ReloadTestbench
from sim.reloadable.tests.unit import RELOAD, SHAPES, generator, loaded


async def works_as_new(bench: ReloadTestbench, rng: np.random.Generator) -> None:
    """Fail unless a layer can be loaded, computes as predicted, and no counter or error is left from before."""
    layer = bench.layer(rng, *bench.size(rng))
    await bench.within(bench.driver.load(layer))
    bench.send(rng, layer, 3)
    await bench.settle()
    bench.check_timing([(layer.config.height, layer.config.width)] * 3)
    await bench.check_counters()
    await bench.expect_errors()


@cocotb.test()
@cocotb.parametrize(index=range(3))
async def hard_reset(dut: Any, index: int) -> None:
    """After a reset in any cycle, however short, the unit is as good as new."""
    rng = generator(f"hard_reset_{index}")
    bench, layer = await loaded(dut, rng)
    bench.send(rng, layer, 6)
    await ClockCycles(dut.aclk, int(rng.integers(1, 3 * SHAPES.schedule.frame_cycles)))
    await bench.reset(index + 1)
    counters = await bench.check_counters()
    assert counters["frames"] == counters["saturated"] == 0
    await works_as_new(bench, rng)


@cocotb.test()
@cocotb.parametrize(moment=["frames", "stalled", "pending", "loading"])
async def soft_reset(dut: Any, moment: str) -> None:
    """After a soft reset at any time, registers have their reset values and no set is in force.

    Nothing is left of the frames and loads that were under way.
    """
    rng = generator(f"soft_reset_{moment}")
    bench, layer = await loaded(dut, rng)
    bench.send(rng, layer, 6)
    bench.board.sink.pause = moment == "stalled"
    if moment == "pending":
        await bench.switched()
        await bench.within(bench.driver.apply(("settings",), at=1000))
    if moment == "loading":
        bench.send_image(weight_image(SHAPES)[:-1])
    await ClockCycles(dut.aclk, int(rng.integers(1, 2 * SHAPES.schedule.frame_cycles)))
    await bench.soft_reset()
    bench.board.sink.pause = False
    status = await bench.driver.status()
    assert status["idle"] and not any(status[name] for name in ("configured", "pending", "switching", "loaded"))
    for register in bench.table.of_access(Access.READ_WRITE):
        assert await bench.board.read(register.address) == register.reset, register.name
    counters = await bench.check_counters()
    assert counters["frames"] == counters["saturated"] == 0 and await bench.driver.frames_begun() == 0
    await bench.expect_errors()
    await works_as_new(bench, rng)


@cocotb.test()
async def soft_reset_amid_errors(dut: Any) -> None:
    """Malformed frames and cut elements in the very cycle of a soft reset leave no error and no count behind."""
    rng = generator("soft_reset_amid_errors")
    bench, _layer = await loaded(dut, rng)
    for _ in range(8):
        # The lowest shift cuts nearly everything.
        layer = bench.layer(rng, out_shift=RELOAD.out_shift.low)
        await bench.within(bench.driver.load(layer))
        for frame in random_frames(rng, layer.config, 40):
            beats = bench.beats(frame[None])
            bench.send_packet(beats[: max(1, len(beats) - 1)])
        await ClockCycles(dut.aclk, int(rng.integers(1, 40)))
        await bench.soft_reset()
        await bench.expect_errors()
        counters = await bench.check_counters()
        assert counters["frames"] == counters["stalled"] == counters["saturated"] == 0
