"""Schedule: when every beat of a network moves at full rate, and how deep its FIFOs must be for that.

The pacer behind the network's input admits beats at the rate of the slowest node. So no node ever
waits for the one behind it, and the run is computed forward through the graph, a node at a time. A
FIFO is as deep as this run fills it. The run lasts until all that moves repeats itself, frame by frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from hw.network.beat import Beat
from hw.network.edges import adapter, relay
from hw.network.edges.fifo import fifo_latency, needed_depth
from hw.network.edges.pacer import pace
from hw.network.graph import IMAGE, Graph, Placed, Port
from hw.network.node import Node, Times, one_a_cycle
from hw.network.nodes.replay import Replay
from hw.network.nodes.unit import UnitNode
from hw.targets.families import Target

#: Frames of the shortest run, and of the longest.
FEWEST, MOST = 4, 4096
#: Frames that must repeat each other, beside those that are inside at once, for the run to be steady.
ALIKE = 2


@dataclass(frozen=True, kw_only=True)
class Edge:
    """A stream from a port to an input of a node, or to the network's output.

    Attributes:
        source: where the beats come from.
        taker: number of the node that takes them; None for the network's output.
        place: number of the node's input.
        given, taken: beats at the port, and at the input. Bits that the port has more are copies of the sign.
        depth: entries of the FIFO; 0 where there is none.
        why: what the depth follows from.
    """

    source: Port
    taker: int | None
    place: int
    given: Beat
    taken: Beat
    depth: int
    why: str = "each beat is taken in the cycle in which it is offered"

    @property
    def narrows(self) -> bool:
        """Whether beats become narrower. The FIFO is on the side where they are wide."""
        return self.given.lanes > self.taken.lanes

    @property
    def fifo_beat(self) -> Beat:
        """What the FIFO holds."""
        return self.given if self.narrows else self.taken


@dataclass(frozen=True, kw_only=True)
class NetworkSchedule:
    """A network that runs at full rate.

    Attributes:
        graph: the nodes. Units know how long they wait for a frame's end, rings how deep they are.
        edges: the streams, those of a node's inputs in order, the output's last.
        interval: cycles from a frame's last output beat to the next frame's, in the long run.
        first_intervals: those before, where they differ.
        latency: cycles from the first input beat to the first output beat.
        first_taken, first_given: for each node, when it takes its first beat, and when it gives its first.
    """

    graph: Graph
    edges: Sequence[Edge]
    interval: int
    first_intervals: Sequence[int]
    latency: int
    first_taken: Sequence[int]
    first_given: Sequence[int]

    def keeps_pace_with(self, other: NetworkSchedule) -> bool:
        """Whether no output comes later than with ``other``: the first is not later, and frames end as far apart."""
        own, others = ((run.interval, *run.first_intervals) for run in (self, other))
        return self.latency <= other.latency and own == others


def find_schedule(graph: Graph, interval: int, target: Target) -> NetworkSchedule:
    """The schedule of a network into which a frame goes every ``interval`` cycles."""
    frames = FEWEST
    while frames <= MOST:
        run = _Run(graph, interval, frames, target)
        if run.steady:
            return run.schedule()
        frames = max(run.wanted, 2 * frames)
    raise AssertionError("the network does not become steady")


def interval_of(graph: Graph, ideal: int) -> int:
    """Cycles between frames that every node can keep up with, at least ``ideal``."""
    slowest = max(node_cycles(placed) for placed in graph.nodes) if graph.nodes else 1
    return max(slowest, ideal, graph.image_beats, graph.output_beats)


def node_cycles(placed: Placed) -> int:
    """Cycles that a node needs for a frame of the network."""
    node = placed.node
    own = node.interval if isinstance(node, UnitNode) else 0
    return max(placed.frame_beats, own)


class _Run:
    """A number of frames at full rate.

    Attributes:
        wanted: frames that the run should have. When the last one comes, all that is inside must come of frames that
            repeat each other. Otherwise a longer run would fill FIFOs further.
        steady: whether it has that many, and the last frame ends an interval behind the one before.
    """

    def __init__(self, graph: Graph, interval: int, frames: int, target: Target) -> None:
        self._interval, self._frames, self._target = interval, frames, target
        self._graph = replace(graph, nodes=list(graph.nodes))
        self._edges: list[Edge] = []
        # The cycle behind the last move, and the number of last frames that repeat each other.
        self._end, self._alike = 0, frames
        self._first_taken: list[int] = []
        self._first_given: list[int] = []
        paced = pace(graph.image_beats, interval, graph.image_beats * frames)
        self._offered = {Port(node=IMAGE): relayed(paced, target)}
        for number, placed in enumerate(graph.nodes):
            self._run_node(number, placed)
        self._run_output()
        inside = -(-(self._end - (frames - 1) * interval) // interval)
        self.wanted = frames - self._alike + inside + ALIKE
        ends = np.diff(self._output.reshape(frames, -1)[-2:, -1])
        self.steady = frames >= self.wanted and bool(ends == interval)

    def schedule(self) -> NetworkSchedule:
        ends = self._output.reshape(self._frames, -1)[:, -1]
        intervals = np.diff(ends)
        first = np.flatnonzero(intervals != self._interval)
        transient = int(first[-1]) + 1 if len(first) else 0
        return NetworkSchedule(
            graph=self._graph,
            edges=self._edges,
            interval=self._interval,
            first_intervals=[int(cycles) for cycles in intervals[:transient]],
            latency=int(self._output[0]),
            first_taken=self._first_taken,
            first_given=self._first_given,
        )

    def _run_node(self, number: int, placed: Placed) -> None:
        links = [
            self._link(source, number, place, wanted)
            for place, (source, wanted) in enumerate(zip(placed.sources, placed.node.inputs, strict=True))
        ]
        while True:
            node, times = self._times(placed.node, [link.arrivals for link in links])
            # Every link must see the times, so that all of them have what this run needs.
            if all([link.suffices(taken) for link, taken in zip(links, times.taken, strict=True)]):
                break
        self._graph.nodes[number] = replace(placed, node=node)
        self._edges += [link.edge for link in links]
        for output, given in enumerate(times.given):
            self._offered[Port(node=number, output=output)] = relayed(given, self._target)
        for moves in (*times.taken, *times.given):
            self._watch(moves)
        self._forget(number)
        self._first_taken.append(int(min(taken[0] for taken in times.taken)))
        self._first_given.append(int(times.given[0][0]))

    def _forget(self, number: int) -> None:
        """Drop the times of ports that no node behind ``number`` takes beats from. They are millions of numbers."""
        behind = {source for placed in self._graph.nodes[number + 1 :] for source in placed.sources}
        for port in set(self._offered) - behind - {self._graph.output}:
            del self._offered[port]

    def _times(self, node: Any, arrivals: Sequence[np.ndarray]) -> tuple[Node, Times]:
        """When the beats of a node move. What the node has to know of the run is in the node that is returned."""
        if isinstance(node, UnitNode):
            node = node.flushed_at(self._interval).waiting(arrivals[0])
        if isinstance(node, Replay):
            node = replace(node, depth=node.least_depth(arrivals))
        return node, node.times(arrivals)

    def _run_output(self) -> None:
        link = self._link(self._graph.output, None, 0, self._graph.output_beat)
        while not link.suffices(taken := one_a_cycle(link.arrivals)):
            pass
        self._output = taken
        self._edges.append(link.edge)
        self._watch(taken)

    def _link(self, source: Port, taker: int | None, place: int, wanted: Beat) -> _Link:
        given = self._graph.beat(source)
        # A sum's format may be wider than its range.
        assert given.bits >= wanted.bits and given.signed == wanted.signed
        given = replace(given, bits=wanted.bits)
        edge = Edge(source=source, taker=taker, place=place, given=given, taken=wanted, depth=0)
        return _Link(edge, self._offered[source], self._target)

    def _watch(self, times: np.ndarray) -> None:
        """Note until when beats move, and how many frames repeat each other."""
        alike = (np.diff(times.reshape(self._frames, -1), axis=0) == self._interval).all(axis=1)
        # Where no frame follows, the last frame's inner beats may come at other times than where one does.
        others = np.flatnonzero(~alike[:-1])
        self._alike = min(self._alike, self._frames - 2 - (int(others[-1]) + 1 if len(others) else 0))
        self._end = max(self._end, int(times[-1]) + 1)


def relayed(given: np.ndarray, target: Target) -> np.ndarray:
    """When beats are offered behind a relay, where ``target`` has relays and no beat waits."""
    return relay.given(relay.taken(given)) if target.relays else given


class _Link:
    """An edge that is given what the run needs: a FIFO where beats would wait.

    Attributes:
        edge: the edge.
        arrivals: when each beat is offered to the node.
    """

    def __init__(self, edge: Edge, offered: np.ndarray, target: Target) -> None:
        self.edge, self._offered, self._target = edge, relayed(offered, target), target
        self._latency = 0
        self._arrive()

    def suffices(self, taken: np.ndarray) -> bool:
        """Whether no port waits when the node takes its beats at these times. If one does, the edge is mended."""
        if not self.edge.depth:
            if np.array_equal(self._popped(self._offered, taken), self._offered):
                return True
            depth = 1
        else:
            pushed, popped = self._adapted(self._offered), taken
            if self.edge.narrows:
                pushed, popped = self._offered, self._popped(self._offered + self._latency, taken)
            depth = needed_depth(pushed, popped)
            self.edge = replace(self.edge, why=_why(pushed, popped, depth))
        self.edge = replace(self.edge, depth=depth)
        latency = fifo_latency(self.edge.fifo_beat, depth, self._target)
        if latency == self._latency:
            return True
        assert latency > self._latency, "a FIFO that takes longer holds more"
        self._latency = latency
        self._arrive()
        return False

    def _arrive(self) -> None:
        if self.edge.narrows:
            self.arrivals = self._adapted(self._offered + self._latency)
        else:
            self.arrivals = self._adapted(self._offered) + self._latency

    def _adapted(self, arrivals: np.ndarray) -> np.ndarray:
        """When the adapter offers its beats."""
        a, b = self.edge.given.lanes, self.edge.taken.lanes
        return arrivals if a == b else adapter.offered(a, b, arrivals)

    def _popped(self, arrivals: np.ndarray, taken: np.ndarray) -> np.ndarray:
        """When the adapter takes its beats, where its own are taken at ``taken``."""
        a, b = self.edge.given.lanes, self.edge.taken.lanes
        return taken if a == b else adapter.taken(a, b, arrivals, taken)


def _why(pushed: np.ndarray, popped: np.ndarray, depth: int) -> str:
    """When the FIFO is full first."""
    inside = np.arange(1, len(pushed) + 1) - np.searchsorted(popped, pushed, side="left")
    first = int(np.argmax(inside == depth))
    return f"{depth} beats have come and are not taken in cycle {pushed[first]} at full rate, the most at once"
