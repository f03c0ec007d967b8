"""FIFOs in a real simulator: with an entry less in any of them, an output beat leaves in another cycle, or never."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hw.export.network_verilog import generate_network
from hw.network.backpressure import Cache, Stalled
from hw.network.plan import NetworkPlan
from sim.bulk.simulate import simulate
from sim.cases.graphs import graph_case
from sim.cases.stimulus import random_images
from sim.tests.support import installed

FRAMES = 12


@pytest.mark.thorough
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("unet", marks=pytest.mark.nightly),
        "nested_skips",
        pytest.param("generic_packed", marks=pytest.mark.nightly),
        pytest.param("identities_from_windows", marks=pytest.mark.nightly),
    ],
)
def test_no_entry_can_be_taken(name: str, seed: int) -> None:
    """The hardware does what the model of stalls says: it stops, or frames end when the model's do.

    In the model an output beat leaves in another cycle, or never comes. It may be one within a frame. It may be
    earlier: a FIFO of a single entry takes a cycle.
    """
    plan = NetworkPlan(graph_case(name))
    schedule, image = plan.schedule, plan.config.network.image
    frames = random_images(np.random.default_rng(seed), image, FRAMES)
    assert any(edge.depth for edge in schedule.edges)
    full = Stalled(schedule.graph, schedule.edges, schedule.interval, FRAMES, plan.config.target, Cache())
    assert full.settle()
    for number, edge in enumerate(schedule.edges):
        if not edge.depth:
            continue
        edges = list(schedule.edges)
        edges[number] = replace(edge, depth=edge.depth - 1)
        model = Stalled(schedule.graph, edges, schedule.interval, FRAMES, plan.config.target, Cache())
        comes_to_an_end = model.settle()
        smaller = NetworkPlan(plan.config)
        smaller.__dict__["schedule"] = replace(schedule, edges=edges)  # in place of the one that it would find
        result = simulate(generate_network(smaller, jobs=1), frames, simulator=installed("icarus").name, seed=seed)
        what = f"{name}, seed {seed}, edge {number} of depth {edge.depth}"
        if not comes_to_an_end:
            assert result.faults, f"{what}: the network goes on"
            continue
        assert result.passed, f"{what}: {'; '.join(result.complaints())}"
        ends = model.output.reshape(FRAMES, -1)[:, -1]
        assert result.first_output_latency == model.output[0]
        assert result.frame_cycles[1:] == np.diff(ends).tolist(), what
        assert (model.output != full.output).any(), f"{what}: nothing changes"
