"""Estimate: what a unit will take of an FPGA, from its shapes alone, in milliseconds.

The estimate counts the bits of registers, adders and memories, stage by stage, as `hw` builds them
and as Yosys maps them (`hw.estimate.cells`). It counts cells as `hw.synth.resources` does.
Multipliers and block RAMs are exact. LUTs and flip-flops are within 20 %, as
``python -m scripts.estimate`` measures. What has no closed form (control logic, what sharing saves)
is a factor fitted to synthesised units. It is called fitted where it stands. A target without
primitives is estimated as what an ECP5 makes of it. Which multipliers and memories synthesis picks
there is not known, so these figures are None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from hw.blocks import memory
from hw.blocks.latency import tree_latency
from hw.blocks.multiply import product_latency
from hw.blocks.pipeline import index_shape
from hw.estimate.cells import Cells
from hw.estimate.frozen import FrozenKind
from hw.estimate.kind import Kind
from hw.estimate.reloadable import ReloadableKind
from hw.estimate.scales import scale_area, walk_area
from hw.estimate.shifters import aligned_area, scaled_area
from hw.estimate.similarity import chain_area, combine_area, group_macs_area, similarity_area
from hw.plan.config import UnitConfig
from hw.plan.dsp_count import attention_in_fabric
from hw.plan.flush import Flush
from hw.plan.packing import Chain
from hw.plan.scope import FrozenScope, ReloadableScope, Scope
from hw.plan.shapes import Shapes, shape_of
from hw.targets.area import Area
from hw.unit.row_store import read_columns, read_slots, stored_parts
from hw.unit.timetable import Timetable
from hw.unit.window import row_lateness

#: The kind of a unit, by what is known of its layer.
_KINDS: Mapping[type[Scope], Kind] = {FrozenScope: FrozenKind(), ReloadableScope: ReloadableKind()}


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a unit will cost and how fast it is.

    Attributes:
        shapes: the unit.
        frame_cycles, latency: cycles from frame to frame, and from the first input to the first output; exact.
        stages: estimated area of each of `hw.synth.stages.STAGES`.
        dsp, bram: numbers of multipliers and block RAMs (`hw.targets.area.Area`), exact; None where synthesis is
            free to choose.
    """

    shapes: Shapes
    frame_cycles: int
    latency: int
    stages: Mapping[str, Area]
    dsp: int | None
    bram: float | None

    @property
    def config(self) -> UnitConfig:
        return self.shapes.config

    @property
    def area(self) -> Area:
        """All of it. Where synthesis is free to choose multipliers and memories, these are an ECP5's."""
        return sum(self.stages.values(), Area())

    @property
    def lut(self) -> int:
        return self.area.lut

    @property
    def ff(self) -> int:
        return self.area.ff

    @property
    def uram(self) -> int:
        return self.area.uram


def estimate(config: UnitConfig, flush: Flush | None = None, *, tap: bool = False) -> Estimate:
    """The figures of the unit of ``config``, without generating it.

    Args:
        flush: how the unit completes a frame, where what stands around it decides that.
        tap: whether the pixels in the centres of its windows come out of a stream of their own.
    """
    shapes = Shapes(config, flush, tap)
    times, cells, kind = Timetable(shapes), Cells(config.target), _KINDS[type(shapes.scope)]
    stages = {
        **kind.stages(shapes, cells),
        "sequencer": kind.sequencer(shapes, cells) + _due(shapes, cells),
        "row_store": _row_store(shapes, cells, kind),
        "window": _window(shapes, cells),
        "similarity": Area() if shapes.heads is None else similarity_area(shapes, cells),
        "weight_store": kind.words(shapes, cells),
        "tap_macs": _tap_macs(shapes, cells),
        "attention_combine": _attention_combine(shapes, cells),
        "channel_accumulate": _channel_accumulate(shapes, cells, kind),
        "requantise": _requantise(shapes, cells, kind),
        "output_stream": _output_stream(shapes, cells, times.fifo_depth) + _tap_stream(shapes, cells, times),
        "top": _top(shapes, cells, times) + kind.tags(shapes, cells, times.latency),
    }
    total = sum(stages.values(), Area())
    free = config.target.dsp is None
    return Estimate(
        shapes=shapes,
        frame_cycles=shapes.schedule.frame_cycles,
        latency=shapes.schedule.first_output_issue + times.latency,
        stages=stages,
        dsp=None if free else total.dsp,
        bram=None if free else total.bram,
    )


def _due(shapes: Shapes, cells: Cells) -> Area:
    """What counts until the next frame's first groups are due."""
    due = shapes.schedule.due
    if not due:
        return Area()
    c = shapes.layer.config
    since, written = max(due).bit_length(), (c.height * c.width * shapes.geometry.channel_beats - 1).bit_length()
    lut = cells.adder(2, since) + 2 * since + cells.adder(2, written) + written // 2 + 6
    return Area(lut=lut, ff=since + written + len(due).bit_length() + 2)


def _row_store(shapes: Shapes, cells: Cells, kind: Kind) -> Area:
    g, c, slots = shapes.geometry, shapes.layer.config, shapes.schedule.slots
    # Of a group of columns, those beyond the frame are never written. What is never read is taken away.
    stride, read = min(c.stride, c.width), len(read_slots(shapes))
    columns = min(stride, len(read_columns(shapes)))
    rows, pixel, depth = len(g.rows), shapes.pixel.size, shapes.row_depth
    group = pixel * columns
    address, select = index_shape(depth).width, index_shape(slots).width
    parts = stored_parts(shapes)
    in_block = parts > 0 or memory.kind(shapes.target, depth, pixel, read_only=False) == "block"
    # Behind a memory in LUTs a word has all its registers in fabric. A Xilinx block RAM keeps one of them, an ECP5's
    # block RAM two.
    fabric = memory.LATENCY + shapes.target.fast - (0 if not in_block else 1 if cells.six else memory.LATENCY)
    words = cells.delay(read * group, fabric)
    registers = rows * group + pixel
    control = address + rows * (3 + select) + slots + 3 * select - 1
    # A four-to-one choice takes a LUT6, or two LUT4. In a single row of centres there is nothing to blank.
    choice = 0 if slots == 1 and g.rows == (0,) else -(-slots // 4) if cells.six else -(-slots // 2)
    writer_luts, writer_registers = kind.beat_writer(shapes, cells)
    # Whose frames are one pixel needs no columns and rows to be counted. The factor is fitted.
    control_luts = (12 + writer_luts) * (0.5 if c.height * c.width == 1 else 1)
    luts = rows * group * choice + control_luts + 40 * (columns - 1)
    logic = words + Area(lut=round(luts), ff=registers + control + writer_registers)
    if parts:
        return logic + cells.block(depth, parts * pixel, parts=parts)
    if in_block:
        return logic + cells.block(depth, pixel).times(read * len(read_columns(shapes)))
    return logic + cells.lut_memory(depth, pixel).times(read * columns)


def _window(shapes: Shapes, cells: Cells) -> Area:
    g, element, simd = shapes.geometry, shapes.element.width, shapes.folding.simd
    fast, late = int(shapes.target.fast), row_lateness(shapes)
    total = Area(lut=10 if shapes.edge_columns else 0, ff=10)
    dropped = int(g.output_beats == 1)
    if cells.six and dropped and len(g.offsets) == 1:
        # What only passes through goes on in shift registers.
        return Area(lut=element * simd)
    for dy in g.rows:
        # Only those columns of a group are kept that a tap still reads.
        longest: dict[int, int] = {}
        for y, dx in g.offsets:
            segment, column = g.cell(dx)
            if y == dy:
                longest[column] = max(longest.get(column, 0), segment)
        held = sum(segment + 1 for segment in longest.values()) * element * simd
        kept = held - dropped * len(longest) * element * simd
        chosen = len(longest) * element * simd if shapes.moves_late else held
        total += Area(lut=0 if dropped else chosen, ff=held * fast)
        if shapes.schedule.early:
            total += _banks(shapes, cells, dy, kept)
        elif g.channel_beats == 1:
            total += Area(ff=kept)
        elif kept:
            memories = [cells.memory(g.channel_beats, bits) for bits in shapes.window_memories(dy) if bits]
            words = sum(memories, Area())
            # A block RAM contains the register behind the read.
            total += words + Area(ff=kept * fast if not words.bram else 0)
        # A row that runs late has a column and a place that wait.
        total += cells.delay(shapes.column_group.size, late[dy]) + cells.delay(3, late[dy])
    for (dy, dx), skew in zip(g.offsets, shapes.plan.skew, strict=True):
        masked = dx in shapes.edge_columns
        plain = not masked and (dy, dx) != (0, 0)
        for channel in shapes.plan.channel_skew:
            bits = element * simd // shapes.plan.group
            total += cells.delay(bits, skew - late[dy] + channel + plain) + Area(ff=0 if plain else bits)
    return total


def _banks(shapes: Shapes, cells: Cells, dy: int, kept: int) -> Area:
    """What the delay line of window row ``dy`` keeps in units that read early, ``kept`` bits in each of two banks."""
    early = min(shapes.schedule.early, shapes.geometry.segments(dy)) * shapes.column_group.size
    # Of each bit the bank is chosen, and what is written: what is read early, or what is pushed.
    if shapes.geometry.channel_beats == 1:
        return Area(lut=kept + early, ff=2 * kept)
    words = cells.memory(2 << index_shape(shapes.geometry.channel_beats).width, kept)
    return words + Area(lut=early, ff=kept * shapes.target.fast if not words.bram else 0)


def _tap_macs(shapes: Shapes, cells: Cells) -> Area:
    if shapes.heads is not None:
        return group_macs_area(shapes, cells)
    chains = sum((_chain(shapes, cells, chain) for chain in shapes.plan.chains), Area())
    return (chains + _chain_sums(shapes, cells)).times(shapes.lanes * shapes.lane_channels)


def _chain(shapes: Shapes, cells: Cells, chain: Chain) -> Area:
    """A chain, the registers in which its sum waits for all chains, and the unpacking of its fields."""
    plan = shapes.plan
    total = chain_area(shapes, cells, chain)
    if chain.shift is None:
        waits = int(plan.packed) + max(map(partial(_summing, shapes), plan.chains)) - _summing(shapes, chain)
        return total + cells.delay(chain.total_bits, waits)
    if chain.high is None:
        return total
    high = chain.high.signed_bits
    total += Area(ff=high * _stays(shapes, cells, chain), lut=1 if cells.six else cells.adder(2, high))
    # The low field waits with the static sum in the same shift register.
    return total if cells.six and len(plan.chains) == 1 else total + Area(ff=chain.shift)


def _summing(shapes: Shapes, chain: Chain) -> int:
    """Cycles that the sum of a chain's products takes."""
    count = len(chain.products)
    return count if shapes.plan.cascaded else tree_latency(count, shapes.target.radix(count))


def _attending(shapes: Shapes) -> list[Chain]:
    """Chains that the attention's sum comes from."""
    return [chain for chain in shapes.plan.chains if chain.high is not None] if shapes.geometry.attn_taps else []


def _moves(shapes: Shapes, cells: Cells) -> bool:
    """Whether the attention's last sum, in front of the centre's multiplier, moves into that multiplier's block."""
    return cells.fabric.adds_in_dsp and len(_attending(shapes)) > 1


def _stays(shapes: Shapes, cells: Cells, chain: Chain) -> bool:
    """Whether the register of a chain's high field stays in fabric, even where the sum of high fields moves."""
    attending = _attending(shapes)
    highs = [own for own in shapes.plan.chains if own.high is not None]
    return not _moves(shapes, cells) or len(attending) > shapes.target.radix(len(attending)) or chain not in highs[:2]


def _chain_sums(shapes: Shapes, cells: Cells) -> Area:
    """The sums over the chains, static and dynamic. The earlier one waits for the other."""
    plan, target = shapes.plan, shapes.target
    attn, conv = shape_of(shapes.ranges.attn_sum).width, shape_of(shapes.ranges.conv_sum).width
    lows = [chain.low.signed_bits for chain in plan.chains if chain.low is not None]
    highs = [chain.high.signed_bits for chain in plan.chains if chain.high is not None]
    trees = [(lows, conv), (highs, conv if plan.outputs == 2 else attn)]
    depths = [tree_latency(len(terms), target.radix(len(terms))) for terms, _ in trees]
    total = Area()
    for (terms, width), depth in zip(trees, depths, strict=True):
        moves = _moves(shapes, cells) and terms is highs
        total += cells.tree(terms, width, target.radix(len(terms)), moves=moves)
        if terms:
            total += cells.delay(width, max(depths) - depth)
    return total


def _attention_combine(shapes: Shapes, cells: Cells) -> Area:
    combined = shape_of(shapes.ranges.combined).width
    shift = shapes.settings.attn_shift
    if not shapes.geometry.attn_taps:
        return scaled_area(cells, shift, combined).times(shapes.lanes * shapes.lane_channels)
    if shapes.heads is not None:
        return combine_area(shapes, cells)
    attn, conv = shape_of(shapes.ranges.attn_sum), shape_of(shapes.ranges.conv_sum).width
    in_fabric = attention_in_fabric(shapes)
    cycles = product_latency(shapes.target, attn, shapes.element, in_fabric=in_fabric)
    upper = max(0, combined - shift.allowed.low)
    channel = cells.product(attn, shapes.element, attn.width + shapes.element.width, in_fabric=in_fabric)
    channel += cells.delay(conv, cycles - shift.latency) + scaled_area(cells, shift, combined)
    channel += Area(lut=cells.adder(2, upper), ff=combined)
    return channel.times(shapes.lanes * shapes.lane_channels)


def _channel_accumulate(shapes: Shapes, cells: Cells, kind: Kind) -> Area:
    acc, terms = shape_of(shapes.ranges.accumulator).width, shapes.combined.length
    tree = cells.tree([shapes.combined.elem_shape.width] * terms, acc, shapes.target.radix(terms))
    if shapes.beats_per_output == 1:
        lane = Area(lut=cells.adder(2, acc), ff=acc)
    elif shapes.target.fast:
        # Registers hold the bias, its sum with the beat, each half three times and the carry. The halves are in
        # their loop, beside it and a cycle earlier or later.
        low, high = acc // 2, acc - acc // 2
        # Half the fixed bits of the bias are zero. They need no LUT in front of a carry chain beside the LUTs.
        first = round(cells.adder(2, acc) * (1 - kind.alike(shapes) / 2 if cells.six else 1))
        adders = first + cells.adder(2, low + 1) + cells.adder(2, high)
        lane = Area(lut=adders, ff=kind.bias_bits(shapes) + acc + 3 * low + 3 * high + 1)
    else:
        lane = Area(lut=2 * acc, ff=acc)
    return (tree + lane).times(shapes.folding.pe)


def _requantise(shapes: Shapes, cells: Cells, kind: Kind) -> Area:
    if shapes.raw:
        return Area()
    if shapes.scale is not None:
        return scale_area(cells, shapes, shapes.scale).times(shapes.folding.pe) + walk_area(cells, shapes)
    acc, scaled = shape_of(shapes.ranges.accumulator), shape_of(shapes.ranges.scaled).width
    c, shift = shapes.layer.config, shapes.settings.out_shift
    area = cells.product(acc, shapes.multiplier, scaled, alike=kind.alike(shapes))
    area += aligned_area(cells, shift, scaled)
    area += cells.rounded(scaled + shift.span, shift.allowed.high, c.out_range, shapes.result.width, c.rounding)
    return area.times(shapes.folding.pe)


def _output_stream(shapes: Shapes, cells: Cells, depth: int) -> Area:
    entry = shapes.folding.pe * shapes.result.width + 1
    pointer = index_shape(depth).width
    return cells.memory(depth, entry) + Area(lut=6 * pointer, ff=entry + 3 * pointer + 2)


def _tap_stream(shapes: Shapes, cells: Cells, times: Timetable) -> Area:
    """The FIFO of the tap, the credit for it, and what tells when pixels come."""
    if not shapes.tap:
        return Area()
    pointer = index_shape(times.tap_depth).width
    control = Area(lut=(6 if cells.six else 8) * pointer, ff=shapes.pixel.size + 4 * pointer + 4 + times.at_tap)
    return cells.memory(times.tap_depth, shapes.pixel.size) + control


def _top(shapes: Shapes, cells: Cells, times: Timetable) -> Area:
    """Each lane's copy of its operands, and registers in which values wait for their stage."""
    lane, element = times.lane, shapes.element.width
    at_lane = times.latency - lane.latency - 2
    total = Area(lut=4, ff=4)
    if shapes.target.lane_registers:
        operands = shapes.lane_taps.size + (shapes.lane_weights.size if shapes.weight_depth > 1 else 0)
        if shapes.stores_multipliers and (shapes.constant_depth > 1 or shapes.takes_turns):
            operands += shapes.multiplier.width * shapes.plan.outputs
        if shapes.takes_turns:
            operands += 2  # whether a sum is complete, and whether a digit follows
        if shapes.heads is not None:
            operands += shapes.sims.size
        elif shapes.geometry.attn_taps:
            operands += element * shapes.lane_channels
        total += Area(ff=operands).times(shapes.lanes)
    if shapes.heads is not None:
        total += cells.delay(shapes.channel_taps.size * shapes.folding.simd, times.sims_wait)
    elif shapes.geometry.attn_taps:
        total += cells.delay(element * shapes.folding.simd, lane.centre)
    constant = index_shape(shapes.constant_depth).width if shapes.constant_depth > 1 else 0
    last_constant = lane.bias if shapes.takes_turns or not shapes.stores_multipliers else lane.multiplier
    beat = index_shape(shapes.geometry.channel_beats).width + index_shape(shapes.layer.config.out_width).width
    total += cells.delay(beat + index_shape(shapes.weight_depth).width, max(0, at_lane - 3))
    total += cells.delay(constant, max(0, at_lane + last_constant - 3))
    if shapes.beats_per_output > 1:
        total += cells.delay(2, at_lane + lane.bias)
    if shapes.takes_turns:
        # When a sum is complete, whether a digit follows, and when digits are read. The last has a reset.
        total += cells.delay(1, at_lane + lane.complete) + cells.delay(1, lane.goes_on - lane.multiplier)
        total += Area(ff=at_lane + lane.multiplier)
    # Valid bits have a reset, so they are never in a shift register.
    return total + Area(ff=times.latency) + cells.delay(1, times.latency)
