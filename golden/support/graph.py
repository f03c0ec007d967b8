"""Pictures of graphs, drawn from top to bottom."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import igraph
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.path import Path

_Point = tuple[float, float]

#: Inches from layer to layer, and from box to box in one layer.
ROW, COLUMN = 0.72, 1.8
#: From the middle of a box to its upper side, in layers.
TOP = 0.26


@dataclass(frozen=True, kw_only=True)
class Box:
    """A node of a picture.

    Attributes:
        text: its lines.
        colour: of its area.
    """

    text: str
    colour: str


def draw_graph(boxes: Mapping[str, Box], edges: Sequence[tuple[str, str, str]]) -> Figure:
    """A picture of an acyclic graph.

    Args:
        boxes: the nodes by name.
        edges: from node, to node, and the text beside the edge.
    """
    names = list(boxes)
    places, routes = _layout(len(names), [(names.index(a), names.index(b)) for a, b, _ in edges])
    width = max(x for x, _ in [*places, *(point for route in routes for point in route)]) + 1
    height = max(y for _, y in places) + 1
    figure = Figure(figsize=(width * COLUMN, height * ROW), layout="constrained")
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.set_xlim(-0.5, width - 0.5)
    axes.set_ylim(height - 0.5, -0.5)
    for (_, _, text), route in zip(edges, routes, strict=True):
        _draw_edge(axes, route, text)
    for name, (x, y) in zip(names, places, strict=True):
        box = boxes[name]
        style = {"boxstyle": "round,pad=0.4", "facecolor": box.colour, "edgecolor": "0.35"}
        axes.text(x, y, box.text, ha="center", va="center", fontsize=8, bbox=style, zorder=3)
    return figure


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


def _draw_edge(axes: Axes, route: Sequence[_Point], text: str) -> None:
    """A smooth arrow through the points of ``route``, with ``text`` on its first part."""
    *before, (x, y) = route
    route = [*before, (x, y - TOP)]  # the arrow ends above the box
    vertices, codes = [route[0]], [Path.MOVETO]
    for (x0, y0), (x1, y1) in itertools.pairwise(route):
        middle = (y0 + y1) / 2
        vertices += [(x0, middle), (x1, middle), (x1, y1)]
        codes += [Path.CURVE4] * 3
    arrow = FancyArrowPatch(
        path=Path(vertices, codes), arrowstyle="-|>", mutation_scale=9, color="0.35", shrinkB=0, zorder=1
    )
    axes.add_patch(arrow)
    (x0, y0), (x1, y1) = route[0], route[1]
    paper = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    axes.text((x0 + x1) / 2, (y0 + y1) / 2, text, fontsize=6.5, ha="center", va="center", bbox=paper, zorder=2)
