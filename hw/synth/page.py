"""``report.html`` of a synthesis: one page that needs nothing but itself."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from golden.support.page import page_template, svg_element
from hw.synth.report import areas, model_name, rows
from hw.targets.area import RESOURCES, shown_resources


def page(figures: dict[str, Any]) -> str:
    """HTML of the figures that `hw.synth.report.report` gives."""
    template = page_template("hw.synth")
    kind, parts = areas(figures)
    return template.render(
        figures=figures,
        model=model_name(figures),
        rows=rows(figures),
        resources=shown_resources(figures["uram"]),
        kind=kind,
        parts=parts,
        picture=picture(parts),
    )


def picture(parts: dict[str, dict[str, float]]) -> str:
    """An SVG element: bars of what each part takes, one panel for each resource that is used."""
    used = {title: key for title, key in RESOURCES.items() if any(area[key] for area in parts.values())}
    figure = Figure(figsize=(10, max(3.4, 1 + 0.2 * len(parts))), layout="constrained")
    panels = figure.subplots(1, len(used), sharey=True, squeeze=False)[0]
    for axes, (title, key) in zip(panels, used.items(), strict=True):
        amounts = [area[key] for area in parts.values()]
        bars = axes.barh(list(parts), amounts, color="#3b6ea5")
        axes.bar_label(bars, [f"{amount:,g}" if amount else "" for amount in amounts], padding=2, fontsize=8)
        axes.set_title(title)
        axes.margins(x=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.locator_params(axis="x", nbins=3)
    panels[0].invert_yaxis()
    return svg_element(figure)
