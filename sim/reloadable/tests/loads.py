"""Loads, switches from one set to another, and what is computed with each."""

from __future__ import annotations

from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles

from hw.control.registers import APPLY_PARTS
from sim.cases.stimulus import extreme_frames, random_frames
from sim.reloadable.testbench import ReloadTestbench
from sim.reloadable.tests.unit import BUILT, JOB, SHAPES, SINGLE_BUFFERED, frames_during, generator, loaded


@cocotb.test()
async def load_and_run(dut: Any) -> None:
    """The unit says what it is and takes a layer. Random and extreme frames at full rate come out as predicted."""
    rng = generator("load_and_run")
    bench = await ReloadTestbench.start(dut, JOB)
    driver = bench.driver
    await bench.within(driver.check_unit())
    status = await driver.status()
    assert not any(status[name] for name in ("configured", "pending", "switching", "loading", "loaded"))
    layer = bench.layer(rng)
    await bench.within(driver.load(layer))
    frames = np.concatenate([random_frames(rng, layer.config, 2), extreme_frames(layer.config)])
    received = await bench.within(driver.run(layer, frames))
    assert received.shape[0] == len(frames) and bench.reference.completed == len(frames)
    await bench.settle()
    bench.check_timing([(BUILT.height, BUILT.width)] * len(frames))
    assert (await driver.status())["idle"] and await driver.frames_begun() == len(frames)
    await bench.check_counters()
    await bench.expect_errors()


@cocotb.test()
async def nothing_before_a_load(dut: Any) -> None:
    """Before a load no beat is taken and no part is applied. The frames that wait are computed after it."""
    rng = generator("nothing_before_a_load")
    bench = await ReloadTestbench.start(dut, JOB)
    layer = bench.layer(rng, *bench.size(rng))
    bench.send(rng, layer, 2)
    await ClockCycles(dut.aclk, 200)
    assert not bench.monitor.inputs, "a beat is taken although nothing is in force"
    await bench.refused(bench.driver.apply(("settings", "constants")))
    await bench.refused(bench.driver.apply(APPLY_PARTS))  # no weights are loaded
    await bench.expect_errors("apply_refused")
    await bench.within(bench.driver.load(layer))
    await bench.settle()
    assert bench.reference.completed == 2


@cocotb.test()
async def swap_at_frame(dut: Any) -> None:
    """Whole layers are swapped in at frame numbers while the source never waits.

    No frame mixes two layers, and there is no gap: the cycles are the predicted ones.
    """
    if SINGLE_BUFFERED:
        return
    rng = generator("swap_at_frame")
    bench = await ReloadTestbench.start(dut, JOB)
    layers = [bench.layer(rng), bench.layer(rng), bench.layer(rng, *bench.size(rng))]
    start = bench.monitor.cycle
    await bench.within(bench.driver.load(layers[0]))
    count = frames_during(2 * (bench.monitor.cycle - start))
    for layer, frames in zip(layers, (count, count, 3), strict=True):
        bench.send(rng, layer, frames)
    for number, layer in ((count, layers[1]), (2 * count, layers[2])):
        await bench.within(bench.driver.load(layer, at=number))
        assert len(bench.reference.begun) < number, "the load took too long for this test"
    await bench.settle()
    sizes = [(layer.config.height, layer.config.width) for layer in layers]
    bench.check_timing([sizes[0]] * 2 * count + [sizes[2]] * 3)
    await bench.check_counters()
    await bench.expect_errors()


@cocotb.test()
async def sizes_at_full_rate(dut: Any) -> None:
    """Frame sizes change while the source never waits. The cycles are those that the model predicts."""
    rng = generator("sizes_at_full_rate")
    bench, layer = await loaded(dut, rng)
    groups = [bench.resized(layer, *bench.size(rng)) for _ in range(5)]
    numbers: list[int] = []
    sizes: list[tuple[int, int]] = []
    await bench.within(bench.driver.hold(True))
    for index, changed in enumerate(groups):
        g = SHAPES.geometry.of_frame(changed.config.height, changed.config.width)
        frames = 1 + 400 // g.ideal_frame_cycles if index < 4 else 3
        bench.send(rng, changed, frames)
        numbers.append(len(sizes))
        sizes += [(changed.config.height, changed.config.width)] * frames
    for number, changed in zip(numbers, groups, strict=True):
        await bench.switched()
        await bench.apply_settings(changed, at=number)
        assert len(bench.reference.begun) <= number, "the change took too long for this test"
        if number == 0:
            await bench.within(bench.driver.wait_applied())
            await bench.within(bench.driver.hold(False))
    await bench.settle()
    bench.check_timing(sizes)
    assert bench.reference.completed == len(sizes)


@cocotb.test()
async def settings_every_frame(dut: Any) -> None:
    """Every frame has its own size, relu and shifts, which are applied at its number."""
    rng = generator("settings_every_frame")
    bench, layer = await loaded(dut, rng)
    for number in range(8):
        changed = bench.changed(rng, layer)
        await bench.switched()
        await bench.apply_settings(changed, at=number)
        bench.send(rng, changed)
    await bench.settle()
    assert bench.reference.completed == 8
    await bench.check_counters()
    await bench.expect_errors()


@cocotb.test()
async def apply_without_a_number(dut: Any) -> None:
    """An apply without a frame number takes effect as soon as possible.

    In an idle unit, that is for the next frame. While frames run, it is at a frame boundary. An apply
    with a number that has passed does the same.
    """
    rng = generator("apply_without_a_number")
    bench, layer = await loaded(dut, rng)
    bench.send(rng, layer, 2)
    await bench.settle()
    for at in (None, 0, 1):  # frames 0 and 1 have come out
        changed = bench.changed(rng, layer)
        await bench.switched()
        await bench.apply_settings(changed, at=at)
        bench.send(rng, changed, 2)
        await bench.settle()
    height, width = changed.config.height, changed.config.width
    for _ in range(3):
        # The size stays: it is open which of the queued frames is the first with the new settings.
        bench.send(rng, changed, 4)
        again = bench.resized(bench.changed(rng, layer), height, width)
        await bench.switched()
        await bench.apply_settings(again)
    await bench.settle()
    assert bench.reference.completed == 20
    await bench.expect_errors()


@cocotb.test()
async def far_numbers(dut: Any) -> None:
    """Frame numbers count modulo 2^32. A number in the half behind has passed; one in the half ahead is waited for."""
    rng = generator("far_numbers")
    bench, layer = await loaded(dut, rng)
    for at in (0xFFFF_FFFF, 0xAAAA_AAAA):
        layer = bench.changed(rng, layer)
        await bench.switched()
        await bench.apply_settings(layer, at=at)
        bench.send(rng, layer, 2)
        await bench.settle()
    await bench.switched()
    for at in (0x5555_5555, 0x7FFF_FFFF):
        await bench.within(bench.board.write(bench.table["apply_at"].address, at))
        assert await bench.within(bench.board.read(bench.table["apply_at"].address)) == at
    await bench.apply_settings(bench.changed(rng, layer), at=0x7FFF_FFFF)
    bench.send(rng, layer, 2)
    await bench.settle()
    assert (await bench.driver.status())["pending"]
    assert bench.reference.completed == 6
    await bench.expect_errors()


@cocotb.test()
async def parts(dut: Any) -> None:
    """Weights, constants and settings can each be changed alone. The parts that are left out stay."""
    if SINGLE_BUFFERED:
        return
    rng = generator("parts")
    bench, layer = await loaded(dut, rng)
    driver = bench.driver
    for part in (*APPLY_PARTS, *APPLY_PARTS):
        other = bench.layer(rng)
        await bench.switched()
        if part == "weights":
            await bench.within(driver.write_weights(other))
        elif part == "constants":
            await bench.within(driver.write_constants(other))
        else:
            await bench.within(driver.write_settings(other.config))
        await bench.within(driver.apply((part,)))
        bench.send(rng, layer, 2)
    await bench.settle()
    await bench.check_counters()
    await bench.expect_errors()


@cocotb.test()
async def single_buffered(dut: Any) -> None:
    """Memory for one set is written only while the unit is held and idle. Frames that wait get the new layer."""
    if not SINGLE_BUFFERED:
        return
    rng = generator("single_buffered")
    bench, layer = await loaded(dut, rng)
    driver = bench.driver
    bench.send(rng, layer, 3)
    await bench.until(lambda: len(bench.reference.begun) >= 1)
    await bench.refused(driver.write_constants(layer))
    await bench.expect_errors("busy")
    await bench.refused(driver.load(layer, at=5))
    await bench.settle()
    for _ in range(2):
        # The driver holds the unit in mid-frame: that frame is completed, the next one waits for the new layer.
        bench.send(rng, layer, 3)
        await bench.until(lambda: bench.reference.mid_frame or bench.board.source.idle())
        other = bench.layer(rng)
        await bench.within(driver.load(other))
        assert len(bench.reference.begun) == bench.reference.completed or not bench.board.source.idle()
        await bench.settle()
    await bench.expect_errors()
