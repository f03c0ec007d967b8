"""Estimates of networks beside synthesis, and what of them must be exact beside the nodes themselves."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from golden.contract.network.network import IMAGE, IntegerNetwork
from golden.layers import load_network
from golden.layers.random_network import random_network
from golden.support.cli import UserError
from hw import build
from hw.estimate.estimate import estimate
from hw.estimate.network import check_network_fit, estimate_network
from hw.estimate.nodes import AREA, node_area
from hw.export.network_verilog import generate_network
from hw.network import nodes
from hw.network.config import NetworkConfig
from hw.network.folding import up_to_lanes
from hw.network.nodes.unit import UnitNode
from hw.network.plan import NetworkPlan
from hw.plan.flush import Flush
from hw.synth.mapping import map_to_cells, parts_of
from hw.synth.resources import area_of_parts
from hw.targets.families import TARGETS
from scripts.estimate import NETWORK_ROWS, TOLERANCE, NetworkRow, measure
from sim.cases.graphs import GraphCase
from tests.support.tiers import nightly, thorough


def plan_of(network: IntegerNetwork, target: str, lanes: int) -> NetworkPlan:
    foldings = up_to_lanes(network, lanes)
    return NetworkPlan(NetworkConfig(network=network, foldings=foldings, target=TARGETS[target]))


def kinds_of_nodes() -> Iterator[type[Any]]:
    """All classes of nodes that there are."""
    for module in pkgutil.iter_modules(nodes.__path__):
        for name, value in vars(importlib.import_module(f"{nodes.__name__}.{module.name}")).items():
            is_own = isinstance(value, type) and value.__module__ == f"{nodes.__name__}.{module.name}"
            if is_own and not name.startswith("_") and dataclasses.is_dataclass(value) and hasattr(value, "times"):
                yield value


def test_no_node_lacks_an_area() -> None:
    assert set(AREA) == set(kinds_of_nodes())
    assert len(AREA) >= 6


#: One of each network, as cheap to synthesise as it can be.
CHOSEN = [row for row in NETWORK_ROWS if (row.target == "xcup") == (row.what in ("random 2", "random 34"))]
#: That of `make check`: it has all ops.
BY_DAY = ("random 34",)


@thorough
@pytest.mark.parametrize(
    "row",
    [
        pytest.param(row, id=f"{row.target}, {row.what}", marks=[] if row.what in BY_DAY else [nightly])
        for row in CHOSEN
    ],
)
def test_against_synthesis(row: NetworkRow) -> None:
    guess, truth = measure(row)
    assert (guess.dsp, guess.bram) == (truth.dsp, truth.bram)
    assert guess.lut == pytest.approx(truth.lut, rel=TOLERANCE)
    assert guess.ff == pytest.approx(truth.ff, rel=TOLERANCE)


@nightly
@pytest.mark.parametrize("target", ["ecp5", "xcup"])
def test_taps_against_synthesis(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it adds to a unit: a FIFO, the credit for it, and the registers that tell when a pixel comes."""
    case = GraphCase(draw=lambda d: d.add(d.layer(IMAGE, 4), IMAGE), image=(4, 4, 12), lanes=1)
    config = dataclasses.replace(case.config(1), target=TARGETS[target])
    guess, truth = [], []
    for has_tap in (True, False):
        if not has_tap:
            monkeypatch.setattr("hw.network.plan.find_taps", lambda config: {})
        plan = NetworkPlan(config)
        core = generate_network(plan)
        guess.append(estimate_network(plan).steps["layer0"])
        truth.append(area_of_parts(map_to_cells(core), parts_of(core))["layer0"])
    assert guess[0].lut - guess[1].lut == pytest.approx(truth[0].lut - truth[1].lut, abs=3)
    assert guess[0].ff - guess[1].ff == truth[0].ff - truth[1].ff > 30


@pytest.mark.parametrize("target", ["ecp5", "xc7", "xcup"])
@pytest.mark.parametrize("seed", range(4))
def test_multipliers_are_those_of_the_nodes(target: str, seed: int) -> None:
    """Two ways of counting agree: by what cells are made of, and by what nodes say of their products."""
    plan = plan_of(random_network(np.random.default_rng(seed), steps=4), target, 2)
    found = [placed.node for placed in plan.schedule.graph.nodes]
    counted = estimate_network(plan)
    assert counted.dsp == sum(node.dsps for node in found if isinstance(node, UnitNode)) > 0
    assert counted.edges.dsp == 0
    for node in found:
        own = node.dsps if isinstance(node, UnitNode) else 0
        assert node_area(node, TARGETS[target]).dsp == own


def test_what_synthesis_chooses_is_not_told() -> None:
    free = estimate_network(plan_of(load_network("digits"), "generic", 1))
    assert (free.dsp, free.bram) == (None, None)
    assert free.lut > 0 and free.ff > 0


def test_what_a_unit_waits_for_is_counted() -> None:
    """A unit that waits for the next frame's groups counts cycles since the frame's own beats, and these beats."""
    plan = plan_of(load_network("digits"), "ecp5", 1)
    config = next(node for node in plan.units if node.geometry.lead == 1).config
    never, waiting = (estimate(config, Flush(always=False, due=due)) for due in ((), (1000,)))
    c, beats = config.layer.config, config.layer.config.in_channels // config.folding.simd
    written = (c.height * c.width * beats - 1).bit_length()
    assert never.ff + 10 + written < waiting.ff < never.ff + 10 + written + 6
    assert waiting.lut > never.lut + 10


def test_certainly_too_large_is_refused() -> None:
    plan = plan_of(load_network("digits"), "ecp5", 4)
    with pytest.raises(UserError, match="ecp5-85f: 336 DSP of 156, of which step 'xvolution' takes 288"):
        check_network_fit(plan, "ecp5-85f")
    check_network_fit(plan_of(load_network("digits"), "ecp5", 1), "ecp5-85f")


def test_table_of_steps(capsys: pytest.CaptureFixture[str]) -> None:
    """Steps and edges add up to the total."""
    assert build.main(["digits", "--lanes", "1", "--target", "xcup", "--estimate"]) == 0
    shown = capsys.readouterr().out.replace(",", "").splitlines()
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in shown]
    steps = {row[0]: row[6:] for row in rows if len(row) == 10}
    totals = {row[0]: row[1] for row in rows if len(row) == 2}
    assert list(steps) == ["stem", "xvolution", "pool", "head", "answer", "(edges)"]
    for column, name in enumerate(("LUT", "FF", "DSP", "BRAM")):
        total = re.search(r"[\d.]+", totals[name])
        assert total is not None
        assert sum(float(row[column]) for row in steps.values()) == float(total[0])
