"""Runs the tests of a frozen unit; cocotb drives its ports cycle by cycle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sim.simulator.job import JOB_VARIABLE, Job
from sim.simulator.program import Bench, Program
from sim.simulator.simulators import Simulator

if TYPE_CHECKING:
    from hw.export.verilog import Core

STREAM = Bench(modules=["sim.frozen.tests"])


def exercise(
    core: Core,
    simulator: Simulator,
    folder: Path,
    *,
    tests: str | None = None,
    seed: int = 0,
    waves: Path | None = None,
    coverage: bool = False,
    plusargs: Mapping[str, int] | None = None,
) -> dict[str, str | None]:
    """Run tests of `sim.frozen.tests` on a unit.

    Args:
        core: the unit.
        simulator: the simulator to run them in.
        folder: an empty folder, for the log.
        tests: regular expression that finds the tests to run; None runs all tests.
        seed: seed of stimulus and pauses.
        waves: waveform file to write.
        coverage: whether to leave `sim.simulator.simulators.COVERAGE_FILE` in ``folder``.
        plusargs: plusargs for the Verilog side.

    Returns:
        The failure message of each test; None for a test that passed.
    """
    Job.of(core, seed=seed).save(folder)
    program = Program.build(simulator, STREAM, core, waves=waves is not None, coverage=coverage)
    environment = {JOB_VARIABLE: str(folder.resolve())} | ({"COCOTB_TEST_FILTER": tests} if tests else {})
    return program.run(folder, plusargs, environment=environment, seed=seed, waves=waves)
