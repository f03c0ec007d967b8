"""Malformed frames: a wrong TLAST damages its own frame, and no other."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import ClockCycles

from sim.cases.stimulus import random_frames
from sim.reloadable.testbench import ReloadTestbench
from sim.reloadable.tests.unit import CONFIG, generator, loaded


def wanted_beats(bench: ReloadTestbench) -> int:
    c = bench.reference.in_force.config
    return c.height * c.width * c.in_channels // CONFIG.folding.simd


@cocotb.test()
@cocotb.parametrize(place=["first", "middle", "before_last"])
async def tlast_early(dut: Any, place: str) -> None:
    """A frame that ends early is completed with zeros and marked. The frames after it are right."""
    rng = generator(f"tlast_early_{place}")
    bench, layer = await loaded(dut, rng)
    wanted = wanted_beats(bench)
    if wanted == 1:
        return  # a frame of one beat cannot end early
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
    """A frame that does not end is marked, and the beats after it are dropped up to TLAST. The next frame is right."""
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
    """Without any TLAST, one frame comes out marked, and no other begins.

    A lone beat with TLAST ends that state, and so does a soft reset.
    """
    rng = generator("tlast_missing")
    bench, layer = await loaded(dut, rng)
    wanted = wanted_beats(bench)
    for end in ("tlast", "soft_reset"):
        beats = bench.beats(random_frames(rng, layer.config, 6))
        bench.send_packet([*beats, 0])
        # The source waits before the last beat, so no TLAST has come yet.
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
    """With ``ignore_tlast``, the frame size alone tells where frames end, and no frame is marked."""
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
    # ``ignore_tlast`` is switched on while beats are dropped: the next beat begins a frame.
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
