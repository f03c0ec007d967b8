"""Attention combine: centre times attention sum plus shifted static sum, at the limits too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hw.plan.shapes import Shapes
from hw.targets.families import TARGETS
from hw.unit import attention_combine
from hw.unit.attention_combine import AttentionCombine
from tests.support.components import measured_latency, stream_through
from tests.support.front_end import reloadable
from tests.support.operands import lane_beats
from tests.support.tiers import in_turn, seeds
from tests.support.units import HADAMARD, SIGNS, at_limits, random_unit, unit_shapes, with_arrays


def check(shapes: Shapes, seed: int) -> list[int]:
    """Stream sums through and check values and latency; returns the values."""
    shift = shapes.layer.config.attn_shift
    beats = list(lane_beats(shapes, np.random.default_rng(seed), random=4))
    inputs: list[dict[str, Any]] = [{"i_conv_sum": [o.conv_sum for o in beat]} for beat in beats]
    if shapes.geometry.attn_taps:
        for ports, beat in zip(inputs, beats, strict=True):
            ports["i_attn_sum"] = [o.attn_sum for o in beat]
            ports["i_centre"] = [o.centre for o in beat]
    dut = AttentionCombine(shapes)
    [shown] = stream_through(dut, inputs, [dut.o_combined])
    expected = [[o.conv_sum * 2**shift + o.centre * o.attn_sum for o in beat] for beat in beats]
    assert measured_latency(shown, expected) == attention_combine.latency(shapes)
    return [value for beat in expected for value in beat]


@in_turn
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("unit", HADAMARD)
def test_values_and_latency(unit: str, target: str) -> None:
    check(unit_shapes(target=target, **HADAMARD[unit]), seed=7)


@pytest.mark.parametrize("attn_shift", [0, 1, 15])
@pytest.mark.parametrize("attention", [True, False])
def test_shifts(attn_shift: int, attention: bool) -> None:
    offsets = {} if attention else {"attn_offsets": ()}
    check(unit_shapes(attn_shift=attn_shift, in_signed=True, **offsets), seed=8)


@pytest.mark.parametrize("signs", SIGNS)
@pytest.mark.parametrize("in_signed", [False, True])
@pytest.mark.parametrize("attn_shift", [0, 15])
@pytest.mark.parametrize("target", TARGETS)
def test_limits(signs: str, in_signed: bool, attn_shift: int, target: str) -> None:
    check(at_limits(unit_shapes(in_signed=in_signed, attn_shift=attn_shift, target=target), signs), seed=9)


@pytest.mark.parametrize("signs", SIGNS)
@pytest.mark.parametrize("in_signed", [False, True])
def test_proven_bound_is_reached(signs: str, in_signed: bool) -> None:
    """Where no tap is shared, both sums can be at their limits at once: then every bit of the output is needed."""
    shapes = at_limits(unit_shapes(kernel=1, in_signed=in_signed, attn_shift=7), signs)
    # The centre decides the attention's sign; a static weight on it would pull the other way.
    shapes = with_arrays(shapes, conv_weight=np.zeros_like(shapes.layer.conv_weight))
    values = check(shapes, seed=10)
    assert (min(values), max(values)) == (shapes.ranges.combined.low, shapes.ranges.combined.high)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("attention", [True, False])
def test_shift_of_each_beat(attention: bool, target: str) -> None:
    """In a reloadable unit neighbouring beats may have different shifts."""
    offsets = {} if attention else {"attn_offsets": ()}
    shapes = reloadable(unit_shapes(attn_shift=6, in_signed=True, target=target, **offsets))
    rng = np.random.default_rng(11)
    beats = list(lane_beats(shapes, rng, random=20))
    shifts = rng.integers(0, 6, len(beats), endpoint=True).tolist()
    dut = AttentionCombine(shapes)
    inputs: list[dict[str, Any]] = []
    for cycle, beat in enumerate(beats):
        inputs.append({"i_conv_sum": [o.conv_sum for o in beat]})
        if attention:
            inputs[-1] |= {"i_attn_sum": [o.attn_sum for o in beat], "i_centre": [o.centre for o in beat]}
        inputs[-1]["i_attn_shift"] = shifts[max(0, cycle - attention_combine.shift_latency(shapes))]
    count = len(beats) - attention_combine.shift_latency(shapes)
    [shown] = stream_through(dut, inputs, [dut.o_combined])
    pairs = zip(beats[:count], shifts, strict=False)
    assert shown[attention_combine.latency(shapes) :][:count] == [
        [o.conv_sum * 2**shift + o.centre * o.attn_sum * attention for o in beat] for beat, shift in pairs
    ]


@in_turn
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("seed", seeds(8))
def test_values_in_any_layer(seed: int, target: str) -> None:
    check(random_unit(seed, target), seed)
