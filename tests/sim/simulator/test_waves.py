"""Waveforms count in nanoseconds, although neither the unit nor the bench says so."""

from __future__ import annotations

from pathlib import Path

import pytest

from hw.export.verilog import generate
from sim.cases.frozen import named_case
from sim.frozen.exercise import exercise
from sim.simulator.simulators import SIMULATORS
from sim.tests.support import installed
from tests.support.tiers import thorough

#: Place of the exponent of the time unit in an FST file: a block's type and length, and eight numbers, come before.
EXPONENT = 1 + 8 + 8 * 8


@thorough
@pytest.mark.parametrize("name", SIMULATORS)
def test_timescale_of_waveforms(name: str, tmp_path: Path) -> None:
    simulator = installed(name)
    trace = tmp_path / f"waves{simulator.wave_suffix}"
    exercise(generate(named_case("frame_1xn")), simulator, tmp_path, seed=0, waves=trace)
    content = trace.read_bytes()
    if name == "verilator":
        assert b"$timescale 1ns $end" in b" ".join(content[:500].split())
    else:
        assert content[EXPONENT] == 256 - 9
