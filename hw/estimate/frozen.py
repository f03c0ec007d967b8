"""Estimates of what only a frozen unit has: memories whose words are known, and a walk over frames of one size."""

from __future__ import annotations

from collections.abc import Iterator

from hw.blocks.memory import kind
from hw.blocks.pipeline import index_shape
from hw.estimate.cells import Cells
from hw.frozen.input_order import InputOrder
from hw.plan.block_sharing import share_blocks
from hw.plan.shapes import Shapes
from hw.plan.weight_layout import lane_banks, weight_skew
from hw.targets.area import Area

#: Words that muxes beside the LUTs choose among.
_MUXED = 256


class FrozenKind:
    """The `hw.estimate.kind.Kind` of units whose layer is built in."""

    def stages(self, shapes: Shapes, cells: Cells) -> dict[str, Area]:
        return {}

    def sequencer(self, shapes: Shapes, cells: Cells) -> Area:
        # Control logic follows the widths of the walk's queues. The factors are fitted.
        walks = [False, True] if shapes.schedule.early else [False]
        bits = sum(width for early in walks for _, width in InputOrder(shapes, early=early).queues)
        return Area(lut=round(bits * (5.4 if cells.six else 9.6)), ff=8 * bits)

    def beat_writer(self, shapes: Shapes, cells: Cells) -> tuple[float, int]:
        address, rows = index_shape(shapes.row_depth).width, len(shapes.geometry.rows)
        fitted = (2 * address + 6 * rows) if cells.six else (10 + 4 * address + 5.5 * rows)
        return fitted, shapes.pixel.size + 3 * address + 10

    def words(self, shapes: Shapes, cells: Cells) -> Area:
        depth, width, address = shapes.weight_depth, shapes.weight.width, index_shape(shapes.weight_depth).width
        total = Area()
        if depth > 1:
            skew = weight_skew(shapes)
            banks = share_blocks(lane_banks(len(skew), skew, shapes.weight_parts), width, depth, shapes.target)
            bits = [len(bank.members) * width + len(bank.guests) for bank in banks]
            waits = (cells.delay(1, guest.wait) for bank in banks for guest in bank.guests)
            total += sum(waits, Area()).times(shapes.lanes)
            if shapes.target.lane_registers:
                bank = sum((_words(cells, depth, b) + Area(ff=address) for b in bits), Area())
                total += bank.times(shapes.lanes)
            else:
                # What is in LUTs shares logic with the same bank of other lanes.
                total += sum((_words(cells, depth, b, shapes.lanes) for b in bits), Area())
                in_block = any(kind(shapes.target, depth, b, read_only=True) == "block" for b in bits)
                total += Area(ff=address * (2 if in_block else 3))
        for words, width in _constants(shapes):
            total += _words(cells, words, width, shapes.folding.pe) + Area(ff=index_shape(words).width)
        return total

    def alike(self, shapes: Shapes) -> float:
        return 0 if shapes.target.lane_registers else 2.0 ** (1 - shapes.constant_depth)

    def bias_bits(self, shapes: Shapes) -> int:
        bits = shapes.bias.width
        return bits if shapes.target.lane_registers else _different(shapes.constant_depth, bits)

    def tags(self, shapes: Shapes, cells: Cells, latency: int) -> Area:
        return Area()


def _constants(shapes: Shapes) -> Iterator[tuple[int, int]]:
    """Words, and bits of a word, of an output channel's biases and of its multipliers."""
    constants = shapes.constant_depth
    if constants > 1:
        yield constants, shapes.bias.width
    depth = constants * (shapes.scale.digits if shapes.scale is not None and shapes.takes_turns else 1)
    if shapes.stores_multipliers and depth > 1:
        yield depth, shapes.multiplier.width


def _words(cells: Cells, depth: int, bits: int, count: int = 1) -> Area:
    """``count`` read-only memories of ``bits`` bits a word, with what is registered behind them."""
    if kind(cells.target, depth, bits, read_only=True) == "block":
        in_block = cells.target.block_memory is not None
        return (cells.block(depth, bits, read_only=True) + Area(ff=0 if in_block else bits)).times(count)
    bits *= count
    different = _different(depth, bits)
    if depth in cells.fabric.rom_pairs:
        return Area(lut=-(-bits // 2), ff=2 * different)
    luts = different * -(-depth // (64 if cells.six else 16)) if depth > 4 else different // 3
    if depth > _MUXED:
        luts = round(1.55 * luts)  # fitted: choices that muxes beside the LUTs do not make
    return Area(lut=luts, ff=2 * different)


def _different(depth: int, bits: int) -> int:
    """How many of ``bits`` random bits of ``depth`` words differ from each other. Bits that are alike share logic."""
    columns = max(1, 2**depth - 2)
    return min(bits, round(columns * (1 - (1 - 1 / columns) ** bits))) if depth <= 32 else bits
