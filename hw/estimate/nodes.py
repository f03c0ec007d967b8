"""Estimates of a network's nodes, by their type."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from golden.contract.ranges import Range
from hw.blocks import memory
from hw.blocks.outlet import queue_depth
from hw.blocks.rounding import LATENCY
from hw.blocks.weighted_sum import Weighted, tables
from hw.estimate.cells import Cells
from hw.estimate.estimate import estimate
from hw.estimate.streams import counter_area, outlet_area
from hw.network.node import Node
from hw.network.nodes.argmax import COMPARISON, Argmax
from hw.network.nodes.merge import Merge
from hw.network.nodes.reduce import Reduce
from hw.network.nodes.replay import Replay
from hw.network.nodes.rescale import Rescale
from hw.network.nodes.unit import UnitNode
from hw.targets.area import Area
from hw.targets.families import Target


def node_area(node: Node, target: Target) -> Area:
    """What a node takes. Where synthesis is free to choose multipliers and memories, these are an ECP5's."""
    return AREA[type(node)](node, Cells(target))


def _unit(node: UnitNode, cells: Cells) -> Area:
    return sum(estimate(node.config, node.flush, tap=node.tap).stages.values(), Area())


def _rescale(node: Rescale, cells: Cells) -> Area:
    # Bits that are zero in all products take nothing, and neither does the sign of what is never negative.
    still = min((_trailing_zeros(element.weight) for element in node.weighted), default=0)
    bits = _bits(node.total) - still
    lane = _weighted_sum(cells, node.weighted)
    shift, reached = node.shift - still, max(-node.total.low - 1, node.total.high) >> node.shift
    if shift > 0 or reached > node.limits.high:
        rounded = cells.rounded(bits, max(0, shift), node.limits, node.output.bits, node.rounding)
        # Where nothing is rounded, there is no adder.
        lane += rounded if shift > 0 else replace(rounded, lut=node.output.bits)
    else:
        lane += cells.delay(bits, LATENCY + node.target.fast)
    if node.total.low >= 0:
        lane += Area(ff=-3)  # flags of a sum that may be negative
    depth = queue_depth(node.pipeline, 1)
    control = outlet_area(cells, depth, node.output.size) + Area(lut=3, ff=node.pipeline)
    return lane.times(node.output.lanes) + control


def _weighted_sum(cells: Cells, elements: Sequence[Weighted]) -> Area:
    """`hw.blocks.weighted_sum`."""
    in_tables = tables(cells.target, elements)
    shifts = [element for element in elements if element.is_shift]
    total = Area(ff=sum(element.shape.width for element in elements) if in_tables and cells.target.fast else 0)
    addends = [(t.range, min(map(_trailing_zeros, map(abs, t.weights))), len(t.bits), True) for t in in_tables]
    addends += [(e.range, _trailing_zeros(e.weight), e.shape.width, False) for e in shifts]
    reached, fixed = Range(0, 0), 0
    for number, (own, lowest, inputs, is_table) in enumerate(addends):
        merged = cells.six and number > 0
        if is_table and not merged:
            # The lowest bit that changes is a bit of the digit itself.
            total += Area(lut=max(0, _bits(own) - lowest - 1))
        total += cells.delay(inputs, max(0, number - 1))
        reached = Range(reached.low + own.low, reached.high + own.high)
        fixed = lowest if not number else min(fixed, lowest)
        if number or (is_table and len(addends) == 1):
            # Bits below the addend's lowest pass, and need no carry.
            total += Area(lut=cells.adder(2, _bits(reached) - lowest) if number else 0, ff=_bits(reached) - fixed)
    return total


def _reduce(node: Reduce, cells: Cells) -> Area:
    lanes, bits, item = node.beat.lanes, node.result.bits, node.item_beats
    place = lanes * bits
    # A place is combined with a comparison and a choice, or with an adder whose one term is gated.
    choices = 1 if node.operation == "sum" else 2
    combine = node.kept * lanes * (cells.adder(2, bits) + (choices - 1) * bits)
    # The last place that is kept moves up only if there is one behind it, or is cleared on its way between registers.
    stays = node.kept == node.open and (node.in_memory or not node.clears)
    moves = node.kept - stays + (0 if node.in_memory else node.open - 1)
    total = Area(lut=combine + moves * place, ff=(node.open if node.in_memory else 1 + node.extra) * place)
    total += cells.delay(node.beat.size, node.reads)
    if node.in_memory:
        total += ram_area(cells, item, node.kept * place, behind=node.reads - memory.LATENCY)
    else:
        total += cells.delay(node.kept * place, item)
    total += counter_area(cells, item) + counter_area(cells, node.items) + Area(lut=12, ff=1 + node.kept)
    address = (item - 1).bit_length()
    total += Area(ff=node.reads + 1) + cells.delay(address + 1 + node.kept, node.reads + 1)
    for _ in node.outputs:
        outlet = outlet_area(cells, queue_depth(node.reads + 1, 1), node.result.size)
        total += outlet + Area(ff=node.reads + 1)
    return total


def _merge(node: Merge, cells: Cells) -> Area:
    bits, ports = node.beat.size, len(node.inputs)
    # A LUT6 chooses between two ports and what waits already.
    choice = bits * -(-max(0, ports - 2) // 3) if cells.six else bits * (ports - 1)
    longest = max(beats for _, beats in node.runs)
    control = Area() if len(node.runs) == 1 else counter_area(cells, longest) + counter_area(cells, len(node.runs))
    return control + Area(lut=choice + bits + 2 + ports, ff=2 * bits + 2)


def _replay(node: Replay, cells: Cells) -> Area:
    depth, bits = node.depth, node.beat.size
    place = (depth - 1).bit_length()
    total = ram_area(cells, depth, bits, behind=node.way)
    total += cells.delay(bits + place, 1 + node.way) + cells.delay(place, node.way) + Area(ff=2 + node.way)
    for size in (node.pixel_beats, node.factor, node.width, node.factor):
        total += counter_area(cells, size)
    total += Area(lut=(7 if cells.six else 15) * place, ff=6 * place + 4)
    return total + outlet_area(cells, queue_depth(node.reads, 1), bits) + Area(ff=node.reads)


def _argmax(node: Argmax, cells: Cells) -> Area:
    bits, lanes, index, [beats] = node.input.bits, node.input.lanes, node.outputs[0].bits, node.frame_inputs
    comparison = cells.adder(2, bits + 1)
    total, level = Area(ff=bits * lanes), 0
    while lanes > 1:
        pairs, rest = divmod(lanes, 2)
        # Both values, the lanes that they are of, and what the comparison says; then the larger one.
        total += Area(lut=comparison + bits + level, ff=2 * (bits + level) + 1 + bits + level + 1).times(pairs)
        total += cells.delay(bits + level, COMPARISON).times(rest)
        lanes, level = pairs + rest, level + 1
    cycles = 1 + COMPARISON * level
    if beats > 1:
        total += (
            counter_area(cells, beats) + cells.delay(index + 1, cycles) + Area(lut=2 * index, ff=index + 1 + cycles)
        )
        total += Area(lut=2 * comparison + 4, ff=2 * bits + 2 * index + 5)
    elif level:
        total += Area(lut=-bits, ff=-3 * bits)  # only the lane of the largest element matters
    depth = queue_depth(node.pipeline, beats)
    return total + outlet_area(cells, depth, index) + Area(ff=node.pipeline, lut=3)


def ram_area(cells: Cells, depth: int, bits: int, *, behind: int = 0) -> Area:
    """`hw.blocks.memory.random_access`, with so many registers ``behind`` it."""
    if memory.kind(cells.target, depth, bits, read_only=False) == "block":
        # A Xilinx block RAM keeps one of the registers behind the read, an ECP5's block RAM two.
        registers = behind + (memory.LATENCY - 1 if cells.six else 0)
        return cells.block(depth, bits) + cells.delay(bits, registers)
    return cells.lut_memory(depth, bits) + cells.delay(bits, memory.LATENCY + behind)


def _bits(values: Range) -> int:
    """Bits of a number of this range that may change."""
    return values.signed_bits - (values.low >= 0)


def _trailing_zeros(value: int) -> int:
    return (value & -value).bit_length() - 1


#: The area of each type of node.
AREA: Mapping[type[Any], Callable[[Any, Cells], Area]] = {
    UnitNode: _unit,
    Rescale: _rescale,
    Reduce: _reduce,
    Merge: _merge,
    Replay: _replay,
    Argmax: _argmax,
}
