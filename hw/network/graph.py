"""Graph: a network as nodes joined by streams."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from hw.network.beat import Beat
from hw.network.node import Node
from hw.network.nodes.unit import TAP, UnitNode

#: The number that stands for the network's input where a node's number is wanted.
IMAGE = -1


@dataclass(frozen=True, kw_only=True)
class Port:
    """An output of a node, or the network's input.

    Attributes:
        node: number of the node, or `IMAGE`.
        output: number of the node's output.
    """

    node: int
    output: int = 0


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A node in its graph.

    Attributes:
        step: name of the step that the node is a part of.
        part: what the node does for the step.
        node: the node.
        sources: for each input of the node, where its beats come from.
    """

    step: str
    part: str
    node: Node
    sources: tuple[Port, ...]

    @property
    def frame_beats(self) -> int:
        """Beats of a network's frame on the busiest of the node's streams."""
        return max(*self.node.frame_inputs, *self.node.frame_outputs)


@dataclass(kw_only=True)
class Graph:
    """Nodes in the order of the data flow.

    Attributes:
        image: beats of the network's input.
        image_beats: beats of a frame there.
        nodes: the nodes.
        output: where the network's output comes from.
        output_beat: beats of the network's output.
        output_beats: beats of a frame there.
    """

    image: Beat
    image_beats: int
    nodes: list[Placed] = field(default_factory=list)
    output: Port = field(default=Port(node=IMAGE))
    output_beat: Beat = field(default=Beat(lanes=1, bits=1, signed=False))
    output_beats: int = 1

    def append(self, placed: Placed) -> Port:
        """Append a node and return its first output."""
        self.nodes.append(placed)
        return Port(node=len(self.nodes) - 1)

    def beat(self, port: Port) -> Beat:
        """What a beat of ``port`` is."""
        return self.image if port.node == IMAGE else self.nodes[port.node].node.outputs[port.output]

    def is_tap(self, port: Port) -> bool:
        """Whether the pixels in the centres of a unit's windows come out of ``port``."""
        return port.node != IMAGE and isinstance(self.nodes[port.node].node, UnitNode) and port.output == TAP

    def takers(self, port: Port) -> Iterator[tuple[int, int]]:
        """The nodes that take the beats of ``port``, each with the number of its input."""
        for number, placed in enumerate(self.nodes):
            for place, source in enumerate(placed.sources):
                if source == port:
                    yield number, place
