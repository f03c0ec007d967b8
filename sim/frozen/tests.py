"""cocotb tests that every frozen unit must pass, cycle by cycle, whatever its layer and folding.

The `sim.simulator.job.Job` in the folder that ``XVOLUTION_JOB`` names says what the unit is.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles

from sim.cases.stimulus import extreme_frames, random_frames
from sim.frozen.testbench import Testbench
from sim.simulator.job import JOB_VARIABLE, Job

JOB = Job.load(Path(os.environ[JOB_VARIABLE]))
CONFIG = JOB.config.layer.config
FRAME_BEATS = CONFIG.height * CONFIG.width * CONFIG.in_channels // JOB.config.folding.simd
OUT_BEATS = CONFIG.out_height * CONFIG.out_width * CONFIG.out_channels // JOB.config.folding.pe
#: Cycles in which a frame surely ends, even when most cycles are pauses.
PATIENCE = 20 * (JOB.first_output_latency + JOB.frame_cycles) + 1000


def generator(test: str) -> np.random.Generator:
    """A generator of random numbers for each test, so that no test depends on the others."""
    return np.random.default_rng([JOB.seed, zlib.crc32(test.encode())])


def scattered(rng: np.random.Generator) -> Iterator[bool]:
    """Pauses of single cycles, in 40 % of all cycles."""
    while True:
        yield bool(rng.random() < 0.4)


def bursts(rng: np.random.Generator) -> Iterator[bool]:
    """Alternating stretches of pauses and of transfers, each up to half a frame long."""
    longest = max(4, JOB.frame_cycles // 2)
    while True:
        for pause in (True, False):
            yield from [pause] * int(rng.integers(1, longest))


#: By name: (pauses of the source, pauses of the sink).
PATTERNS = {
    "idle": (scattered, None),
    "stall": (None, scattered),
    "both": (scattered, scattered),
    "long_idle": (bursts, None),
    "long_stall": (None, bursts),
    "long_both": (bursts, bursts),
}


@cocotb.test()
async def full_rate(dut: Any) -> None:
    """Different frames follow each other without a pause: every bit is right, and so are the cycle figures."""
    bench = await Testbench.start(dut, JOB)
    frames = np.concatenate([random_frames(generator("full_rate"), CONFIG, 2), extreme_frames(CONFIG)])
    bench.send(frames)
    await bench.expect(frames, PATIENCE)
    bench.check_timing()


@cocotb.test()
@cocotb.parametrize(pattern=list(PATTERNS))
async def paused(dut: Any, pattern: str) -> None:
    """Pauses of source and sink change no bit of the output."""
    rng = generator(pattern)
    bench = await Testbench.start(dut, JOB)
    bench.pause(*(pause and pause(rng) for pause in PATTERNS[pattern]))
    frames = np.concatenate([random_frames(rng, CONFIG, 2), extreme_frames(CONFIG)[:2], random_frames(rng, CONFIG, 1)])
    bench.send(frames)
    await bench.expect(frames, PATIENCE)


@cocotb.test()
async def lone_frames(dut: Any) -> None:
    """Each frame comes out whole without a single beat of the next one."""
    rng = generator("lone_frames")
    bench = await Testbench.start(dut, JOB)
    for frame in random_frames(rng, CONFIG, 3):
        bench.send(frame[None])
        await bench.expect(frame[None], PATIENCE)
        await ClockCycles(dut.aclk, int(rng.integers(1, 20)))


@cocotb.test()
@cocotb.parametrize(moment=["filling", "computing", "stalled"])
async def reset(dut: Any, moment: str) -> None:
    """After a reset in the middle of a frame the unit is as good as new."""
    rng = generator(f"reset_{moment}")
    bench = await Testbench.start(dut, JOB)
    bench.send(random_frames(rng, CONFIG, 3))
    if moment == "filling":
        await bench.until(PATIENCE, inputs=int(rng.integers(1, FRAME_BEATS, endpoint=True)))
    elif moment == "computing":
        await bench.until(PATIENCE, outputs=int(rng.integers(1, 2 * OUT_BEATS, endpoint=True)))
    else:
        await bench.until(PATIENCE, outputs=int(rng.integers(1, OUT_BEATS, endpoint=True)))
        bench.sink.pause = True
        await ClockCycles(dut.aclk, JOB.first_output_latency + JOB.frame_cycles)
        assert dut.m_axis_tvalid.value == 1, "nothing is offered although a frame is under way"
    await bench.reset(int(rng.integers(1, 4)))
    bench.sink.pause = False
    frames = np.concatenate([extreme_frames(CONFIG)[1:2], random_frames(rng, CONFIG, 2)])
    bench.send(frames)
    await bench.expect(frames, PATIENCE)
    bench.check_timing()
