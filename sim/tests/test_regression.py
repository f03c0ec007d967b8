"""The units of ``make test`` go through the regression of the mutants: bulk frames and the essential tests."""

from __future__ import annotations

import pytest

from hw.export.verilog import generate
from sim.cases.reloadable import any_case
from sim.evidence.mutation import regression
from sim.simulator.simulators import Simulator

#: The units that `scripts.quick_units` chose from the recorded mutants.
UNITS = (
    "dynamic_head_over_beats",
    "fold_sequential",
    "stride_2_even",
    "xcup_bits_3_6_signed",
    "reloadable/stride_2",
)


@pytest.mark.parametrize("name", UNITS)
def test_regression(name: str, simulator: Simulator, seed: int) -> None:
    fault = regression(generate(any_case(name)), seed=seed, simulator=simulator.name)
    assert fault is None, f"{name} on {simulator.name}, seed {seed}: {fault}"
