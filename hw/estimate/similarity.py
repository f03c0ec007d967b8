"""Estimates of the stages that the ``dynamic`` product brings or changes."""

from __future__ import annotations

from amaranth.hdl import Shape

from hw.blocks import multiplier
from hw.blocks.pipeline import tree_latency
from hw.estimate.cells import Family
from hw.plan.config import UnitConfig, shape_of
from hw.plan.group_packing import pair_width
from hw.plan.packing import Chain
from hw.targets.area import Area


def chain_area(config: UnitConfig, family: Family, chain: Chain) -> Area:
    """A chain's multipliers, and its adders where it is no cascade."""
    total, widths = Area(), []
    for product in chain.products:
        packed = chain.shift is not None and product.high is not None
        word = Shape((chain.shift or 0) + config.weight.width if packed else config.weight.width, signed=True)
        if config.plan.cascaded:
            total += Area(dsp=1)
            continue
        width = word.width + config.element.width
        total += family.product(word, config.element, width)
        widths.append(width)
    return total + family.tree(widths, chain.total.width, config.target.radix(len(widths)))


def group_macs_area(config: UnitConfig, family: Family) -> Area:
    """`hw.unit.tap_macs` of all lanes: chains over channels, a sum of its own for each attention tap."""
    plan, target = config.plan, config.target
    total, lows = Area(), []
    highs: dict[int | None, list[int]] = {}
    for chain in plan.chains:
        total += chain_area(config, family, chain)
        if chain.low is not None:
            lows.append(chain.low.signed_bits)
        if chain.high is not None:
            highs.setdefault(chain.tap, []).append(chain.high.signed_bits)
        if chain.shift is not None and chain.high is not None:
            upper = chain.high.signed_bits
            total += Area(ff=upper + chain.shift, lut=1 if family.six else family.adder(2, upper))
        elif plan.packed:
            total += Area(ff=chain.total.width)
    conv, attn = shape_of(config.group_ranges.conv).width, shape_of(config.group_ranges.attn).width
    for widths, limit in ((lows, conv), *((widths, attn) for widths in highs.values())):
        total += family.tree(widths, limit, target.radix(len(widths)))
    return total.times(config.lanes * config.lane_groups)


def similarity_area(config: UnitConfig, family: Family) -> Area:
    """`hw.unit.similarity`, which all lanes share."""
    heads, plan, target, ranges = config.heads, config.plan, config.target, config.ranges.similarity
    form = config.layer.config.similarity
    assert heads is not None and ranges is not None and form is not None
    taps, element = [ranges.sums[t] for t in config.geometry.attn_taps], config.element
    parts, total = len(plan.parts), Area()
    for pair in plan.pairs(len(taps)):
        sums = [taps[tap].signed_bits for tap in pair]
        packed = len(pair) == 2
        word = Shape((plan.pair_shift or 0) + pair_width(element) if packed else element.width, signed=True)
        width = sums[-1] + (plan.pair_shift or 0) if packed else sums[0]
        if plan.cascaded:
            chain = Area(dsp=1).times(plan.group)
        else:
            product = min(width, word.width + element.width)
            chain = family.product(word, element, product, in_fabric=config.attention_in_fabric).times(plan.group)
            chain += family.tree([product] * plan.group, width, target.radix(plan.group))
        if packed and element.signed:
            chain += Area(lut=family.adder(2, pair_width(element))).times(plan.group)
        if plan.pair_shift is not None:
            chain += Area(ff=width, lut=0 if not packed or family.six else family.adder(2, sums[-1])).times(parts)
        total += chain.times(heads.groups)
    for s in taps:
        bits = s.signed_bits
        total += _head_sum(config, family, bits, heads.groups * parts)
        rounded = family.rounded(bits, form.shift, form.limits, form.limits.high.bit_length() + 1)
        total += rounded.times(heads.at_once)
    if target.lane_registers:
        total += Area(ff=config.channel_taps.size * config.folding.simd)
    return total


def combine_area(config: UnitConfig, family: Family) -> Area:
    """`hw.unit.similarity_combine` of all lanes."""
    heads, target, groups = config.heads, config.target, config.lane_groups
    assert heads is not None
    attn, sim = shape_of(config.group_ranges.attn), shape_of(config.group_ranges.sim)
    conv, acc = shape_of(config.group_ranges.conv).width, shape_of(config.ranges.accumulator).width
    products = len(config.geometry.attn_taps) * heads.at_once
    width, in_fabric = min(acc, attn.width + sim.width), config.attention_in_fabric
    lane = _head_sum(config, family, attn.width, groups).times(len(config.geometry.attn_taps))
    lane += family.product(attn, sim, width, in_fabric=in_fabric).times(products)
    lane += family.tree([width] * products, acc, target.radix(products))
    lane += family.tree([conv] * groups, acc, target.radix(groups))
    waits = multiplier.latency(target, attn, sim, in_fabric=in_fabric) + tree_latency(products, target.radix(products))
    lane += family.delay(conv + (groups - 1).bit_length(), max(0, waits - tree_latency(groups, target.radix(groups))))
    lane += Area(lut=family.adder(2, max(0, acc - config.layer.config.attn_shift)), ff=acc)
    return lane.times(config.lanes)


def _head_sum(config: UnitConfig, family: Family, bits: int, terms: int) -> Area:
    """`hw.unit.head_sum` of one value per group."""
    heads, target = config.heads, config.target
    assert heads is not None
    if not heads.spans:
        parts = terms // heads.groups
        return family.tree([bits] * parts, bits, target.radix(terms)).times(heads.groups)
    tree = family.tree([bits] * terms, bits, target.radix(terms)).times(heads.at_once)
    return tree + Area(lut=family.adder(2, bits), ff=2 * bits + bits * (heads.at_once - 1))
