"""Channel accumulate: the sum over lanes and beats, with idle cycles between beats and at the limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from golden.contract.bounds import combined_ranges
from hw.plan.shapes import Shapes
from hw.targets.families import TARGETS
from hw.unit import channel_accumulate
from hw.unit.channel_accumulate import ChannelAccumulate
from tests.support.components import stream_through
from tests.support.tiers import seeds
from tests.support.units import SIGNS, SIMILAR, at_limits, random_unit, unit_shapes, with_arrays

FOLDINGS: dict[str, dict[str, Any]] = {
    "one_channel": {"in_channels": 1, "out_channels": 2, "simd": 1},
    "one_beat": {"in_channels": 4, "simd": 4},
    "one_lane": {"in_channels": 6, "simd": 1},
    "wide": {"in_channels": 40, "simd": 20},
    "wider_than_one_level": {"in_channels": 18, "simd": 9, "out_channels": 1, "pe": 1},
    "depthwise": {"groups": 4},
    "plain": {"attn_offsets": ()},
    "dynamic": SIMILAR["dynamic_long_heads_across_beats"],
    "dynamic_one_beat": SIMILAR["dynamic_heads_of_one"],
}
BIAS_LIMITS = {"lowest": -(2**31), "highest": 2**31 - 1}


def stimuli(shapes: Shapes, rng: np.random.Generator) -> list[tuple[int, np.ndarray]]:
    """``(output channel, combined [C/groups])`` over all that a channel's weights allow, limits first."""
    low, high = combined_ranges(shapes.layer)
    alternate = np.arange(low.shape[1]) % 2 == 0
    patterns = [low, high, np.where(alternate, low, high), np.where(alternate, high, low)]
    patterns += [rng.integers(low, high, endpoint=True) for _ in range(6)]
    return [(o, pattern[o]) for pattern in patterns for o in range(len(low))]


def check(shapes: Shapes, seed: int, idle: float = 0.3, *, early: bool = False) -> list[int]:
    """Stream sums through and check values and latency; returns the values.

    ``early``: sums do not change with their last beat, so that they are also there before.
    """
    rng = np.random.default_rng(seed)
    dut = ChannelAccumulate(shapes)
    lanes, folded = shapes.lane_channels, shapes.beats_per_output > 1
    combined_bound = shapes.ranges.combined if shapes.heads is None else shapes.ranges.accumulator
    bias_bound = shapes.layer.bias.min(), shapes.layer.bias.max()

    # What each cycle brings, and what it completes. `i_bias` and what marks beats come `bias_latency` later.
    lines: list[dict[str, Any]] = []
    completed: dict[int, int] = {}
    for o, combined in stimuli(shapes, rng):
        for first in range(0, len(combined), lanes):
            while rng.random() < idle:
                terms = shapes.combined.length
                garbage = rng.integers(combined_bound.low, combined_bound.high, terms, endpoint=True).tolist()
                bias = int(rng.integers(*bias_bound, endpoint=True))
                lines.append({"combined": garbage, "bias": bias, "valid": 0, "first": int(rng.integers(2))})
            own = combined[first : first + lanes].tolist()
            # With similarities all channels of a beat are summed before.
            own = own if shapes.heads is None else [sum(own)]
            beat = {"combined": own, "valid": 1, "first": int(first == 0)}
            lines.append({**beat, "bias": int(shapes.layer.bias[o])})
        completed[len(lines) - 1] = int(combined.sum() + shapes.layer.bias[o])

    idle_line = {"combined": [0] * shapes.combined.length, "bias": 0, "valid": 0, "first": 0}
    ports = ["bias", "valid", "first"] if folded else ["bias"]
    # One idle cycle in front, as the bias may be wanted a cycle before the values.
    lines = [idle_line, *lines]
    completed = {cycle + 1: acc for cycle, acc in completed.items()}

    def line(cycle: int) -> dict[str, Any]:
        return lines[cycle] if 0 <= cycle < len(lines) else idle_line

    inputs = [
        {"i_combined": line(t)["combined"]}
        | {f"i_{port}": line(t - channel_accumulate.bias_latency(shapes))[port] for port in ports}
        for t in range(len(lines) + 4)
    ]
    [shown] = stream_through(dut, inputs, [dut.o_acc])
    delays = [d for d in range(12) if all(shown[cycle + d] == acc for cycle, acc in completed.items())]
    assert channel_accumulate.latency(shapes) in (delays if early else delays[:1]), f"seed {seed}"
    return list(completed.values())


@pytest.mark.parametrize("folding", FOLDINGS)
@pytest.mark.parametrize("idle", [0, 0.3])
@pytest.mark.parametrize("target", TARGETS)
def test_sums_and_latency(folding: str, idle: float, target: str) -> None:
    check(unit_shapes(target=target, **{"in_signed": True, **FOLDINGS[folding]}), seed=11, idle=idle)


@pytest.mark.parametrize("signs", SIGNS)
@pytest.mark.parametrize("in_signed", [False, True])
@pytest.mark.parametrize("bias", BIAS_LIMITS)
@pytest.mark.parametrize("target", ["generic", "ecp5"])
def test_limits(signs: str, in_signed: bool, bias: str, target: str) -> None:
    """The proven bound is reached, and no partial sum on the way to it overflows."""
    shapes = at_limits(unit_shapes(in_signed=in_signed, attn_shift=12, target=target), signs)
    shapes = with_arrays(shapes, bias=np.full_like(shapes.layer.bias, BIAS_LIMITS[bias]))
    values = check(shapes, seed=12)
    bound = shapes.ranges.accumulator
    assert (max(values) == bound.high) if bias == "highest" else (min(values) == bound.low)


@pytest.mark.parametrize("bias", [(0, 0), (-1, 0), (0, 1), (-2, 1)])
@pytest.mark.parametrize("folding", ["one_beat", "one_lane"])
@pytest.mark.parametrize("target", ["generic", "ecp5"])
def test_sums_of_few_bits(bias: tuple[int, int], folding: str, target: str) -> None:
    """All weights zero: nothing but the bias, in one bit or two."""
    shapes = unit_shapes(target=target, **FOLDINGS[folding])
    shapes = with_arrays(
        shapes,
        conv_weight=np.zeros_like(shapes.layer.conv_weight),
        attn_weight=np.zeros_like(shapes.layer.attn_weight),
        bias=np.resize(bias, shapes.layer.bias.shape),
    )
    assert shapes.ranges.accumulator.signed_bits == (1 if bias[1] == 0 else 2)
    check(shapes, seed=22, early=True)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("seed", seeds(10))
def test_sums_in_any_layer(seed: int, target: str) -> None:
    check(random_unit(seed, target), seed)
