"""What all pictures of a report have in common: their width, the look of each row, and what is written below."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.typing import ColorType

from scripts.studies.report import Report

#: Width of the widest picture in inches: that of the page, so that its text is as large as the page's.
WIDTH = 10.8
#: Rows look different in print and to those who see few colours, too.
COLOURS = matplotlib.color_sequences["tab10"]
MARKERS = "os^Dvp<>Xh"
SMALL = 8
#: Characters of small text that an inch holds.
SMALL_PER_INCH = 16
#: Characters of small text that a marker and the gaps around it take in a legend.
HANDLE = 10


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A picture of a report.

    Attributes:
        name: name of its file, without suffix.
        title: title of its section.
        caption: how to read it, in words.
        svg: the SVG element.
    """

    name: str
    title: str
    caption: str
    svg: str


@dataclass(frozen=True, kw_only=True)
class Look:
    """Colour and marker of a row or a metric, and the marker's size in points."""

    colour: ColorType
    marker: str
    size: float = 4


def looks(names: Iterable[str]) -> dict[str, Look]:
    """The look of each row, by name."""
    return {
        name: Look(colour=COLOURS[n % len(COLOURS)], marker=MARKERS[n % len(MARKERS)]) for n, name in enumerate(names)
    }


def grid(panels: int, most: int) -> tuple[int, int]:
    """Lines and columns of so many panels, with at most ``most`` beside each other, and few places that stay empty."""
    lines = math.ceil(panels / most)
    return lines, math.ceil(panels / lines)


def bare(axes: Axes) -> None:
    """Leave out the upper and right edge, and put the grid behind all points."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=SMALL)


def panel_title(axes: Axes, text: str, columns: int) -> None:
    """Write ``text`` above a panel, on several lines where it is one of ``columns`` beside each other."""
    axes.set_title(textwrap.fill(text, int(SMALL_PER_INCH * 0.8 * WIDTH / max(columns, 2))), fontsize=SMALL + 1)


def legend(figure: Figure, handles: Sequence[Line2D], most: int) -> None:
    """A legend above all panels, where it covers none of them. It has at most ``most`` columns, and as many as fit."""
    longest = max(len(str(handle.get_label())) for handle in handles)
    fitting = int(SMALL_PER_INCH * figure.get_figwidth() / (longest + HANDLE))
    columns = max(1, min(most, fitting, len(handles)))
    figure.legend(handles=handles, loc="outside upper center", ncols=columns, frameon=False, fontsize=SMALL)


def notes(figure: Figure, texts: Iterable[str]) -> None:
    """Write below all panels what they leave out and why."""
    width = int(SMALL_PER_INCH * figure.get_figwidth())
    lines = [line for text in texts for line in textwrap.wrap(text, width)]
    if lines:
        figure.supxlabel("\n".join(lines), fontsize=SMALL, x=0.01, ha="left", color="#555")


def without_result(report: Report) -> list[str]:
    """A note of the runs that no picture can show."""
    if not report.missing and not report.failed:
        return []
    return [f"Of {len(report.runs)} runs {report.missing} have no result yet, and {len(report.failed)} failed."]
