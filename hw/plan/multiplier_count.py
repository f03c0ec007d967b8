"""Multipliers of a unit, by what they are for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from amaranth.hdl import signed

from hw.blocks.multiplier import is_hard, multipliers

if TYPE_CHECKING:
    from hw.plan.config import UnitConfig


def multiplier_counts(config: UnitConfig, *, in_fabric: bool) -> dict[str, int]:
    """Multipliers of each kind; those of a tap that serves convolution and attention at once count as ``shared``.

    ``centre`` multiplies sums over taps with the centre, or (``dynamic``) sums over channels with a
    similarity; it and ``similarity`` are none if these products are made ``in_fabric``.
    """
    target, plan = config.target, config.plan
    counts = dict.fromkeys(("similarity", "conv", "attention", "shared", "centre", "requantise"), 0)
    for chain in plan.chains:
        for product in chain.products:
            both = product.low is not None and product.high is not None
            name = "conv" if product.high is None or plan.outputs == 2 else "shared" if both else "attention"
            counts[name] += config.lanes * config.lane_groups * is_hard(target, config.weight, config.element)
    taps = len(config.geometry.attn_taps)
    if config.heads is not None and not in_fabric:
        attn, sim = (signed(r.signed_bits) for r in (config.group_ranges.attn, config.group_ranges.sim))
        counts["similarity"] = (
            config.folding.simd * len(plan.pairs(taps)) * is_hard(target, config.element, config.element)
        )
        counts["centre"] = config.lanes * taps * config.heads.at_once * multipliers(target, attn, sim)
    elif taps and not in_fabric:
        attn = signed(config.ranges.attn_sum.signed_bits)
        counts["centre"] = config.lanes * config.lane_channels * multipliers(target, attn, config.element)
    acc = signed(config.ranges.accumulator.signed_bits)
    counts["requantise"] = config.folding.pe * multipliers(target, acc, config.multiplier)
    return counts
