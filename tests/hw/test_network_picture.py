"""The picture of a network in hardware, and the command that writes it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from golden.contract.network.network_file import write_network
from golden.layers import load_network
from golden.layers.random_network import random_network
from hw import build
from hw.network.config import NetworkConfig
from hw.network.folding import up_to_lanes
from hw.network.plan import NetworkPlan
from hw.network_picture import LOOKS, picture
from hw.targets.families import GENERIC
from tests.support.places import ROOT
from tests.support.refusals import Refuse, refusal


@pytest.fixture
def refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refuse:
    return refusal(build.main, lambda: sorted(tmp_path.rglob("*")), monkeypatch, capsys)


def said(svg: str) -> list[str]:
    """The lines of text of a picture."""
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def test_picture_of_the_readme_is_the_default_network() -> None:
    network = load_network("digits")
    plan = NetworkPlan(NetworkConfig(network=network, foldings=up_to_lanes(network, 4)))
    assert said(picture(plan)) == said((ROOT / "docs" / "network.svg").read_text())


def test_every_node_and_every_edge_is_there() -> None:
    network = random_network(np.random.default_rng(7), steps=10)
    plan = NetworkPlan(NetworkConfig(network=network, foldings=up_to_lanes(network, 2), target=GENERIC))
    lines = said(picture(plan))
    nodes = plan.schedule.graph.nodes
    for placed in nodes:
        kind, _ = LOOKS[type(placed.node)]
        assert placed.step in lines and kind.format(part=placed.part) in lines
    edges = plan.schedule.edges
    assert len([line for line in lines if re.fullmatch(r"\d+( to \d+)? x [us]\d+", line)]) == len(edges)
    depths = sorted(f"FIFO {edge.depth:,}" for edge in edges if edge.depth)
    assert depths and sorted(line for line in lines if line.startswith("FIFO")) == depths
    assert any(edge.given.lanes != edge.taken.lanes for edge in edges) == any(" to " in line for line in lines)


def test_picture_is_written_beside_the_estimate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "hardware.svg"
    assert build.main(["--estimate", "--picture", str(path)]) == 0
    assert f"wrote {path}" in capsys.readouterr().out
    assert {"xvolution", "unit", "m_axis"} <= set(said(path.read_text()))
    assert list(tmp_path.iterdir()) == [path]


def test_refusals(refuse: Refuse, tmp_path: Path) -> None:
    picture_path = str(tmp_path / "p.svg")
    assert "is for a network" in refuse("tiny", "--picture", picture_path)
    same = refuse("--estimate", "--picture", picture_path, "--write-folding", picture_path)
    assert "each needs its own" in same


@pytest.mark.parametrize("option", ["--picture", "--write-folding"])
def test_what_is_written_is_never_the_verilog(option: str, refuse: Refuse, tmp_path: Path) -> None:
    network = random_network(np.random.default_rng(3), steps=1)
    write_network(tmp_path / "n.npz", network)
    line = refuse(str(tmp_path / "n.npz"), "--out", str(tmp_path), option, str(tmp_path / "xvolution.v"))
    assert "each needs its own" in line
