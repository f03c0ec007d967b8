"""Similarity combine: similarities times sums over heads plus shifted static sum, in every beat, at the limits too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from golden.contract.layer_config import NEIGHBOURS
from hw.plan.shapes import Shapes
from hw.targets.families import TARGETS
from hw.unit import similarity_combine
from hw.unit.head_sum import CONTROL_AHEAD
from hw.unit.similarity_combine import SimilarityCombine
from tests.support.components import stream_through
from tests.support.front_end import reloadable
from tests.support.heads import completed, control
from tests.support.operands import channel_operands, in_groups, tap_sums
from tests.support.tiers import in_turn, seeds
from tests.support.units import SIGNS, SIMILAR, at_limits, random_unit, unit_shapes, with_arrays


def check(
    shapes: Shapes, seed: int, *, conv_late: int = 0, idle: float = 0.2, random: int = 3, everything: bool = False
) -> list[int]:
    """Stream sums through and check the values of all beats and the declared latencies; returns the values.

    Similarities are no function of the elements here: limits and random ones, in turn or (``everything``) all
    kinds of limits against all sums.
    """
    rng = np.random.default_rng(seed)
    c, heads = shapes.layer.config, shapes.heads
    assert heads is not None
    taps, bound = len(shapes.geometry.attn_taps), shapes.group_ranges
    dut = SimilarityCombine(shapes, conv_late=conv_late)

    # Of each cycle: static sums, attention's sums, control, similarities, what the beat comes to, and its shift.
    lines: list[tuple[list[int], list[list[int]], int, list[list[int]], int | None, int]] = []

    def numbers(low: int, high: int, *shape: int) -> list[Any]:
        return rng.integers(low, high, shape, endpoint=True).tolist()

    def garbage(valid: bool) -> None:
        word = control(heads, valid=valid, first=bool(rng.integers(2)), channel=int(rng.integers(heads.beats)))
        conv = numbers(bound.conv.low, bound.conv.high, heads.groups)
        attn = numbers(bound.attn.low, bound.attn.high, heads.groups, taps)
        lines.append((conv, attn, word, numbers(bound.sim.low, bound.sim.high, heads.at_once, taps), None, 0))

    for _ in range(3):
        garbage(valid=True)
    values = []
    size, count = heads.head_channels, c.in_channels // heads.head_channels
    operands = list(channel_operands(shapes, rng, random))
    for number, channels in enumerate(operands * 4 if everything else operands):
        totals = [tap_sums(shapes, channels[head * size : (head + 1) * size]) for head in range(count)]
        sims = np.array(numbers(bound.sim.low, bound.sim.high, count, taps))
        kind = number // len(operands) if everything else number % 5
        if kind < 2:
            sims[:] = (bound.sim.low, bound.sim.high)[kind]
        elif kind < 4:
            sims = np.where((np.array(totals) > 0) == (kind == 2), bound.sim.high, bound.sim.low)
        for beat in range(heads.beats):
            while rng.random() < idle:
                garbage(valid=False)
            own = completed(heads, beat)
            places = [sims[head].tolist() for head in own] + [[0] * taps] * (heads.at_once - len(own))
            groups = in_groups(shapes, channels[beat * heads.simd : (beat + 1) * heads.simd])
            conv = [sum(o.conv_sum for o in group) for group in groups]
            shift = c.attn_shift if shapes.config.reload is None else int(rng.integers(0, c.attn_shift, endpoint=True))
            value = 2**shift * sum(conv)
            value += sum(int(sims[head][tap]) * totals[head][tap] for head in own for tap in range(taps))
            values.append(value)
            word = control(heads, valid=True, first=beat == 0, channel=beat)
            lines.append((conv, [tap_sums(shapes, group) for group in groups], word, places, value, shift))

    def line(cycle: int) -> Any:
        return lines[min(max(cycle, 0), len(lines) - 1)]

    # Control comes before all else.
    ahead = CONTROL_AHEAD
    inputs: list[dict[str, Any]] = [
        {
            "i_conv_sum": line(t - ahead - conv_late)[0],
            "i_attn_sum": line(t - ahead)[1],
            "i_control": line(t)[2],
            "i_sims": line(t - ahead - similarity_combine.sims_latency(shapes))[3],
        }
        for t in range(
            ahead
            + len(lines)
            + max(
                conv_late + similarity_combine.sims_latency(shapes), similarity_combine.shift_latency(shapes, conv_late)
            )
        )
    ]
    if shapes.config.reload is not None:
        for t, ports in enumerate(inputs):
            ports["i_attn_shift"] = line(t - ahead - similarity_combine.shift_latency(shapes, conv_late))[5]
    [shown] = stream_through(dut, inputs, [dut.o_combined], drain=24)
    delays = [
        cycles
        for cycles in range(24)
        if all(value is None or shown[ahead + cycle + cycles] == [value] for cycle, (*_, value, _) in enumerate(lines))
    ]
    assert delays[:1] == [similarity_combine.latency(shapes, conv_late)], f"seed {seed}"
    return values


@in_turn
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("unit", SIMILAR)
def test_values_and_latency(unit: str, target: str) -> None:
    check(unit_shapes(target=target, **SIMILAR[unit]), seed=1)


@in_turn
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("conv_late", [0, 14])
@pytest.mark.parametrize("unit", ["dynamic_heads_in_a_beat", "dynamic_long_heads_across_beats"])
def test_shift_of_each_beat(unit: str, conv_late: int, target: str) -> None:
    """In a reloadable unit neighbouring beats may have different shifts."""
    shapes = reloadable(unit_shapes(target=target, attn_shift=6, **SIMILAR[unit]))
    check(shapes, seed=12, conv_late=conv_late)


@in_turn
@pytest.mark.parametrize("target", ["generic", "ecp5", "xcup"])
@pytest.mark.parametrize("conv_late", [1, 3, 14])
@pytest.mark.parametrize("unit", ["dynamic_heads_in_a_beat", "dynamic_long_heads_across_beats"])
def test_static_sums_that_come_later(unit: str, conv_late: int, target: str) -> None:
    """By less than the attention takes, and by more."""
    check(unit_shapes(target=target, **SIMILAR[unit]), seed=2, conv_late=conv_late, random=1)


@pytest.mark.parametrize("unit", [unit for unit in SIMILAR if "beats" in unit])
def test_beats_without_a_gap(unit: str) -> None:
    for target in ("generic", "xcup"):
        check(unit_shapes(target=target, **SIMILAR[unit]), seed=3, idle=0, random=1)


@pytest.mark.parametrize("attn_shift", [0, 1, 15])
@pytest.mark.parametrize("sim_bits", [2, 8])
def test_shifts(attn_shift: int, sim_bits: int) -> None:
    fields = {**SIMILAR["dynamic_head_is_a_beat"], "attn_shift": attn_shift, "sim_bits": sim_bits}
    check(unit_shapes(**fields), seed=4)


@in_turn
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("signs", SIGNS)
@pytest.mark.parametrize("in_signed", [False, True])
@pytest.mark.parametrize("unit", ["dynamic_heads_in_a_beat", "dynamic_short_heads_across_beats"])
def test_limits(unit: str, in_signed: bool, signs: str, target: str) -> None:
    fields = {**SIMILAR[unit], "in_signed": in_signed, "sim_shift": 0}
    shapes = at_limits(unit_shapes(target=target, **fields), signs)
    assert shapes.group_ranges.sim.high == 127 and shapes.group_ranges.sim.low == (-128 if in_signed else 0)
    check(shapes, seed=5, random=1)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("signs", ["positive", "negative"])
@pytest.mark.parametrize("in_signed", [False, True])
def test_proven_bound_is_reached(in_signed: bool, signs: str, target: str) -> None:
    """Where no tap is shared, all terms of a beat can be at their limits at once: every bit of the output is needed."""
    fields: dict[str, Any] = {"product": "dynamic", "heads": 4, "simd": 4, "kernel": 1, "attn_offsets": NEIGHBOURS[:4]}
    shapes = at_limits(unit_shapes(in_signed=in_signed, sim_shift=0, target=target, attn_shift=7, **fields), signs)
    shapes = with_arrays(shapes, bias=np.zeros_like(shapes.layer.bias))
    values = check(shapes, seed=6, random=0, everything=True)
    assert (min(values), max(values)) == (shapes.ranges.accumulator.low, shapes.ranges.accumulator.high)


@in_turn
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("seed", seeds(8))
def test_values_in_any_layer(seed: int, target: str) -> None:
    check(random_unit(seed, target, similar=True), seed, conv_late=seed % 3)
