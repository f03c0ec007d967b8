"""A lane: its stages in a row, against the integer model's sum and requantisation."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from golden.model import integer
from hw.plan import weight_layout
from hw.plan.heads import Heads
from hw.plan.shapes import Shapes
from hw.targets.families import TARGETS
from hw.unit.lane import Lane
from hw.unit.timetable import LaneTimetable
from tests.support.components import stream_through
from tests.support.heads import completed as completed_heads
from tests.support.heads import control, similarity
from tests.support.operands import Operands, lane_word, paired_beats, tap_sums
from tests.support.tiers import in_turn, seeds
from tests.support.units import DYNAMIC, UNITS, random_unit, unit_shapes, with_arrays


def check(shapes: Shapes, seed: int, idle: float, *, early: bool = False) -> None:
    """Stream every output channel's operands through and check outputs and all declared latencies.

    ``early``: outputs do not change with their last beat, so that they are also there before.
    """
    rng = np.random.default_rng(seed)
    layer, c, outputs = shapes.layer, shapes.layer.config, shapes.plan.outputs
    dut, times = Lane(shapes), LaneTimetable(shapes)
    beats = list(paired_beats(shapes, rng, random=3))
    per_sum = c.fan_in_channels // shapes.lane_channels
    per_group = len(beats) // (c.out_channels // outputs)

    # Of each beat: operands of each of the lane's outputs, its first output channel, whether it begins a sum.
    lines: list[tuple[list[list[Operands]] | None, int, int]] = [(None, 0, 0)]
    completed: dict[int, list[int]] = {}
    # Of lines: the channel beat, and similarities of the heads that it completes.
    channel_beats: dict[int, int] = {}
    sims: dict[int, list[list[int]]] = {}
    heads = shapes.heads
    no_sims = [[0] * len(shapes.geometry.attn_taps)] * (heads.at_once if heads is not None else 0)
    for number, beat in enumerate(beats):
        o = number // per_group * outputs
        while rng.random() < idle:
            channel_beats[len(lines)] = int(rng.integers(per_sum))
            lines.append((None, int(rng.integers(c.out_channels // outputs)) * outputs, int(rng.integers(2))))
        channel_beat = channel_beats[len(lines)] = number % per_sum
        whole = beats[number - channel_beat :][:per_sum]
        if heads is not None:
            of_sum = sims_of(shapes, [operands for beat in whole for operands in beat[0]])
            own = [of_sum[head] for head in completed_heads(heads, channel_beat)]
            sims[len(lines)] = own + no_sims[len(own) :]
        lines.append((beat, o, int(channel_beat == 0)))
        if channel_beat == per_sum - 1:
            completed[len(lines) - 1] = [output_element(shapes, o + n, whole, n) for n in range(outputs)]

    plan, weight_skew, elements = shapes.plan, weight_layout.weight_skew(shapes), shapes.channel_weights.length
    channels = range(shapes.lane_channels)

    def line_at(cycle: int) -> tuple[list[list[Operands]] | None, int, int]:
        return lines[cycle] if 0 <= cycle < len(lines) else (None, 0, 0)

    @functools.cache
    def word_at(cycle: int, channel: int) -> list[int]:
        operands = line_at(cycle)[0] or beats[-1]
        return lane_word(shapes, [operands[n][channel] for n in range(outputs)], channel)

    def ports(cycle: int) -> dict[str, Any]:
        def line(delay: int) -> tuple[list[list[Operands]] | None, int, int]:
            return line_at(cycle - delay)

        def operands(delay: int) -> list[list[Operands]]:
            return line(delay)[0] or beats[-1]

        def weight(channel: int, element: int) -> int:
            return word_at(cycle - weight_skew[channel * elements + element], channel)[element]

        def tap(channel: int, offset: int) -> int:
            late = plan.skew[offset] + plan.channel_skew[channel % plan.group]
            return operands(late)[0][channel].taps[offset]

        bias, multiplier = line(times.bias)[1], line(times.multiplier)[1]
        shown: dict[str, Any] = {
            "bias": layer.bias[bias : bias + outputs].tolist(),
            "multiplier": layer.multiplier[multiplier : multiplier + outputs].tolist(),
            "taps": [[tap(ch, o) for o in range(len(plan.skew))] for ch in channels],
            "weights": [[weight(ch, e) for e in range(elements)] for ch in channels],
        }
        if heads is not None:
            shown["sims"] = sims.get(cycle - times.sims, no_sims)
            if heads.vary:
                valid, _, first = line(times.control)
                number = channel_beats.get(cycle - times.control, 0)
                shown["control"] = control(heads, valid=valid is not None, first=bool(first), channel=number)
        elif shapes.geometry.attn_taps:
            shown["centre"] = [operands(times.centre)[0][ch].centre for ch in channels]
        if shapes.beats_per_output > 1:
            late = line(times.bias)
            shown |= {"valid": late[0] is not None, "first": late[2]}
        return shown

    inputs = [ports(cycle) for cycle in range(len(lines) + times.latency)]
    [shown] = stream_through(dut, inputs, [dut.y])
    delays = [d for d in range(times.latency + 4) if all(shown[cycle + d] == y for cycle, y in completed.items())]
    assert times.latency in (delays if early else delays[:1]), f"seed {seed}"
    assert sum(times.stages.values()) == times.latency
    assert list(times.stages) == ["tap_macs", "attention_combine", "channel_accumulate", "requantise"]


def sims_of(shapes: Shapes, channels: Sequence[Operands]) -> list[list[int]]:
    """``[head][attention tap]`` of all channels of a sum, as the contract says."""
    c, g, heads = shapes.layer.config, shapes.geometry, shapes.heads
    assert heads is not None
    places = [g.offsets.index(c.attn_offsets[t]) for t in g.attn_taps]
    sims = []
    for members in of_heads(heads, channels):
        centres = [o.centre for o in members]
        sims.append([similarity(shapes, centres, [o.taps[place] for o in members]) for place in places])
    return sims


def of_heads(heads: Heads, channels: Sequence[Operands]) -> list[Sequence[Operands]]:
    size = heads.head_channels
    return [channels[first : first + size] for first in range(0, len(channels), size)]


def output_element(shapes: Shapes, o: int, beats: list[list[list[Operands]]], output: int) -> int:
    """The contract's output element of channel ``o`` from the beats of its sum."""
    layer, c, heads = shapes.layer, shapes.layer.config, shapes.heads
    values = [v for beat in beats for v in beat[output]]
    acc = int(layer.bias[o]) + sum(2**c.attn_shift * v.conv_sum for v in values)
    if heads is None:
        acc += sum(v.centre * v.attn_sum for v in values)
    else:
        for members, sims in zip(of_heads(heads, values), sims_of(shapes, values), strict=True):
            acc += sum(sim * total for sim, total in zip(sims, tap_sums(shapes, members), strict=True))
    accs = np.zeros((1, c.out_channels, 1, 1), np.int64)
    accs[0, o] = acc
    return int(integer.requantise(layer, accs)[0, o, 0, 0])


@in_turn
@pytest.mark.parametrize("unit", ["same", "valid", "depthwise", "sequential", "parallel", "plain_1x1", "one_pixel"])
@pytest.mark.parametrize("idle", [0, 0.3])
@pytest.mark.parametrize("target", TARGETS)
def test_outputs_and_latency(unit: str, idle: float, target: str) -> None:
    check(unit_shapes(out_bits=12, out_signed=True, relu=False, target=target, **UNITS[unit]), seed=17, idle=idle)


@pytest.mark.parametrize("unit", ["same", "plain_1x1"])
@pytest.mark.parametrize("target", TARGETS)
def test_outputs_of_a_layer_that_is_only_bias(unit: str, target: str) -> None:
    shapes = unit_shapes(out_signed=True, relu=False, target=target, **UNITS[unit])
    zeros = {name: np.zeros_like(getattr(shapes.layer, name)) for name in ("conv_weight", "attn_weight")}
    check(with_arrays(shapes, **zeros), seed=23, idle=0.2, early=True)


@in_turn
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("seed", seeds(8))
def test_outputs_in_any_layer(seed: int, target: str) -> None:
    check(random_unit(seed, target), seed, idle=0.2)


@in_turn
@pytest.mark.parametrize("unit", DYNAMIC)
@pytest.mark.parametrize("target", TARGETS)
def test_outputs_with_similarities(unit: str, target: str) -> None:
    fields = {"out_bits": 12, "out_signed": True, "relu": False, **DYNAMIC[unit]}
    check(unit_shapes(target=target, **fields), seed=18, idle=0.3 * ("in" in unit))


@in_turn
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("seed", [0, 1, 2, 3, 5, 6])
def test_outputs_in_any_layer_with_similarities(seed: int, target: str) -> None:
    check(random_unit(seed, target, pack=seed % 3 > 0, similar=True), seed, idle=0.2)
