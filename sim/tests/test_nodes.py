"""Every node of networks alone in a real simulator: beats and cycles as its model has them, any pauses, resets."""

from __future__ import annotations

from pathlib import Path

import pytest

from sim.nodes.cases import NODES
from sim.nodes.exercise import exercise_node
from sim.tests.support import check_verdicts, installed

#: Those that ``make test`` runs.
QUICK = ("rescale_of_two", "adapter_4_to_6")


#: Those that ``make check`` runs: of each kind one, with a family's primitives where nodes have any, and units in each
#: way to wait and to give pixels. All nodes are simulated in Python, too, in more sizes than here.
DAILY = (
    *("rescale_xcup", "reduce_max", "reduce_in_memory_ecp5", "merge_channels", "replay_three_times_ecp5", "argmax"),
    *("fork_to_three", "relay", "fifo_in_luts", "fifo_in_a_block_ecp5", "pacer"),
    *("unit_that_waits", "unit_depthwise", "unit_with_tap_used_once", "unit_with_tap_strided", "unit_with_tap_ecp5"),
)


def marks(name: str) -> list[pytest.MarkDecorator]:
    return [] if name in QUICK else [pytest.mark.thorough if name in DAILY else pytest.mark.nightly]


@pytest.mark.parametrize("name", [pytest.param(name, marks=marks(name)) for name in NODES])
def test_node(name: str, seed: int, tmp_path: Path) -> None:
    verdicts = exercise_node(NODES[name], installed("icarus"), tmp_path, seed=seed)
    check_verdicts(verdicts, 1, f"{name}, seed {seed}, log in {tmp_path}")
