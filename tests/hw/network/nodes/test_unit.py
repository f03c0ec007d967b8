"""Unit node: its model, beat by beat, is at full rate that of `hw.plan.schedule`, which goes pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest

from hw.network.nodes.unit import UnitNode
from hw.unit.timetable import Timetable
from sim.cases.frozen import random_case
from tests.support.tiers import seeds
from tests.support.units import UNITS, unit_shapes

FRAMES = 6


@pytest.mark.parametrize("case", seeds(60))
def test_full_rate(case: int) -> None:
    check_full_rate(UnitNode(config=random_case(np.random.default_rng(case))))


@pytest.mark.parametrize("unit", ["early", "early_one_beat", "early_5x5", "early_stride_2", "waits_for_next"])
def test_full_rate_of_units_that_would_lose_cycles(unit: str) -> None:
    node = UnitNode(config=unit_shapes(**UNITS[unit]).config)
    assert node.interval == node.geometry.ideal_frame_cycles
    check_full_rate(node)


def check_full_rate(node: UnitNode) -> None:
    schedule, (beats,) = node.shapes.schedule, node.frame_inputs
    times = node.times([np.arange(FRAMES * beats)])
    (given,) = times.given
    assert given[0] == schedule.first_output_issue + Timetable(node.shapes).latency
    assert set(np.diff(given.reshape(FRAMES, -1)[:, -1])) == {schedule.frame_cycles}
    assert len(given) == FRAMES * node.frame_outputs[0]


@pytest.mark.parametrize("case", seeds(60))
def test_beats_that_come_later_are_never_earlier(case: int) -> None:
    """Gaps in the input delay what follows, and a beat is never taken before it comes."""
    rng = np.random.default_rng(case)
    node = UnitNode(config=random_case(rng)).flushed_at(10**9)
    (beats,) = node.frame_inputs
    arrivals = np.cumsum(rng.integers(0, 4, FRAMES * beats))
    times, late = node.times([arrivals]), node.times([arrivals + rng.integers(0, 50, len(arrivals)).cumsum()])
    assert (times.taken[0] >= arrivals).all() and (np.diff(times.taken[0]) >= 1).all()
    assert (late.given[0] >= times.given[0]).all()
