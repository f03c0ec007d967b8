"""Extremes of the formats: no layer exceeds them, and no smaller bound holds."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from golden.contract.bounds import stage_ranges
from golden.contract.extremes import Extremes
from golden.contract.layer import Layer
from golden.contract.layer_config import BIAS_BITS, MULTIPLIER_BITS
from golden.contract.ranges import Range
from tests.support.tiers import seeds
from tests.support.units import UNITS, at_limits, random_unit, unit_shapes

STAGES = ("conv_sum", "attn_sum", "combined", "accumulator", "scaled")


def holds(outer: Range, inner: Range) -> bool:
    return outer.low <= inner.low and inner.high <= outer.high


@pytest.mark.parametrize("seed", seeds(60))
def test_no_layer_exceeds_them(seed: int) -> None:
    layer = random_unit(seed, product="dynamic" if seed % 2 else "hadamard").layer
    bounds, own = stage_ranges(Extremes(config=layer.config)), stage_ranges(layer)
    for stage in STAGES:
        assert holds(getattr(bounds, stage), getattr(own, stage)), f"{stage} of seed {seed}"


@pytest.mark.parametrize("name", UNITS)
def test_some_layer_reaches_them(name: str) -> None:
    """The sums of the most extreme of layers, signs chosen one by one, are the bounds."""
    config = unit_shapes(**UNITS[name])
    limits = Range.of_format(BIAS_BITS, True)
    reached = []
    for sign, bias in ((1, limits.high), (-1, limits.low)):
        extremes = Extremes(config=config.layer.config)
        outputs = config.layer.config.out_channels
        layer = dataclasses.replace(
            config.layer,
            conv_weight=np.repeat(sign * extremes.conv_weight[:1], outputs, axis=0),
            attn_weight=np.repeat(sign * extremes.attn_weight[:1], outputs, axis=0),
            bias=np.full(outputs, bias),
            multiplier=np.full(outputs, 2**MULTIPLIER_BITS - 1),
        )
        reached.append(stage_ranges(layer))
    bounds = stage_ranges(extremes)
    for stage in STAGES:
        found = [getattr(ranges, stage) for ranges in reached]
        assert getattr(bounds, stage) == Range(min(r.low for r in found), max(r.high for r in found)), stage


@pytest.mark.parametrize("signs", ["positive", "negative", "alternating"])
def test_weights_at_their_limits(signs: str) -> None:
    for name, fields in UNITS.items():
        layer: Layer = at_limits(unit_shapes(**fields), signs).layer
        bounds, own = stage_ranges(Extremes(config=layer.config)), stage_ranges(layer)
        assert all(holds(getattr(bounds, stage), getattr(own, stage)) for stage in STAGES), name


def test_pairs_of_channels_have_both_signs() -> None:
    """Where two output channels share a multiplier, the bounds of each come from every other channel."""
    extremes = Extremes(config=unit_shapes(attn_offsets=()).layer.config)
    for first in (0, 1):
        weights = extremes.conv_weight[first::2]
        assert weights.min() == -weights.max() == -extremes.config.weight_limit
