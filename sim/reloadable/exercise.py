"""Runs the tests of a reloadable unit; cocotb and the driver drive its ports cycle by cycle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sim.reloadable.tests import MODULES
from sim.simulator.job import JOB_VARIABLE, Job
from sim.simulator.program import Bench, Program
from sim.simulator.simulators import Simulator

if TYPE_CHECKING:
    from hw.export.verilog import Core

RELOADABLE_BENCH = Bench(modules=[f"sim.reloadable.tests.{name}" for name in MODULES])
SCENARIOS = Bench(modules=["sim.reloadable.scenario_bench"])
#: The words of a test's message when the unit hangs.
NOTHING_MOVES = "nothing moves"
#: Regular expression that finds the essential tests. The other tests depend less on what the unit is.
ESSENTIAL = (
    "load_and_run|swap_at_frame|settings_every_frame|single_buffered|paused/port=all|tlast_early/place=1|tlast_late"
    "|hard_reset/index=0|soft_reset/moment=frames"
)


def exercise_reloadable(
    core: Core,
    simulator: Simulator,
    folder: Path,
    *,
    bench: Bench = RELOADABLE_BENCH,
    tests: str | None = None,
    seed: int = 0,
    stimuli: int = 1,
    waves: Path | None = None,
    coverage: bool = False,
    plusargs: Mapping[str, int] | None = None,
) -> dict[str, str | None]:
    """Run tests of a bench on a reloadable unit.

    Args:
        core: the unit.
        simulator: the simulator to run them in.
        folder: an empty folder, for the log.
        bench: the bench whose tests are run.
        tests: regular expression that finds the tests to run; None runs all tests.
        seed: seed of stimulus and pauses.
        stimuli: number of random scenarios (only for `SCENARIOS`).
        waves: waveform file to write.
        coverage: whether to leave `sim.simulator.simulators.COVERAGE_FILE` in ``folder``.
        plusargs: plusargs for the Verilog side.

    Returns:
        The failure message of each test; None for a test that passed.
    """
    Job.of(core, seed=seed, stimuli=stimuli).save(folder)
    program = Program.build(simulator, bench, core, waves=waves is not None, coverage=coverage)
    environment = {JOB_VARIABLE: str(folder.resolve())} | ({"COCOTB_TEST_FILTER": tests} if tests else {})
    return program.run(folder, plusargs, environment=environment, seed=seed, waves=waves)
