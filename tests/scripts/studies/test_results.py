"""The results that are checked in: files that their store gives again, and a page whose figures are theirs."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import report
from scripts.studies.catalogue import STUDIES
from scripts.studies.metrics import words
from tests.support.places import ROOT
from tests.support.tiers import nightly, thorough

FOLDER = ROOT / "docs" / "studies"
STORE = FOLDER / "store.sqlite"
PAGE = FOLDER / "README.md"
NAMES = sorted(path.name for path in FOLDER.iterdir() if path.is_dir())
#: An accuracy or a difference of two, perhaps with its interval, as a cell of a table.
FIGURE = re.compile(r"[+-]?\d+\.\d\d( ± \d+\.\d\d| \+\d+\.\d\d -\d+\.\d\d)?")


def lines(name: str, file: str) -> list[dict[str, str]]:
    with (FOLDER / name / file).open(newline="") as stream:
        return list(csv.DictReader(stream))


def figures(name: str) -> Iterator[str]:
    """All means and differences of a study, with their intervals, worked out from its file anew."""
    for row in lines(name, "summary.csv"):
        for what, sign in (("mean", ""), ("difference", "+")):
            if row[what]:
                mean = float(row[what])
                low, high = (float(row[f"{what}_{end}"] or mean) for end in ("low", "high"))
                sides = (
                    f" ± {high - mean:.2f}"
                    if abs(high + low - 2 * mean) < 1e-6
                    else f" +{high - mean:.2f} -{mean - low:.2f}"
                )
                yield f"{mean:{sign}.2f}" + sides * (high > low)


def test_every_study_is_on_the_page() -> None:
    assert set(NAMES) == set(STUDIES)
    text = PAGE.read_text()
    for name in NAMES:
        assert f"python -m scripts.study {name}" in text, name
        for picture in (FOLDER / name).glob("*.svg"):
            assert f"({name}/{picture.name})" in text, picture


# Where the store has no costs of a study's networks, they are estimated, which takes minutes.
@pytest.mark.parametrize("name", [pytest.param(n, marks=nightly if n == "pareto" else thorough) for n in NAMES])
def test_files_are_what_the_store_gives(name: str, tmp_path: Path) -> None:
    seeds = "seed=" + ",".join(dict.fromkeys(row["seed"] for row in lines(name, "runs.csv")))
    assert report.main([name, "--set", seeds, "--store", str(STORE), "--any-code", "--out", str(tmp_path)]) == 0
    made = {path.name: path.read_text() for path in tmp_path.glob("*.csv")}
    assert made == {path.name: path.read_text() for path in (FOLDER / name).glob("*.csv")}
    assert {path.name for path in (FOLDER / name).glob("*.svg")} <= {path.name for path in tmp_path.glob("*.svg")}


@pytest.mark.parametrize("name", NAMES)
def test_all_metrics_have_words(name: str) -> None:
    for metric in {row["metric"] for row in lines(name, "summary.csv")}:
        assert not re.search(r"[._]", words(metric, STUDIES[name])), metric


@pytest.mark.parametrize("name", NAMES)
def test_no_run_is_missing_or_failed(name: str) -> None:
    assert {row["status"] for row in lines(name, "runs.csv")} == {"done"}


def test_figures_on_the_page_are_those_of_the_files() -> None:
    shown = []
    for section in PAGE.read_text().split("\n## "):
        known = {text for name in NAMES if f"python -m scripts.study {name}" in section for text in figures(name)}
        cells = [cell.strip() for line in section.splitlines() if line.startswith("|") for cell in line.split("|")]
        found = [cell for cell in cells if FIGURE.fullmatch(cell)]
        assert [cell for cell in found if cell not in known] == []
        shown += found
    assert sum("±" in cell for cell in shown) > 10
