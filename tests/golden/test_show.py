"""``python -m golden.show``: the table, the picture, and one line for each wrong input."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from golden import show
from golden.contract.layer_file import write_layer
from golden.contract.network.network_file import write_network
from golden.layers import load_layer
from golden.layers.random_network import random_network
from tests.support.refusals import Refuse, refusal

NETWORK = random_network(np.random.default_rng(7), steps=10)


@pytest.fixture
def refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refuse:
    return refusal(show.main, lambda: sorted(tmp_path.rglob("*")), monkeypatch, capsys)


def test_table_and_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    write_network(tmp_path / "n.npz", NETWORK)
    assert show.main(["n.npz"]) == 0
    text = capsys.readouterr().out
    assert "wrote build/n.svg" in text
    for step in NETWORK.steps:
        (row,) = [line for line in text.splitlines() if re.match(rf"│ {step.name} ", line)]
        cells = [cell.strip() for cell in row.strip("│").split("│")]
        result = NETWORK.results[step.name]
        assert cells[1:3] == [step.op, ", ".join(step.inputs)]
        assert cells[3] == f"{result.channels}x{result.height}x{result.width}"
        assert cells[4] == ("s" if result.signed else "u") + str(result.bits)
    assert f"{sum(step.macs for step in NETWORK.steps):,}" in text
    svg = (tmp_path / "build" / "n.svg").read_text()
    assert all(f"{step.name}: {step.op}" in svg for step in NETWORK.steps)


def test_picture_is_the_same_every_time() -> None:
    assert show.picture(NETWORK) == show.picture(NETWORK)


def test_default_is_digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert show.main([]) == 0
    text = capsys.readouterr().out
    assert text.split()[0] == "digits" and "xvolution" in text and "wrote build/digits.svg" in text


def test_refusals(refuse: Refuse, tmp_path: Path) -> None:
    assert "network 'nosuch.npz' is neither a file nor one of digits" in refuse("nosuch.npz")
    assert "tiny is a layer, this needs a network" in refuse("tiny")
    write_layer(tmp_path / "layer.npz", load_layer("tiny"))
    assert "config field kind is missing" in refuse(str(tmp_path / "layer.npz"))
