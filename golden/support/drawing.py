"""Pictures of graphs as SVG, where the packages that draw them are installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from golden.support.boxes import Box
from golden.support.cli import UserError

#: What installs the packages that draw.
INSTALL = "pip install -e '.[synth]'"


def graph_svg(boxes: Mapping[str, Box], edges: Sequence[tuple[str, str, str]], *, across: bool = False) -> str:
    """A picture of an acyclic graph.

    Args:
        boxes: the nodes by name, each before those that its edges go to.
        edges: from node, to node, and the text beside the edge.
        across: whether the data flow from left to right instead of from top to bottom.

    Raises `UserError` where a package that draws it is not installed.
    """
    try:
        from golden.support.graph import draw_graph
        from golden.support.page import svg_element
    except ModuleNotFoundError as error:
        raise UserError(f"the picture needs {error.name}, which is not installed: {INSTALL} brings it") from None
    return svg_element(draw_graph(boxes, edges, across=across))
