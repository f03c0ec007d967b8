"""How pictures of graphs are drawn: from top to bottom, or from left to right."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import igraph
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.path import Path

from golden.support.boxes import Box

#: A place: first beside the flow, then along it.
_Point = tuple[float, float]

#: Points of the text in a box, and of the text beside an arrow.
FONT, SMALL_FONT = 8, 6.5
#: From a box's text to its sides, in heights of its text.
PAD = 0.4
#: Inches from box to box, beside the flow, and along it from top to bottom and from left to right.
BESIDE, DOWN, ACROSS = 0.4, 0.36, 0.48


@dataclass(frozen=True, kw_only=True)
class _Flow:
    """How a picture lies.

    Attributes:
        across: whether the data flow from left to right.
        beside, along: inches from place to place beside the flow and along it.
        halves: of each box, from its middle to the side that arrows come to, in places.
    """

    across: bool
    beside: float
    along: float
    halves: Sequence[float]

    def xy(self, point: _Point) -> _Point:
        beside, along = point
        return (along, beside) if self.across else point


def draw_graph(boxes: Mapping[str, Box], edges: Sequence[tuple[str, str, str]], *, across: bool = False) -> Figure:
    """A picture of an acyclic graph, as `golden.support.drawing.graph_svg` has it."""
    names = list(boxes)
    ends = [(names.index(a), names.index(b)) for a, b, _ in edges]
    places, routes = _layout(len(names), ends)
    flow = _flow(list(boxes.values()), across)
    beside, along = (max(coordinate) + 1 for coordinate in zip(*places, *itertools.chain(*routes), strict=True))
    figure = Figure(figsize=flow.xy((beside * flow.beside, along * flow.along)), layout="constrained")
    axes = figure.add_subplot()
    axes.set_axis_off()
    width, height = flow.xy((beside, along))
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(height - 0.5, -0.5)
    for (a, b), (_, _, text), route in zip(ends, edges, routes, strict=True):
        (x0, y0), *between, (x1, y1) = route
        _draw_edge(axes, flow, [(x0, y0 + flow.halves[a]), *between, (x1, y1 - flow.halves[b])], text)
    for box, place in zip(boxes.values(), places, strict=True):
        style = {"boxstyle": f"round,pad={PAD}", "facecolor": box.colour, "edgecolor": "0.35"}
        axes.text(*flow.xy(place), box.text, ha="center", va="center", fontsize=FONT, bbox=style, zorder=3)
    return figure


def _flow(boxes: Sequence[Box], across: bool) -> _Flow:
    """How a picture with room for its largest box lies."""
    figure = Figure()
    renderer = FigureCanvasAgg(figure).get_renderer()
    extents = [figure.text(0, 0, box.text, fontsize=FONT).get_window_extent(renderer) for box in boxes]
    pads = 2 * PAD * FONT / 72
    sizes = [(extent.width / figure.dpi + pads, extent.height / figure.dpi + pads) for extent in extents]
    widths, heights = zip(*sizes, strict=True)
    beside, along = (heights, widths) if across else (widths, heights)
    step = max(along) + (ACROSS if across else DOWN)
    return _Flow(across=across, beside=max(beside) + BESIDE, along=step, halves=[side / 2 / step for side in along])


def _layout(count: int, edges: Sequence[tuple[int, int]]) -> tuple[list[_Point], list[list[_Point]]]:
    """Where the nodes of an acyclic graph stand, and the points that each edge goes through.

    Nodes are numbered so that each edge goes to a later one. A long edge goes through a place of its own
    in every row between its ends, so that it crosses no node.
    """
    rows = [0] * count
    for a, b in sorted(edges, key=lambda edge: edge[1]):
        rows[b] = max(rows[b], rows[a] + 1)
    links: list[tuple[int, int]] = []
    chains = []
    for a, b in edges:
        chain = [a, *range(len(rows), len(rows) + rows[b] - rows[a] - 1), b]
        rows += range(rows[a] + 1, rows[b])
        links += itertools.pairwise(chain)
        chains.append(chain)
    layout = igraph.Graph(len(rows), links, directed=True).layout_sugiyama(layers=rows)
    points = [(x, float(row)) for (x, _), row in zip(layout.coords, rows, strict=True)]
    left = min(x for x, _ in points)
    points = [(x - left, y) for x, y in points]
    return points[:count], [[points[n] for n in chain] for chain in chains]


def _draw_edge(axes: Axes, flow: _Flow, route: Sequence[_Point], text: str) -> None:
    """A smooth arrow through the points of ``route``, with ``text`` on its first part."""
    vertices, codes = [route[0]], [Path.MOVETO]
    for (x0, y0), (x1, y1) in itertools.pairwise(route):
        middle = (y0 + y1) / 2
        vertices += [(x0, middle), (x1, middle), (x1, y1)]
        codes += [Path.CURVE4] * 3
    axes.add_patch(
        FancyArrowPatch(
            path=Path([flow.xy(point) for point in vertices], codes),
            arrowstyle="-|>",
            mutation_scale=9,
            color="0.35",
            shrinkA=0,
            shrinkB=0,
            zorder=1,
        )
    )
    (x0, y0), (x1, y1) = route[0], route[1]
    paper = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    place = flow.xy(((x0 + x1) / 2, (y0 + y1) / 2))
    axes.text(*place, text, fontsize=SMALL_FONT, ha="center", va="center", bbox=paper, zorder=2)
