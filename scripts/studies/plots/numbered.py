"""Metrics that end in a number, such as bits, against that number."""

from __future__ import annotations

import itertools

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from golden.support.page import svg_element
from scripts.studies.metrics import ACCURACY, kind_and_number, kind_words
from scripts.studies.plots.picture import SMALL, WIDTH, bare, grid, legend, looks, notes, panel_title, without_result
from scripts.studies.report import Report

CAPTION = "Means and their 95 % intervals over seeds. Rows stand side by side, so that none covers another."
#: The most panels beside each other.
PANELS = 4
#: Inches of a panel: the widest that it becomes, and its height alone or beside one other, and beside more.
WIDEST, HIGH, LOW = 6.4, 3.6, 2.6
#: The most columns of the legend.
LEGEND = 6
#: How far rows stand apart, as a part of the range of numbers; and how far all of them do at most, as a part of the
#: distance of two numbers.
APART, ALL_APART = 0.03, 0.6


def numbered_kinds(report: Report) -> dict[str, dict[int, str]]:
    """The kinds of metrics that end in different numbers: their metrics, by number."""
    kinds: dict[str, dict[int, str]] = {}
    for metric in report.metrics:
        kind, number = kind_and_number(metric)
        if number is not None:
            kinds.setdefault(kind, {})[number] = metric
    return {kind: dict(sorted(of.items())) for kind, of in kinds.items() if len(of) > 1}


def numbered_picture(report: Report) -> str | None:
    """A panel for each kind of metric that ends in a number. It has each row against that number.

    None without such a metric.
    """
    kinds = numbered_kinds(report)
    if not kinds:
        return None
    lines, columns = grid(len(kinds), PANELS)
    size = (min(WIDTH, WIDEST * columns), lines * (HIGH if columns < 3 else LOW) + 0.4)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes in panels[len(kinds) :]:
        axes.set_axis_off()
    # Metrics with the same first name share a scale. ``ptq`` and ``qat`` do not: at two bits, ``ptq`` loses half of
    # what ``qat`` keeps.
    scales: dict[str, Axes] = {}
    for axes, (kind, metrics) in zip(panels, kinds.items(), strict=False):
        if (first := scales.setdefault(kind.split(".")[0], axes)) is not axes:
            axes.sharey(first)
        _draw(axes, report, metrics)
        axes.set_xticks(list(metrics))
        axes.set_xlabel(report.study.numbered, fontsize=SMALL)
        panel_title(axes, kind_words(kind), columns)
        if ACCURACY.fullmatch(kind):
            axes.set_ylabel(report.unit, fontsize=SMALL)
        axes.grid(color="#eee")
        bare(axes)
    handles = [
        Line2D([], [], color=look.colour, marker=look.marker, markersize=4, label=name)
        for name, look in looks(row.name for row in report.rows).items()
    ]
    legend(figure, handles, LEGEND)
    notes(figure, without_result(report))
    return svg_element(figure)


def _draw(axes: Axes, report: Report, metrics: dict[int, str]) -> None:
    count = len(report.rows)
    nearest = min(b - a for a, b in itertools.pairwise(metrics))
    step = min(APART * (max(metrics) - min(metrics)), ALL_APART * nearest / count)
    for place, (name, look) in enumerate(looks(row.name for row in report.rows).items()):
        cells = {number: report.cells[metric].get(name) for number, metric in metrics.items()}
        means = {number: cell.mean for number, cell in cells.items() if cell is not None}
        axes.errorbar(
            [number + (place - (count - 1) / 2) * step for number in means],
            [mean.mean for mean in means.values()],
            yerr=[[m.mean - m.low for m in means.values()], [m.high - m.mean for m in means.values()]],
            color=look.colour,
            marker=look.marker,
            markersize=look.size,
            linewidth=1,
            capsize=2,
        )
