"""The figures of docs/networks.md are those of this tree."""

from __future__ import annotations

import re

import pytest

from golden.layers import load_network
from hw.network.backpressure import least_fifos
from hw.network.config import NetworkConfig
from hw.network.folding import up_to_lanes
from hw.network.lower import lower
from hw.network.plan import NetworkPlan
from hw.network.schedule import find_schedule
from hw.targets.families import TARGETS
from tests.support.places import ROOT
from tests.support.storage import fifo_bits, row_bits
from tests.support.tiers import nightly, thorough

#: Name, lanes, cycles, first output, FIFOs, edges and bits of each row.
ROW = re.compile(r"^\| `(resnet\w+)` \| (\d+) \| ([\d,]+) \| ([\d,]+) \| (\d+) of (\d+) \| ([\d,]+) \|", re.MULTILINE)
PAGE = (ROOT / "docs" / "networks.md").read_text()
ROWS = ROW.findall(PAGE)
#: The row that ``make check`` computes.
BY_DAY = ("resnet8_xvolution", "4")
#: Networks and bits of what is said of them without taps: in FIFOs, in row stores with taps, and how many more without.
WITHOUT_TAPS = re.search(
    r"Without taps the FIFOs of `(\w+)` would have ([\d,]+) bits and those of `(\w+)` ([\d,]+)\. Their row stores, of "
    r"([\d,]+) and ([\d,]+) bits, would have ([\d,]+) and ([\d,]+) more\.",
    re.sub(r"\s+", " ", PAGE),
)


def test_the_page_has_rows() -> None:
    assert {name for name, *_ in ROWS} == {"resnet8_xvolution", "resnet20", "resnet20_xvolution", "resnet34"}


@pytest.mark.parametrize(
    "row",
    [pytest.param(row, id=f"{row[0]}_{row[1]}", marks=thorough if row[:2] == BY_DAY else nightly) for row in ROWS],
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


@nightly
@pytest.mark.parametrize("place", [0, 1], ids=["resnet8_xvolution", "resnet20"])
def test_without_taps(place: int) -> None:
    assert WITHOUT_TAPS is not None
    found = WITHOUT_TAPS.groups()
    name, figures = found[2 * place], (found[2 * place + 1], found[4 + place], found[6 + place])
    network = load_network(name)
    plan = NetworkPlan(NetworkConfig(network=network, foldings=up_to_lanes(network, 4)))
    without = lower(plan.config, {})
    run = least_fifos(find_schedule(without, plan.schedule.interval, plan.config.target), plan.config.target)
    bits = (fifo_bits(run), row_bits(plan.graph), row_bits(without) - row_bits(plan.graph))
    assert bits == tuple(int(figure.replace(",", "")) for figure in figures)
