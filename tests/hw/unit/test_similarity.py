"""Similarity: the contract's coefficients of every head and tap, in step with their beat, at the limits too."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from golden.contract.layer_config import NEIGHBOURS
from hw.plan.shapes import Shapes
from hw.targets.families import TARGETS
from hw.unit import similarity as stage
from hw.unit.similarity import Similarity
from tests.support.components import stream_through
from tests.support.heads import completed, control, similarity
from tests.support.tiers import in_turn, seeds
from tests.support.units import SIMILAR, at_limits, random_unit, unit_shapes


def positions(shapes: Shapes, rng: np.random.Generator, random: int) -> list[np.ndarray]:
    """Elements ``[channel][offset]`` at so many random positions, after those at the limits of their format."""
    c, g = shapes.layer.config, shapes.geometry
    low, high = c.in_range.low, c.in_range.high
    shape = (c.in_channels, len(g.offsets))
    channel, offset = np.indices(shape)
    centre = g.offsets.index((0, 0))
    stimuli = [np.full(shape, low), np.full(shape, high), np.zeros(shape, int)]
    # The centre at one limit and all others at the other one, channels in turn, taps in turn.
    for number in (offset == centre, channel % 2 == 0, offset % 2 == 0, (channel + offset) % 2 == 0):
        stimuli += [np.where(number, low, high), np.where(number, high, low)]
    stimuli += [rng.choice([low, high], shape) for _ in range(2)]
    return stimuli + list(rng.integers(low, high, (random, *shape), endpoint=True))


def check(shapes: Shapes, seed: int, *, random: int = 8, idle: float = 0.2) -> list[int]:
    """Stream beats through, skewed as the plan says; check values and declared latencies, and return the values."""
    rng = np.random.default_rng(seed)
    c, g, heads, plan = shapes.layer.config, shapes.geometry, shapes.heads, shapes.plan
    assert heads is not None and c.heads is not None
    dut = Similarity(shapes)
    simd, size = heads.simd, heads.head_channels
    centre = g.offsets.index((0, 0))
    taps = [g.offsets.index(c.attn_offsets[t]) for t in g.attn_taps]

    # Of each cycle: the beat's elements, its control, and what it must bring; None where there is no beat.
    lines: list[tuple[np.ndarray, int, list[list[int]] | None]] = []

    def garbage(valid: bool) -> None:
        elements = rng.integers(c.in_range.low, c.in_range.high, (simd, len(g.offsets)), endpoint=True)
        channel, first = int(rng.integers(heads.beats)), bool(rng.integers(2))
        lines.append((elements, control(heads, valid=valid, first=first, channel=channel), None))

    for _ in range(3):
        garbage(valid=True)
    values: list[int] = []
    for elements in positions(shapes, rng, random):
        sims = [
            [similarity(shapes, *elements[head * size : (head + 1) * size, [centre, tap]].T.tolist()) for tap in taps]
            for head in range(c.heads)
        ]
        values += [sim for head in sims for sim in head]
        for beat in range(heads.beats):
            while rng.random() < idle:
                garbage(valid=False)
            own = [sims[head] for head in completed(heads, beat)]
            own += [[0] * len(taps)] * (heads.at_once - len(own))
            word = control(heads, valid=True, first=beat == 0, channel=beat)
            lines.append((elements[beat * simd : (beat + 1) * simd], word, own))

    skew = [plan.channel_skew[channel % plan.group] for channel in range(simd)]
    assert set(plan.skew) == {0}

    def line(cycle: int) -> tuple[np.ndarray, int, list[list[int]] | None]:
        return lines[min(max(cycle, 0), len(lines) - 1)]

    # Control may be wanted before the elements.
    ahead = max(0, -stage.control_latency(shapes))
    inputs: list[dict[str, Any]] = [
        {
            "i_taps": [line(t - ahead - late)[0][channel].tolist() for channel, late in enumerate(skew)],
            "i_control": line(t - ahead - stage.control_latency(shapes))[1],
        }
        for t in range(ahead + len(lines) + max(skew) + max(0, stage.control_latency(shapes)))
    ]
    [shown] = stream_through(dut, inputs, [dut.o_sims], drain=24)
    delays = [
        cycles
        for cycles in range(24)
        if all(own is None or shown[ahead + cycle + cycles] == own for cycle, (_, _, own) in enumerate(lines))
    ]
    # Where every similarity is 0, or rounded to 0, it is there at any time.
    assert stage.latency(shapes) in (delays[:1] if any(values) else delays), f"seed {seed}"
    return values


@in_turn
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("unit", SIMILAR)
def test_values_and_latency(unit: str, target: str) -> None:
    values = check(unit_shapes(target=target, **SIMILAR[unit]), seed=1)
    assert len(set(values)) > 20


@pytest.mark.parametrize("unit", [unit for unit in SIMILAR if "beats" in unit])
def test_beats_without_a_gap(unit: str) -> None:
    for target in ("generic", "xcup"):
        check(unit_shapes(target=target, **SIMILAR[unit]), seed=2, idle=0)


@in_turn
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("in_signed", [False, True])
def test_formats(bits: int, in_signed: bool, target: str) -> None:
    """Two heads of two channels, next to each other and one after the other."""
    for simd in (1, 4):
        fields = {"product": "dynamic", "heads": 2, "simd": simd, "height": 3, "width": 3}
        check(unit_shapes(in_bits=bits, weight_bits=bits, in_signed=in_signed, target=target, **fields), seed=3)


@in_turn
@pytest.mark.parametrize("target", ["generic", "xcup"])
@pytest.mark.parametrize("in_signed", [False, True])
@pytest.mark.parametrize("sim_bits", [2, 5, 8])
@pytest.mark.parametrize("sim_shift", [0, 1, 9, 13, 31])
def test_shifts(sim_shift: int, sim_bits: int, in_signed: bool, target: str) -> None:
    """From all that saturates to all that rounds to 0."""
    fields: dict[str, Any] = {"product": "dynamic", "heads": 2, "height": 3, "width": 3, "simd": 2, "kernel": 1}
    fields |= {"sim_shift": sim_shift, "sim_bits": sim_bits, "in_signed": in_signed, "attn_offsets": NEIGHBOURS[:3]}
    values = check(unit_shapes(target=target, **fields), seed=4)
    limit = 2 ** (sim_bits - 1)
    lowest, highest = (-2 * 128 * 127, 2 * 128 * 128) if in_signed else (0, 2 * 255 * 255)
    assert max(values) == min(limit - 1, round(highest / 2**sim_shift))
    assert min(values) == max(-limit, round(lowest / 2**sim_shift))
    assert any(values) == (sim_shift < 31)


@pytest.mark.parametrize("target", ["generic", "ecp5"])
@pytest.mark.parametrize("sim_shift", [1, 2, 3])
def test_ties_go_to_the_even_neighbour(sim_shift: int, target: str) -> None:
    """Every sum that one product of two 3-bit numbers makes, ties of both signs among them."""
    shapes = unit_shapes(
        product="dynamic", heads=1, in_channels=1, simd=1, in_bits=3, in_signed=True, sim_bits=8, sim_shift=sim_shift,
        attn_offsets=((0, 1),), kernel=1, target=target,
    )  # fmt: skip
    values = check(shapes, seed=5, random=400)
    ends = range(-4, 4)
    assert set(values) == {round(a * b / 2**sim_shift) for a in ends for b in ends}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("in_signed", [False, True])
def test_proven_bounds_are_reached(in_signed: bool, target: str) -> None:
    """Sums that need every bit of their shape, and at the centre, where factors are alike, no sign."""
    fields: dict[str, Any] = {"product": "dynamic", "heads": 2, "in_bits": 4, "sim_bits": 8, "sim_shift": 1}
    fields |= {"attn_offsets": ((0, 0), (0, 1), (1, 0)), "height": 3, "width": 3, "simd": 2}
    shapes = unit_shapes(in_signed=in_signed, target=target, **fields)
    ranges = shapes.ranges.similarity
    assert ranges is not None
    for t, name in ((0, "centre"), (1, "neighbour")):
        low, high = (shapes.layer.config.in_range.low, shapes.layer.config.in_range.high)
        ends = [low * low, high * high, *([] if name == "centre" else [low * high]), 0]
        assert (ranges.sums[t].low, ranges.sums[t].high) == (2 * min(ends), 2 * max(ends))
    values = check(shapes, seed=6)
    assert max(values) == min(127, ranges.sims[1].high) and min(values) == ranges.sims[1].low


@in_turn
@pytest.mark.parametrize("in_signed", [False, True])
@pytest.mark.parametrize("target", TARGETS)
def test_wide_heads(in_signed: bool, target: str) -> None:
    """Several chains to a head, not all of one length."""
    fields: dict[str, Any] = {"product": "dynamic", "heads": 1, "in_channels": 23, "simd": 23, "in_signed": in_signed}
    fields |= {"kernel": 1, "attn_offsets": ((0, 1), (0, 0), (1, 0)), "out_channels": 1, "pe": 1}
    shapes = unit_shapes(target=target, **fields)
    check(shapes, seed=7, random=3)
    assert shapes.plan.cascaded == (target in ("xc7", "xcup"))


def test_a_shorter_chain_that_takes_longer() -> None:
    """A chain of 16 products, in nodes of four inputs, and one of 15, in nodes of two."""
    fields: dict[str, Any] = {"product": "dynamic", "heads": 1, "in_channels": 31, "simd": 31, "kernel": 1}
    fields |= {"attn_offsets": ((0, 0), (0, 1)), "out_channels": 1, "pe": 1, "in_bits": 6, "weight_bits": 4}
    shapes = at_limits(unit_shapes(target="ecp5", **fields), "positive")
    assert {len(chain.products) for chain in shapes.plan.chains} == {16, 15}
    check(shapes, seed=8)


@in_turn
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("seed", seeds(9))
def test_values_in_any_layer(seed: int, target: str) -> None:
    check(random_unit(seed, target, pack=seed % 3 > 0, similar=True), seed, random=4)
