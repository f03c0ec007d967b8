"""Turns: requantisers without multipliers, with the walk that reads the digits, at widths that real units have."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from golden.support.cli import UserError
from hw.blocks.pipeline import delay, index_shape
from hw.plan.dsp_count import dsp_counts
from hw.plan.made_of import MadeOf
from hw.plan.scale import Scale
from hw.plan.shapes import Shapes
from hw.plan.weight_layout import multiplier_words
from hw.unit import requantise
from hw.unit.digit_walk import DigitWalk
from hw.unit.requantise import Requantise
from tests.support.rounding import rounded
from tests.support.units import adder_lane, changed


def shapes_of(multipliers: list[int], *, beats: int, out_shift: int, target: str = "generic", **fields: Any) -> Shapes:
    """A unit of one lane, each sum of as many beats. Biases make its sums 30 bits wide."""
    given: dict[str, Any] = {"out_bits": 8, "out_signed": True, "relu": False, **fields}
    bias = [-(2**28), 2**28]
    return adder_lane(multipliers, beats=beats, out_shift=out_shift, bias=bias, target=target, **given)


class Alone(wiring.Component):
    """A requantiser and what reads the digits for it."""

    def __init__(self, shapes: Shapes) -> None:
        self._shapes, self.dut = shapes, Requantise(shapes)
        super().__init__({"acc": In(self.dut.i_acc.shape()), "complete": In(1), "y": Out(self.dut.o_y.shape())})

    def elaborate(self, platform: object) -> Module:
        m, shapes, dut = Module(), self._shapes, self.dut
        m.submodules.dut = dut
        m.d.comb += [dut.i_acc.eq(self.acc), self.y.eq(dut.o_y)]
        words, wanted = multiplier_words(shapes)[:, 0, 0].tolist(), requantise.multiplier_latency(shapes)
        address = Signal(index_shape(len(words)))
        if shapes.takes_turns:
            m.submodules.walk = walk = DigitWalk(
                digits=len(words) // shapes.constant_depth, depth=shapes.constant_depth
            )
            m.d.comb += [walk.i_starts.eq(self.complete), address.eq(walk.o_address)]
            m.d.comb += dut.i_complete.eq(self.complete)
            m.d.comb += dut.i_goes_on.eq(delay(m, walk.o_goes_on, requantise.goes_on_latency(shapes)))
        else:
            with m.If(self.complete):
                m.d.sync += address.eq(0 if len(words) == 1 else (address + 1) % len(words))
        if shapes.stores_multipliers:
            word = Signal(shapes.multiplier)
            with m.Switch(address):
                for number, value in enumerate(words):
                    with m.Case(number):
                        m.d.comb += word.eq(value)
            m.d.comb += dut.i_multiplier.eq(delay(m, word, wanted))
        return m


def check(shapes: Shapes, *, seed: int, count: int = 60, bubbles: float = 0.3) -> None:
    """Sums as near to each other as they may come, and now and then later; anything in between."""
    rng, c, sums = np.random.default_rng(seed), shapes.layer.config, shapes.ranges.accumulator
    multipliers, scaled = shapes.layer.multiplier.tolist(), shapes.ranges.scaled
    rows: list[tuple[int, bool]] = []
    expected: dict[int, int] = {}
    cycles = requantise.latency(shapes)
    for number in range(count):
        idle = shapes.beats_per_output - 1 + (int(rng.integers(1, 4)) if rng.random() < bubbles else 0)
        rows += [(int(rng.integers(sums.low, sums.high, endpoint=True)), False) for _ in range(idle)]
        multiplier = multipliers[number % len(multipliers)]
        near = (int(rng.integers(c.out_range.low, c.out_range.high)) << c.out_shift) // multiplier
        # Each output channel has its own bound on its sums, and products keep to what these allow.
        low, high = max(sums.low, -(-scaled.low // multiplier)), min(sums.high, scaled.high // multiplier)
        acc = int(rng.choice([low, high, near, near + 1, int(rng.integers(low, high, endpoint=True))]))
        acc = min(max(acc, low), high)
        rows.append((acc, True))
        exact = rounded(Fraction(acc * multiplier, 2**c.out_shift), c.rounding)
        expected[len(rows) - 1 + cycles] = min(max(exact, c.out_range.low), c.out_range.high)
    shown: list[int] = []
    alone = Alone(shapes)

    async def bench(ctx: Any) -> None:
        for acc, complete in [*rows, *[(0, False)] * cycles]:
            ctx.set(alone.acc, acc)
            ctx.set(alone.complete, complete)
            shown.append(ctx.get(alone.y))
            await ctx.tick()

    simulator = Simulator(alone)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert {cycle: shown[cycle] for cycle in expected} == expected, f"seed {seed}"
    assert len(set(expected.values())) > 3


WIDE = [65535, 40503, 1, 32768, 12345]


@pytest.mark.parametrize("target", ["generic", "ecp5", "xcup"])
@pytest.mark.parametrize("beats", [1, 2, 3, 4, 5, 7, 8, 15, 16, 20])
def test_as_many_cycles_as_there_are(beats: int, target: str) -> None:
    shapes = shapes_of(WIDE, beats=beats, out_shift=37, target=target)
    scale = shapes.scale
    assert scale is not None
    assert (scale.digits, scale.digit_bits) == {
        1: (1, 16),
        2: (2, 8),
        3: (3, 6),
        4: (4, 4),
        5: (4, 4),
        7: (6, 3),
        8: (8, 2),
        15: (8, 2),
        16: (16, 1),
        20: (16, 1),
    }[beats]
    check(shapes, seed=beats)


@pytest.mark.parametrize("beats", [2, 4, 16])
@pytest.mark.parametrize("out_shift", [0, 1, 2, 9, 15, 16, 47])
def test_shifts_before_and_behind_the_last_digit(out_shift: int, beats: int) -> None:
    """All low bits are kept, some are, or none but the one bit that stands for them."""
    shapes = shapes_of(WIDE, beats=beats, out_shift=out_shift, out_bits=16)
    assert shapes.scale is not None
    assert shapes.scale.below == min(max(0, out_shift - 1), shapes.scale.digit_bits * (shapes.scale.digits - 1))
    if out_shift < 47:
        check(shapes, seed=out_shift)


@pytest.mark.parametrize("out_shift", [0, 1, 9, 37])
@pytest.mark.parametrize(("rounding", "whole"), [("half_up", 1), ("floor", 0)])
def test_low_bits_that_no_rounding_needs_are_dropped(rounding: str, whole: int, out_shift: int) -> None:
    shapes = shapes_of(WIDE, beats=4, out_shift=out_shift, out_bits=16, rounding=rounding)
    scale = shapes.scale
    assert scale is not None and not scale.tells_ties
    assert scale.below == min(max(0, out_shift - whole), scale.digit_bits * (scale.digits - 1))
    check(shapes, seed=out_shift)


@pytest.mark.parametrize("out_signed", [False, True])
@pytest.mark.parametrize("relu", [False, True])
def test_limits_of_results(out_signed: bool, relu: bool) -> None:
    check(shapes_of(WIDE, beats=4, out_shift=37, out_signed=out_signed, relu=relu), seed=3)


@pytest.mark.parametrize("target", ["generic", "ecp5", "xcup"])
@pytest.mark.parametrize(
    ("multipliers", "zeros", "span"), [([64, 8, 512], 3, 6), ([4096] * 3, 12, 0), ([1, 2**15], 0, 15), ([1, 1], 0, 0)]
)
def test_powers_of_two_are_shifts(multipliers: list[int], zeros: int, span: int, target: str) -> None:
    shift = 24 if max(multipliers) == 1 else 30
    shapes = shapes_of(multipliers, beats=2, out_shift=shift, target=target)
    scale = shapes.scale
    assert scale is not None and scale.is_shift and not shapes.takes_turns
    assert (scale.zeros, scale.span, scale.shift) == (zeros, span, shift - zeros)
    assert shapes.stores_multipliers == (span > 0)
    check(shapes, seed=span)


def test_zeros_that_all_multipliers_end_with() -> None:
    """They are taken off, but no more of them than the shift has."""
    multipliers = np.array([48, 80])
    assert Scale.of(multipliers, 9, 4).factors.tolist() == [3, 5]
    assert Scale.of(multipliers, 9, 4).shift == 5
    assert Scale.of(multipliers, 1, 4).factors.tolist() == [24, 40]
    assert Scale.of(multipliers, 1, 4).shift == 0
    check(shapes_of([48 * 256, 80 * 256], beats=3, out_shift=34), seed=1)


@pytest.mark.parametrize("target", ["ecp5", "xc7", "xcup"])
def test_no_multiplier(target: str) -> None:
    shapes = shapes_of(WIDE, beats=4, out_shift=37, target=target)
    assert dsp_counts(shapes)["requantise"] == 0
    assert dsp_counts(changed(shapes, made_of=MadeOf()))["requantise"] > 0


def test_what_is_refused() -> None:
    with pytest.raises(UserError, match="requantise 'luts' is not one of dsp, adders"):
        MadeOf(requantise="luts")  # type: ignore[arg-type]
    with pytest.raises(UserError, match="products 3 is not one of dsp, adders"):
        MadeOf(products=3)  # type: ignore[arg-type]
