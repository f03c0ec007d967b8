"""Requantise: exact rounding half to even and saturation, exhaustively where numbers are small."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from golden.contract.folding import Folding
from golden.contract.layer import Layer
from golden.contract.layer_config import LayerConfig
from golden.contract.ranges import Range
from hw.plan.config import UnitConfig
from hw.plan.reload import Reload
from hw.plan.shapes import Shapes
from hw.targets.families import TARGETS
from hw.unit import requantise
from hw.unit.requantise import Requantise
from tests.support.components import measured_latency, stream_through
from tests.support.rounding import OTHERS, rounded
from tests.support.tiers import in_turn, seeds
from tests.support.units import SIMULATED, changed, random_unit

OUTPUTS: dict[str, dict[str, Any]] = {
    "unsigned": {"out_signed": False, "relu": False},
    "unsigned_relu": {"out_signed": False, "relu": True},
    "signed": {"out_signed": True, "relu": False},
    "signed_relu": {"out_signed": True, "relu": True},
}
SHIFTS = (0, 1, 2, 3, 5, 8)
#: Each needs another number of bits; the odd ones meet no tie at shifts beyond 1, the even ones do.
DSPS = (1, 2, 3, 4, 6, 12)


def unit(*, bias: tuple[int, int], multipliers: tuple[int, ...], target: str = "generic", **fields: Any) -> Shapes:
    """A unit whose accumulators reach from ``bias[0] - 1`` to ``bias[1] + 2``."""
    channels = 2 * len(multipliers)
    config = LayerConfig(
        product="hadamard",
        in_channels=1,
        out_channels=channels,
        height=1,
        width=1,
        kernel=1,
        stride=1,
        padding="same",
        groups=1,
        attn_offsets=(),
        in_bits=2,
        in_signed=True,
        weight_bits=2,
        attn_shift=0,
        **fields,
    )
    layer = Layer(
        config=config,
        conv_weight=np.full((channels, 1, 1, 1), -1),
        attn_weight=np.zeros((channels, 1, 0), int),
        bias=np.tile(bias, len(multipliers)),
        multiplier=np.repeat(multipliers, 2),
    )
    return Shapes(UnitConfig(layer=layer, folding=Folding(simd=1, pe=1), target=SIMULATED[target]))


def requantised(shapes: Shapes, acc: int, multiplier: int) -> int:
    """The contract, in exact fractions."""
    c = shapes.layer.config
    exact = rounded(Fraction(acc * multiplier, 2**c.out_shift), c.rounding)
    return min(max(exact, c.out_range.low), c.out_range.high)


def check(shapes: Shapes, pairs: list[tuple[int, int]]) -> list[int]:
    """Requantise ``(acc, multiplier)`` pairs and check values and latency; returns the values."""
    dut = Requantise(shapes)
    [shown] = stream_through(dut, [{"i_acc": acc, "i_multiplier": m} for acc, m in pairs], [dut.o_y])
    expected = [requantised(shapes, *pair) for pair in pairs]
    if len(set(expected)) == 1:
        assert shown[requantise.latency(shapes) :][: len(expected)] == expected
    else:
        assert measured_latency(shown, expected) == requantise.latency(shapes)
    return expected


@in_turn
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("out_shift", SHIFTS)
@pytest.mark.parametrize("target", ["generic", "ecp5"])
def test_every_accumulator(output: str, out_shift: int, target: str) -> None:
    fields = {"out_bits": 3, "out_shift": out_shift, **OUTPUTS[output]}
    shapes = unit(bias=(-150, 150), multipliers=DSPS, target=target, **fields)
    bound = shapes.ranges.accumulator
    assert (bound.low, bound.high) == (-151, 152)
    pairs = [(acc, m) for m in DSPS for acc in range(bound.low, bound.high + 1)]
    values = check(shapes, pairs)
    limits = shapes.layer.config.out_range
    assert {limits.low, limits.high} <= set(values)
    if out_shift:
        # What is meant to be tested is really there: ties between an even and an odd number, both ways.
        half = 2 ** (out_shift - 1)
        ties = {(acc * m >> out_shift) % 4 for acc, m in pairs if acc * m % (2 * half) == half}
        assert ties == {0, 1, 2, 3}


@pytest.mark.parametrize("rounding", OTHERS)
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("out_shift", [1, 3])
def test_other_roundings(output: str, out_shift: int, rounding: str) -> None:
    fields = {"out_bits": 3, "out_shift": out_shift, "rounding": rounding, **OUTPUTS[output]}
    shapes = unit(bias=(-40, 40), multipliers=(1, 2, 3), target="xcup" if out_shift == 3 else "generic", **fields)
    bound, limits = shapes.ranges.accumulator, shapes.layer.config.out_range
    values = check(shapes, [(acc, m) for m in (1, 2, 3) for acc in range(bound.low, bound.high + 1)])
    assert {limits.low, limits.high} <= set(values)


@pytest.mark.parametrize("rounding", OTHERS)
@pytest.mark.parametrize("out_shift", [6, 7, 8, 9, 47])
def test_most_negative_product_in_other_roundings(out_shift: int, rounding: str) -> None:
    """Down, it is below 0 whatever it is shifted by. Up from half it becomes 0 from a shift of 8 on."""
    fields = {"out_bits": 4, "out_shift": out_shift, "rounding": rounding, **OUTPUTS["signed"]}
    shapes = unit(bias=(-127, 100), multipliers=(1,), **fields)
    values = check(shapes, [(acc, 1) for acc in range(-128, 103)])
    assert min(values) == (-1 if out_shift > 6 else -2) + (rounding == "half_up" and out_shift > 7)


@pytest.mark.parametrize("out_shift", [8, 9, 10, 11, 12, 13, 46, 47])
@pytest.mark.parametrize("output", OUTPUTS)
def test_shifts_beyond_the_product(output: str, out_shift: int) -> None:
    """A product of 10 bits, from -453 to 456, rounds to -1, 0 or 1, and only to 0 from a shift of 10 on."""
    shapes = unit(bias=(-150, 150), multipliers=(3,), out_bits=4, out_shift=out_shift, **OUTPUTS[output])
    assert shapes.ranges.scaled.signed_bits == 10
    values = check(shapes, [(acc, 3) for acc in range(-151, 153)])
    assert (set(values) == {0}) == (out_shift > 9)


@pytest.mark.parametrize("out_shift", [6, 7, 8, 9])
@pytest.mark.parametrize("output", OUTPUTS)
def test_most_negative_product(output: str, out_shift: int) -> None:
    """A product of 8 bits that is -128, at shifts where it rounds to -2 and -1, ties with 0, and rounds to 0."""
    shapes = unit(bias=(-127, 100), multipliers=(1,), out_bits=4, out_shift=out_shift, **OUTPUTS[output])
    assert (shapes.ranges.scaled.low, shapes.ranges.scaled.signed_bits) == (-128, 8)
    check(shapes, [(acc, 1) for acc in range(-128, 103)])


@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("out_shift", [0, 1, 4])
def test_elements_wider_than_the_product(output: str, out_shift: int) -> None:
    shapes = unit(bias=(-20, 20), multipliers=(3,), out_bits=16, out_shift=out_shift, **OUTPUTS[output])
    bound = shapes.ranges.accumulator
    values = check(shapes, [(acc, 3) for acc in range(bound.low, bound.high + 1)])
    assert (min(values) < 0) == (shapes.layer.config.out_range.low < 0)


@pytest.mark.parametrize("bias", [(-150, -149), (149, 150)])
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("out_shift", [0, 3])
def test_one_sided_accumulators(bias: tuple[int, int], output: str, out_shift: int) -> None:
    """Where a limit is proven out of reach there is no comparison, and none is missed."""
    shapes = unit(bias=bias, multipliers=(5,), out_bits=6, out_shift=out_shift, **OUTPUTS[output])
    bound = shapes.ranges.accumulator
    check(shapes, [(acc, 5) for acc in range(bound.low, bound.high + 1)])


@in_turn
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("out_bits", [2, 8, 16])
@pytest.mark.parametrize("out_shift", [0, 1, 16, 31, 32, 45, 46, 47])
@pytest.mark.parametrize("target", ["generic", "ecp5", "xcup"])
def test_limits(output: str, out_bits: int, out_shift: int, target: str) -> None:
    """The widest accumulators that a bias makes, the largest multiplier, ties at the far ends."""
    multiplier = 2**16 - 1
    shapes = unit(
        bias=(-(2**31), 2**31 - 1),
        multipliers=(multiplier, 2**15),
        target=target,
        out_bits=out_bits,
        out_shift=out_shift,
        **OUTPUTS[output],
    )
    rng = np.random.default_rng(13)
    bound = shapes.ranges.accumulator
    ends = [bound.low, bound.low + 1, -1, 0, 1, bound.high - 1, bound.high]
    pairs = [(acc, m) for acc in ends for m in (multiplier, 2**15, 1)]
    pairs += [(int(acc), multiplier) for acc in rng.integers(bound.low, bound.high, 30, endpoint=True)]
    # Outputs around every tie that the output can show, if the shift is large enough to reach one.
    ties = [(2 * k + 1) << out_shift >> 16 for k in range(-40, 40)]
    pairs += [(acc, 2**15) for acc in ties if bound.low <= acc <= bound.high]
    check(shapes, pairs)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("seed", seeds(10))
def test_values_in_any_layer(seed: int, target: str) -> None:
    shapes = random_unit(seed, target)
    rng = np.random.default_rng(seed)
    bound = shapes.ranges.accumulator
    # Each output channel has its own bound on acc; the one with the largest multiplier may use what its bound allows.
    for multiplier in sorted(set(shapes.layer.multiplier.tolist())):
        top = min(bound.high, shapes.ranges.scaled.high // multiplier)
        bottom = max(bound.low, -(-shapes.ranges.scaled.low // multiplier))
        accs = [bottom, top, *rng.integers(bottom, top, 30, endpoint=True).tolist()]
        check(shapes, [(acc, multiplier) for acc in accs])


@pytest.mark.parametrize("output", ["unsigned", "signed"])
@pytest.mark.parametrize(("low", "high"), [(0, 47), (3, 3), (2, 9)])
@pytest.mark.parametrize(
    ("target", "rounding"),
    [*((target, "half_even") for target in ("generic", "ecp5", "xcup")), ("ecp5", "half_up"), ("generic", "floor")],
)
def test_shift_and_relu_of_each_sum(output: str, low: int, high: int, target: str, rounding: str) -> None:
    """In a reloadable unit each sum has its own shift and lower limit; what is cut at a limit other than 0 is told."""
    out_signed = OUTPUTS[output]["out_signed"]
    fields = {"out_bits": 4, "out_shift": high, "out_signed": out_signed, "relu": False, "rounding": rounding}
    frozen = unit(bias=(-150, 150), multipliers=(3,), target=target, **fields)
    shapes = changed(frozen, reload=Reload(attn_shift=Range(0, 0), out_shift=Range(low, high)))
    dut, rng = Requantise(shapes), np.random.default_rng(5)
    full, shifts = Range.of_format(4, out_signed), range(low, high + 1)
    sums = []
    for shift in [*shifts, *rng.integers(low, high, 300, endpoint=True).tolist()]:
        multiplier = int(rng.integers(1, 2**16))
        # Around the limits, at ties, and anything.
        near = int(rng.integers(full.low - 2, full.high + 2)) * 2**shift // multiplier + int(rng.integers(-2, 3))
        acc = near if rng.random() < 0.7 else int(rng.integers(-(2**31), 2**31))
        bound = shapes.ranges.accumulator
        sums.append((min(max(acc, bound.low), bound.high), multiplier, shift, bool(rng.integers(2))))
    inputs = [
        {
            "i_acc": sums[t][0],
            "i_multiplier": sums[t][1],
            "i_out_shift": sums[max(0, t - requantise.shift_latency(shapes))][2],
            "i_relu": sums[max(0, t - requantise.relu_latency(shapes))][3],
        }
        for t in range(len(sums))
    ]
    count = len(sums) - requantise.relu_latency(shapes)
    shown, cut = stream_through(dut, inputs, [dut.o_y, dut.o_cut])
    for number, (acc, multiplier, shift, relu) in enumerate(sums[:count]):
        exact = rounded(Fraction(acc * multiplier, 2**shift), shapes.layer.config.rounding)
        least = 0 if relu else full.low
        assert shown[requantise.latency(shapes) + number] == min(max(exact, least), full.high), (
            acc,
            multiplier,
            shift,
            relu,
        )
        assert cut[requantise.latency(shapes) + number] == (exact > full.high or (exact < least < 0)), (
            acc,
            multiplier,
            shift,
            relu,
        )
