"""What nodes of networks take is in the range that the contract gives."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from golden.contract.ranges import Range
from hw.network.graph import IMAGE, Port
from hw.network.plan import NetworkPlan
from sim.cases.graphs import graph_case
from sim.evidence.gates import Gates
from sim.evidence.node_ranges import element_range, outside, range_claims


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 4])
def test_claims_leave_just_the_range(bits: int, signed: bool) -> None:
    values = range(-(2 ** (bits - 1)), 2 ** (bits - 1)) if signed else range(2**bits)
    for low in values:
        for high in range(low, values.stop):
            claims = list(outside(range(10, 10 + bits), signed, Range(low, high)))
            left = [v for v in values if not any(all(v >> b - 10 & 1 == one for b, one in c.now) for c in claims)]
            assert left == list(range(low, high + 1))


def test_operands_whose_nets_have_other_names() -> None:
    """Of them nothing is known, and it is no mistake."""
    graph = NetworkPlan(graph_case("scores")).graph
    fields: dict[str, Any] = {"ands": {}, "nots": {}, "flip_flops": {}, "opaque": [], "initial": frozenset()}
    gates = Gates(**fields, signals={"2_avg_pool0_average.i_0__payload": range(10, 26)}, inputs={}, outputs={})
    bits = {bit for claim in range_claims(graph, gates) for bit, _ in claim.now}
    assert bits == set(range(10, 26))
    assert list(range_claims(graph, dataclasses.replace(gates, signals={}))) == []


def test_sums_of_a_whole_frame() -> None:
    """Six elements of 5 bits with sign, first those of a row, then the sums of rows."""
    graph = NetworkPlan(graph_case("scores")).graph
    assert element_range(graph, Port(node=IMAGE)) == Range(-16, 15)
    assert element_range(graph, Port(node=0)) == Range(-48, 45)
    assert element_range(graph, Port(node=1)) == Range(-96, 90)
    assert element_range(graph, Port(node=2)) == Range(-128, 127)
