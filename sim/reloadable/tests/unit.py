"""The unit under test, and how the tests of all modules begin.

What it is, says the `sim.simulator.job.Job` in the folder that ``XVOLUTION_JOB`` names.
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
    return 2 + cycles // SHAPES.schedule.frame_cycles
