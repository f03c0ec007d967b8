"""Mutants: drawn over all stages, planted one at a time, killed by simulation or proven equivalent."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from hw.export.verilog import Core, generate
from hw.plan.config import UnitConfig
from sim.cases.frozen import named_case
from sim.evidence import mutation
from sim.evidence.cores import core_of
from sim.evidence.mutants import Mutant, draw, mutated
from sim.evidence.mutation import EQUIVALENT, try_all
from sim.simulator.simulators import SIM
from sim.tests.support import installed
from tests.support.tiers import nightly, thorough

#: A tiny unit.
NAME = "frame_1x1"


@pytest.fixture(scope="module")
def unit() -> tuple[Core, UnitConfig]:
    case = named_case(NAME)
    return generate(case), case


@thorough
def test_draw_is_repeatable_and_spread(unit: tuple[Core, UnitConfig]) -> None:
    core, _ = unit
    mutants = draw(core, 150, seed=3)
    assert mutants == draw(core, 150, seed=3) != draw(core, 150, seed=4)
    assert len(set(mutants)) == 150 and not any("CLK" in mutant.port for mutant in mutants)
    stages = {mutant.stage for mutant in mutants}
    assert stages > {"sequencer", "row_store", "window", "tap_macs", "requantise", "output_stream"}
    assert {mutant.mode for mutant in mutants} == {"inv", "const0", "const1", "cnot0", "cnot1"}


@thorough
def test_controls_that_a_memory_does_not_have_are_not_drawn() -> None:
    """Yosys gives each read port an enable. It ends with an error if that of an asynchronous one is not constant."""
    core = core_of("network/scores")
    mutants = draw(core, 60, seed=0)
    memory = {mutant.port for mutant in mutants if mutant.port.startswith(("RD_", "WR_"))}
    assert memory == {"RD_DATA", "WR_DATA", "WR_EN"}
    assert "module mutated(" in mutated(core, mutants)


@nightly
def test_killed_or_equivalent(unit: tuple[Core, UnitConfig]) -> None:
    """A weight that is upside down is noticed; a bit of an operand that is 0 anyway may as well be stuck there."""
    core, _ = unit
    drawn = draw(core, 600, seed=5)
    weight = next(m for m in drawn if m.stage == "weight_store" and m.port == "Q")
    multiplier = next(m for m in drawn if "$mul" in m.cell and m.stage == "tap_macs")
    mutants = [
        dataclasses.replace(weight, mode="inv", control=None),
        # An unsigned pixel of 8 bits, and above it only zeros.
        dataclasses.replace(multiplier, mode="const0", port="A", bit=9, control=None),
    ]
    killed, alike = try_all(core, mutants, simulator=installed("icarus").name)
    assert killed.startswith("full rate: ") and "output elements are wrong" in killed
    assert alike == EQUIVALENT


def test_what_short_runs_leave_is_starved_and_stalled(
    unit: tuple[Core, UnitConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a mutant that nothing before noticed goes through many frames, first with late input, then late output."""
    core, _ = unit
    runs: list[tuple[bool, float, float]] = []
    complaints: list[str] = []

    def simulate(core: Core, frames: np.ndarray, **options: Any) -> Any:
        runs.append((len(frames) >= mutation.MORE_FRAMES, options["idle"], options["stall"]))
        last = len(runs) == 4
        return SimpleNamespace(complaints=lambda: complaints if last else [], timing_complaints=lambda timing: [])

    monkeypatch.setattr(mutation, "simulate", simulate)
    monkeypatch.setattr(mutation, "exercise", lambda *args, **options: {"reset": None})
    short = [(False, 0, 0), (False, mutation.PAUSE, mutation.PAUSE)]
    assert mutation.kill(core, 1, 0, "icarus") is None
    assert runs == [*short, (True, mutation.LONG_PAUSE, 0), (True, 0, mutation.LONG_PAUSE)]

    runs.clear()
    complaints.append("late")
    assert mutation.kill(core, 1, 0, "icarus") == "long pauses: late"

    runs.clear()
    monkeypatch.setattr(mutation, "exercise", lambda *args, **options: {"reset": "wrong"})
    assert mutation.kill(core, 1, 0, "icarus") == "reset: wrong"
    assert runs == short


def test_arguments_about_mutants_renew_no_verdict(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What is argued about one is not in the key under which verdicts are kept; the benches are."""
    keys: list[Sequence[str]] = []

    def cached(key: Sequence[str], make: object) -> Path:
        keys.append(key)
        return tmp_path

    monkeypatch.setattr(mutation, "cached", cached)
    (tmp_path / mutation.FATES).write_text("[]")
    simulator = installed("icarus").name
    assert mutation.campaign(NAME, 1, seed=0, simulator=simulator, jobs=1, advance=lambda done: None) == []
    assert (SIM / "frozen" / "tests.py").read_text() in keys[0]
    assert (SIM / "evidence" / "argued.py").read_text() not in keys[0]


def test_a_mutant_says_where_it_is() -> None:
    mutant = Mutant(
        mode="cnot1",
        cell=r"$flatten\sequencer.\input_walk.$add$unit.v:1756$1152",
        port="Y",
        bit=8,
        control=0,
        wire="sequencer.input_walk._104_",
        stage="sequencer",
    )
    assert str(mutant) == "cnot1 by bit 0 at Y[8] of sequencer.input_walk.add line 1756 (sequencer.input_walk._104_)"


@thorough
def test_primitives_have_mutants_too() -> None:
    case = named_case("xcup_frame_1x1")
    core = generate(case)
    mutants = draw(core, 200, seed=1)
    assert {mutant.port for mutant in mutants if mutant.cell.endswith("U$0")} & {"A", "B", "P"}
    assert "module DSP48E2" not in mutated(core, mutants[:1])
