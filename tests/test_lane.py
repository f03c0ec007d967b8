"""A lane: its stages in a row, against the integer model's sum and requantisation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from components import stream_through
from golden import integer
from hw.config import UnitConfig
from hw.lane import Lane
from operands import Operands, channel_operands
from units import UNITS, random_unit, unit_config


def check(config: UnitConfig, seed: int, idle: float) -> None:
    """Stream every output channel's operands through and check outputs and all declared latencies."""
    rng = np.random.default_rng(seed)
    layer, c = config.layer, config.layer.config
    dut = Lane(config)
    stimuli = list(channel_operands(config, rng, random=3))
    per_channel = len(stimuli) // c.out_channels

    lines: list[tuple[list[Operands] | None, int, int]] = []  # beat, output channel, first
    completed: dict[int, int] = {}
    for number, channels in enumerate(stimuli):
        o = number // per_channel
        for first in range(0, len(channels), config.lane_channels):
            while rng.random() < idle:
                lines.append((None, int(rng.integers(c.out_channels)), int(rng.integers(2))))
            lines.append((channels[first : first + config.lane_channels], o, int(first == 0)))
        acc = layer.bias[o] + sum(2**c.attn_shift * v.conv_sum + v.centre * v.attn_sum for v in channels)
        accs = np.zeros((1, c.out_channels, 1, 1), np.int64)
        accs[0, o] = acc
        completed[len(lines) - 1] = int(integer.requantise(layer, accs)[0, o, 0, 0])

    def ports(cycle: int) -> dict[str, Any]:
        def line(delay: int) -> tuple[list[Operands] | None, int, int]:
            return lines[cycle - delay] if 0 <= cycle - delay < len(lines) else (None, 0, 0)

        shown: dict[str, Any] = {
            "bias": layer.bias[line(dut.bias_latency)[1]],
            "multiplier": layer.multiplier[line(dut.multiplier_latency)[1]],
        }
        beat = line(0)[0] or lines[-1][0]
        assert beat is not None
        shown["taps"] = [v.taps for v in beat]
        shown["weights"] = [[*v.conv, *v.attn] for v in beat]
        if config.beats_per_output > 1:
            late = line(dut.bias_latency)
            shown |= {"valid": late[0] is not None, "first": late[2]}
        return shown

    inputs = [ports(cycle) for cycle in range(len(lines) + dut.latency)]
    [shown] = stream_through(dut, inputs, [dut.y])
    delays = [d for d in range(dut.latency + 4) if all(shown[cycle + d] == y for cycle, y in completed.items())]
    assert delays[:1] == [dut.latency], f"seed {seed}"
    assert sum(dut.stage_latencies.values()) == dut.latency
    assert list(dut.stage_latencies) == ["tap_macs", "attention_combine", "channel_accumulate", "requantise"]


@pytest.mark.parametrize("unit", ["same", "valid", "depthwise", "sequential", "parallel", "plain_1x1", "one_pixel"])
@pytest.mark.parametrize("idle", [0, 0.3])
def test_outputs_and_latency(unit: str, idle: float) -> None:
    check(unit_config(out_bits=12, out_signed=True, relu=False, **UNITS[unit]), seed=17, idle=idle)


@pytest.mark.parametrize("seed", range(8))
def test_outputs_in_any_layer(seed: int) -> None:
    check(random_unit(seed), seed, idle=0.2)
