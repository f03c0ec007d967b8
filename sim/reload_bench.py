"""cocotb tests that every reloadable unit must pass: what it computes, when, and what it does with nonsense.

What the unit is, says the `sim.reload_job.ReloadJob` in the folder that ``XVOLUTION_JOB`` names. Everything
that passes its ports is compared with `sim.reload_reference` in every test, so a test says what is to happen
and asserts what the reference cannot know.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles

from hw.control.interface import APPLY_PARTS
from hw.control.register_table import WORD_BYTES, Access, RegisterTable, Window
from hw.control.weight_image import weight_image
from sim.job import JOB_VARIABLE
from sim.reload_job import ReloadJob
from sim.reload_testbench import ReloadTestbench
from sim.stimulus import extreme_frames, random_frames

JOB = ReloadJob.load(Path(os.environ[JOB_VARIABLE]))
CONFIG = JOB.config
BUILT = CONFIG.layer.config
assert CONFIG.reload is not None
RELOAD = CONFIG.reload
SINGLE_BUFFERED = RELOAD.single_buffered


def generator(test: str) -> np.random.Generator:
    """Random numbers of their own for each test, so that one does not depend on the others."""
    return np.random.default_rng([JOB.seed, zlib.crc32(test.encode())])


async def loaded(dut: Any, rng: np.random.Generator, **fields: Any) -> tuple[ReloadTestbench, Any]:
    """A unit with a layer in force, and the layer."""
    bench = await ReloadTestbench.start(dut, JOB)
    layer = bench.layer(rng, **fields)
    await bench.within(bench.driver.load(layer))
    await bench.within(bench.driver.wait_applied())
    return bench, layer


def frames_during(cycles: int) -> int:
    """How many frames of the largest size keep the source busy so long."""
    return 2 + cycles // CONFIG.prediction.frame_cycles


# Computing


@cocotb.test()
async def load_and_run(dut: Any) -> None:
    """The unit says what it is, takes a layer, and computes random and extreme frames as predicted, at full rate."""
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
    """Without a set in force no beat is taken and no part of one applied; the frames that wait are computed then."""
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
    """Whole layers swapped in at frame numbers while the source never waits: no mixture, no gap, predicted cycles."""
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
    """Frame sizes that change while the source never waits: the cycles that the model predicts."""
    rng = generator("sizes_at_full_rate")
    bench, layer = await loaded(dut, rng)
    groups = [bench.resized(layer, *bench.size(rng)) for _ in range(5)]
    numbers: list[int] = []
    sizes: list[tuple[int, int]] = []
    await bench.within(bench.driver.hold(True))
    for index, changed in enumerate(groups):
        g = CONFIG.geometry.of_frame(changed.config.height, changed.config.width)
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
    """Another frame size, relu and shifts for every frame, each applied at its number."""
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
    """Applied at idle, a set is in force for the next frame; while frames run, from a boundary on; a number that has
    passed is as none."""
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
        # The size stays, as it is open which of the frames that are queued is the first.
        bench.send(rng, changed, 4)
        again = bench.resized(bench.changed(rng, layer), height, width)
        await bench.switched()
        await bench.apply_settings(again)
    await bench.settle()
    assert bench.reference.completed == 20
    await bench.expect_errors()


@cocotb.test()
async def far_numbers(dut: Any) -> None:
    """Frames are numbered modulo 2^32: a number of the half behind has passed, one of the half ahead is waited for."""
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
    """Weights, constants and settings change each by itself; what is left out stays."""
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
    """Memory for one set is written only while the unit is held and idle; the frames that wait get the new layer."""
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
        # Held in mid-frame, by the driver: the frame is completed, the next one waits for the new layer.
        bench.send(rng, layer, 3)
        await bench.until(lambda: bench.reference.mid_frame or bench.board.source.idle())
        other = bench.layer(rng)
        await bench.within(driver.load(other))
        assert len(bench.reference.begun) == bench.reference.completed or not bench.board.source.idle()
        await bench.settle()
    await bench.expect_errors()


# Pauses


@cocotb.test()
@cocotb.parametrize(port=["source", "sink", "weights", "bus", "all"])
async def paused(dut: Any, port: str) -> None:
    """Loads and frames of changing size, whoever pauses."""
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
    """The sink takes nothing for long, in the middle of a switch; the counters say how long."""
    rng = generator("stalled")
    bench, layer = await loaded(dut, rng)
    await bench.within(bench.driver.clear_counters())
    bench.send(rng, layer, 4)
    await bench.until(lambda: bool(bench.monitor.outputs))
    bench.board.sink.pause = True
    await ClockCycles(dut.aclk, 3 * CONFIG.prediction.frame_cycles + 100)
    assert dut.m_axis_tvalid.value == 1
    bench.board.sink.pause = False
    await bench.settle()
    counters = await bench.check_counters()
    assert counters["stalled"] >= 3 * CONFIG.prediction.frame_cycles + 100
    assert counters["frames"] == 4


# Malformed frames


def wanted_beats(bench: ReloadTestbench) -> int:
    c = bench.reference.in_force.config
    return c.height * c.width * c.in_channels // CONFIG.folding.simd


@cocotb.test()
@cocotb.parametrize(place=["first", "middle", "before_last"])
async def tlast_early(dut: Any, place: str) -> None:
    """A frame that ends early is completed with zeros and marked; the next ones are right."""
    rng = generator(f"tlast_early_{place}")
    bench, layer = await loaded(dut, rng)
    wanted = wanted_beats(bench)
    if wanted == 1:
        return  # there is no early
    beats = {"first": 1, "middle": (wanted + 1) // 2, "before_last": wanted - 1}[place]
    for _ in range(2):
        bench.send(rng, layer)
        bench.send_packet(bench.beats(random_frames(rng, layer.config, 1))[:beats])
        bench.send(rng, layer)
    await bench.settle()
    assert bench.reference.damaged == [1, 4] and bench.reference.completed == 6
    await bench.check_counters()
    await bench.expect_errors("tlast_early")


@cocotb.test()
async def tlast_late(dut: Any) -> None:
    """What comes after a frame that does not end is dropped up to TLAST; the frame is marked, the next is right."""
    rng = generator("tlast_late")
    bench, layer = await loaded(dut, rng)
    wanted = wanted_beats(bench)
    for surplus in (1, wanted, 3 * wanted + 1):
        beats = bench.beats(random_frames(rng, layer.config, 5))[: wanted + surplus]
        bench.send(rng, layer)
        bench.send_packet(beats)
        bench.send(rng, layer)
    await bench.settle()
    assert bench.reference.damaged == [1, 4, 7] and bench.reference.completed == 9
    await bench.check_counters()
    await bench.expect_errors("tlast_late")


@cocotb.test()
async def tlast_missing(dut: Any) -> None:
    """Without any TLAST one frame comes out, marked; a lone beat with TLAST, or a soft reset, puts an end to it."""
    rng = generator("tlast_missing")
    bench, layer = await loaded(dut, rng)
    wanted = wanted_beats(bench)
    for end in ("tlast", "soft_reset"):
        beats = bench.beats(random_frames(rng, layer.config, 6))
        bench.send_packet([*beats, 0])
        # The last beat waits, so no TLAST has come yet.
        count = len(beats)
        await bench.until(lambda count=count: len(bench.monitor.inputs) >= count)  # type: ignore[misc]
        bench.board.source.pause = True
        await bench.until(lambda: bench.reference.completed == 1)
        await ClockCycles(dut.aclk, bench.patience // 10)
        assert len(bench.reference.begun) == 1 and bench.reference.damaged == [0]
        if end == "soft_reset":
            await bench.soft_reset()
            bench.board.source.pause = False
            await bench.within(bench.driver.load(layer))
        else:
            bench.board.source.pause = False
            bench.send(rng, layer, 2)
            await bench.settle()
            assert bench.reference.damaged == [0]
            await bench.soft_reset()
            await bench.within(bench.driver.load(layer))
    bench.send(rng, layer, 2)
    await bench.settle()
    assert not bench.reference.damaged and bench.reference.completed == 2 and wanted


@cocotb.test()
async def tlast_ignored(dut: Any) -> None:
    """With ignore_tlast the frame size alone tells where frames end, and nothing is marked."""
    rng = generator("tlast_ignored")
    bench, layer = await loaded(dut, rng)
    await bench.within(bench.driver.ignore_tlast(True))
    beats = bench.beats(random_frames(rng, layer.config, 4))
    cuts = sorted(rng.integers(1, len(beats), 3).tolist()) if len(beats) > 1 else []
    for start, end in zip([0, *cuts], [*cuts, len(beats)], strict=True):
        if end > start:
            bench.send_packet(beats[start:end])
    await bench.settle()
    assert bench.reference.completed == 4 and not bench.reference.damaged
    # Switched on while beats are dropped, the next beat begins a frame.
    await bench.within(bench.driver.ignore_tlast(False))
    bench.send_packet(beats + [0] * 100)
    await bench.until(lambda: bench.reference.drops)
    await bench.within(bench.driver.ignore_tlast(True))
    assert not bench.board.source.idle() and not bench.reference.drops
    await bench.until(bench.board.source.idle)
    await bench.finish_frame()
    await bench.settle()
    await bench.within(bench.driver.ignore_tlast(False))
    bench.send(rng, layer, 2)
    await bench.settle()
    await bench.within(bench.driver.clear_errors())


# Resets


@cocotb.test()
@cocotb.parametrize(index=range(3))
async def hard_reset(dut: Any, index: int) -> None:
    """After a reset in any cycle, however short, the unit is as good as new."""
    rng = generator(f"hard_reset_{index}")
    bench, layer = await loaded(dut, rng)
    bench.send(rng, layer, 6)
    await ClockCycles(dut.aclk, int(rng.integers(1, 3 * CONFIG.prediction.frame_cycles)))
    await bench.reset(index + 1)
    counters = await bench.check_counters()
    assert counters["frames"] == counters["saturated"] == 0
    layer = bench.layer(rng, *bench.size(rng))
    await bench.within(bench.driver.load(layer))
    bench.send(rng, layer, 3)
    await bench.settle()
    bench.check_timing([(layer.config.height, layer.config.width)] * 3)
    await bench.check_counters()
    await bench.expect_errors()


@cocotb.test()
@cocotb.parametrize(moment=["frames", "stalled", "pending", "loading"])
async def soft_reset(dut: Any, moment: str) -> None:
    """A soft reset at any time: registers as after a reset, nothing in force, nothing left of what was under way."""
    rng = generator(f"soft_reset_{moment}")
    bench, layer = await loaded(dut, rng)
    bench.send(rng, layer, 6)
    bench.board.sink.pause = moment == "stalled"
    if moment == "pending":
        await bench.switched()
        await bench.within(bench.driver.apply(("settings",), at=1000))
    if moment == "loading":
        bench.send_image(weight_image(CONFIG)[:-1])
    await ClockCycles(dut.aclk, int(rng.integers(1, 2 * CONFIG.prediction.frame_cycles)))
    await bench.soft_reset()
    bench.board.sink.pause = False
    status = await bench.driver.status()
    assert status["idle"] and not any(status[name] for name in ("configured", "pending", "switching", "loaded"))
    for register in bench.table.of_access(Access.READ_WRITE):
        assert await bench.board.read(register.address) == register.reset, register.name
    counters = await bench.check_counters()
    assert counters["frames"] == counters["saturated"] == 0 and await bench.driver.frames_begun() == 0
    await bench.expect_errors()
    layer = bench.layer(rng, *bench.size(rng))
    await bench.within(bench.driver.load(layer))
    bench.send(rng, layer, 3)
    await bench.settle()
    bench.check_timing([(layer.config.height, layer.config.width)] * 3)
    await bench.check_counters()
    await bench.expect_errors()


@cocotb.test()
async def soft_reset_amid_errors(dut: Any) -> None:
    """Malformed frames and cut elements in the very cycle of a soft reset leave no error and no count behind."""
    rng = generator("soft_reset_amid_errors")
    bench, _layer = await loaded(dut, rng)
    for _ in range(8):
        # The lowest shift cuts nearly everything.
        layer = bench.layer(rng, out_shift=RELOAD.out_shift.low)
        await bench.within(bench.driver.load(layer))
        wanted = layer.config.height * layer.config.width * layer.config.in_channels // CONFIG.folding.simd
        for frame in random_frames(rng, layer.config, 40):
            bench.send_packet(bench.beats(frame[None])[: max(1, wanted - 1)])
        await ClockCycles(dut.aclk, int(rng.integers(1, 40)))
        await bench.soft_reset()
        await bench.expect_errors()
        counters = await bench.check_counters()
        assert counters["frames"] == counters["stalled"] == counters["saturated"] == 0


# Weight images


@cocotb.test()
async def malformed_images(dut: Any) -> None:
    """Images too short, too long and interrupted are void and told; the next one is right, and frames never differ."""
    rng = generator("malformed_images")
    bench, layer = await loaded(dut, rng)
    driver, image = bench.driver, weight_image(CONFIG)
    if not SINGLE_BUFFERED:
        bench.send(rng, layer, 3)
    else:
        await bench.within(driver.hold(True))
    for beats, error in (
        (image[:1], "weights_short" if len(image) > 1 else None),
        (image[:-1], "weights_short" if len(image) > 1 else None),
        (np.append(image, 0), "weights_long"),
        (np.concatenate([image, image, image]), "weights_long"),
    ):
        if error is None:
            continue
        bench.send_image(beats)
        await bench.until(bench.board.weights.idle)
        await ClockCycles(dut.aclk, 10)
        assert not (await driver.status())["loaded"]
        await bench.refused(driver.apply(APPLY_PARTS))
        await bench.expect_errors(error, "apply_refused")
    # Interrupted: a restart, with the rest of the old image never sent.
    bench.board.weights.pause = True
    bench.send_image(image)
    taken = int(rng.integers(1, len(image))) if len(image) > 1 else 0
    bench.board.weights.pause = False
    await ClockCycles(dut.aclk, taken + 1)
    bench.drop_image()
    other = bench.layer(rng)
    await bench.within(driver.hold(False))
    await bench.settle()
    await bench.within(driver.load(other))
    bench.send(rng, other, 2)
    await bench.settle()
    await bench.expect_errors()


# Accesses


def one_bit_away(table: RegisterTable) -> list[int]:
    """All unmapped addresses that differ from a register's in one bit, so that each bit is seen to be decoded."""
    mapped = {register.address for register in table.registers}
    for window in table.windows:
        mapped.update(range(window.address, window.end, WORD_BYTES))
    bits = range(WORD_BYTES.bit_length() - 1, table.address_bits)
    return sorted({register.address ^ 1 << bit for register in table.registers for bit in bits} - mapped)


@cocotb.test()
async def bad_accesses(dut: Any) -> None:
    """SLVERR for everything that cannot be written or read, a bit of errors for it, and nothing changes."""
    rng = generator("bad_accesses")
    bench, layer = await loaded(dut, rng)
    board, table = bench.board, bench.table
    bench.send(rng, layer, 4)
    read_only = [r.address for r in table.registers if not r.access.writable]
    write_only = [r.address for r in table.registers if not r.access.readable]
    windows = [w.address for w in table.windows]
    last = max(r.address for r in table.registers)
    unmapped = [last + 4, 0x4000, *(w.end for w in table.windows if w.end < 2**table.address_bits), 0x1FFFC]
    unmapped += one_bit_away(table)
    height = table["height"].address
    for address in (*read_only[:3], *read_only[-3:], *unmapped):
        await bench.refused(board.write(address, 1))
    for address in (*write_only, *windows, *unmapped):
        await bench.refused(board.read(address))
    await bench.expect_errors("bad_access")
    for offset in range(1, 4):
        await bench.within(board.control.write(height + offset, b"\1"))  # the address is not aligned
        await bench.within(board.control.read(height + offset, 1))
    await bench.expect_errors("bad_access")
    writable = [r.address for r in table.registers if r.access.writable]
    for address in (*writable, *windows):
        length = int(rng.integers(1, 4))
        await bench.within(board.control.write(address, b"\1" * length))  # not all byte strobes
        await bench.expect_errors("bad_access")
    await bench.settle()
    assert bench.reference.completed == 4


@cocotb.test()
async def bad_values(dut: Any) -> None:
    """Settings outside the limits of the build, and bits without a meaning, are refused and change nothing."""
    rng = generator("bad_values")
    bench, layer = await loaded(dut, rng)
    for entry in bench.table.entries:
        values: list[int] = []
        if isinstance(entry, Window):
            if entry.allowed is not None:
                values = [entry.allowed.low - 1, entry.allowed.high + 1, 2**32 - 1]
        elif entry.access.writable:
            for field in entry.fields:
                limits = field.allowed
                beyond = () if limits is None else (limits.low - 1, limits.high + 1)
                values += [value << field.low for value in beyond if 0 <= value << field.low < 2**32]
            if entry.mask != 2**32 - 1:
                values += [2**31, entry.mask + 1]
        for value in values:
            await bench.refused(bench.board.write(entry.address, value))
        if values:
            await bench.expect_errors("bad_value")
    for register in bench.table.of_access(Access.READ_WRITE, Access.CONSTANT):
        await bench.board.read(register.address)
    bench.send(rng, layer, 2)
    await bench.settle()


@cocotb.test()
async def busy(dut: Any) -> None:
    """While an apply is pending nothing of the next set can be written, and no other apply is taken."""
    rng = generator("busy")
    bench, layer = await loaded(dut, rng)
    driver, table = bench.driver, bench.table
    await bench.refused(driver.apply(()))
    await bench.refused(driver.apply(("weights",)))  # they are in force already
    await bench.expect_errors("apply_refused")
    changed = bench.changed(rng, layer)
    await bench.apply_settings(changed, at=3)
    await bench.refused(driver.write_settings(layer.config))
    await bench.refused(bench.board.write(table["apply_at"].address, 7))
    for window in table.windows:
        await bench.refused(bench.board.write(window.address, 1))
    bench.send_image(weight_image(CONFIG)[:1])
    await ClockCycles(dut.aclk, 50)
    assert not bench.board.weights.idle(), "a weight is taken while an apply is pending"
    await bench.expect_errors("busy")
    await bench.refused(driver.apply(("settings",)))
    await bench.expect_errors("apply_refused")
    bench.send(rng, layer, 3)
    bench.send(rng, changed, 2)
    if SINGLE_BUFFERED:
        await bench.until(lambda: bench.reference.completed == 5)
        await bench.within(driver.hold(True))
    await bench.settle()
    assert bench.reference.completed == 5


@cocotb.test()
async def control_in_mid_frame(dut: Any) -> None:
    """Settings written while frames run mean nothing until they are applied; held, a frame is still completed."""
    rng = generator("control_in_mid_frame")
    bench, layer = await loaded(dut, rng)
    driver = bench.driver
    for _ in range(3):
        bench.send(rng, layer, 6)
        before = len(bench.reference.begun)
        await bench.until(lambda before=before: len(bench.reference.begun) > before)  # type: ignore[misc]
        await bench.within(driver.write_settings(bench.changed(rng, layer).config))
        await bench.within(driver.hold(True))
        await ClockCycles(dut.aclk, 2 * CONFIG.prediction.frame_cycles + bench.patience // 20)
        assert bench.reference.idle, "a frame that has begun is not completed"
        held = len(bench.reference.begun)
        await ClockCycles(dut.aclk, 50)
        assert len(bench.reference.begun) == held
        await bench.within(driver.hold(False))
        await bench.settle()
    assert bench.reference.completed == 18
    await bench.check_counters()
    await bench.expect_errors()
