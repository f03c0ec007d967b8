"""Mutants of networks are told apart by the kind of node or edge that they are in."""

from __future__ import annotations

import pytest

from hw.network.plan import NetworkPlan
from hw.synth.stages import TOP
from sim.cases.graphs import graph_case
from sim.evidence.node_kinds import NodeKinds

KINDS = NodeKinds(NetworkPlan(graph_case("joins")))


@pytest.mark.parametrize(
    ("instance", "kind"),
    [
        ("0_add0_sum", "rescale"),
        ("2_avg_pool1_rows", "reduce"),
        ("3_avg_pool1_average", "rescale"),
        ("4_upsample2_pixels", "replay"),
        ("6_concat4_channels", "merge"),
        ("fork_1", "fork"),
        ("fifo_5_0", "fifo"),
        ("adapter_output", "adapter"),
        ("pacer", "pacer"),
    ],
)
def test_kind_of_an_instance(instance: str, kind: str) -> None:
    assert KINDS.of_module(f"xvolution_{instance}") == KINDS.of_name(rf"$flatten\{instance}.$add$unit.v:7$9") == kind
    assert kind in KINDS.names


def test_what_is_in_no_instance() -> None:
    assert KINDS.of_module("xvolution") == TOP == KINDS.names[-1]
    assert KINDS.of_name("$add$unit.v:7$9") is None
