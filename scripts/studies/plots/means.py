"""Means, their intervals and single runs, row by row."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from golden.support.page import svg_element
from scripts.studies.metrics import ACCURACY, words
from scripts.studies.plots.numbered import numbered_kinds
from scripts.studies.plots.picture import SMALL, WIDTH, bare, grid, notes, panel_title, without_result
from scripts.studies.report import Report

CAPTION = "Large: means and their 95 % intervals over seeds. Small, below them: each run."
#: The most panels beside each other.
PANELS = 3
#: Inches of a row, of a panel's title and scale, and of a panel's width.
ROW, EDGES, PANEL = 0.36, 1.0, 4.4
#: How far below its mean a run is, in rows.
BELOW = 0.27


def means_picture(report: Report) -> str | None:
    """A panel for each metric that depends on the seed and is not in `numbered_picture`.

    None without such a metric.
    """
    against = numbered_kinds(report)
    alone = [metric for metric in report.metrics if not any(metric in of.values() for of in against.values())]
    shown = [metric for metric in alone if _spread(report, metric)]
    if not shown:
        return None
    names = [row.name for row in report.rows]
    lines, columns = grid(len(shown), PANELS)
    size = (min(WIDTH, PANEL * columns + 2), lines * (EDGES + ROW * len(names)))
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(lines, columns, sharey=True, squeeze=False).ravel()
    for axes in panels[len(shown) :]:
        axes.set_axis_off()
    for axes, metric in zip(panels, shown, strict=False):
        for place, row in enumerate(report.rows):
            if row.name not in report.cells[metric]:
                continue
            mean = report.cells[metric][row.name].mean
            runs = list(row.values[metric].values())
            if len(runs) > 1:
                axes.plot(runs, [place + BELOW] * len(runs), "|", color="#5b8db8", markersize=5)
            sides = [[mean.mean - mean.low], [mean.high - mean.mean]]
            axes.errorbar(mean.mean, place, xerr=sides, fmt="o", color="#1f4e79", capsize=3, markersize=5)
        panel_title(axes, words(metric, report.study), columns)
        if ACCURACY.fullmatch(metric):
            axes.set_xlabel(report.unit, fontsize=SMALL)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.grid(axis="x", color="#eee")
        bare(axes)
    panels[0].set_yticks(range(len(names)), names)
    # All of the first and of the last row lies inside.
    panels[0].set_ylim(len(names) - 0.5, -0.5)
    notes(figure, [*_left_out(report, [metric for metric in alone if metric not in shown]), *without_result(report)])
    return svg_element(figure)


def _spread(report: Report, metric: str) -> bool:
    """Whether the seed changes ``metric``, as far as the runs tell."""
    return any(cell.mean.half != 0 for cell in report.cells[metric].values())


def _left_out(report: Report, metrics: Sequence[str]) -> list[str]:
    if not metrics:
        return []
    names = dict.fromkeys(words(metric, report.study).split(",")[0] for metric in metrics)
    return [f"Not drawn, as no seed changes it: {', '.join(names)}."]
