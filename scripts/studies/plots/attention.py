"""Where in images attention is at work."""

from __future__ import annotations

import itertools

from matplotlib.figure import Figure

from golden.support.page import svg_element
from scripts.studies.grid import shown
from scripts.studies.metrics import kind_words
from scripts.studies.plots.picture import SMALL, notes, without_result
from scripts.studies.report import Report

CAPTION = "The first images, and over them how much of the accumulators' magnitude comes from attention weights."


def attention_picture(report: Report) -> str | None:
    """A line of images for each layer of each run with maps of attention. The layer's maps lie over the images.

    None without such a run.
    """
    lines = [
        (
            ", ".join([*(shown(run.point[axis]) for axis in report.study.varied), kind_words(layer)]),
            layer,
            result.figures["examples"],
        )
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
            over = axes.imshow(example["maps"][layer], cmap="inferno", alpha=0.6, vmin=0, vmax=highest, extent=place)
        row[0].set_title(name, fontsize=SMALL, loc="left")
    figure.colorbar(over, ax=panels, shrink=0.6, label="share of attention in percent")
    notes(figure, without_result(report))
    return svg_element(figure)
