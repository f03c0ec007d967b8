"""A lane: its stages in a row, against the integer model's sum and requantisation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from components import stream_through
from golden import integer
from hw import weight_store
from hw.config import UnitConfig
from hw.lane import Lane
from hw.target import TARGETS
from operands import Operands, lane_word, paired_beats
from units import UNITS, random_unit, unit_config, with_arrays


def check(config: UnitConfig, seed: int, idle: float, *, early: bool = False) -> None:
    """Stream every output channel's operands through and check outputs and all declared latencies.

    ``early``: outputs do not change with their last beat, so that they are also there before.
    """
    rng = np.random.default_rng(seed)
    layer, c, outputs = config.layer, config.layer.config, config.plan.outputs
    dut = Lane(config)
    beats = list(paired_beats(config, rng, random=3))
    per_sum = c.fan_in_channels // config.lane_channels
    per_group = len(beats) // (c.out_channels // outputs)

    # Of each beat: operands of each of the lane's outputs, its first output channel, whether it begins a sum.
    lines: list[tuple[list[list[Operands]] | None, int, int]] = [(None, 0, 0)]
    completed: dict[int, list[int]] = {}
    for number, beat in enumerate(beats):
        o = number // per_group * outputs
        while rng.random() < idle:
            lines.append((None, int(rng.integers(c.out_channels // outputs)) * outputs, int(rng.integers(2))))
        lines.append((beat, o, int(number % per_sum == 0)))
        if number % per_sum == per_sum - 1:
            whole = beats[number - per_sum + 1 : number + 1]
            completed[len(lines) - 1] = [output_element(config, o + n, whole, n) for n in range(outputs)]

    skew, weight_skew = config.plan.skew, weight_store.weight_skew(config)[: config.channel_weights.length]
    channels = range(config.lane_channels)

    def ports(cycle: int) -> dict[str, Any]:
        def line(delay: int) -> tuple[list[list[Operands]] | None, int, int]:
            return lines[cycle - delay] if 0 <= cycle - delay < len(lines) else (None, 0, 0)

        def operands(delay: int) -> list[list[Operands]]:
            return line(delay)[0] or beats[-1]

        def word(delay: int, channel: int) -> list[int]:
            return lane_word(config, [operands(delay)[n][channel] for n in range(outputs)])

        bias, multiplier = line(dut.bias_latency)[1], line(dut.multiplier_latency)[1]
        shown: dict[str, Any] = {
            "bias": layer.bias[bias : bias + outputs].tolist(),
            "multiplier": layer.multiplier[multiplier : multiplier + outputs].tolist(),
            "taps": [[operands(s)[0][ch].taps[o] for o, s in enumerate(skew)] for ch in channels],
            "weights": [[word(s, ch)[e] for e, s in enumerate(weight_skew)] for ch in channels],
        }
        if config.geometry.attn_taps:
            shown["centre"] = [operands(dut.centre_latency)[0][ch].centre for ch in channels]
        if config.beats_per_output > 1:
            late = line(dut.bias_latency)
            shown |= {"valid": late[0] is not None, "first": late[2]}
        return shown

    inputs = [ports(cycle) for cycle in range(len(lines) + dut.latency)]
    [shown] = stream_through(dut, inputs, [dut.y])
    delays = [d for d in range(dut.latency + 4) if all(shown[cycle + d] == y for cycle, y in completed.items())]
    assert dut.latency in (delays if early else delays[:1]), f"seed {seed}"
    assert sum(dut.stage_latencies.values()) == dut.latency
    assert list(dut.stage_latencies) == ["tap_macs", "attention_combine", "channel_accumulate", "requantise"]


def output_element(config: UnitConfig, o: int, beats: list[list[list[Operands]]], output: int) -> int:
    """The contract's output element of channel ``o`` from the beats of its sum."""
    layer, c = config.layer, config.layer.config
    values = [v for beat in beats for v in beat[output]]
    accs = np.zeros((1, c.out_channels, 1, 1), np.int64)
    accs[0, o] = layer.bias[o] + sum(2**c.attn_shift * v.conv_sum + v.centre * v.attn_sum for v in values)
    return int(integer.requantise(layer, accs)[0, o, 0, 0])


@pytest.mark.parametrize("unit", ["same", "valid", "depthwise", "sequential", "parallel", "plain_1x1", "one_pixel"])
@pytest.mark.parametrize("idle", [0, 0.3])
@pytest.mark.parametrize("target", TARGETS)
def test_outputs_and_latency(unit: str, idle: float, target: str) -> None:
    check(unit_config(out_bits=12, out_signed=True, relu=False, target=target, **UNITS[unit]), seed=17, idle=idle)


@pytest.mark.parametrize("unit", ["same", "plain_1x1"])
@pytest.mark.parametrize("target", TARGETS)
def test_outputs_of_a_layer_that_is_only_bias(unit: str, target: str) -> None:
    config = unit_config(out_signed=True, relu=False, target=target, **UNITS[unit])
    zeros = {name: np.zeros_like(getattr(config.layer, name)) for name in ("conv_weight", "attn_weight")}
    check(with_arrays(config, **zeros), seed=23, idle=0.2, early=True)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("seed", range(8))
def test_outputs_in_any_layer(seed: int, target: str) -> None:
    check(random_unit(seed, target), seed, idle=0.2)
