"""Every node of networks alone in a real simulator: beats and cycles as its model has them, any pauses, resets."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.nodes.cases import NODES
from sim.nodes.exercise import exercise_node
from sim.tests.support import check_verdicts, installed

#: Those that ``make test`` runs.
QUICK = ("rescale_of_two", "adapter_4_to_6")


@pytest.mark.parametrize("name", [n if n in QUICK else pytest.param(n, marks=pytest.mark.thorough) for n in NODES])
def test_node(name: str, seed: int, tmp_path: Path) -> None:
    verdicts = exercise_node(NODES[name], installed("icarus"), tmp_path, seed=seed)
    check_verdicts(verdicts, 1, f"{name}, seed {seed}, log in {tmp_path}")
