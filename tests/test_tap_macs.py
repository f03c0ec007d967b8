"""Tap MACs: both sums of every channel are exact, at the limits of weights and elements too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from components import measured_latency, stream_through
from golden.layer import NEIGHBOURS
from hw.config import UnitConfig
from hw.tap_macs import TapMacs
from operands import Operands, lane_beats
from units import SIGNS, UNITS, at_limits, random_unit, unit_config

#: Numbers of taps that make the two adder trees differ in depth, and sums that dead taps leave empty.
TAPS: dict[str, dict[str, Any]] = {
    "8_attn_9_conv": {},
    "49_conv": {"kernel": 7, "attn_offsets": ()},
    "49_conv_1_attn": {"kernel": 7, "attn_offsets": ((0, 0),), "height": 7, "width": 7},
    "1_conv_16_attn": {"kernel": 1, "attn_offsets": NEIGHBOURS + tuple((2 * y, 2 * x) for y, x in NEIGHBOURS)},
    "1_conv_1_attn": {"kernel": 1, "attn_offsets": ((0, -1),)},
    "dead_attn": {"height": 1, "width": 1},
}


def check(config: UnitConfig, seed: int, random: int = 4) -> int:
    """Stream operands through; returns the measured latency."""
    beats = list(lane_beats(config, np.random.default_rng(seed), random))
    dut = TapMacs(config)
    outputs = [dut.o_conv_sum, dut.o_attn_sum, dut.o_centre] if config.geometry.attn_taps else [dut.o_conv_sum]

    def sums(operands: Operands) -> list[int]:
        return [operands.conv_sum, operands.attn_sum, operands.centre][: len(outputs)]

    inputs = [{"i_taps": [o.taps for o in beat], "i_weights": [[*o.conv, *o.attn] for o in beat]} for beat in beats]
    shown = stream_through(dut, inputs, outputs)
    expected = [[list(of_port) for of_port in zip(*map(sums, beat), strict=True)] for beat in beats]
    latency = measured_latency([list(ports) for ports in zip(*shown, strict=True)], expected)
    assert latency == dut.latency
    return latency


@pytest.mark.parametrize("unit", UNITS)
def test_sums_and_latency(unit: str) -> None:
    check(unit_config(**UNITS[unit]), seed=4)


@pytest.mark.parametrize("taps", TAPS)
@pytest.mark.parametrize("in_signed", [False, True])
def test_sums_stay_in_step(taps: str, in_signed: bool) -> None:
    """Both sums and the centre leave in the same cycle, however many taps each has."""
    check(unit_config(in_signed=in_signed, **TAPS[taps]), seed=5)


@pytest.mark.parametrize("signs", SIGNS)
@pytest.mark.parametrize("in_signed", [False, True])
@pytest.mark.parametrize("bits", [2, 8])
def test_limits(signs: str, in_signed: bool, bits: int) -> None:
    """Weights at their limits against elements that drive the sums to their proven bounds, which they reach."""
    config = at_limits(unit_config(in_bits=bits, weight_bits=bits, in_signed=in_signed), signs)
    beats = [o for beat in lane_beats(config, np.random.default_rng(6), 0) for o in beat]
    for bound, sums in (
        (config.ranges.conv_sum, [o.conv_sum for o in beats]),
        (config.ranges.attn_sum, [o.attn_sum for o in beats]),
    ):
        assert (min(sums), max(sums)) == (bound.low, bound.high)
    check(config, seed=6)


@pytest.mark.parametrize("seed", range(8))
def test_sums_in_any_layer(seed: int) -> None:
    check(random_unit(seed), seed)
