"""Estimates of a network's edges: forks, relays, width adapters, FIFOs and the pacer."""

from __future__ import annotations

from collections import Counter
from math import gcd

from hw.estimate.cells import Cells
from hw.estimate.nodes import ram_area
from hw.estimate.streams import counter_area, queue_area
from hw.network.beat import Beat
from hw.network.edges.adapter import moves
from hw.network.edges.fifo import memory_kind
from hw.network.edges.pacer import is_needed
from hw.network.graph import Graph
from hw.network.nodes.unit import UnitNode
from hw.network.schedule import NetworkSchedule
from hw.targets.area import Area
from hw.targets.families import Target


def edge_area(schedule: NetworkSchedule, target: Target) -> Area:
    """What joins the nodes of a network. Where synthesis is free to choose memories, these are an ECP5's."""
    cells, graph = Cells(target), schedule.graph
    total = pacer_area(cells, graph.image_beats, schedule.interval)
    for source, consumers in Counter(edge.source for edge in schedule.edges).items():
        total += fork_area(cells, consumers) + relay_area(cells, graph.beat(source))
    for edge in schedule.edges:
        total += relay_area(cells, edge.given)
        total += adapter_area(cells, edge.given, edge.taken.lanes)
        if edge.depth:
            total += fifo_area(cells, edge.fifo_beat, edge.depth)
    # The counter of the output's beats.
    return total + counter_area(cells, graph.output_beats) + Area(lut=4) + reset_area(cells, graph)


def pacer_area(cells: Cells, frame_beats: int, interval: int) -> Area:
    """`hw.network.edges.pacer.Pacer`."""
    if not is_needed(frame_beats, interval):
        return Area()
    rest = interval - frame_beats
    # The lowest bits never change where both steps of the accumulator are even.
    still = _trailing_zeros(rest | frame_beats)
    bits = 1 + max(rest >> still, (frame_beats >> still) - 1).bit_length()
    return Area(lut=cells.adder(2, bits) + (0 if cells.six else 6), ff=bits + 1)


def fork_area(cells: Cells, consumers: int) -> Area:
    """`hw.network.edges.fork.Fork`; nothing where there is a single consumer."""
    # Whether a consumer has the beat depends on all consumers. The factors are fitted.
    return Area() if consumers == 1 else Area(lut=3 * consumers - 2 if cells.six else 9 * consumers - 13, ff=consumers)


def relay_area(cells: Cells, beat: Beat) -> Area:
    """`hw.network.edges.relay.Relay`; nothing where the target has none."""
    return Area(lut=beat.size + 8, ff=2 * beat.size + 6) if cells.target.relays else Area()


def reset_area(cells: Cells, graph: Graph) -> Area:
    """`hw.network.regions.Regions`: one register; two for each region where the target has relays."""
    if not cells.target.relays:
        return Area(ff=1)
    # A node, the image or the output. A unit has the second register itself.
    units = sum(isinstance(placed.node, UnitNode) for placed in graph.nodes)
    return Area(ff=2 * (len(graph.nodes) + 2) - units)


def adapter_area(cells: Cells, given: Beat, lanes: int) -> Area:
    """`hw.network.edges.adapter.Adapter` from beats ``given`` to beats of ``lanes`` elements."""
    a, b = given.lanes, lanes
    if a == b:
        return Area()
    plan, size = moves(a, b), gcd(a, b) * given.bits
    wide, narrow = a // gcd(a, b), b // gcd(a, b)
    luts = 0
    for unit in range(narrow):
        sources = {
            ("kept", unit) if unit < move.held else ("new", move.start + unit - move.held)
            for move in plan
            if move.gives
        }
        luts += _choice(cells, len(sources)) * size
    for unit in range(narrow - 1):
        sources = {
            ("new", move.end + unit - move.stay)
            for move in plan
            if move.takes and 0 <= unit - move.stay < wide - move.end
        }
        luts += _choice(cells, len(sources)) * size
    control = counter_area(cells, len(plan)) + Area(lut=6, ff=narrow)
    return control + Area(lut=luts, ff=(narrow - 1) * size)


def fifo_area(cells: Cells, beat: Beat, depth: int) -> Area:
    """`hw.network.edges.fifo.Fifo`."""
    kind = memory_kind(beat, depth, cells.target)
    if kind == "register":
        return Area(lut=3, ff=beat.size + 1)
    if kind == "lut":
        return queue_area(cells, depth, beat.size) + Area(lut=5, ff=1)
    level = depth.bit_length()
    control = Area(lut=round(2 * cells.adder(2, level) + (0 if cells.six else 2.4) * level) + 12, ff=2 * level + 4)
    control += counter_area(cells, depth).times(2)
    return control + ram_area(cells, depth, beat.size) + relay_area(cells, beat)


def _trailing_zeros(value: int) -> int:
    return (value & -value).bit_length() - 1


def _choice(cells: Cells, options: int) -> int:
    """LUTs of a choice of one bit of so many."""
    if options < 2:
        return 0
    # A LUT6 holds a choice of four, a LUT4 one of two.
    return -(-(options - 1) // (3 if cells.six else 1))
