"""Mutants: drawn over all stages, planted one at a time, killed by simulation or proven equivalent, never both."""

from __future__ import annotations

import dataclasses

import pytest

from hw.verilog import Core, generate
from sim.cases import Case, named_case
from sim.conftest import installed
from sim.equivalence import equivalent
from sim.gates import read_gates
from sim.mutants import INNER, SELECT, Mutant, draw, mutated_netlist
from sim.mutation import EQUIVALENT, SURVIVED, try_all

#: A tiny unit, with primitives that stay as they are.
NAME = "xcup_frame_1x1"


@pytest.fixture(scope="module")
def unit() -> tuple[Core, Case]:
    case = named_case(NAME)
    return generate(case.layer, case.folding, case.target, pack=case.pack), case


def test_draw_is_repeatable_and_spread(unit: tuple[Core, Case]) -> None:
    core, _ = unit
    mutants = draw(core, 150, seed=3)
    assert mutants == draw(core, 150, seed=3) != draw(core, 150, seed=4)
    assert len(set(mutants)) == 150 and not any("CLK" in mutant.port for mutant in mutants)
    stages = {mutant.stage for mutant in mutants}
    assert stages > {"sequencer", "row_store", "window", "tap_macs", "requantise", "output_stream"}
    assert {mutant.mode for mutant in mutants} == {"inv", "const0", "const1", "cnot0", "cnot1"}


def test_killed_or_equivalent(unit: tuple[Core, Case]) -> None:
    """Simulation and proof agree on a handful of drawn mutants; a register that is upside down is killed."""
    core, case = unit
    drawn = draw(core, 6, seed=5)
    register = next(m for m in draw(core, 300, seed=6) if m.stage == "requantise" and m.port == "Q")
    mutants = [*drawn, dataclasses.replace(register, mode="inv", control=None)]
    verdicts = try_all(core, case, mutants, simulator=installed("icarus").name)
    assert verdicts[-1] not in (EQUIVALENT, SURVIVED), verdicts[-1]
    gates = read_gates(mutated_netlist(core, mutants), top=INNER)
    proofs = list(equivalent(gates, SELECT, range(1, len(mutants) + 1)))
    assert [verdict == EQUIVALENT for verdict in verdicts] == proofs
    assert sum(verdict not in (EQUIVALENT, SURVIVED) for verdict in verdicts) > len(mutants) // 2


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
