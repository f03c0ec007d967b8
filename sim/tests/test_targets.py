"""Units made of the primitives of each family, small enough for Icarus to simulate in a moment."""

from __future__ import annotations

import dataclasses

import pytest

from hw.export.verilog import generate
from sim.bulk.simulate import simulate
from sim.cases.daily import DAILY_SMALL
from sim.cases.frozen import SMALL_CASES, named_case
from sim.cases.stimulus import extreme_frames
from sim.simulator.program import SimulationError
from sim.tests.support import by_day, check_in_bulk, installed

pytestmark = pytest.mark.thorough


@pytest.mark.parametrize("name", by_day(SMALL_CASES, DAILY_SMALL))
def test_target(name: str, seed: int) -> None:
    check_in_bulk(name, installed("icarus"), seed)


def test_use_that_is_not_modelled_is_told() -> None:
    """The user sees what the model of a primitive says before it ends the simulation."""
    case = named_case("frame_1x1")
    core = generate(case)
    verilog = core.verilog.replace("endmodule", "  DSP48E1 #(.MREG(0)) planted ();\nendmodule", 1)
    core = dataclasses.replace(core, verilog=verilog)
    with pytest.raises(SimulationError, match=r"icarus ended: .* this MREG of DSP48E1 is not modelled"):
        simulate(core, extreme_frames(case.layer.config), simulator=installed("icarus").name)
