"""Schedules: FIFOs as deep as a run of any length fills them, last frames as far apart as all others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from golden.contract.network.network import IMAGE
from hw.network import backpressure, schedule
from hw.network.plan import NetworkPlan
from hw.plan.schedule import flushing_cycles
from hw.targets.families import ECP5, TARGETS
from sim.cases.graphs import GraphCase, graph_case
from sim.cases.network import random_network_case
from tests.support.tiers import seeds


def check_long_runs(plan: NetworkPlan, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of many more frames changes nothing."""
    short = plan.schedule
    for module in schedule, backpressure:
        monkeypatch.setattr(module, "FEWEST", 48)
    long = NetworkPlan(plan.config).schedule
    assert [edge.depth for edge in long.edges] == [edge.depth for edge in short.edges]
    assert (long.interval, long.latency, long.first_intervals) == (short.interval, short.latency, short.first_intervals)


@pytest.mark.parametrize("name", ["nested_skips", "late_first_groups", "transient", "unet"])
def test_longer_runs_fill_no_fifo_further(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check_long_runs(NetworkPlan(graph_case(name)), monkeypatch)


@pytest.mark.parametrize("seed", seeds(40, costly=True))
def test_longer_runs_of_random_networks(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    check_long_runs(NetworkPlan(random_network_case(np.random.default_rng(seed))), monkeypatch)


def test_a_skip_holds_more_than_four_frames() -> None:
    """All four layers are busy in every cycle. The FIFO beside them holds their latency, in beats of one cycle."""
    plan = NetworkPlan(graph_case("nested_skips"))
    (deepest,) = [edge for edge in plan.schedule.edges if edge.depth == max(edge.depth for edge in plan.schedule.edges)]
    assert plan.schedule.interval == 20 and deepest.depth > 4 * 20


@pytest.mark.parametrize(
    ("name", "waits"),
    [
        ("gaps_in_the_first_group", [True, False]),
        ("depthwise_behind_gaps", [False, False, True]),
        ("late_first_groups", [False, True]),
    ],
)
def test_units_wait_for_the_next_frame(name: str, waits: list[bool]) -> None:
    """Where empty groups would delay the next frame, and where they would be quicker than its first groups."""
    plan = NetworkPlan(graph_case(name))
    flushes = [unit.flush for unit in plan.units]
    assert [bool(flush.due) for flush in flushes if flush is not None] == waits
    assert plan.schedule.interval == plan.ideal_frame_cycles and not plan.schedule.first_intervals


def test_units_that_complete_each_frame_by_themselves_keep_pace() -> None:
    """It has 4 cycles to spare where each frame is completed alone. Its row store would lose more."""
    case = GraphCase(draw=lambda d: d.layer(IMAGE, 6, kernel=5, stride=2, folding=(1, 2)), image=(4, 5, 13))
    plan = NetworkPlan(case.config(1))
    (unit,) = plan.units
    assert unit.geometry.step_frame_cycles + 4 < unit.geometry.ideal_frame_cycles == plan.schedule.interval
    assert unit.flush is not None and not unit.flush.always
    assert flushing_cycles(unit.geometry, unit.shapes.schedule) > plan.schedule.interval


@pytest.mark.parametrize("name", ["ecp5_packed", "relays", "row_of_pixels", "slow_step_at_the_end", "unet"])
def test_relays_cost_no_cycle_of_a_frame(name: str) -> None:
    """They cost latency: two cycles on each edge of the longest way."""
    config = graph_case(name)
    own, bare = (NetworkPlan(replace(config, target=replace(ECP5, relays=relays))).schedule for relays in (True, False))
    assert (own.interval, own.first_intervals) == (bare.interval, bare.first_intervals)
    assert bare.latency + 2 * 2 <= own.latency <= bare.latency + 2 * len(own.edges)


def test_only_an_ecp5_has_relays() -> None:
    """Where no clock was measured, nothing is paid for it."""
    assert [name for name, target in TARGETS.items() if target.relays] == ["ecp5"]
