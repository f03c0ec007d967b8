"""cocotb test of several units in one design that work at the same time.

Each unit has its own clock, source, sink and pauses.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import Combine

from sim.cases.stimulus import extreme_frames, random_frames
from sim.frozen.testbench import Testbench
from sim.simulator.job import JOB_VARIABLE, Job

#: Holds a job folder for each unit, which has the name of the unit's shell in the top module.
FOLDER = Path(os.environ[JOB_VARIABLE])


@cocotb.test()
async def side_by_side(dut: Any) -> None:
    await Combine(*(cocotb.start_soon(_unit(getattr(dut, folder.name), folder)) for folder in sorted(FOLDER.iterdir())))


async def _unit(shell: Any, folder: Path) -> None:
    job = Job.load(folder)
    config = job.config.layer.config
    rng = np.random.default_rng([job.seed, *folder.name.encode()])
    frames = np.concatenate([random_frames(rng, config, 3), extreme_frames(config)])
    bench = await Testbench.start(shell, job)
    for pause in (0.0, 0.3):
        bench.pause(*(_pauses(rng, pause) for _ in range(2)))
        bench.send(frames)
        await bench.expect(frames, 20 * job.frame_cycles + 1000)
        if not pause:
            bench.check_timing()


def _pauses(rng: np.random.Generator, share: float) -> Any:
    return itertools.cycle((rng.random(1000) < share).tolist()) if share else None
