"""Every named reloadable unit runs cycle by cycle in a real simulator, behind the driver and AXI models."""

from __future__ import annotations

from pathlib import Path

import pytest

from hw.export.verilog import generate
from sim.cases.daily import DAILY_RELOADABLE
from sim.cases.reloadable import RELOADABLE, reloadable_case
from sim.reloadable.exercise import ESSENTIAL, exercise_reloadable
from sim.simulator.simulators import Simulator
from sim.tests.support import by_day, check_verdicts, installed, waves

pytestmark = pytest.mark.thorough


#: Cases that run all tests; the others run the essential ones.
THOROUGH = ("hadamard", "stride_2_parallel", "frame_1x1", "single_buffered", "xcup_dynamic")
#: Cases that run on Icarus, whatever simulator the others run on.
ON_ICARUS = ("dynamic_stride_2", "frame_nx1", "single_buffered_parallel", "ecp5_4_bit")


def verify(name: str, simulator: Simulator, folder: Path, request: pytest.FixtureRequest) -> None:
    seed = request.config.getoption("--seed")
    case = reloadable_case(name)
    core = generate(case)
    tests = None if name in THOROUGH else ESSENTIAL
    traces = waves(request, f"reloadable-{name}", simulator)
    verdicts = exercise_reloadable(core, simulator, folder, tests=tests, seed=seed, waves=traces)
    least = 30 if tests is None else 9
    check_verdicts(verdicts, least, f"{name} on {simulator.name}, seed {seed}, log in {folder}")


@pytest.mark.parametrize("name", by_day([name for name in RELOADABLE if name not in ON_ICARUS], DAILY_RELOADABLE))
def test_unit(name: str, simulator: Simulator, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    verify(name, simulator, tmp_path, request)


@pytest.mark.parametrize("name", by_day(ON_ICARUS, DAILY_RELOADABLE))
def test_unit_on_icarus(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    verify(name, installed("icarus"), tmp_path, request)
