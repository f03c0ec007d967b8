"""A unit put through ``stream_bench``: its ports driven by cocotb, cycle by cycle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sim.cases.frozen import Case
from sim.simulator.job import JOB_VARIABLE, Job
from sim.simulator.program import Bench, Program
from sim.simulator.simulators import Simulator

if TYPE_CHECKING:
    from hw.export.verilog import Core

STREAM = Bench(modules=["sim.frozen.tests"], top="xvolution")


def exercise(
    core: Core,
    case: Case,
    simulator: Simulator,
    folder: Path,
    *,
    seed: int = 0,
    waves: Path | None = None,
    coverage: bool = False,
    plusargs: Mapping[str, int] | None = None,
) -> dict[str, str | None]:
    """Run all tests of ``stream_bench`` on a unit.

    Args:
        core: the unit that was generated for ``case``.
        folder: an empty folder, for the log.
        seed: of stimulus and pauses.
        waves: waveform file to write.
        coverage: whether to leave `sim.simulator.simulators.COVERAGE_FILE` in ``folder``.
        plusargs: for the Verilog side.

    Returns:
        For each test its failure message, None if it passed.
    """
    timing = core.manifest["timing"]
    Job(
        layer=case.layer,
        folding=case.folding,
        first_output_latency=timing["predicted_latency"],
        frame_cycles=timing["predicted_frame_cycles"],
        seed=seed,
    ).save(folder)
    program = Program.build(simulator, STREAM, core.verilog, waves=waves is not None, coverage=coverage)
    return program.run(folder, plusargs, environment={JOB_VARIABLE: str(folder.resolve())}, seed=seed, waves=waves)
