"""Reports: statistics against what was worked out by hand, tables, plots, and a page that needs nothing else."""

from __future__ import annotations

import csv
import dataclasses
import html.parser
import io
import itertools
import math
import warnings
import xml.etree.ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from golden.layers.random_layer import random_layer
from golden.support.cli import UserError
from scripts import report as command
from scripts.studies.catalogue import STUDIES
from scripts.studies.costs import cost_runs, estimates, non_dominated, syntheses
from scripts.studies.functions import FUNCTIONS
from scripts.studies.grid import Run, Study
from scripts.studies.metrics import value_range, words
from scripts.studies.page import Table, mean_text, p_text, page
from scripts.studies.plan import content_of, job_of
from scripts.studies.plots import plots
from scripts.studies.report import Report, csv_files, make_report
from scripts.studies.result import FAILED, Result
from scripts.studies.rows import metrics_of, rows_of
from scripts.studies.statistics import Mean, difference, holm, mean_of
from scripts.studies.store import Store
from tests.support.study_stand_ins import STAND_IN, STUDY, result_of

#: Student's t at 0.975 for 2 degrees of freedom, as any table has it.
T_2 = 4.302653


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FUNCTIONS, "stand_in", STAND_IN)
    monkeypatch.setitem(STUDIES, STUDY.name, STUDY)
    monkeypatch.setitem(STUDIES, NETWORKS.name, NETWORKS)


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


def test_interval_is_cut_where_values_end() -> None:
    """99, 100, 100: the interval would pass 100 percent. 0.2 and 0.1: half of it is 0.05 times 12.7."""
    mean = mean_of([99.0, 100.0, 100.0], (0.0, 100.0))
    assert mean.high == 100.0 and mean.low == pytest.approx(mean.mean - T_2 / 3) and mean.cut
    assert mean_text(mean) == "99.67 +0.33 -1.43"
    low = mean_of([0.2, 0.1], (0.0, 100.0))
    assert low.low == 0.0 and low.high == pytest.approx(0.15 + 0.05 * 12.7062, rel=1e-4) and low.cut
    inside = mean_of([99.0, 99.1], (0.0, 100.0))
    assert not inside.cut and mean_text(inside) == "99.05 ± 0.64"
    found = difference({0: 100.0, 1: 0.0}, {0: 0.0, 1: 50.0}, (0.0, 100.0))
    assert found is not None and (found.mean.low, found.mean.high) == (-100.0, 100.0)


def test_values_that_differ_by_rounding_have_no_interval() -> None:
    assert mean_of([99.4, 99.4 + 1e-14, 99.4]).half == 0 and mean_of([1e-12, 2e-12]).half != 0
    found = difference({0: 0.3, 1: 0.1 + 0.2}, {0: 0.1 + 0.2, 1: 0.1 + 0.2})
    assert found is not None and found.mean.mean < 0 and mean_text(found.mean, "+") == "+0.00"


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


#: Trainings of plain and of widened networks on digits.
NETWORKS = Study(
    name="networks",
    title="What do networks take?",
    description="Stand-ins for trained networks.",
    fixed={"task": "digits", "bits": [8, 4], "qat_bits": [4]},
    axes={"variant": ("conv", "wide"), "seed": (0, 1, 2)},
    target="xcup",
    synthesised={"qat.4": 2048},
)
#: Parameters of these networks, as training counts them.
PARAMETERS = {"conv": 77_754, "wide": 127_116}
#: What they take in 8 bits.
SPEEDS = [
    {"cycles": 8192, "dsp": 20, "lut": 4000, "ff": 6000, "bram": 9.5},
    {"cycles": 2048, "dsp": 60, "lut": 9000, "ff": 9000, "bram": 12},
]


def trained(point: Run) -> Result:
    """What a run of `NETWORKS` might have found. Widened networks are better, but for those in 4 bits."""
    wide = point.point["variant"] == "wide"
    first = random_layer(np.random.default_rng(0), in_channels=1, out_channels=2, height=8, width=8)
    figures = {
        "metric": "accuracy in percent",
        "parameters": PARAMETERS[point.point["variant"]],
        "float": 90.0 + wide,
        "ptq": {"8": {"metric": 88.0 + wide}, "4": {"metric": 84.5}},
        "qat": {"4": {"metric": 85.0 + wide}},
        "layers": {metric: [first.config.to_json()] for metric in ("ptq.8", "ptq.4", "qat.4")},
    }
    return result_of(point, figures=figures)


def figures_of(run: Run) -> dict[str, Any]:
    """What a run that tells costs might have found: 4 bits take fewer LUTs, widened networks more of everything."""
    times = 2 if run.settings["variant"] == "wide" else 1
    grown = [{k: v if k == "cycles" else v * times for k, v in speed.items()} for speed in SPEEDS]
    if run.settings["bits"] == 4:
        grown = [{**speed, "lut": speed["lut"] // 2} for speed in grown]
    return {**grown[1], "lut": 4321} if run.function_name == "synthesis" else {"speeds": grown}


def hardware_report(target: str = "xcup") -> Report:
    """Of the trained `NETWORKS`. Where multipliers are not known for a target, none are."""
    study = dataclasses.replace(NETWORKS, target=target)
    runs = [(run, trained(run)) for run in study.runs()]
    costs = {content_of(run): figures_of(run) for run in cost_runs(study, rows_of(study, runs))}
    if target == "generic":
        for speed in itertools.chain.from_iterable(found.get("speeds", [found]) for found in costs.values()):
            speed |= {"dsp": None, "bram": None}
    return make_report(study, "", runs, costs)


def test_runs_that_tell_costs() -> None:
    """They are of networks, not of trainings: another way to train to as many bits is no other network."""
    rows = rows_of(NETWORKS, [(run, trained(run)) for run in NETWORKS.runs()])
    conv, wide = (estimates(NETWORKS, row) for row in rows)
    assert conv["ptq.4"].settings == conv["qat.4"].settings != conv["ptq.8"].settings
    assert conv["ptq.8"].settings.items() >= {"image": [1, 8, 8], "outputs": 10, "bits": 8, "target": "xcup"}.items()
    assert "seed" not in conv["ptq.8"].settings and wide["ptq.8"].settings["outputs"] == 10
    (synthesis,) = syntheses(NETWORKS, rows[1]).values()
    assert synthesis.settings == {**wide["qat.4"].settings, "cycles": 2048}
    assert synthesis.label(synthesis.point) == "variant wide, bits 4, cycles 2048"
    assert not cost_runs(dataclasses.replace(NETWORKS, target=None), rows)


def test_non_dominated_by_hand() -> None:
    places = [(1, 90), (2, 92), (2, 91), (3, 92), (1, 90), (0, 10)]
    points = [{"cost": cost, "accuracy": accuracy} for cost, accuracy in places]
    assert non_dominated(points, less=["cost"], more=["accuracy"]) == [True, True, False, False, True, True]
    assert non_dominated([], less=["cost"], more=["accuracy"]) == []


def test_points_of_the_hardware() -> None:
    found = hardware_report()
    places = [(point.row, point.metric, point.cost.cycles) for point in found.points]
    metrics = ("ptq.8", "ptq.4", "qat.4")
    assert places == [(row, metric, c) for row in ("conv", "wide") for metric in metrics for c in (8192, 2048)]
    assert found.points[0].mean == found.cells["ptq.8"]["conv"].mean
    # In 4 bits those that were trained so beat the others, and plain ones in 8 bits beat widened ones in 4 bits.
    best = [(row, metric) in (("conv", "ptq.8"), ("conv", "qat.4"), ("wide", "ptq.8")) for row, metric, _ in places]
    assert [point.best for point in found.points] == best
    made = {(point.row, point.metric, point.cost.cycles): point.synthesised for point in found.points}
    assert [place for place, cost in made.items() if cost] == [(row, "qat.4", 2048) for row in ("conv", "wide")]
    rows = list(csv.DictReader(io.StringIO(csv_files(found)["hardware.csv"])))
    assert [row["synthesised_lut"] for row in rows] == ["", "", "", "", "", "4321"] * 2
    assert (rows[5]["cycles"], rows[5]["lut"], rows[5]["synthesised_dsp"]) == ("2048", "4500", "60")
    assert {row["target"] for row in rows} == {"xcup"}
    assert "4,500 / 4,321" in page_of(found)


def test_networks_whose_costs_nobody_knows_are_no_points() -> None:
    assert make_report(NETWORKS, "", [(run, trained(run)) for run in NETWORKS.runs()]).points == []


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
    text = page_of(report_of())
    seen = Outside()
    seen.feed(text)
    assert seen.fetched == [] and seen.counts["svg"] == 2
    for part in (
        "<title>xvolution: Is a stand-in better?</title>",
        "<h1>Is a stand-in better?</h1>",
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


class Tables(html.parser.HTMLParser):
    """The texts of each line of a page's tables; and which of them are folded away."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[list[str]] = []
        self.folded: list[list[str]] = []
        self._lines = self.lines
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "details":
            self._lines = self.folded
        if tag == "tr":
            self._lines.append([])
        if tag in ("td", "th"):
            self._lines[-1].append("")
            self._inside = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "details":
            self._lines = self.lines
        if tag in ("td", "th"):
            self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self._lines[-1][-1] += data.strip()


def tables_of(report: Report) -> Tables:
    seen = Tables()
    seen.feed(page_of(report))
    return seen


def test_tables_are_turned_or_parted_until_they_fit() -> None:
    many = {"kind": {f"row {n}": {"variant": "conv"} for n in range(5)}, "seed": (0,)}
    study = dataclasses.replace(STUDY, axes=many, baseline={})
    runs = [
        (run, result_of(run, content=f"{n}", figures={f"metric {i}": i + 0.5 for i in range(15)}))
        for n, run in enumerate(study.runs())
    ]
    lines = tables_of(make_report(study, "", runs)).lines
    assert ["", "row 0", "row 1", "row 2", "row 3", "row 4"] in lines
    assert ["metric 14", *["14.50"] * 5] in lines and ["runs", *["1"] * 5] in lines
    parts = Table(columns=["a", "b", "c"], lines=[("x", ["1", "2", "3"])]).parts(2)
    assert [(part.columns, part.lines) for part in parts] == [
        (["a", "b"], [("x", ["1", "2"])]),
        (["c"], [("x", ["3"])]),
    ]


def test_settings_at_their_defaults_are_folded_away() -> None:
    seen = tables_of(report_of(STUDY.replaced(["bits=[4]"])))
    changed = {line[0]: line[1] for line in seen.lines if len(line) == 2}
    assert changed["bits"] == "[4]" and changed["variant"] == "varies: conv; inner" and "wait" not in changed
    assert dict(seen.folded) == {"what": "return", "folder": "", "wait": "0.0"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_defaults_of_functions(name: str) -> None:
    function = FUNCTIONS[name]
    assert function.defaults and not function.defaults.keys() & function.needed.keys()
    assert function.checked({**function.defaults, **function.needed}) == {**function.defaults, **function.needed}


@pytest.mark.parametrize(
    ("metric", "text"),
    [
        ("float", "in floats"),
        ("ptq.8", "quantised after training, 8 bits"),
        ("qat.3", "trained in few bits, 3 bits"),
        ("share.stage3_block1_first", "share of attention in percent, stage 3, block 1, first convolution"),
        ("error.digits trained.both, weighting 3, stack 1.2", None),
        ("sees.self-attention", "pixels seen by self-attention"),
        ("a.thing_of.others.2", "a, thing of, others, 2 bits"),
    ],
)
def test_metrics_in_words(metric: str, text: str | None) -> None:
    if text is None:
        text = "error on digits, convolution and pixel shifts, weighting 3, stack 1, shift 2"
        assert words(metric, STUDIES["approximation"]) == text
    else:
        assert words(metric, STUDIES["fashion"]) == text


def test_ranges_of_metrics() -> None:
    percent = "accuracy in percent"
    assert value_range("float", percent) == value_range("qat.4", percent) == value_range("share.x", "") == (0, 100)
    for metric, unit in (("float", "loss"), ("qat.4.checked_images", percent), ("grows.x", percent)):
        assert value_range(metric, unit) == (-math.inf, math.inf)


# --- plots ---


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are drawn, each laid out as it will be in its file."""
    figures: list[Figure] = []

    def keep(figure: Figure) -> str:
        figure.draw_without_rendering()
        figures.append(figure)
        return "<svg/>"

    for name in ("means", "numbered", "hardware", "attention"):
        monkeypatch.setattr(f"scripts.studies.plots.{name}.svg_element", keep)
    return figures


def panels_of(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.axison]


def full_report() -> Report:
    """Of twelve rows with long names, whose accuracies touch 100."""
    axes = {"kind": {f"a row with a long name, {n}": {"variant": "conv"} for n in range(12)}, "seed": (0, 1, 2)}
    study = dataclasses.replace(STUDY, axes=axes, baseline={})
    runs = []
    for n, point in enumerate(study.runs()):
        seed = point.point["seed"]
        accuracy = 99.0 + 0.5 * seed
        parts = {"8": accuracy, "4": accuracy - 1, "2": 8.0 * (n // 3) + seed}
        kinds = {"ptq": parts, "error": {"digits trained": {"a way with a long name": parts}}}
        figures = {"metric": "accuracy in percent", "float": accuracy, "parameters": 5, **kinds}
        runs.append((point, result_of(point, content=str(n), figures=figures)))
    return make_report(study, "", runs)


def test_intervals_in_plots_and_files_end_at_100(drawn: list[Figure]) -> None:
    found = full_report()
    plots(found)
    ends = [
        segment[:, axis]
        for figure, axis in zip(drawn, (0, 1), strict=True)
        for axes in panels_of(figure)[: 1 + axis]
        for bars in axes.collections
        for segment in bars.get_segments()  # type: ignore[attr-defined]
        if axes.get_title() in ("in floats", "quantised after training")
    ]
    assert len(ends) == 12 + 3 * 12 and max(map(max, ends)) == 100.0 and min(map(min, ends)) >= 0
    rows = list(csv.DictReader(io.StringIO(csv_files(found)["summary.csv"])))
    highs = [float(row["mean_high"]) for row in rows if row["metric"] in ("float", "ptq.8")]
    assert len(highs) == 24 and max(highs) == 100


def test_rows_stand_beside_each_other(drawn: list[Figure]) -> None:
    """All have the same means, and no marker is where another one is, nor nearer to another number."""
    runs = [(run, result_of(run, figures={"ptq": {"8": 90.0, "4": 80.0}})) for run in STUDY.runs()]
    plots(make_report(STUDY, "", runs))
    conv, inner = (line for line in drawn[0].axes[0].lines if line.get_marker() in ("o", "s"))
    (a, b), (c, d) = conv.get_xdata(), inner.get_xdata()
    assert 3.5 < a < 4 < c < 4.5 and 7.5 < b < 8 < d < 8.5
    assert conv.get_marker() != inner.get_marker()


def test_nothing_is_written_over_panels(drawn: list[Figure]) -> None:
    plots(full_report())
    plots(hardware_report())
    assert len(drawn) == 4
    for figure in drawn:
        boxes = {axes: axes.get_window_extent() for axes in panels_of(figure)}
        for other in [*(axes.title for axes in boxes), *figure.legends, *figure.texts]:
            box = other.get_window_extent()
            assert not any(box.overlaps(panel) for panel in boxes.values()), (other, box)
            assert box.x0 >= 0 and box.x1 <= figure.bbox.x1
        assert all(axes.get_legend() is None for axes in boxes)


def test_hardware_shows_each_row(drawn: list[Figure]) -> None:
    """Each row has its panels, and its most accurate network is in them, even where it is far below all others."""
    found = hardware_report()
    far = Mean(count=1, mean=40.0, half=None)
    points = [
        dataclasses.replace(point, mean=far, best=False) if point.row == "wide" else point for point in found.points
    ]
    plots(dataclasses.replace(found, points=points))
    panels = panels_of(drawn[-1])
    assert [axes.get_title(loc="left") for axes in panels] == ["conv", "", "", "", "wide", "", "", ""]
    assert [axes.get_xlabel() for axes in panels[4:]] == ["DSP", "LUT", "BRAM", "cycles a frame"]
    low, high = panels[4].get_ylim()
    for axes in panels:
        assert any(low < y < high for line in axes.lines if line.get_marker() != "None" for y in line.get_ydata())


def notes_of(figure: Figure) -> str:
    """What is written below the panels of a figure."""
    return " ".join(figure.get_supxlabel().split())


def test_plots_say_what_they_leave_out(drawn: list[Figure]) -> None:
    plots(report_of())
    assert list(map(notes_of, drawn)) == ["Not drawn, as no seed changes it: parameters.", ""]
    some = STUDY.runs()
    runs = [(run, result_of(run) if n else None) for n, run in enumerate(some)]
    plots(make_report(STUDY, "", runs))
    assert [notes_of(figure)[-45:] for figure in drawn[2:]] == ["Of 6 runs 1 have no result yet, and 0 failed."] * 2
    plots(hardware_report(target="generic"))
    assert notes_of(drawn[-1]) == "Not drawn: DSP and BRAM, which synthesis for generic is free to choose."


def test_plots_only_of_what_there_is() -> None:
    found = {picture.name: picture for picture in plots(report_of())}
    assert list(found) == ["means", "numbered"]
    assert found["numbered"].title == "Against bits of weights and activations"
    assert plots(report_of(dataclasses.replace(STUDY, metrics=("parameters",)))) == []
    assert [p.name for p in plots(report_of(dataclasses.replace(STUDY, metrics=("float",))))] == ["means"]
    hardware = plots(hardware_report())[-1]
    assert hardware.name == "hardware" and "Not drawn" not in hardware.svg


def test_one_number_is_no_axis() -> None:
    runs = [(run, result_of(run, figures={"ptq": {"8": 90.0 + run.point["seed"]}})) for run in STUDY.runs()]
    (picture,) = plots(make_report(STUDY, "", runs))
    assert picture.name == "means" and "quantised after training, 8 bits" in picture.svg


def test_panels_of_like_figures_share_their_scale(drawn: list[Figure]) -> None:
    figures = {"error": {kind: {"1": n, "2": n + 1} for n, kind in enumerate("abcd")}, "ptq": {"8": 90.0, "4": 80.0}}
    runs = [(run, result_of(run, figures=figures)) for run in STUDY.runs()]
    plots(make_report(dataclasses.replace(STUDY, metrics=("error.*", "ptq.?")), "", runs))
    panels = drawn[0].axes
    titles = ["error, a", "error, b", "error, c", "error, d", "quantised after training"]
    assert [axes.get_title() for axes in panels[:5]] == titles
    assert [axes.axison for axes in panels] == [True] * 5 + [False]
    assert panels[0].get_ylim() == panels[3].get_ylim() and panels[0].get_ylim()[1] > 4
    assert panels[4].get_ylim()[0] > 70


def test_points_far_below_the_best_are_counted(drawn: list[Figure]) -> None:
    found = hardware_report()
    mean = Mean(count=1, mean=10.0, half=None)
    bad = [dataclasses.replace(point, mean=mean, best=False) for point in found.points[:3]]
    plots(dataclasses.replace(found, points=[*found.points, *bad]))
    assert notes_of(drawn[-1]) == (
        f"Not drawn: 3 of {len(found.points) + 3} points from 10.0 to 10.0, beside which the others could not be told "
        "apart. They are 2 of quantised after training, 8 bits; 1 of quantised after training, 4 bits."
    )


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
    names = ["runs", "in floats", "parameters", "quantised after training, 4 bits", "quantised after training, 8 bits"]
    assert [line[0] for line in cells] == names
    assert cells[:2] == [["runs", "3", "1"], ["in floats", "88.17 ± 3.13", mean_text(mean_of([88.0]))]]
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


def test_costs_come_from_the_store_or_are_estimated_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, one = str(tmp_path / "store.sqlite"), ["seed=0", "variant=conv", "bits=[8]", "qat_bits=[4]"]
    study = NETWORKS.replaced(one)
    (run,) = study.runs()
    with Store(place) as store:
        store.prepare()
        store.put(trained(run))
        for told in cost_runs(study, rows_of(study, [(run, trained(run))])):
            job = job_of(told)
            figures = figures_of(told)
            store.put(dataclasses.replace(trained(run), content=job.content, code=job.code, figures=figures))
    asked: list[Any] = []

    def estimate(settings: Any, *, advance: Any) -> Any:
        asked.append((settings["target"], settings["bits"]))
        return {"speeds": SPEEDS}

    monkeypatch.setattr("scripts.studies.hardware.estimate", estimate)
    for target in ("xcup", "ecp5"):
        out = tmp_path / target
        sets = [word for text in one for word in ("--set", text)]
        assert command.main([study.name, *sets, "--store", place, "--target", target, "--out", str(out)]) == 0
        rows = list(csv.DictReader(io.StringIO((out / "hardware.csv").read_text())))
        assert {row["target"] for row in rows} == {target}
        assert [row["synthesised_lut"] for row in rows if row["synthesised_lut"]] == ["4321"] * (target == "xcup")
    assert asked == [("ecp5", 4), ("ecp5", 8)]


def test_nothing_to_report(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no result of quick, run: python -m scripts.study quick"):
        command.main([STUDY.name, "--store", str(tmp_path / "none.sqlite"), "--out", str(tmp_path / "out")])
    assert list(tmp_path.iterdir()) == []
