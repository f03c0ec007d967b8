"""DSP count: multipliers of a unit, by what they are for."""

from __future__ import annotations

from amaranth.hdl import signed

from hw.blocks.multiply import product_dsps, takes_dsp
from hw.plan.config import UnitConfig
from hw.plan.geometry import Geometry
from hw.plan.shapes import Shapes


def dsp_counts(shapes: Shapes, *, in_fabric: bool | None = None) -> dict[str, int]:
    """Multipliers of each kind.

    A multiplier that serves convolution and attention at once counts as ``shared``. ``centre``
    multiplies sums over taps with the centre (``hadamard``), or sums over channels with a similarity
    (``dynamic``). ``centre`` and ``similarity`` are 0 where their products are made ``in_fabric``.
    By default `attention_in_fabric` says whether they are.
    """
    if in_fabric is None:
        in_fabric = attention_in_fabric(shapes)
    target, plan = shapes.target, shapes.plan
    counts = dict.fromkeys(("similarity", "conv", "attention", "shared", "centre", "requantise"), 0)
    for chain in () if shapes.products_in_fabric else plan.chains:
        for product in chain.products:
            both = product.low is not None and product.high is not None
            name = "conv" if product.high is None or plan.outputs == 2 else "shared" if both else "attention"
            counts[name] += shapes.lanes * shapes.lane_groups * product_dsps(target, shapes.weight, shapes.element)
    taps = len(shapes.geometry.attn_taps)
    if shapes.heads is not None and not in_fabric:
        attn, sim = (signed(r.signed_bits) for r in (shapes.group_ranges.attn, shapes.group_ranges.sim))
        counts["similarity"] = (
            shapes.folding.simd * len(plan.pairs(taps)) * takes_dsp(target, shapes.element, shapes.element)
        )
        counts["centre"] = shapes.lanes * taps * shapes.heads.at_once * product_dsps(target, attn, sim)
    elif taps and not in_fabric:
        attn = signed(shapes.ranges.attn_sum.signed_bits)
        counts["centre"] = shapes.lanes * shapes.lane_channels * product_dsps(target, attn, shapes.element)
    if not shapes.raw and shapes.scale is None:
        acc = signed(shapes.ranges.accumulator.signed_bits)
        counts["requantise"] = shapes.folding.pe * product_dsps(target, acc, shapes.multiplier)
    return counts


def fewest_dsps(config: UnitConfig) -> int:
    """A bound on the multipliers of a unit, far quicker than their number: two tap products share one at best."""
    layer, target = config.layer.config, config.target
    if config.made_of.products == "adders" or not target.takes_dsp(
        layer.weight_bits, layer.in_bits + (not layer.in_signed)
    ):
        return 0
    return -(-products_a_cycle(config) // (2 if target.packs and config.pack else 1))


def products_a_cycle(config: UnitConfig) -> int:
    """Products with weights in a cycle."""
    layer, folding = config.layer.config, config.folding
    geometry = Geometry(config=layer, folding=folding)
    taps = len(geometry.conv_taps) + len(geometry.attn_taps)
    return folding.simd * (1 if layer.depthwise else folding.pe) * taps


def attention_in_fabric(shapes: Shapes) -> bool:
    """Whether the attention's products beside its taps are made of adders.

    They are where all products are, and where the family's largest device has enough DSPs for the other products,
    but not for all.
    """
    most = shapes.target.most_dsps
    if shapes.products_in_fabric or most is None:
        return shapes.products_in_fabric
    hard, soft = (sum(dsp_counts(shapes, in_fabric=where).values()) for where in (False, True))
    return hard > most >= soft
