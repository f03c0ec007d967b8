"""Estimates of the stages that the ``dynamic`` product brings or changes."""

from __future__ import annotations

from amaranth.hdl import Shape

from golden.contract.rounding import HALF_EVEN
from hw.blocks.latency import tree_latency
from hw.blocks.multiply import product_latency
from hw.estimate.cells import Cells
from hw.estimate.shifters import scaled_area
from hw.plan.dsp_count import attention_in_fabric
from hw.plan.group_packing import pair_width
from hw.plan.packing import Chain
from hw.plan.shapes import Shapes, shape_of
from hw.targets.area import Area


def chain_area(shapes: Shapes, cells: Cells, chain: Chain) -> Area:
    """A chain's multipliers, and its adders where it is no cascade."""
    total, widths = Area(), []
    for product in chain.products:
        packed = chain.shift is not None and product.high is not None
        word = Shape((chain.shift or 0) + shapes.weight.width if packed else shapes.weight.width, signed=True)
        if shapes.plan.cascaded:
            total += Area(dsp=1)
            continue
        width = word.width + shapes.element.width
        total += cells.product(word, shapes.element, width, in_fabric=shapes.products_in_fabric)
        widths.append(width)
    return total + cells.tree(widths, chain.total_bits, shapes.target.radix(len(widths)))


def group_macs_area(shapes: Shapes, cells: Cells) -> Area:
    """`hw.unit.tap_macs` of all lanes: chains over channels, a sum of its own for each attention tap."""
    plan, target = shapes.plan, shapes.target
    total, lows = Area(), []
    highs: dict[int | None, list[int]] = {}
    for chain in plan.chains:
        total += chain_area(shapes, cells, chain)
        if chain.low is not None:
            lows.append(chain.low.signed_bits)
        if chain.high is not None:
            highs.setdefault(chain.tap, []).append(chain.high.signed_bits)
        if chain.shift is not None and chain.high is not None:
            upper = chain.high.signed_bits
            total += Area(ff=upper + chain.shift, lut=1 if cells.six else cells.adder(2, upper))
        elif plan.packed:
            total += Area(ff=chain.total_bits)
    conv, attn = shape_of(shapes.group_ranges.conv).width, shape_of(shapes.group_ranges.attn).width
    for widths, limit in ((lows, conv), *((widths, attn) for widths in highs.values())):
        total += cells.tree(widths, limit, target.radix(len(widths)))
    return total.times(shapes.lanes * shapes.lane_groups)


def similarity_area(shapes: Shapes, cells: Cells) -> Area:
    """`hw.unit.similarity`, which all lanes share."""
    heads, plan, target, ranges = shapes.heads, shapes.plan, shapes.target, shapes.ranges.similarity
    form = shapes.layer.config.similarity
    assert heads is not None and ranges is not None and form is not None
    taps, element = [ranges.sums[t] for t in shapes.geometry.attn_taps], shapes.element
    parts, total = len(plan.parts), Area()
    for pair in plan.pairs(len(taps)):
        sums = [taps[tap].signed_bits for tap in pair]
        packed = len(pair) == 2
        word = Shape((plan.pair_shift or 0) + pair_width(element.width) if packed else element.width, signed=True)
        width = sums[-1] + (plan.pair_shift or 0) if packed else sums[0]
        if plan.cascaded:
            chain = Area(dsp=1).times(plan.group)
        else:
            product = min(width, word.width + element.width)
            chain = cells.product(word, element, product, in_fabric=attention_in_fabric(shapes)).times(plan.group)
            chain += cells.tree([product] * plan.group, width, target.radix(plan.group))
        if packed and element.signed:
            chain += Area(lut=cells.adder(2, pair_width(element.width))).times(plan.group)
        if plan.pair_shift is not None:
            chain += Area(ff=width, lut=0 if not packed or cells.six else cells.adder(2, sums[-1])).times(parts)
        total += chain.times(heads.groups)
    for s in taps:
        bits = s.signed_bits
        total += _head_sum(shapes, cells, bits, heads.groups * parts)
        rounded = cells.rounded(bits, form.shift, form.limits, form.limits.high.bit_length() + 1, HALF_EVEN)
        total += rounded.times(heads.at_once)
    if target.lane_registers:
        total += Area(ff=shapes.channel_taps.size * shapes.folding.simd)
    return total


def combine_area(shapes: Shapes, cells: Cells) -> Area:
    """`hw.unit.similarity_combine` of all lanes."""
    heads, target, groups = shapes.heads, shapes.target, shapes.lane_groups
    assert heads is not None
    attn, sim = shape_of(shapes.group_ranges.attn), shape_of(shapes.group_ranges.sim)
    conv, acc = shape_of(shapes.group_ranges.conv).width, shape_of(shapes.ranges.accumulator).width
    products = len(shapes.geometry.attn_taps) * heads.at_once
    width, in_fabric = min(acc, attn.width + sim.width), attention_in_fabric(shapes)
    lane = _head_sum(shapes, cells, attn.width, groups).times(len(shapes.geometry.attn_taps))
    lane += cells.product(attn, sim, width, in_fabric=in_fabric).times(products)
    lane += cells.tree([width] * products, acc, target.radix(products))
    lane += cells.tree([conv] * groups, acc, target.radix(groups))
    waits = product_latency(target, attn, sim, in_fabric=in_fabric) + tree_latency(products, target.radix(products))
    shift = shapes.settings.attn_shift
    early = max(0, waits - tree_latency(groups, target.radix(groups)) - shift.latency)
    lane += cells.delay(conv + (groups - 1).bit_length(), early) + scaled_area(cells, shift, acc)
    lane += Area(lut=cells.adder(2, max(0, acc - shift.allowed.low)), ff=acc)
    return lane.times(shapes.lanes)


def _head_sum(shapes: Shapes, cells: Cells, bits: int, terms: int) -> Area:
    """`hw.unit.head_sum` of one value per group."""
    heads, target = shapes.heads, shapes.target
    assert heads is not None
    if not heads.spans:
        parts = terms // heads.groups
        return cells.tree([bits] * parts, bits, target.radix(terms)).times(heads.groups)
    tree = cells.tree([bits] * terms, bits, target.radix(terms)).times(heads.at_once)
    return tree + Area(lut=cells.adder(2, bits), ff=2 * bits + bits * (heads.at_once - 1))
