"""Backpressure: when every beat moves where FIFOs are too small for some of them to be taken at once.

A beat that finds no room stays where it is: in a unit's output queue, at a fork, in a row store. What is behind it
waits, and at some place it does not matter: something there has time to spare. So a FIFO may be smaller than what
`hw.network.schedule` sees waiting in it, as long as every output beat leaves in the same cycle.

All times are the least that keep all rules, and a rule only ever makes a beat later. So they are found by going
through the graph again and again, from the times without any stall on, until nothing changes. Whatever has come so
far is a lower bound. If an output beat is late in it, it is late.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hw.network.edges import adapter
from hw.network.edges.fifo import fifo_latency
from hw.network.edges.pacer import pace
from hw.network.graph import IMAGE, Graph, Port
from hw.network.node import EVER, one_a_cycle
from hw.network.schedule import ALIKE, Edge
from hw.targets.families import Target

#: Passes through the graph after which times that still change are taken for late.
PASSES = 200

#: The place of an edge: number of the node that takes its beats, None for the output, and number of the input.
Place = tuple[int | None, int]
#: When each beat of a node's inputs is taken, and when each of its outputs is offered.
Moves = tuple[list[np.ndarray], list[np.ndarray]]
#: For each node what it was given lately, arrivals and when its outputs leave, and when its beats moved then.
Cache = dict[int, list[tuple[list[np.ndarray], list[np.ndarray] | None, Moves]]]
#: Entries of a node in a cache, beside the first.
KNOWN = 2


class Stalled:
    """A number of frames at full rate through FIFOs of given depths.

    Attributes:
        output: when each output beat leaves.
    """

    def __init__(
        self, graph: Graph, edges: Sequence[Edge], interval: int, frames: int, target: Target, cache: Cache | None = None
    ) -> None:
        """``cache`` may be that of another run of the same graph."""
        self._graph, self._interval, self._frames, self._target = graph, interval, frames, target
        self._edges = {(edge.taker, edge.place): edge for edge in edges}
        self._pace = pace(graph.image_beats, interval, graph.image_beats * frames)
        self._left: dict[Port, np.ndarray] = {}
        self._popped: dict[Place, np.ndarray] = {}
        self._known = {} if cache is None else cache

    def settle(self, due: np.ndarray | None = None) -> bool:
        """Find all times. Returns whether there are such, and no output beat leaves after it is ``due``."""
        for _ in range(PASSES):
            changed = self._pass()
            if due is not None and not np.array_equal(self.output, due):
                return False
            if not changed:
                return True
        return False

    @property
    def steady(self) -> bool:
        """Whether as many frames repeat each other as are inside at once, so that a longer run shows nothing else."""
        alike, end = self._frames, 0
        for moves in self._left.values():
            repeats = (np.diff(moves.reshape(self._frames, -1), axis=0) == self._interval).all(axis=1)
            others = np.flatnonzero(~repeats[:-1])
            alike = min(alike, self._frames - 2 - (int(others[-1]) + 1 if len(others) else 0))
            end = max(end, int(moves[-1]) + 1)
        return alike >= -(-(end - (self._frames - 1) * self._interval) // self._interval) + ALIKE

    def _pass(self) -> bool:
        offered = {Port(node=IMAGE): self._image()}
        left: dict[Port, np.ndarray] = {}
        popped: dict[Place, np.ndarray] = {}
        for number, placed in enumerate(self._graph.nodes):
            places: list[Place] = [(number, place) for place in range(len(placed.sources))]
            arrivals = [self._arrivals(place, offered) for place in places]
            ports = [Port(node=number, output=output) for output in range(len(placed.node.outputs))]
            gone = [self._left[port] for port in ports] if all(port in self._left for port in ports) else None
            taken, given = self._times(number, arrivals, gone)
            offered |= zip(ports, given, strict=True)
            for place, arrived, moved in zip(places, arrivals, taken, strict=True):
                self._take(place, offered, arrived, moved, left, popped)
        arrived = self._arrivals((None, 0), offered)
        self.output = one_a_cycle(arrived)
        self._take((None, 0), offered, arrived, self.output, left, popped)
        changed = _differs(left, self._left) or _differs(popped, self._popped)
        self._left, self._popped = left, popped
        return changed

    def _times(
        self, number: int, arrivals: list[np.ndarray], gone: list[np.ndarray] | None
    ) -> Moves:
        known = self._known.setdefault(number, [])
        for before, before_gone, result in known:
            if _same(arrivals, before) and (gone is before_gone or (gone and _same(gone, before_gone or result[1]))):
                return result
        times = self._graph.nodes[number].node.times(arrivals, gone)
        result = (list(times.taken), list(times.given))
        # The first is the one without any stall, which many runs begin with.
        known[1:] = [*known[1:][-KNOWN:], (arrivals, gone, result)]
        return result

    def _image(self) -> np.ndarray:
        """When the pacer offers each beat. While one waits, the accumulator of tokens stands still."""
        port = Port(node=IMAGE)
        if port not in self._left:
            return self._pace
        offered = self._pace.copy()
        offered[1:] = np.maximum(offered[1:], self._left[port][:-1] + np.diff(self._pace))
        return offered

    def _pushed(self, place: Place, offered: Mapping[Port, np.ndarray]) -> np.ndarray:
        """When each beat is pushed into the FIFO of an edge."""
        edge = self._edges[place]
        comes = offered[edge.source]
        if not edge.narrows:
            comes = self._adapted(edge, comes)
        if place in self._popped:
            room = np.full(len(comes), EVER, np.int64)
            room[edge.depth :] = self._popped[place][: len(comes) - edge.depth] + 1
            comes = np.maximum(comes, room)
        return one_a_cycle(comes)

    def _arrivals(self, place: Place, offered: Mapping[Port, np.ndarray]) -> np.ndarray:
        edge = self._edges[place]
        if not edge.depth:
            return self._adapted(edge, offered[edge.source])
        behind = self._pushed(place, offered) + fifo_latency(edge.fifo_beat, edge.depth, self._target)
        return self._adapted(edge, behind) if edge.narrows else behind

    def _take(
        self,
        place: Place,
        offered: Mapping[Port, np.ndarray],
        arrived: np.ndarray,
        taken: np.ndarray,
        left: dict[Port, np.ndarray],
        popped: dict[Place, np.ndarray],
    ) -> None:
        """Note when beats leave the port and the FIFO of an edge, whose taker takes them at ``taken``."""
        edge = self._edges[place]
        gone = offered[edge.source]
        if not edge.depth:
            own = self._taken(edge, gone, taken)
        else:
            pushed = self._pushed(place, offered)
            if edge.narrows:
                latency = fifo_latency(edge.fifo_beat, edge.depth, self._target)
                popped[place], own = self._taken(edge, pushed + latency, taken), pushed
            else:
                popped[place], own = taken, self._taken(edge, gone, pushed)
        left[edge.source] = np.maximum(left[edge.source], own) if edge.source in left else own

    @staticmethod
    def _adapted(edge: Edge, arrivals: np.ndarray) -> np.ndarray:
        a, b = edge.given.lanes, edge.taken.lanes
        return arrivals if a == b else adapter.offered(a, b, arrivals)

    @staticmethod
    def _taken(edge: Edge, arrivals: np.ndarray, taken: np.ndarray) -> np.ndarray:
        a, b = edge.given.lanes, edge.taken.lanes
        return taken if a == b else adapter.taken(a, b, arrivals, taken)


def _same(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> bool:
    return all(map(np.array_equal, one, other))


def _differs(one: Mapping[Any, np.ndarray], other: Mapping[Any, np.ndarray]) -> bool:
    return one.keys() != other.keys() or any(not np.array_equal(one[key], other[key]) for key in one)


def least_depths(
    graph: Graph, edges: Sequence[Edge], interval: int, frames: int, target: Target, due: np.ndarray
) -> list[Edge]:
    """The edges with FIFOs of which none can be smaller by an entry without a late output beat.

    Args:
        edges: with FIFOs in which every beat finds room at once.
        due: when each output beat leaves there.
    """
    found, cache = list(edges), Cache()

    def fits(number: int, depth: int) -> bool:
        trial = [*found[:number], replace(found[number], depth=depth), *found[number + 1 :]]
        run = Stalled(graph, trial, interval, frames, target, cache)
        return run.settle(due) and run.steady

    for number in sorted(range(len(found)), key=lambda number: -found[number].depth * found[number].fifo_beat.size):
        low, high = 0, found[number].depth
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if fits(number, middle) else (middle + 1, high)
        found[number] = replace(found[number], depth=high)
    return found
