"""Every named frozen unit in a real simulator: bits, stream rules, predicted cycle figures.

``make check`` has units in bulk, which finds 97 % of what is found of the recorded mutants of frozen units. Cycle by
cycle it has those of `test_regression`, ``make nightly`` all.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from hw.export.verilog import generate
from sim.cases.daily import DAILY
from sim.cases.frozen import CASES, named_case
from sim.frozen.exercise import exercise
from sim.simulator.simulators import Simulator
from sim.tests.support import check_in_bulk, check_verdicts, installed, waves

#: Cases that run cycle by cycle on Icarus, whatever simulator the others run on.
ON_ICARUS = (
    "conv_3x3",
    "frame_1xn",
    "depthwise_stride_2",
    "offsets_only_below",
    "bits_2_signed",
    "ecp5_2_bit_depthwise",
    "xc7_2_bit_depthwise",
    "xcup_2_bit_depthwise",
)
#: Cases with so many multipliers of a family that Icarus takes longer than Verilator takes to compile them.
MANY_DSPS = ("xc7_convolution", "xcup_valid_early_one_beat", "xcup_adders")


def verify(name: str, simulator: Simulator, folder: Path, request: pytest.FixtureRequest) -> None:
    seed = request.config.getoption("--seed")
    case = named_case(name)
    core = generate(case)
    verdicts = exercise(core, simulator, folder, seed=seed, waves=waves(request, name, simulator))
    check_verdicts(verdicts, 11, f"{name} on {simulator.name}, seed {seed}, log in {folder}")


@pytest.mark.thorough
@pytest.mark.parametrize("name", DAILY)
def test_unit_in_bulk(name: str, seed: int) -> None:
    check_in_bulk(name, installed("verilator" if name in MANY_DSPS else "icarus"), seed)


@pytest.mark.nightly
@pytest.mark.parametrize("name", [name for name in CASES if name not in ON_ICARUS])
def test_unit(name: str, simulator: Simulator, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    verify(name, simulator, tmp_path, request)


@pytest.mark.nightly
@pytest.mark.parametrize("name", ON_ICARUS)
def test_unit_on_icarus(name: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    verify(name, installed("icarus"), tmp_path, request)
