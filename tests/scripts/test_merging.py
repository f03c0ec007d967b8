"""``python -m scripts.merging``: the forms of a trained layer, and what is written of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden.model.network import network as model
from scripts import merging, merging_forms
from scripts.merging_forms import APART, LAYER, LAYERS, MERGED, SOURCE, STACKS, differences, layer_alone
from tests.support.places import ROOT
from tests.support.refusals import Refuse, refusal
from tests.support.tiers import thorough


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Nothing is trained and measured. Holds what would have been. Side by side costs twice as much."""
    asked: list[str] = []

    class NotTrained:
        def __init__(self, options: dict[str, Any]) -> None:
            self.names = (MERGED,) if options in STACKS.values() else (MERGED, APART)

        def forms(self) -> dict[str, str]:
            return {name: name for name in self.names}

    def costs(network: NotTrained, form: str, target: Any, options: Any) -> dict[str, Any]:
        asked.append(f"{form} {target.name}")
        keys = ("dsp", "lut", "ff", "bram", "learned", "passing", "latency", "frame_cycles")
        return {**dict.fromkeys(keys, 2000 if form == APART else 1000), "passed": options.seed != 1}

    def results(network: NotTrained, forms: dict[str, str], options: Any) -> dict[str, Any]:
        apart = {"share": 12.34, "largest": 1.0, "errors": {MERGED: 0.5, APART: 0.25}}
        found = {"float": 99.0, "integers": dict.fromkeys(forms, 98.5), "verilog": 98.5, "passed": True}
        return found | ({"apart": apart} if APART in forms else {})

    monkeypatch.setattr(merging, "trained", lambda options, *, seed, epochs: NotTrained(options))
    monkeypatch.setattr(merging, "_costs", costs)
    monkeypatch.setattr(merging, "_results", results)
    return asked


def test_what_is_measured(measured: list[str], tmp_path: Path) -> None:
    assert merging.main(["--layer", "dynamic, 5x5", "--only", "ecp5", "--out", str(tmp_path)]) == 0
    assert measured == [f"{MERGED} ecp5", f"{APART} ecp5"]
    assert merging.main(["--layer", "hadamard, 3x3, stack 2", "--seed", "1", "--out", str(tmp_path)]) == 1
    assert measured[2:] == [f"{MERGED} xcup", f"{MERGED} ecp5"]


def test_a_page_is_written(measured: list[str], tmp_path: Path) -> None:
    """All layers in both tables, and the picture beside the page."""
    page = tmp_path / "page.md"
    page.write_text(f"before\n{merging.BEGIN}old\n{merging.END}behind\n")
    assert merging.main(["--page", str(page), "--out", str(tmp_path)]) == 0
    text = page.read_text()
    assert text.startswith("before\n") and text.endswith("behind\n") and "old" not in text
    for name in LAYERS:
        assert f"| {name} | side by side | xcup | 2,000 | 2,000 |" in text
        assert f"| {name} | 99.00 | 98.50 / 98.50 | 98.50 | 12.3 % | 1 | 0.50 | 0.25 |\n" in text
    for name in STACKS:
        assert f"| {name} | 99.00 | 98.50 | 98.50 |  |  |  |  |\n" in text
    assert (tmp_path / merging.PICTURE).read_text().startswith("<svg")


@pytest.fixture
def refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Refuse:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page.md").write_text("no place\n")
    return refusal(merging.main, lambda: sorted(map(str, tmp_path.rglob("*"))), monkeypatch, capfd)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--only", "xcup", "--page", "page.md"], "--page page.md needs all figures of all layers"),
        (["--page", "page.md"], "page page.md has no place for the figures, between <!-- merging: "),
    ],
)
def test_refused(refuse: Refuse, measured: list[str], options: list[str], said: str) -> None:
    assert refuse(*options).startswith(f"error: {said}")
    assert not measured


def test_the_page_has_the_place_and_all_layers() -> None:
    text = (ROOT / "docs" / "merging.md").read_text()
    table = text.partition(merging.BEGIN)[2].partition(merging.END)[0]
    for name in (*LAYERS, *STACKS):
        for target in merging.SYNTHESISED:
            assert f"| {name} | {MERGED} | {target} |" in table


@thorough
def test_the_layer_alone_computes_what_it_does_in_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """In both forms, on the stem's results. Forms that are the same do not differ."""
    monkeypatch.setattr(merging_forms, "CALIBRATION", 4)
    found = merging_forms.trained(LAYERS["hadamard, 3x3"], seed=0, epochs=1)
    forms = found.forms()
    assert list(forms) == [MERGED, APART]
    images = found.images[:8].numpy()
    for quantised in forms.values():
        values = quantised.values(quantised.quantise_images(images))
        alone = layer_alone(quantised.integers)
        assert (model.run(alone, values[SOURCE]) == values[LAYER]).all()
    apart = differences(found, forms)
    assert 0 < apart.share < 20 and apart.largest >= 1
    assert all(0.1 < error < 1 for error in apart.errors.values())
    same = differences(found, {MERGED: forms[MERGED], APART: forms[MERGED]})
    assert (same.share, same.largest) == (0, 0) and np.isclose(same.errors[APART], apart.errors[MERGED])
