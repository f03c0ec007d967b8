"""Reports: statistics against what was worked out by hand, tables, plots, and a page that needs nothing else."""

from __future__ import annotations

import csv
import dataclasses
import html.parser
import io
import math
import warnings
import xml.etree.ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from golden.contract.folding import Folding
from golden.layers.random_layer import random_layer
from golden.support.cli import UserError
from hw.estimate.estimate import estimate
from hw.plan.config import UnitConfig
from hw.targets.families import find_target
from scripts import report as command
from scripts.studies.catalogue import STUDIES
from scripts.studies.functions import FUNCTIONS
from scripts.studies.grid import Run, Study
from scripts.studies.hardware import network_costs, non_dominated
from scripts.studies.page import mean_text, p_text, page
from scripts.studies.plots import numbered_picture, plots
from scripts.studies.report import Report, csv_files, make_report, metrics_of
from scripts.studies.result import FAILED
from scripts.studies.statistics import Mean, difference, holm, mean_of
from scripts.studies.store import Store
from tests.support.study_stand_ins import STAND_IN, STUDY, result_of, run

#: Student's t at 0.975 for 2 degrees of freedom, as any table has it.
T_2 = 4.302653


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FUNCTIONS, "stand_in", STAND_IN)
    monkeypatch.setitem(STUDIES, STUDY.name, STUDY)


def report_of(study: Study = STUDY) -> Report:
    return make_report(study, "python -m scripts.study quick", [(run, result_of(run)) for run in study.runs()])


def page_of(report: Report) -> str:
    return page(report, plots(report))


# --- statistics ---


def test_interval_by_hand() -> None:
    """87, 88, 89.5: deviations from 88.1667 are -7/6, -1/6 and 8/6, so the variance is (49 + 1 + 64) / 36 / 2."""
    mean = mean_of([87.0, 88.0, 89.5])
    assert mean.count == 3 and mean.mean == pytest.approx(88 + 1 / 6)
    assert mean.half == pytest.approx(T_2 * math.sqrt(114 / 72 / 3), rel=1e-6)
    assert mean_of([5.0]) == Mean(count=1, mean=5.0, half=None)
    assert mean_of([5.0, 5.0]).half == 0


def test_paired_difference_by_hand() -> None:
    """Differences 1, 0.5 and 1.5: t is 1 / (0.5 / sqrt 3); with 2 degrees of freedom p is 1 - t / sqrt(2 + t^2)."""
    found = difference({0: 88.0, 1: 88.5, 2: 91.0, 7: 1.0}, {2: 89.5, 1: 88.0, 0: 87.0, 8: 1.0})
    assert found is not None and found.mean.count == 3 and found.mean.mean == pytest.approx(1.0)
    assert found.mean.half == pytest.approx(T_2 * 0.5 / math.sqrt(3), rel=1e-6)
    t = math.sqrt(12)
    assert found.p == pytest.approx(1 - t / math.sqrt(2 + t**2))


def test_difference_without_a_p() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for ours in ({0: 2.0}, {0: 1.0, 1: 1.0}, {0: 2.1, 1: 2.1 + 1e-15}):
            found = difference(ours, dict.fromkeys(ours, 1.0))
            assert found is not None and found.p is None
    assert difference({0: 1.0}, {1: 1.0}) is None


def test_holm_by_hand() -> None:
    assert holm([0.01, None, 0.04, 0.03]) == pytest.approx([0.03, None, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0] and holm([]) == []


# --- rows and cells ---


def test_numbers_among_figures() -> None:
    figures = {"float": 1, "ptq": {"8": {"metric": 2.5, "layers": [1]}}, "equal": True, "curve": [1], "text": "x"}
    assert metrics_of({**figures, "settings": {"seed": 3}}) == {"float": 1.0, "ptq.8": 2.5}
    assert metrics_of(None) == {}


def test_rows_and_differences() -> None:
    found = report_of()
    assert [row.name for row in found.rows] == ["conv", "inner"]
    assert found.metrics == ["float", "ptq.8", "ptq.4", "parameters"]
    cells = found.cells["float"]
    assert cells["conv"].to_baseline is None
    inner = cells["inner"]
    assert inner.mean.mean == pytest.approx((88 + 88.5 + 91) / 3)
    assert inner.to_baseline is not None and inner.to_baseline.mean.mean == pytest.approx(1.0)
    assert inner.p_holm == inner.to_baseline.p
    assert found.unit == "accuracy in percent" and found.compared and not found.missing


def test_patterns_choose_metrics_and_their_order() -> None:
    study = dataclasses.replace(STUDY, metrics=("ptq.?", "float", "*8"))
    assert report_of(study).metrics == ["ptq.8", "ptq.4", "float"]


def test_several_axes_compare_within_each_other() -> None:
    found = report_of(STUDY.replaced(["bits=[8],[4]"]))
    names = ["variant conv, bits [8]", "variant conv, bits [4]", "variant inner, bits [8]", "variant inner, bits [4]"]
    assert [row.name for row in found.rows] == names
    assert [found.cells["float"][name].to_baseline is not None for name in names] == [False, False, True, True]
    assert list(found.cells["ptq.8"]) == [names[0], names[2]]


def test_rows_of_the_same_runs_are_shown_once() -> None:
    axes = {"kind": {"a": {}, "b": {"variant": "conv"}, "c": {"variant": "inner"}}, "seed": (0, 1)}
    found = report_of(dataclasses.replace(STUDY, axes=axes, baseline={"kind": "a"}))
    assert [row.name for row in found.rows] == ["a", "c"]


def test_without_its_baseline_there_are_no_differences() -> None:
    found = report_of(STUDY.replaced(["variant=inner,wide"]))
    assert not found.compared and "Differences to" not in page_of(found)


# --- hardware ---


def test_costs_of_a_network() -> None:
    """Areas of units add up, and the slowest decides."""
    rng = np.random.default_rng(3)
    layers = [random_layer(rng, in_channels=c, out_channels=4, height=side, width=side) for c, side in ((4, 6), (2, 8))]
    (cost,) = network_costs(layers, [2], target="xcup")
    units = [
        estimate(UnitConfig(layer=layer, folding=Folding(simd=2, pe=2), target=find_target("xcup"))) for layer in layers
    ]
    assert cost.lut == sum(unit.lut for unit in units) and cost.ff == sum(unit.ff for unit in units)
    assert cost.dsp == sum(unit.dsp or 0 for unit in units)
    assert cost.cycles == max(unit.frame_cycles for unit in units)
    by_config = network_costs([layer.config for layer in layers], [1, 2, 4], target="xcup")
    assert by_config[1].cycles == cost.cycles and [c.cycles for c in by_config] == sorted(
        (c.cycles for c in by_config), reverse=True
    )
    assert network_costs(layers, [1], target="generic")[0].dsp is None
    with pytest.raises(UserError, match="target 'nosuch' is not one of"):
        network_costs(layers, target="nosuch")


def test_non_dominated_by_hand() -> None:
    places = [(1, 90), (2, 92), (2, 91), (3, 92), (1, 90), (0, 10)]
    points = [{"cost": cost, "accuracy": accuracy} for cost, accuracy in places]
    assert non_dominated(points, less=["cost"], more=["accuracy"]) == [True, True, False, False, True, True]
    assert non_dominated([], less=["cost"], more=["accuracy"]) == []


def hardware_report() -> Report:
    """Each network one layer, in 8 and in 4 bits; `inner` has more channels."""

    def figures(point: Run) -> dict[str, Any]:
        size = {"conv": 2, "inner": 4}[point.point["variant"]]
        layers = {
            f"ptq.{bits}": [
                random_layer(
                    np.random.default_rng(0),
                    in_channels=size,
                    out_channels=size,
                    height=5,
                    width=5,
                    weight_bits=bits,
                ).config.to_json()
            ]
            for bits in (8, 4)
        }
        return {**run(dict(point.settings), advance=lambda share: None), "layers": layers}

    study = dataclasses.replace(STUDY, target="xcup")
    return make_report(study, "", [(run, result_of(run, figures=figures(run))) for run in study.runs()])


def test_points_of_the_hardware() -> None:
    found = hardware_report()
    # No more lanes than channels.
    assert [point.cost.lanes for point in found.points] == [1, 2, 1, 2, 1, 2, 4, 1, 2, 4]
    first = found.points[0]
    assert (first.row, first.metric, first.cost.lanes) == ("conv", "ptq.8", 1)
    assert first.mean == found.cells["ptq.8"]["conv"].mean
    for point in found.points:
        beaten = [
            other
            for other in found.points
            if other.mean.mean >= point.mean.mean
            and all(getattr(other.cost, c) <= getattr(point.cost, c) for c in ("dsp", "lut", "bram", "cycles"))
            and (other.mean.mean, other.cost) != (point.mean.mean, point.cost)
        ]
        assert point.best == (not beaten)
    assert any(point.best for point in found.points) and not all(point.best for point in found.points)
    rows = list(csv.DictReader(io.StringIO(csv_files(found)["hardware.csv"])))
    assert len(rows) == 10 and rows[0]["target"] == "xcup" and int(rows[0]["cycles"]) == first.cost.cycles


# --- files ---


class Outside(html.parser.HTMLParser):
    """What a page would have to fetch, and how many pictures and rows it has."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.counts: dict[str, int] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        if tag in ("script", "link", "img", "iframe"):
            self.fetched.append(tag)
        self.fetched += [
            f"{name}={value}" for name, value in attrs if name in ("src", "href") and value and value[0] != "#"
        ]


def test_page_needs_nothing_else_and_says_everything() -> None:
    text = page_of(hardware_report())
    seen = Outside()
    seen.feed(text)
    assert seen.fetched == [] and seen.counts["svg"] == 3
    for part in (
        "<title>xvolution: quick</title>",
        "88.17 ± 3.13",
        "+1.00 ± 1.24",
        ">0.074<",
        "Differences to variant conv",
        "axis variant",
        "conv; inner",
        "<th>seeds</th><td>0, 1, 2</td>",
        "6 runs: here, code ",
        "numpy 2",
        "accuracy in percent",
        "varies: conv; inner",
        "<th>bits</th><td><code>[8, 4]</code>",
    ):
        assert part in text, part


def test_page_is_the_same_every_time() -> None:
    assert page_of(report_of()) == page_of(report_of())


def test_page_escapes_what_comes_from_outside() -> None:
    point = STUDY.runs()[0]
    failed = result_of(point, status=FAILED, figures=None, error="Traceback\nValueError: <b>&")
    text = page_of(make_report(STUDY, "", [(point, failed)]))
    assert "ValueError: &lt;b&gt;&amp;" in text and "<b>&" not in text


def test_page_tells_where_training_was_not_exact() -> None:
    runs = STUDY.replaced(["seed=0"]).runs()
    results = [result_of(run, figures={"qat": {"4": {"metric": 80.0, "equal": run is runs[0]}}}) for run in runs]
    found = make_report(STUDY, "", list(zip(runs, results, strict=True)))
    assert found.unequal == ["variant inner, seed 0: qat.4"]
    assert "Not exact" in page_of(found) and "Not exact" not in page_of(report_of())


def test_plots_only_of_what_there_is() -> None:
    found = {picture.name: picture for picture in plots(report_of())}
    assert list(found) == ["means", "numbered"]
    assert found["numbered"].title == "Against bits of weights and activations"
    assert plots(report_of(dataclasses.replace(STUDY, metrics=("parameters",)))) == []
    assert [p.name for p in plots(report_of(dataclasses.replace(STUDY, metrics=("float",))))] == ["means"]
    hardware = plots(hardware_report())[-1]
    assert hardware.name == "hardware" and " are below" not in hardware.svg


def test_panels_of_like_figures_share_their_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    figures = {"error": {kind: {"1": n, "2": n + 1} for n, kind in enumerate("abcd")}, "ptq": {"8": 90.0, "4": 80.0}}
    runs = [(run, result_of(run, figures=figures)) for run in STUDY.runs()]
    drawn: list[Figure] = []
    monkeypatch.setattr("scripts.studies.plots.svg_element", lambda figure: drawn.append(figure) or "<svg/>")
    numbered_picture(make_report(dataclasses.replace(STUDY, metrics=("error.*", "ptq.?")), "", runs))
    panels = drawn[0].axes
    assert [axes.get_title() for axes in panels[:5]] == ["error.a", "error.b", "error.c", "error.d", "ptq"]
    assert [axes.axison for axes in panels] == [True] * 5 + [False] * 3
    assert panels[0].get_ylim() == panels[3].get_ylim() and panels[0].get_ylim()[1] > 4
    assert panels[4].get_ylim()[0] > 70


def test_points_far_below_the_best_are_counted() -> None:
    found = hardware_report()
    mean = Mean(count=1, mean=10.0, half=None)
    bad = [dataclasses.replace(point, mean=mean, best=False) for point in found.points[:3]]
    svg = plots(dataclasses.replace(found, points=[*found.points, *bad]))[-1].svg
    assert f"3 of {len(found.points) + 3} are below" in svg


def test_csv() -> None:
    files = csv_files(report_of())
    runs = list(csv.DictReader(io.StringIO(files["runs.csv"])))
    assert [(row["variant"], row["seed"], row["float"]) for row in runs][-1] == ("inner", "2", "91.0")
    summary = list(csv.DictReader(io.StringIO(files["summary.csv"])))
    row = next(row for row in summary if (row["metric"], row["row"]) == ("float", "inner"))
    assert float(row["difference_low"]) == pytest.approx(1 - T_2 * 0.5 / math.sqrt(3))
    assert float(row["p"]) == pytest.approx(1 - math.sqrt(12 / 14)) and row["pairs"] == "3"


@pytest.mark.parametrize(
    ("mean", "text"),
    [
        (Mean(count=3, mean=88.125, half=0.5), "88.12 ± 0.50"),
        (Mean(count=3, mean=127162.0, half=0.0), "127,162"),
        (Mean(count=1, mean=0.5, half=None), "0.50"),
        (None, ""),
    ],
)
def test_texts_of_means(mean: Mean | None, text: str) -> None:
    assert mean_text(mean) == text


def test_texts_of_p() -> None:
    assert [p_text(p) for p in (None, 0.04999, 0.0001, 1.0)] == ["", "0.050", "< 0.001", "1.000"]


# --- the command ---


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A store with all runs of the stand-ins but two: one missing, one failed."""
    path = tmp_path / "store.sqlite"
    runs = STUDY.runs()
    with Store(str(path)) as store:
        store.prepare()
        for run in runs[:4]:
            store.put(result_of(run))
        store.put(result_of(runs[4], status=FAILED, figures=None, error="ValueError: no"))
    return path


def test_command_writes_page_csv_and_plots(place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert command.main([STUDY.name, "--store", str(place), "--out", str(out)]) == 0
    files = ["means.svg", "numbered.svg", "quick.html", "runs.csv", "summary.csv"]
    assert sorted(path.name for path in out.iterdir()) == files
    said = capsys.readouterr().out
    assert "1 runs are missing, 1 failed: python -m scripts.study quick" in said
    cells = [[cell.strip() for cell in line.split("│")[1:-1]] for line in said.splitlines() if line.startswith("│")]
    # More metrics than rows, so metrics are the lines.
    assert [line[0] for line in cells] == ["float", "parameters", "ptq.4", "ptq.8"]
    assert cells[0][1:] == ["88.17 ± 3.13", mean_text(mean_of([88.0]))]
    text = (out / "quick.html").read_text()
    assert "1 of 6 runs have no result yet" in text and "ValueError: no" in text
    for path in out.glob("*.svg"):
        assert xml.etree.ElementTree.parse(path).getroot().tag == "{http://www.w3.org/2000/svg}svg"
        assert path.read_text().rstrip() in text
    statuses = [row["status"] for row in csv.DictReader(io.StringIO((out / "runs.csv").read_text()))]
    assert statuses == ["done"] * 4 + ["failed", "missing"]


def test_command_that_repeats_is_one_for_a_shell(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        command.repeat("quick", ["bits=[8]", "seed=0"]) == "python -m scripts.study quick --set 'bits=[8]' --set seed=0"
    )


def test_target_of_the_hardware(tmp_path: Path) -> None:
    with Store(str(tmp_path / "store.sqlite")) as store:
        store.prepare()
        for _, result in hardware_report().runs:
            assert result is not None
            store.put(result)
    for target in ("ecp5", "xc7"):
        out = tmp_path / target
        argv = [STUDY.name, "--store", str(tmp_path / "store.sqlite"), "--target", target, "--out", str(out)]
        assert command.main(argv) == 0
        rows = list(csv.DictReader(io.StringIO((out / "hardware.csv").read_text())))
        assert {row["target"] for row in rows} == {target}


def test_nothing_to_report(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no result of quick, run: python -m scripts.study quick"):
        command.main([STUDY.name, "--store", str(tmp_path / "none.sqlite"), "--out", str(tmp_path / "out")])
    assert list(tmp_path.iterdir()) == []
