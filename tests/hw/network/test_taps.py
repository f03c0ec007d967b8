"""Taps: which inputs take their beats from windows, what that saves, and that no output is late for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from golden.contract.network.network import IMAGE
from golden.layers import load_network
from hw.export.axi_ports import NetworkAxi
from hw.export.network_manifest import network_manifest
from hw.network.config import NetworkConfig
from hw.network.folding import up_to_lanes
from hw.network.graph import Graph
from hw.network.lower import lower
from hw.network.plan import NetworkPlan
from hw.network.schedule import NetworkSchedule, find_schedule
from hw.network.taps import find_taps
from hw.network.top import Network
from hw.network_picture import picture
from sim.cases.graphs import GRAPHS, Drawing, GraphCase, graph_case
from sim.cases.network import Limits, random_network_case
from tests.support.storage import fifo_bits, row_bits
from tests.support.tiers import seeds


def taps(config: NetworkConfig) -> dict[tuple[str, int], str]:
    return {taken: layer.name for taken, layer in find_taps(config).items()}


def plain(plan: NetworkPlan) -> tuple[Graph, NetworkSchedule]:
    """The graph and the run of a network without taps."""
    graph = lower(plan.config, {})
    return graph, find_schedule(graph, plan.schedule.interval, plan.config.target)


def test_all_joins_of_a_residual_network() -> None:
    network = load_network("resnet8_xvolution")
    config = NetworkConfig(network=network, foldings=up_to_lanes(network, 4))
    assert taps(config) == {
        ("stage1_block1_add", 1): "stage1_block1_first",
        ("stage2_block1_shortcut", 0): "stage2_block1_first",
        ("stage3_block1_shortcut", 0): "stage3_block1_first",
    }
    graph = NetworkPlan(config).graph
    assert row_bits(lower(config, {})) - row_bits(graph) == 10_752


def test_which_of_several_layers_and_which_takers() -> None:
    assert taps(graph_case("identities_from_windows")) == {
        ("add1", 0): "layer0",
        ("add4", 0): "layer2",
        ("add5", 1): "layer2",
        ("add7", 0): "layer6",
    }
    assert taps(graph_case("projections_from_windows")) == {
        ("layer0", 0): "layer1",
        ("layer6", 0): "layer4",
        ("layer10", 0): "layer8",
    }


def _beside_a_concat(d: Drawing) -> str:
    """The first beat of the result leaves before there is one of the layer."""
    x = d.layer(IMAGE, 4)
    return d.add(d.concat(x, d.layer(x, 4)), d.concat(x, x))


def _of_another_size(d: Drawing) -> str:
    """Each pixel of the pool that is kept comes again before the layer is at the pixels in these places."""
    x = d.layer(IMAGE, 4)
    return d.add(d.upsample(d.max_pool(d.layer(x, 4), 1, 2), 2), x)


def _without_padding(d: Drawing) -> str:
    """Windows are not centred on the pixels at the frame's edge."""
    x = d.layer(IMAGE, 4)
    return d.add(d.max_pool(d.layer(x, 4, padding="valid"), 3, 1, 1), d.max_pool(x, 3, 1))


def _of_a_pixel(d: Drawing) -> str:
    """A layer that holds nothing for its window."""
    x = d.layer(IMAGE, 4)
    return d.add(d.layer(x, 4, kernel=1), x)


def _strided(d: Drawing) -> str:
    """The centres are not all of what the other one takes."""
    x = d.layer(IMAGE, 4)
    return d.add(d.layer(d.layer(x, 4, stride=2), 4), d.layer(x, 4, kernel=3, stride=2))


def _no_second_window(d: Drawing) -> str:
    """The projection would be late for the sum."""
    x = d.layer(IMAGE, 4)
    return d.add(d.layer(x, 4), d.layer(x, 4, kernel=1))


@pytest.mark.parametrize(
    "draw",
    [_beside_a_concat, _of_another_size, _without_padding, _of_a_pixel, _strided, _no_second_window],
    ids=lambda draw: draw.__name__,
)
def test_where_there_is_none(draw: Callable[[Drawing], str]) -> None:
    assert taps(GraphCase(draw=draw, image=(2, 4, 12)).config(1)) == {}


def check_no_later(plan: NetworkPlan) -> tuple[int, int]:
    """First output and intervals are those without taps. Returns the bits that are stored, and those without taps."""
    graph, without = plain(plan)
    own = find_schedule(plan.graph, plan.schedule.interval, plan.config.target)
    assert own.latency == plan.schedule.latency == without.latency
    assert own.interval == without.interval
    assert list(own.first_intervals) == list(without.first_intervals)
    return fifo_bits(own) + row_bits(plan.graph), fifo_bits(without) + row_bits(graph)


@pytest.mark.parametrize("name", [name for name in GRAPHS if find_taps(graph_case(name))])
def test_nothing_is_later_and_less_is_stored(name: str) -> None:
    stored, without = check_no_later(NetworkPlan(graph_case(name)))
    assert stored < without


@pytest.mark.parametrize("seed", seeds(40, costly=True))
def test_nothing_is_later_in_random_networks(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In these small frames no tap would save more than its queue holds. So that is not asked for."""
    monkeypatch.setattr("hw.network.taps.Timetable", lambda shapes: SimpleNamespace(tap_depth=0))
    check_no_later(NetworkPlan(random_network_case(np.random.default_rng(seed), Limits(blocks=True))))


def test_taps_are_told() -> None:
    """In the manifest and in the picture."""
    plan = NetworkPlan(graph_case("identities_from_windows"))
    ports = NetworkAxi(Network(plan.schedule, plan.config.target)).signature
    edges = network_manifest(plan, ports)["edges"]
    told = [(edge["from"], edge["to"], edge["input"]) for edge in edges if edge["tap"]]
    assert told == [("layer0", "add1", 0), ("layer2", "add4", 0), ("layer2", "add5", 1), ("layer6", "add7", 0)]
    assert picture(plan).count(">tap<") == len(told)


def test_projections_take_no_centres_where_an_output_would_be_later(monkeypatch: pytest.MonkeyPatch) -> None:
    config = graph_case("projections_from_windows")
    own = NetworkPlan(config)
    assert [unit.tap for unit in own.units].count(True) == 3
    late, slow = replace(own.schedule, latency=own.schedule.latency + 1), replace(own.schedule, first_intervals=[505])
    assert own.schedule.keeps_pace_with(late)
    assert not late.keeps_pace_with(own.schedule) and not slow.keeps_pace_with(own.schedule)
    monkeypatch.setattr(NetworkSchedule, "keeps_pace_with", lambda self, other: False)
    assert not any(unit.tap for unit in NetworkPlan(config).units)
