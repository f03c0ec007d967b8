"""Backpressure: when every beat moves where FIFOs are too small for some of them to be taken at once.

A beat that finds no room stays where it is: in a unit's output queue, at a fork, in a row store. What is behind it
waits, and at some place it does not matter: something there has time to spare. So a FIFO may be smaller than what
`hw.network.schedule` sees waiting in it, as long as every output beat leaves in the same cycle.

All times are the least that keep all rules, and a rule only ever makes a beat later. So they are found by going
through the graph again and again, from the times without any stall on, until nothing changes. Whatever has come so
far is a lower bound. If an output beat is late in it, it is late.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hw.network.edges import adapter, relay
from hw.network.edges.fifo import fifo_latency
from hw.network.edges.pacer import pace
from hw.network.graph import IMAGE, Graph, Port
from hw.network.node import behind, one_a_cycle
from hw.network.schedule import ALIKE, FEWEST, Edge, NetworkSchedule
from hw.targets.families import Target

#: Passes through the graph after which times that still change are taken for late.
PASSES = 200
#: Frames that a run has more than show what FIFOs without end do. Small ones may take longer to be the same in each.
MORE = 2
#: A run becomes at most so many times as long while small FIFOs make frames differ.
LONGER = 8
#: Cycles of a frame of the largest network whose FIFOs are made smaller. Larger ones would take minutes.
LARGEST = 1 << 18

#: The place of an edge: number of the node that takes its beats, None for the output, and number of the input.
Place = tuple[int | None, int]
#: When each beat of a node's inputs is taken, and when each of its outputs is offered.
Moves = tuple[list[np.ndarray], list[np.ndarray]]
#: Entries that are kept of everything in a cache, beside the first.
KNOWN = 2


class Cache:
    """What has been found of runs of one graph and as many frames. What is the same is the same array.

    Attributes:
        nodes: for each node what it was given lately, arrivals and when its outputs leave, and when its beats moved.
    """

    def __init__(self) -> None:
        self.nodes: dict[int, list[tuple[list[np.ndarray], list[np.ndarray] | None, Moves]]] = {}
        self._made: dict[tuple[Any, ...], list[tuple[tuple[np.ndarray, ...], np.ndarray]]] = {}

    def made(self, key: tuple[Any, ...], of: tuple[np.ndarray, ...], make: Callable[[], np.ndarray]) -> np.ndarray:
        """What ``make`` makes of the arrays ``of``, for the thing called ``key``."""
        entries = self._made.setdefault(key, [])
        for before, result in entries:
            if len(before) == len(of) and all(one is other for one, other in zip(before, of, strict=True)):
                return result
        result = make()
        # The first is that of a run without any stall, which many runs begin with.
        entries[1:] = [*entries[1:][-KNOWN:], (of, result)]
        return result


@dataclass
class _Leaves:
    """When beats leave: the nodes, what offers them to the edges, the relays of edges, and FIFOs."""

    nodes: dict[Port, np.ndarray] = field(default_factory=dict)
    edges: dict[Port, np.ndarray] = field(default_factory=dict)
    relays: dict[Place, np.ndarray] = field(default_factory=dict)
    fifos: dict[Place, np.ndarray] = field(default_factory=dict)

    def differ(self, other: _Leaves) -> bool:
        return any(_differs(own, before) for own, before in zip(vars(self).values(), vars(other).values(), strict=True))


class Stalled:
    """A number of frames at full rate through FIFOs of given depths.

    Attributes:
        frames: their number.
        cache: what has been found of nodes, in this run or in others of the same graph and as many frames.
        output: when each output beat leaves.
        moves: of each node when its beats move.
    """

    def __init__(
        self, graph: Graph, edges: Sequence[Edge], interval: int, frames: int, target: Target, cache: Cache
    ) -> None:
        self.frames, self.cache = frames, cache
        self._graph, self._interval, self._target = graph, interval, target
        self._edges = {(edge.taker, edge.place): edge for edge in edges}
        self._pace = pace(graph.image_beats, interval, graph.image_beats * frames)
        self._leaves = _Leaves()
        self.output = np.empty(0, np.int64)
        self.moves: list[Moves] = []

    def settle(self, due: np.ndarray | None = None) -> bool:
        """Find all times. Returns whether there are such, and no output beat leaves after it is ``due``."""
        for _ in range(PASSES):
            changed = self._pass()
            if due is not None and not _same([self.output], [due]):
                return False
            if not changed:
                return True
        return False

    @property
    def wanted(self) -> int:
        """Frames of a run of which so many repeat each other that a longer one shows nothing else."""
        alike, end = self.frames, 0
        for moves in self._leaves.edges.values():
            repeats = (np.diff(moves.reshape(self.frames, -1), axis=0) == self._interval).all(axis=1)
            others = np.flatnonzero(~repeats[:-1])
            alike = min(alike, self.frames - 2 - (int(others[-1]) + 1 if len(others) else 0))
            end = max(end, int(moves[-1]) + 1)
        inside = -(-(end - (self.frames - 1) * self._interval) // self._interval)
        return self.frames - alike + inside + ALIKE

    def _pass(self) -> bool:
        leaves, image = _Leaves(), Port(node=IMAGE)
        offered = {image: self._offered(image, self._image(), leaves)}
        self.moves = []
        for number, placed in enumerate(self._graph.nodes):
            places: list[Place] = [(number, place) for place in range(len(placed.sources))]
            arrivals = [self._arrivals(place, offered) for place in places]
            ports = [Port(node=number, output=output) for output in range(len(placed.node.outputs))]
            known = self._leaves.nodes
            gone = [known[port] for port in ports] if all(port in known for port in ports) else None
            taken, given = self._times(number, arrivals, gone)
            self.moves.append((taken, given))
            offered |= {port: self._offered(port, own, leaves) for port, own in zip(ports, given, strict=True)}
            for place, moved in zip(places, taken, strict=True):
                self._take(place, offered, moved, leaves)
        arrived = self._arrivals((None, 0), offered)
        self.output = self.cache.made(("output",), (arrived,), lambda: one_a_cycle(arrived))
        self._take((None, 0), offered, self.output, leaves)
        if not self._target.relays:
            leaves.nodes = leaves.edges
        changed = leaves.differ(self._leaves)
        self._leaves = leaves
        return changed

    def _times(self, number: int, arrivals: list[np.ndarray], gone: list[np.ndarray] | None) -> Moves:
        known = self.cache.nodes.setdefault(number, [])
        for before, before_gone, result in known:
            if _same(arrivals, before) and (gone is before_gone or (gone and _same(gone, before_gone or result[1]))):
                return result
        times = self._graph.nodes[number].node.times(arrivals, gone)
        result = (list(times.taken), list(times.given))
        known[1:] = [*known[1:][-KNOWN:], (arrivals, gone, result)]
        return result

    def _image(self) -> np.ndarray:
        """When the pacer offers each beat. While one waits, the accumulator of tokens stands still."""
        port = Port(node=IMAGE)
        if port not in self._leaves.nodes:
            return self._pace
        left = self._leaves.nodes[port]
        if left is self._pace:
            return left
        gaps = np.concatenate([[0], np.diff(self._pace)])
        return self.cache.made(("image",), (left,), lambda: np.maximum(self._pace, behind(left, 1) - 1 + gaps))

    def _offered(self, port: Port, given: np.ndarray, leaves: _Leaves) -> np.ndarray:
        """When each beat that a node could give at ``given`` is offered to the edges. Notes when it leaves the node."""
        if not self._target.relays:
            return given
        leaves.nodes[port], offered = self._relayed(("port", port), given, self._leaves.edges.get(port))
        return offered

    def _comes(self, place: Place, offered: Mapping[Port, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """When an edge takes each beat, and when it is offered behind the relay there."""
        source = offered[self._edges[place].source]
        if not self._target.relays:
            return source, source
        return self._relayed(("edge", place), source, self._leaves.relays.get(place))

    def _relayed(
        self, name: tuple[Any, ...], arrivals: np.ndarray, left: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """When a relay takes each beat, and when it offers it."""
        of = (arrivals,) if left is None else (arrivals, left)
        taken = self.cache.made((*name, "taken"), of, lambda: relay.taken(arrivals, left))
        of = (taken,) if left is None else (taken, left)
        return taken, self.cache.made((*name, "given"), of, lambda: relay.given(taken, left))

    def _pushed(self, place: Place, offered: Mapping[Port, np.ndarray]) -> np.ndarray:
        """When each beat is pushed into the FIFO of an edge."""
        edge = self._edges[place]
        _, comes = self._comes(place, offered)
        if not edge.narrows:
            comes = self._adapted(place, comes)
        if place not in self._leaves.fifos:
            return comes
        popped = self._leaves.fifos[place]
        return self.cache.made(
            ("pushed", place, edge.depth),
            (comes, popped),
            lambda: one_a_cycle(np.maximum(comes, behind(popped, edge.depth))),
        )

    def _fetched(self, place: Place, offered: Mapping[Port, np.ndarray]) -> np.ndarray:
        """When each beat comes out of the FIFO of an edge, once those before it have been taken."""
        edge, pushed = self._edges[place], self._pushed(place, offered)
        latency = fifo_latency(edge.fifo_beat, edge.depth, self._target)
        return self.cache.made(("fetched", place, latency), (pushed,), lambda: pushed + latency)

    def _arrivals(self, place: Place, offered: Mapping[Port, np.ndarray]) -> np.ndarray:
        """When each beat is offered to the taker, once those before it have been taken."""
        edge = self._edges[place]
        if not edge.depth:
            return self._adapted(place, self._comes(place, offered)[1])
        fetched = self._fetched(place, offered)
        return self._adapted(place, fetched) if edge.narrows else fetched

    def _take(self, place: Place, offered: Mapping[Port, np.ndarray], taken: np.ndarray, leaves: _Leaves) -> None:
        """Note when beats leave the port, the relay and the FIFO of an edge, whose taker takes them at ``taken``."""
        edge = self._edges[place]
        own, comes = self._comes(place, offered)
        if not edge.depth:
            gone = self._taken(place, comes, taken)
        elif edge.narrows:
            leaves.fifos[place] = self._taken(place, self._fetched(place, offered), taken)
            gone = self._pushed(place, offered)
        else:
            leaves.fifos[place], gone = taken, self._taken(place, comes, self._pushed(place, offered))
        if self._target.relays:
            leaves.relays[place] = gone
        else:
            own = gone
        if edge.source in leaves.edges:
            others, last = leaves.edges[edge.source], own
            own = self.cache.made(("left", place), (others, last), lambda: np.maximum(others, last))
        leaves.edges[edge.source] = own

    def _adapted(self, place: Place, arrivals: np.ndarray) -> np.ndarray:
        """When the adapter of an edge offers its beats."""
        a, b = self._edges[place].given.lanes, self._edges[place].taken.lanes
        if a == b:
            return arrivals
        return self.cache.made(("adapted", place), (arrivals,), lambda: adapter.offered(a, b, arrivals))

    def _taken(self, place: Place, arrivals: np.ndarray, taken: np.ndarray) -> np.ndarray:
        """When the adapter of an edge takes its beats, where its own are taken at ``taken``."""
        a, b = self._edges[place].given.lanes, self._edges[place].taken.lanes
        if a == b:
            return taken
        return self.cache.made(("taken", place), (arrivals, taken), lambda: adapter.taken(a, b, arrivals, taken))


def _same(one: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> bool:
    return all(own is before or np.array_equal(own, before) for own, before in zip(one, other, strict=True))


def _differs(one: Mapping[Any, np.ndarray], other: Mapping[Any, np.ndarray]) -> bool:
    return one.keys() != other.keys() or not _same([one[key] for key in one], [other[key] for key in one])


def least_fifos(schedule: NetworkSchedule, target: Target) -> NetworkSchedule:
    """The schedule with FIFOs of which none can be smaller by an entry without an output beat in another cycle.

    Args:
        schedule: one with FIFOs in which every beat finds room at once. A network with more than `LARGEST` cycles a
            frame keeps these.
    """
    if schedule.interval > LARGEST or not any(edge.depth for edge in schedule.edges):
        return schedule
    search = _Search(schedule, target)
    edges = schedule.edges
    for number in sorted(range(len(edges)), key=lambda number: -edges[number].depth * edges[number].fifo_beat.size):
        search.lower(number)
    moves = search.run.moves
    return replace(
        schedule,
        edges=search.edges,
        first_taken=[int(min(beats[0] for beats in taken)) for taken, _ in moves],
        first_given=[int(given[0][0]) for _, given in moves],
    )


class _Search:
    """FIFOs that become smaller one after the other.

    Attributes:
        edges: the edges with the least depths so far.
        run: a run with these.
    """

    def __init__(self, schedule: NetworkSchedule, target: Target) -> None:
        self._schedule, self._target = schedule, target
        self.edges = list(schedule.edges)
        self._endless = self._run(schedule.edges, FEWEST, Cache())
        while self._endless.wanted + MORE > self._endless.frames:
            self._lengthen(self._endless.wanted + MORE)
        self._most = LONGER * self._endless.frames
        self.run = self._endless

    def lower(self, number: int) -> None:
        """Make a FIFO as small as it can be."""
        edge = self.edges[number]
        low, high, step = 0, edge.depth, 1
        # Most are as small as they can be, or all but. So the steps down begin small.
        while low < high:
            tried = max(low, high - step)
            if self._fits(number, tried):
                high, step = tried, 2 * step
            else:
                low, step = tried + 1, max(1, (high - tried) // 2)
        if high < edge.depth:
            self.edges[number] = replace(edge, depth=high, why=_why(edge.depth, high))

    def _fits(self, number: int, depth: int) -> bool:
        """Whether no output beat is late with the FIFO so deep. If so, the run is kept."""
        edges = [*self.edges[:number], replace(self.edges[number], depth=depth), *self.edges[number + 1 :]]
        while True:
            run = self._stalled(edges, self._endless.frames, self._endless.cache)
            if not run.settle(self._endless.output):
                return False
            if run.wanted <= run.frames:
                self.run = run
                return True
            # What changes from frame to frame may come to rest, or make a beat late at last.
            if 2 * run.frames > self._most:
                return False
            self._lengthen(2 * run.frames)

    def _lengthen(self, frames: int) -> None:
        self._endless = self._run(self._schedule.edges, frames, Cache())

    def _run(self, edges: Sequence[Edge], frames: int, cache: Cache) -> Stalled:
        run = self._stalled(edges, frames, cache)
        settled = run.settle()
        assert settled, "with FIFOs without end no beat waits for ever"
        return run

    def _stalled(self, edges: Sequence[Edge], frames: int, cache: Cache) -> Stalled:
        return Stalled(self._schedule.graph, edges, self._schedule.interval, frames, self._target, cache)


def _why(waiting: int, depth: int) -> str:
    rest = f"the other {waiting - depth} of at most {waiting} beats that wait at full rate can do so before it"
    return rest if not depth else f"with {depth - 1}, an output beat would leave in another cycle or never; {rest}"
