"""A network in hardware as a picture: its nodes, and the streams between them."""

from __future__ import annotations

from collections.abc import Mapping

from golden.support.boxes import Box
from golden.support.drawing import graph_svg
from golden.support.numbers import number
from hw.network.graph import IMAGE, Placed
from hw.network.nodes.argmax import Argmax
from hw.network.nodes.merge import Merge
from hw.network.nodes.reduce import Reduce
from hw.network.nodes.replay import Replay
from hw.network.nodes.rescale import Rescale
from hw.network.nodes.unit import UnitNode
from hw.network.plan import NetworkPlan
from hw.network.schedule import Edge, node_cycles

#: What the picture calls each type of node, and the colour of its box.
LOOKS: Mapping[type, tuple[str, str]] = {
    UnitNode: ("unit", "#a6cee3"),
    Rescale: ("rescale", "#fdd9b5"),
    Merge: ("merge", "#fdd9b5"),
    Reduce: ("reduce {part}", "#d5ecc2"),
    Replay: ("replay", "#d5ecc2"),
    Argmax: ("argmax", "#eeeeee"),
}
PLAIN = "#eeeeee"
#: The output's name. A node's name begins with its number.
OUTPUT = "m_axis"
#: Nodes up to which a picture lies from left to right.
SHORT = 10


def picture(plan: NetworkPlan) -> str:
    """The network as SVG: a box for each node with the cycles that a frame takes it, an arrow for each edge.

    An arrow says how many elements a beat has and their format (``u8`` is unsigned in 8 bits). Where there is a
    width adapter it says so of both sides, and where there is a FIFO its depth. An arrow from a *tap* has the pixels in
    the centres of a unit's windows.

    Raises `UserError` where a package that draws it is not installed.
    """
    schedule = plan.schedule
    graph = schedule.graph
    pacer = f"s_axis\npacer\n{number(schedule.interval)} cycles"
    boxes = {str(IMAGE): Box(text=pacer, colour=PLAIN)}
    boxes |= {str(place): _box(placed) for place, placed in enumerate(graph.nodes)}
    boxes |= {OUTPUT: Box(text=OUTPUT, colour=PLAIN)}
    edges = [
        (
            str(edge.source.node),
            OUTPUT if edge.taker is None else str(edge.taker),
            f"{_label(edge)}\ntap" if graph.is_tap(edge.source) else _label(edge),
        )
        for edge in schedule.edges
    ]
    return graph_svg(boxes, edges, across=len(graph.nodes) <= SHORT)


def _box(placed: Placed) -> Box:
    looks, colour = LOOKS[type(placed.node)]
    kind = looks.format(part=placed.part)
    return Box(text=f"{placed.step}\n{kind}\n{number(node_cycles(placed))} cycles", colour=colour)


def _label(edge: Edge) -> str:
    lanes = [edge.given.lanes] if edge.given.lanes == edge.taken.lanes else [edge.given.lanes, edge.taken.lanes]
    beat = f"{' to '.join(map(str, lanes))} x {'s' if edge.taken.signed else 'u'}{edge.taken.bits}"
    return f"{beat}\nFIFO {number(edge.depth)}" if edge.depth else beat
