"""Weights that formats of ours do not hold: the least one of 8 bits, clipped where somebody asks for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np

from golden.convert.graph import Graph, Node
from golden.convert.ops import Conv, Linear

#: Weights are symmetric, so that 8 bits end at this magnitude.
LEAST = -127


def clipped(graph: Graph) -> tuple[Graph, Mapping[str, int]]:
    """``graph`` with all quantised weights of -128 steps as -127, and how many there were, by the node's name."""
    counts: dict[str, int] = {}
    nodes = tuple(_clipped(node, counts) for node in graph.nodes)
    return dataclasses.replace(graph, nodes=nodes), counts


def _clipped(node: Node, counts: dict[str, int]) -> Node:
    op = node.op
    if not isinstance(op, (Conv, Linear)) or op.levels is None:
        return node
    levels = op.levels
    lowest = levels.integers == LEAST - 1
    if not lowest.any():
        return node
    counts[node.name] = int(lowest.sum())
    integers = np.where(lowest, LEAST, levels.integers)
    by_output = levels.scales.reshape(-1, *[1] * (integers.ndim - 1))
    levels = dataclasses.replace(levels, integers=integers)
    return dataclasses.replace(node, op=dataclasses.replace(op, weight=integers * by_output, levels=levels))
