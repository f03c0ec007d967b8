"""``report.html`` of a synthesis: one page that needs nothing but itself."""

from __future__ import annotations

import io
from typing import Any

import jinja2
import matplotlib
from matplotlib.figure import Figure

from hw.synth.report import rows
from hw.synth.resources import RESOURCES

_TEMPLATE = jinja2.Environment(
    loader=jinja2.PackageLoader("hw.synth", "."),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def page(figures: dict[str, Any]) -> str:
    """HTML of the figures that `hw.synth.report.report` gives."""
    template = _TEMPLATE.get_template("page.html")
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
    text = io.StringIO()
    # Text stays text, and names of inner elements do not change from run to run.
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "xvolution"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    svg = text.getvalue()
    return svg[svg.index("<svg") :]
