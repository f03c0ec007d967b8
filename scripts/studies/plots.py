"""The pictures of a report, as SVG elements. They stand in its page, and in files of their own."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from golden.support.page import svg_element
from scripts.studies.hardware import COSTS, non_dominated
from scripts.studies.report import Point, Report

#: A metric with a number at its end: its kind, and the number.
NUMBERED = re.compile(r"(.+)\.(\d+)")
#: The most panels beside each other.
PANELS = 4
COLOURS = matplotlib.color_sequences["tab10"]
COST_TITLES = {"dsp": "DSP", "lut": "LUT", "bram": "BRAM", "cycles": "cycles a frame"}


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture of a report.

    Attributes:
        name: name of its file, without suffix.
        title: title of its section.
        svg: the SVG element.
    """

    name: str
    title: str
    svg: str


def plots(report: Report) -> list[Picture]:
    """All pictures for which the report has figures."""
    found = (
        ("means", "By row", means_picture(report)),
        ("numbered", f"Against {report.study.numbered}", numbered_picture(report)),
        ("hardware", "Against what the hardware takes", pareto_picture(report.points, report.unit)),
        ("attention", "Attention in percent of all accumulators", attention_picture(report)),
    )
    return [Picture(name=name, title=title, svg=svg) for name, title, svg in found if svg is not None]


def means_picture(report: Report) -> str | None:
    """A panel for each metric without a number that depends on the seed. It has means, intervals and each run.

    None without such a metric.
    """
    metrics = [
        metric
        for metric, cells in report.cells.items()
        if not NUMBERED.fullmatch(metric) and any(cell.mean.half != 0 for cell in cells.values())
    ]
    if not metrics:
        return None
    names = [row.name for row in report.rows]
    figure = Figure(figsize=(4.8 * len(metrics) + 2, 1 + 0.35 * len(names)), layout="constrained")
    panels = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    for axes, metric in zip(panels, metrics, strict=True):
        for place, row in enumerate(report.rows):
            if row.name not in report.cells[metric]:
                continue
            mean = report.cells[metric][row.name].mean
            runs = list(row.values[metric].values())
            axes.plot(runs, [place] * len(runs), ".", color="#9db8d2")
            axes.errorbar(mean.mean, place, xerr=mean.half or 0, fmt="o", color="#1f4e79", capsize=3)
        axes.set_title(metric)
        axes.grid(axis="x", color="#eee")
        _bare(axes)
    panels[0].set_yticks(range(len(names)), names)
    panels[0].invert_yaxis()
    return svg_element(figure)


def numbered_picture(report: Report) -> str | None:
    """A panel for each kind of metric that ends in a number, such as bits. It has each row against that number.

    None without such a metric.
    """
    kinds: dict[str, list[int]] = {}
    for metric in report.cells:
        if match := NUMBERED.fullmatch(metric):
            kinds.setdefault(match[1], []).append(int(match[2]))
    if not kinds:
        return None
    columns = min(len(kinds), PANELS)
    lines = math.ceil(len(kinds) / columns)
    figure = Figure(figsize=(5.5 * columns + 2, 4.2 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for axes in panels[len(kinds) :]:
        axes.set_axis_off()
    # Metrics with the same first name share a scale. ``ptq`` and ``qat`` do not: at two bits, ``ptq`` loses half of
    # what ``qat`` keeps.
    scales: dict[str, Axes] = {}
    for axes, (kind, bits) in zip(panels, kinds.items(), strict=False):
        if (first := scales.setdefault(kind.split(".")[0], axes)) is not axes:
            axes.sharey(first)
        for row, colour in zip(report.rows, itertools.cycle(COLOURS), strict=False):
            cells = [(b, report.cells[f"{kind}.{b}"].get(row.name)) for b in sorted(bits)]
            there = [(b, cell.mean) for b, cell in cells if cell is not None]
            if there:
                means, halves = [mean.mean for _, mean in there], [mean.half or 0 for _, mean in there]
                axes.errorbar(
                    [b for b, _ in there], means, yerr=halves, fmt="o-", color=colour, capsize=3, label=row.name
                )
        axes.set_xticks(sorted(bits))
        axes.set_xlabel(report.study.numbered)
        axes.set_title(kind)
        axes.grid(color="#eee")
        _bare(axes)
    panels[0].set_ylabel(report.unit)
    panels[0].legend(frameon=False, fontsize=8)
    return svg_element(figure)


def pareto_picture(points: Sequence[Point], unit: str) -> str | None:
    """A panel for each cost. It has accuracy against that cost, and the front of best points as a line.

    Points far less accurate than the best ones are only counted. None without points.
    """
    names = list(dict.fromkeys(point.row for point in points))
    costs = [cost for cost in COSTS if all(getattr(point.cost, cost) is not None for point in points)]
    if not points:
        return None
    figure = Figure(figsize=(4 * len(costs) + 1, 4.2), layout="constrained")
    panels = figure.subplots(1, len(costs), sharey=True, squeeze=False)[0]
    for axes, cost in zip(panels, costs, strict=True):
        for name, colour in zip(names, itertools.cycle(COLOURS), strict=False):
            own = [point for point in points if point.row == name]
            for best, fill in ((True, colour), (False, "none")):
                some = [point for point in own if point.best == best]
                axes.scatter(
                    [getattr(point.cost, cost) for point in some],
                    [point.mean.mean for point in some],
                    s=22,
                    edgecolors=[colour],
                    facecolors=fill if fill == "none" else [fill],
                    label=name if best else None,
                )
        axes.plot(*_front(points, cost), color="#999", linewidth=1, zorder=0)
        # A network may need none of a resource, and 0 has no place on a logarithmic axis.
        if all(getattr(point.cost, cost) > 0 for point in points):
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
            axes.xaxis.set_major_formatter("{x:,g}")
            axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlabel(COST_TITLES[cost])
        axes.grid(color="#eee")
        _bare(axes)
    panels[0].set_ylabel(unit)
    panels[0].legend(frameon=False, fontsize=8)
    _from_the_best(panels[0], points)
    return svg_element(figure)


def attention_picture(report: Report) -> str | None:
    """A line of images for each layer of each run with maps of attention. The layer's maps lie over the images.

    None without such a run.
    """
    lines = [
        (", ".join(filter(None, (run.label([*report.study.varied]), layer))), layer, result.figures["examples"])
        for run, result in report.runs
        if result is not None and result.done and "examples" in result.figures
        for layer in result.figures["share"]
    ]
    if not lines:
        return None
    columns = max(len(examples) for _, _, examples in lines)
    figure = Figure(figsize=(1.3 * columns + 2, 1.4 * len(lines) + 0.6), layout="constrained")
    panels = figure.subplots(len(lines), columns, squeeze=False)
    highest = max(max(map(max, example["maps"][layer])) for _, layer, examples in lines for example in examples)
    for (name, layer, examples), row in zip(lines, panels, strict=True):
        for axes, example in itertools.zip_longest(row, examples):
            axes.set_axis_off()
            if example is None:
                continue
            height, width = len(example["pixels"]), len(example["pixels"][0])
            place = (0, width, height, 0)
            axes.imshow(example["pixels"], cmap="gray", extent=place)
            shown = axes.imshow(example["maps"][layer], cmap="inferno", alpha=0.6, vmin=0, vmax=highest, extent=place)
        row[0].set_title(name, fontsize=8, loc="left")
    figure.colorbar(shown, ax=panels, shrink=0.6, label="%")
    return svg_element(figure)


def _front(points: Sequence[Point], cost: str) -> tuple[list[float], list[float]]:
    """Costs and accuracies of the front: the points that no other beats in both."""
    table = [{"cost": float(getattr(point.cost, cost)), "accuracy": point.mean.mean} for point in points]
    best = non_dominated(table, less=("cost",), more=("accuracy",))
    front = sorted({(place["cost"], place["accuracy"]) for place, flag in zip(table, best, strict=True) if flag})
    return [place for place, _ in front], [accuracy for _, accuracy in front]


def _from_the_best(axes: Axes, points: Sequence[Point]) -> None:
    """Let the axis of accuracies begin a little below the least accurate of the best points."""
    accuracies = [point.mean.mean for point in points]
    lowest, highest = min(point.mean.mean for point in points if point.best), max(accuracies)
    margin = 0.05 * (highest - lowest) + 0.05
    axes.set_ylim(lowest - margin, highest + margin)
    if below := sum(accuracy < lowest - margin for accuracy in accuracies):
        axes.set_title(f"{below} of {len(points)} are below", fontsize=8, loc="left")


def _bare(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
