"""The graph of a source, in our words: nodes in the order of the data flow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from golden.convert.ops import Op, Quant, Relu, Shape


@dataclass(frozen=True, kw_only=True, eq=False)
class Node:
    """One operation of a source, or several that were folded into one.

    Attributes:
        name: the source's name of its result. None of the source's where the source has no such result.
        label: what it may be called in a network file.
        origins: what it was in the source, in words: ``Conv 'stem'``, then what was folded in.
        op: what it does.
        inputs: names of the results that it takes.
        shape: of its result, without the batch.
        quant: how its result is quantised, after all else, where the source says it.
        relu: whether a ReLU follows that was folded in.
        ceiling: what that ReLU limits its result to, or None.
    """

    name: str
    label: str
    origins: tuple[str, ...]
    op: Op
    inputs: tuple[str, ...]
    shape: Shape
    quant: Quant | None = None
    relu: bool = False
    ceiling: float | None = None

    @property
    def rectifies(self) -> bool:
        """Whether its result has no value below 0 because of a ReLU, which it is or has."""
        return self.relu or isinstance(self.op, Relu)

    @property
    def limit(self) -> float | None:
        """What that ReLU limits its result to, or None."""
        return self.op.ceiling if isinstance(self.op, Relu) else self.ceiling


@dataclass(frozen=True, kw_only=True, eq=False)
class Graph:
    """What a source computes.

    Attributes:
        image: the source's name of what goes in.
        image_shape: ``(C, H, W)`` of it.
        nodes: each takes the image or results of earlier nodes.
        output: the name of the result that comes out.
    """

    image: str
    image_shape: Shape
    nodes: tuple[Node, ...]
    output: str

    @property
    def by_name(self) -> Mapping[str, Node]:
        """All nodes by the names of their results."""
        return {node.name: node for node in self.nodes}

    @property
    def shapes(self) -> Mapping[str, Shape]:
        """The shapes of the image and of all results, by their names."""
        return {self.image: self.image_shape} | {node.name: node.shape for node in self.nodes}

    def takers(self, name: str) -> Sequence[Node]:
        """The nodes that take the result ``name``, once for each time."""
        return [node for node in self.nodes for taken in node.inputs if taken == name]

    def sole_taker(self, name: str) -> Node | None:
        """The node that alone takes the result ``name``, once. None where there is no such node, or it comes out."""
        takers = self.takers(name)
        return takers[0] if len(takers) == 1 and name != self.output else None
