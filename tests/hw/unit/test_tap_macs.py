"""Tap MACs: both sums of every channel are exact, at the limits of weights and elements too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from golden.contract.layer_config import NEIGHBOURS
from hw.plan import weight_layout
from hw.plan.shapes import Shapes
from hw.targets.families import TARGETS
from hw.unit import tap_macs
from hw.unit.tap_macs import TapMacs
from tests.support.components import measured_latency, stream_through
from tests.support.operands import in_groups, lane_beats, lane_word, paired_beats, tap_sums
from tests.support.tiers import FEW, in_turn, thorough_from
from tests.support.units import SIGNS, SIMILAR, UNITS, at_limits, random_unit, unit_shapes, with_arrays

#: Numbers of taps that make the two adder trees differ in depth, and sums that dead taps leave empty.
TAPS: dict[str, dict[str, Any]] = {
    "8_attn_9_conv": {},
    "49_conv": {"kernel": 7, "attn_offsets": ()},
    "49_conv_1_attn": {"kernel": 7, "attn_offsets": ((0, 0),), "height": 7, "width": 7},
    "1_conv_16_attn": {"kernel": 1, "attn_offsets": NEIGHBOURS + tuple((2 * y, 2 * x) for y, x in NEIGHBOURS)},
    "1_conv_1_attn": {"kernel": 1, "attn_offsets": ((0, -1),)},
    # Wide adder trees have nodes of more inputs: here the shorter sum takes longer.
    "25_conv_9_attn": {"kernel": 5, "attn_offsets": (*NEIGHBOURS, (0, 0)), "in_channels": 2},
    "dead_attn": {"height": 1, "width": 1},
}


def check(shapes: Shapes, seed: int, random: int = 4) -> TapMacs:
    """Stream operands through, skewed as the plan says; check sums and the component's latencies."""
    outputs, channels = shapes.plan.outputs, range(shapes.lane_channels)
    beats = list(paired_beats(shapes, np.random.default_rng(seed), random))
    dut = TapMacs(shapes)
    ports = [*dut.o_conv_sum, dut.o_attn_sum] if shapes.geometry.attn_taps else [*dut.o_conv_sum]
    words = [[lane_word(shapes, [beat[n][c] for n in range(outputs)], c) for c in channels] for beat in beats]
    elements = shapes.channel_weights.length
    weight_skew = weight_layout.weight_skew(shapes)

    def late(cycle: int, cycles: int) -> int:
        return min(max(cycle - cycles, 0), len(beats) - 1)

    def tap_skew(c: int) -> list[int]:
        return [s + shapes.plan.channel_skew[c % shapes.plan.group] for s in shapes.plan.skew]

    inputs = [
        {
            "i_taps": [[beats[late(t, s)][0][c].taps[o] for o, s in enumerate(tap_skew(c))] for c in channels],
            "i_weights": [
                [words[late(t, weight_skew[c * elements + e])][c][e] for e in range(elements)] for c in channels
            ],
        }
        for t in range(len(beats) + max(weight_skew))
    ]
    shown = stream_through(dut, inputs, ports, drain=20)
    groups = [[in_groups(shapes, beat[n]) for n in range(outputs)] for beat in beats]
    conv_sums = [[[sum(o.conv_sum for o in group) for group in own] for own in beat] for beat in groups]
    conv_shown = [list(values) for values in zip(*shown[:outputs], strict=True)]
    if shapes.heads is not None:
        attn_sums = [[tap_sums(shapes, group) for group in own] for (own,) in groups]
        assert_latency(conv_shown, conv_sums, tap_macs.conv_latency(shapes))
        assert_latency(shown[-1], attn_sums, tap_macs.latency(shapes))
        return dut
    expected = [
        [*conv, [o.attn_sum for o in beat[0]]][: len(ports)] for conv, beat in zip(conv_sums, beats, strict=True)
    ]
    assert measured_latency([list(values) for values in zip(*shown, strict=True)], expected) == tap_macs.latency(shapes)
    assert tap_macs.latency(shapes) == tap_macs.conv_latency(shapes)
    return dut


def assert_latency(record: list[Any], expected: list[Any], latency: int) -> None:
    """``expected`` comes after ``latency`` cycles, and no sooner; a constant is there at any time."""
    if all(value == expected[0] for value in expected):
        assert record[latency:][: len(expected)] == expected
    else:
        assert measured_latency(record, expected) == latency


@in_turn
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("unit", UNITS)
def test_sums_and_latency(unit: str, target: str) -> None:
    check(unit_shapes(target=target, **UNITS[unit]), seed=4)


@in_turn
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("taps", TAPS)
@pytest.mark.parametrize("in_signed", [False, True])
def test_sums_stay_in_step(taps: str, in_signed: bool, target: str) -> None:
    """Both sums leave in the same cycle, however many taps each has."""
    check(unit_shapes(in_signed=in_signed, target=target, **TAPS[taps]), seed=5)


def test_a_shorter_chain_that_takes_longer() -> None:
    """Packed chains of 17 products, in nodes of four inputs, and one of 15, in nodes of two."""
    fields = {"kernel": 7, "height": 7, "width": 7, "attn_offsets": (), "in_bits": 6, "weight_bits": 4}
    shapes = unit_shapes(target="ecp5", **fields)
    limit = at_limits(shapes, "positive")
    assert [len(chain.products) for chain in limit.plan.chains] == [17, 17, 15]
    # Weights that differ, with one output at its limits so that the plan stays.
    weights = np.where(np.arange(4)[:, None, None, None] < 2, limit.layer.conv_weight, shapes.layer.conv_weight)
    shapes = with_arrays(shapes, conv_weight=weights)
    assert [len(chain.products) for chain in shapes.plan.chains] == [17, 17, 15]
    check(shapes, seed=5)


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("unit", ["same", "plain_1x1", "lopsided"])
def test_without_packing(unit: str, pack: bool) -> None:
    shapes = unit_shapes(target="xcup", pack=pack, **UNITS[unit])
    assert shapes.plan.packed == pack
    check(shapes, seed=5)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("zero", ["conv_weight", "attn_weight"])
def test_one_sum_is_always_zero(zero: str, target: str) -> None:
    """The least that a field of a packed word, and a chain, may have to hold."""
    shapes = unit_shapes(target=target)
    check(with_arrays(shapes, **{zero: np.zeros_like(getattr(shapes.layer, zero))}), seed=6)


@in_turn
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("signs", SIGNS)
@pytest.mark.parametrize("in_signed", [False, True])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_limits(signs: str, in_signed: bool, bits: int, target: str) -> None:
    """Weights at their limits against elements that drive the sums to their proven bounds, which they reach."""
    shapes = at_limits(unit_shapes(in_bits=bits, weight_bits=bits, in_signed=in_signed, target=target), signs)
    beats = [o for beat in lane_beats(shapes, np.random.default_rng(6), 0) for o in beat]
    for bound, sums in (
        (shapes.ranges.conv_sum, [o.conv_sum for o in beats]),
        (shapes.ranges.attn_sum, [o.attn_sum for o in beats]),
    ):
        assert (min(sums), max(sums)) == (bound.low, bound.high)
    check(shapes, seed=6)


@in_turn
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("signs", SIGNS)
@pytest.mark.parametrize("in_signed", [False, True])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_limits_of_group_sums(signs: str, in_signed: bool, bits: int, target: str) -> None:
    """The same of sums over the channels of a group, whose bounds the attention's keep over a whole head."""
    fields = {"in_bits": bits, "weight_bits": bits, **SIMILAR["dynamic_heads_in_a_beat"], "in_signed": in_signed}
    shapes = at_limits(unit_shapes(target=target, **fields), signs)
    beats = list(lane_beats(shapes, np.random.default_rng(6), 0))
    groups = [group for beat in beats for group in in_groups(shapes, beat)]
    conv_sums = [sum(o.conv_sum for o in group) for group in groups]
    attn_sums = [total for group in groups for total in tap_sums(shapes, group)]
    ranges = shapes.group_ranges
    assert (min(conv_sums), max(conv_sums)) == (ranges.conv.low, ranges.conv.high)
    assert (min(attn_sums), max(attn_sums)) == (ranges.attn.low, ranges.attn.high)
    check(shapes, seed=6)


@in_turn
@pytest.mark.parametrize("in_channels", [3, 7, 11])
@pytest.mark.parametrize("target", TARGETS)
def test_groups_of_several_chains(in_channels: int, target: str) -> None:
    """Static sums of so many chains that they come later than those of the taps, and chains of unequal length."""
    fields: dict[str, Any] = {"product": "dynamic", "heads": 1, "in_channels": in_channels, "simd": in_channels}
    fields |= {"out_channels": 2, "pe": 1, "kernel": 3, "attn_offsets": NEIGHBOURS[:3], "height": 3, "width": 3}
    shapes = unit_shapes(target=target, **fields)
    check(shapes, seed=7)
    assert tap_macs.conv_latency(shapes) > tap_macs.latency(shapes)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("seed", thorough_from(range(8), FEW, 4))
def test_sums_in_any_layer(seed: int, target: str) -> None:
    check(random_unit(seed, target), seed)
    check(random_unit(seed, target, similar=True, pack=seed % 3 > 0), seed)
