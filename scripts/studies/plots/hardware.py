"""Accuracy against what the hardware takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullFormatter

from golden.support.page import svg_element
from scripts.studies.costs import COSTS, non_dominated
from scripts.studies.metrics import kind_and_number, words
from scripts.studies.plots.picture import MARKERS, SMALL, WIDTH, Look, bare, legend, notes, without_result
from scripts.studies.report import Point, Report

CAPTION = (
    "A line of panels for each row: each whole network by the estimator, from the smallest to the fastest. Filled: no "
    "other point is better in accuracy and all of DSP, LUT, BRAM and cycles. Grey: what is best of all rows for this "
    "cost. A cross: what Yosys makes of the network, joined to its estimate."
)
COST_TITLES = {"dsp": "DSP", "lut": "LUT", "bram": "BRAM", "cycles": "cycles a frame"}
#: Inches of a panel's height, and of what is around all panels.
HEIGHT, AROUND = 1.9, 1.2
#: The most columns of the legend.
LEGEND = 3
#: Room below and above the points that are always drawn, as parts of their range, and in percent where that is 0.
BELOW, ABOVE, MARGIN = 0.25, 0.07, 0.05
#: Sizes of markers by kind of metric. They lie inside each other where points do.
SIZES = (4, 6.5, 9)
#: The marker of what was synthesised.
CROSS: Mapping[str, Any] = {"color": "#d62728", "marker": "X", "markersize": 5}
#: Colours of numbers, from the least to the largest, as parts of the colour map: its end is too pale.
COLOUR_MAP, PALEST = "viridis", 0.88


def hardware_picture(report: Report) -> str | None:
    """A line of panels for each row, and a column for each cost. They have accuracy against that cost.

    Points far less accurate than the best ones are only counted. None without points.
    """
    points = report.points
    if not points:
        return None
    names = list(dict.fromkeys(point.row for point in points))
    costs = [cost for cost in COSTS if all(getattr(point.cost, cost) is not None for point in points)]
    metrics = _looks(list(dict.fromkeys(point.metric for point in points)))
    figure = Figure(figsize=(WIDTH, HEIGHT * len(names) + AROUND), layout="constrained")
    panels = figure.subplots(len(names), len(costs), sharex="col", sharey=True, squeeze=False)
    for line, name in zip(panels, names, strict=True):
        for axes, cost in zip(line, costs, strict=True):
            axes.plot(*_front(points, cost), color="#bbb", linewidth=1, zorder=1)
            # Small markers last, so that they lie on the large ones.
            for metric, look in sorted(metrics.items(), key=lambda item: -item[1].size):
                _draw(axes, [point for point in points if (point.row, point.metric) == (name, metric)], cost, look)
            _draw_synthesised(axes, [point for point in points if point.row == name], cost)
            axes.grid(color="#eee")
            bare(axes)
        line[0].set_title(name, fontsize=SMALL + 1, fontweight="bold", loc="left")
        line[0].set_ylabel(report.unit, fontsize=SMALL)
    for axes, cost in zip(panels[-1], costs, strict=True):
        axes.set_xlabel(COST_TITLES[cost], fontsize=SMALL)
        # A network may need none of a resource, and 0 has no place on a logarithmic axis.
        if all(getattr(point.cost, cost) > 0 for point in points):
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
            axes.xaxis.set_major_formatter("{x:,g}")
            axes.xaxis.set_minor_formatter(NullFormatter())
    low, high = _limits(points)
    panels[0, 0].set_ylim(low, high)
    handles = [
        Line2D([], [], color=look.colour, marker=look.marker, markersize=4, label=words(metric, report.study))
        for metric, look in metrics.items()
    ]
    if any(point.synthesised for point in points):
        handles.append(Line2D([], [], **CROSS, linestyle="none", label="synthesised"))
    legend(figure, handles, LEGEND)
    notes(figure, [*_left_out(report, costs, low), *without_result(report)])
    return svg_element(figure)


def _looks(metrics: Sequence[str]) -> dict[str, Look]:
    """The look of each metric: a marker for its kind, a colour for its number."""
    parts = {metric: kind_and_number(metric) for metric in metrics}
    kinds = list(dict.fromkeys(kind for kind, _ in parts.values()))
    numbers = sorted({number for _, number in parts.values() if number is not None})
    shades = {number: PALEST * n / max(len(numbers) - 1, 1) for n, number in enumerate(numbers)}
    colours = matplotlib.colormaps[COLOUR_MAP]
    return {
        metric: Look(
            colour=colours(0.0 if number is None else shades[number]),
            marker=MARKERS[kinds.index(kind) % len(MARKERS)],
            size=SIZES[kinds.index(kind) % len(SIZES)],
        )
        for metric, (kind, number) in parts.items()
    }


def _draw(axes: Axes, points: Sequence[Point], cost: str, look: Look) -> None:
    places = sorted((getattr(point.cost, cost), point.mean.mean) for point in points)
    axes.plot([x for x, _ in places], [y for _, y in places], color=look.colour, linewidth=0.6, alpha=0.5)
    for best, fill in ((False, "white"), (True, look.colour)):
        some = [point for point in points if point.best == best]
        axes.plot(
            [getattr(point.cost, cost) for point in some],
            [point.mean.mean for point in some],
            linestyle="none",
            marker=look.marker,
            markersize=look.size,
            markeredgecolor=look.colour,
            markerfacecolor=fill,
            zorder=3,
        )


def _draw_synthesised(axes: Axes, points: Sequence[Point], cost: str) -> None:
    for point in points:
        if point.synthesised is not None:
            ends = [getattr(one, cost) for one in (point.cost, point.synthesised)]
            axes.plot(ends, [point.mean.mean] * 2, linewidth=1, markevery=[1], zorder=4, **CROSS)


def _front(points: Sequence[Point], cost: str) -> tuple[list[float], list[float]]:
    """Costs and accuracies of the front: the points that no other beats in both."""
    table = [{"cost": float(getattr(point.cost, cost)), "accuracy": point.mean.mean} for point in points]
    best = non_dominated(table, less=("cost",), more=("accuracy",))
    front = sorted({(place["cost"], place["accuracy"]) for place, flag in zip(table, best, strict=True) if flag})
    return [place for place, _ in front], [accuracy for _, accuracy in front]


def _limits(points: Sequence[Point]) -> tuple[float, float]:
    """The accuracies that are drawn, from the least to the largest.

    All points that no other beats are drawn, the best point of each row, and what is not far below them.
    """
    best: dict[str, float] = {}
    for point in points:
        best[point.row] = max(point.mean.mean, best.get(point.row, point.mean.mean))
    lowest = min([point.mean.mean for point in points if point.best] + list(best.values()))
    highest = max(best.values())
    return lowest - BELOW * (highest - lowest) - MARGIN, highest + ABOVE * (highest - lowest) + MARGIN


def _left_out(report: Report, costs: Sequence[str], low: float) -> list[str]:
    found = []
    below = [point for point in report.points if point.mean.mean < low]
    if below:
        counts = Counter(words(point.metric, report.study) for point in below)
        accuracies = [point.mean.mean for point in below]
        found.append(
            f"Not drawn: {len(below)} of {len(report.points)} points from {min(accuracies):.1f} to "
            f"{max(accuracies):.1f}, beside which the others could not be told apart. They are "
            + "; ".join(f"{count} of {name}" for name, count in counts.items())
            + "."
        )
    if free := [COST_TITLES[cost] for cost in COSTS if cost not in costs]:
        found.append(f"Not drawn: {' and '.join(free)}, which synthesis for {report.study.target} is free to choose.")
    return found
