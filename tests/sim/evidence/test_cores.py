"""Networks whose coverage and mutants are looked at: what is in them, and how long they wait."""

from __future__ import annotations

import re
from pkgutil import iter_modules

import numpy as np
import pytest

from hw.network import edges, nodes
from hw.network.edges.fifo import memory_kind
from hw.network.plan import NetworkPlan
from sim.cases.graphs import graph_case
from sim.evidence.cores import NETWORK, NETWORKS, core_of, network_runs

PLANS = [NetworkPlan(graph_case(name.removeprefix(NETWORK))) for name in NETWORKS]


def test_networks_have_every_node_but_units() -> None:
    kinds = {type(placed.node).__module__.rpartition(".")[2] for plan in PLANS for placed in plan.graph.nodes}
    assert kinds == {module.name for module in iter_modules(nodes.__path__)} - {"unit"}


def test_joins_have_all_that_stands_on_edges() -> None:
    kinds = set(re.findall(r"^module xvolution_([a-z]+)", core_of("network/joins").verilog, re.M))
    # Relays are an ECP5's. That beats move through them as they should is proven.
    assert kinds == {module.name for module in iter_modules(edges.__path__)} - {"relay"}


def test_fifos_of_networks_are_of_every_kind() -> None:
    fifos = [(edge.fifo_beat, edge.depth, plan.config.target) for plan in PLANS for edge in plan.schedule.edges]
    kinds = {memory_kind(*fifo) for fifo in fifos if fifo[1]}
    assert kinds == {"register", "lut", "block"}


def test_source_and_sink_are_slower_than_the_network() -> None:
    """One result for each frame of 18 cycles: a sink that takes a beat in 10 cycles makes nothing wait."""
    runs = network_runs(core_of("network/scores"), np.random.default_rng(0))
    assert runs["starved"] == (pytest.approx(1 - 18 / 72), 0, 0)
    assert runs["stalled"] == (0, pytest.approx(1 - 1 / 72), 0)
    assert runs["full rate"] == (0, 0, 0) and runs["reset"][2] > 0
