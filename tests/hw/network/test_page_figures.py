"""The figures of docs/networks.md are those of this tree."""

from __future__ import annotations

import re

import pytest

from golden.layers import load_network
from hw.network.config import NetworkConfig
from hw.network.folding import up_to_lanes
from hw.network.plan import NetworkPlan
from hw.targets.families import TARGETS
from tests.support.places import ROOT
from tests.support.tiers import nightly, thorough

#: Name, lanes, cycles, first output, FIFOs, edges and bits of each row.
ROW = re.compile(r"^\| `(resnet\w+)` \| (\d+) \| ([\d,]+) \| ([\d,]+) \| (\d+) of (\d+) \| ([\d,]+) \|", re.MULTILINE)
ROWS = ROW.findall((ROOT / "docs" / "networks.md").read_text())


def test_the_page_has_rows() -> None:
    assert {name for name, *_ in ROWS} == {"resnet8_xvolution", "resnet20", "resnet20_xvolution", "resnet34"}


@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, id=f"{row[0]}_{row[1]}", marks=thorough if row[0] == "resnet8_xvolution" else nightly)
        for row in ROWS
    ],
)
def test_row(row: tuple[str, ...]) -> None:
    name, *figures = row
    lanes, cycles, latency, fifos, edges, bits = (int(figure.replace(",", "")) for figure in figures)
    network = load_network(name)
    plan = NetworkPlan(NetworkConfig(network=network, foldings=up_to_lanes(network, lanes), target=TARGETS["xcup"]))
    schedule = plan.schedule
    deep = [edge for edge in schedule.edges if edge.depth]
    assert (schedule.interval, schedule.latency) == (cycles, latency)
    assert (len(deep), len(schedule.edges)) == (fifos, edges)
    assert sum(edge.depth * edge.fifo_beat.size for edge in deep) == bits
    assert plan.ideal_frame_cycles == cycles and not schedule.first_intervals
