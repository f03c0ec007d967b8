"""``report.html`` of a synthesis: one page that needs nothing but itself."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from golden.support.page import page_template, svg_element
from hw.synth.report import rows
from hw.targets.area import RESOURCES


def page(figures: dict[str, Any]) -> str:
    """HTML of the figures that `hw.synth.report.report` gives."""
    template = page_template("hw.synth")
    return template.render(figures=figures, rows=rows(figures), resources=RESOURCES, picture=picture(figures["stages"]))


def picture(stages: dict[str, dict[str, float]]) -> str:
    """An SVG element: bars of what each stage takes, one panel for each resource that is used."""
    used = {title: key for title, key in RESOURCES.items() if any(area[key] for area in stages.values())}
    figure = Figure(figsize=(10, 3.4), layout="constrained")
    panels = figure.subplots(1, len(used), sharey=True, squeeze=False)[0]
    for axes, (title, key) in zip(panels, used.items(), strict=True):
        amounts = [area[key] for area in stages.values()]
        bars = axes.barh(list(stages), amounts, color="#3b6ea5")
        axes.bar_label(bars, [f"{amount:,g}" if amount else "" for amount in amounts], padding=2, fontsize=8)
        axes.set_title(title)
        axes.margins(x=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.locator_params(axis="x", nbins=3)
    panels[0].invert_yaxis()
    return svg_element(figure)
