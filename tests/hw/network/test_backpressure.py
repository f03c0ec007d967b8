"""FIFOs as small as they can be: what the model of stalls says, beside the schedule and beside itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hw.network.backpressure import Cache, Stalled
from hw.network.plan import NetworkPlan
from hw.network.schedule import find_schedule
from hw.targets.families import ECP5
from sim.cases.graphs import GRAPHS, graph_case
from sim.cases.network import random_network_case
from sim.tests.test_networks import NIGHTLY
from tests.support.tiers import nightly, seeds

#: More than a plan looks at where frames have more than a few beats.
FRAMES = 40


def in_time(plan: NetworkPlan, depths: list[int], due: np.ndarray, cache: Cache) -> bool:
    """Whether no output beat is late with FIFOs of these depths."""
    schedule = plan.schedule
    edges = [replace(edge, depth=depth) for edge, depth in zip(schedule.edges, depths, strict=True)]
    return Stalled(schedule.graph, edges, schedule.interval, FRAMES, plan.config.target, cache).settle(due)


def check_least(plan: NetworkPlan) -> None:
    """No FIFO makes an output beat late, and each does if it is smaller by an entry."""
    schedule = plan.schedule
    endless = find_schedule(plan.graph, schedule.interval, plan.config.target)
    cache = Cache()
    wide = Stalled(endless.graph, endless.edges, schedule.interval, FRAMES, plan.config.target, cache)
    assert wide.settle()
    assert int(wide.output[0]) == endless.latency == schedule.latency
    ends = wide.output.reshape(FRAMES, -1)[:, -1]
    first = list(schedule.first_intervals)
    assert np.diff(ends).tolist() == first + [schedule.interval] * (FRAMES - 1 - len(first))

    depths = [edge.depth for edge in schedule.edges]
    assert all(depth <= edge.depth for depth, edge in zip(depths, endless.edges, strict=True))
    assert in_time(plan, depths, wide.output, cache)
    for number, depth in enumerate(depths):
        if depth:
            less = [*depths[:number], depth - 1, *depths[number + 1 :]]
            assert not in_time(plan, less, wide.output, cache), f"edge {number} of {depths}"


@pytest.mark.parametrize("name", [pytest.param(name, marks=[nightly] * (name in NIGHTLY)) for name in GRAPHS])
def test_least_fifos(name: str) -> None:
    """The network has the rate of its slowest step."""
    plan = NetworkPlan(graph_case(name))
    assert plan.schedule.interval == plan.ideal_frame_cycles
    check_least(plan)


@pytest.mark.parametrize("name", ["nested_skips", "row_of_pixels", "slow_step_in_the_middle", "unet"])
def test_least_fifos_behind_relays(name: str) -> None:
    check_least(NetworkPlan(replace(graph_case(name), target=ECP5)))


@pytest.mark.parametrize("seed", seeds(40))
def test_least_fifos_of_random_networks(seed: int) -> None:
    check_least(NetworkPlan(random_network_case(np.random.default_rng(seed))))


def test_fifos_beside_steps_with_time_to_spare_are_small() -> None:
    """A beat may wait in a unit that is idle half of the time, or at a fork, and not in a FIFO."""
    plan = NetworkPlan(graph_case("unet"))
    endless = find_schedule(plan.graph, plan.schedule.interval, plan.config.target)
    both = [(edge.depth, own.depth) for edge, own in zip(endless.edges, plan.schedule.edges, strict=True) if edge.depth]
    assert both == [(6, 2), (8, 7), (15, 1), (84, 84)]


def test_why_a_fifo_is_as_deep_as_it_is() -> None:
    plan = NetworkPlan(graph_case("strided_with_projections"))
    whys = [edge.why for edge in plan.schedule.edges]
    assert (
        "with 1, an output beat would leave in another cycle or never; the other 13 of at most 15 beats that wait at"
        " full rate can do so before it"
    ) in whys
    assert "the other 11 of at most 11 beats that wait at full rate can do so before it" in whys
