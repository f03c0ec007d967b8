"""The unit under test, and how the tests of all modules begin.

The `sim.simulator.job.Job` in the folder that ``XVOLUTION_JOB`` names says what the unit is.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from hw.plan.shapes import Shapes
from sim.reloadable.testbench import ReloadTestbench
from sim.simulator.job import JOB_VARIABLE, Job

JOB = Job.load(Path(os.environ[JOB_VARIABLE]))
CONFIG = JOB.config
SHAPES = Shapes(CONFIG)
BUILT = CONFIG.layer.config
RELOAD = CONFIG.limits
SINGLE_BUFFERED = RELOAD.single_buffered


def generator(test: str) -> np.random.Generator:
    """A generator of random numbers for each test, so that no test depends on the others."""
    return np.random.default_rng([JOB.seed, zlib.crc32(test.encode())])


async def loaded(dut: Any, rng: np.random.Generator, **fields: Any) -> tuple[ReloadTestbench, Any]:
    """The bench of a unit with a random layer in force, and that layer."""
    bench = await ReloadTestbench.start(dut, JOB)
    layer = bench.layer(rng, **fields)
    await bench.within(bench.driver.load(layer))
    await bench.within(bench.driver.wait_applied())
    return bench, layer


def frames_during(cycles: int) -> int:
    """Number of frames of the largest size that keep the source busy for ``cycles``."""
    return 2 + cycles // SHAPES.schedule.frame_cycles
