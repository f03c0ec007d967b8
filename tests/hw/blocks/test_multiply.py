"""The multiplier of every target: exact after its declared latency, in as many multipliers as it says."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import pytest
from amaranth.back import rtlil
from amaranth.hdl import Module, Shape, Signal, Value, signed, unsigned

from golden.contract.ranges import Range
from hw.blocks.multiply import cascade, multiply, product_dsps, product_latency, signed_width, takes_dsp
from hw.blocks.pipeline import delay
from hw.targets.families import ECP5, GENERIC, TARGETS, XC7, XCUP, Target
from hw.targets.primitives import DSP_LATENCY, DSPS, Dsp
from tests.support.components import show
from tests.support.tiers import in_turn
from tests.support.units import SIMULATED

#: On both sides of what takes adders, and of what each target's multiplier takes in one limb, in two and in three.
WIDE = [signed(bits) for bits in (2, 3, 8, 17, 18, 19, 21, 22, 25, 26, 27, 28, 29, 35, 36, 39, 48)]
WIDE += [unsigned(bits) for bits in (1, 2, 8, 18, 26, 33)]
NARROW = [signed(2), signed(8), signed(18), unsigned(1), unsigned(2), unsigned(8), unsigned(16), unsigned(17)]
HARD = [ECP5, XC7, XCUP]


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the place of each target's multiplier what `hw.targets.primitives` promises of it."""
    for target in HARD:
        monkeypatch.setitem(DSPS, target.dsp, model(target))


def model(target: Target) -> Dsp:
    def multiplier(m: Module, a: Value, b: Value, chain: Value | None) -> tuple[Value, Value]:
        assert signed_width(a.shape()) <= target.a_bits and signed_width(b.shape()) <= target.b_bits
        total = Signal(signed(48), reset_less=True)
        m.d.sync += total.eq(delay(m, a * b, DSP_LATENCY - 1) + (0 if chain is None else (~chain).as_signed()))
        return total, ~total  # so that a hand-on is of no use but to the next one

    return multiplier


def limits(shape: Shape) -> list[int]:
    values = Range.of_format(shape.width, shape.signed)
    return [values.low, values.high, 0, min(1, values.high), values.low // 2 - 1 if shape.signed else values.high // 2]


def check(target: Target, a: Shape, b: Shape) -> None:
    rng = np.random.default_rng(a.width * 100 + b.width)
    m, (left, right) = Module(), (Signal(a), Signal(b))
    product = multiply(m, target, left, right)
    random = [[int(rng.integers(*(min(v), max(v)), endpoint=True)) for v in map(limits, (a, b))] for _ in range(20)]
    rows = [[x, y] for x in limits(a) for y in limits(b)] + random
    cycles = product_latency(target, a, b)
    shown = show(m, [left, right], product, rows, cycles)
    assert shown[cycles:] == [x * y for x, y in rows], f"seed {a.width * 100 + b.width}"


@in_turn
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("a", WIDE, ids=repr)
@pytest.mark.parametrize("b", NARROW, ids=repr)
def test_exact_after_its_latency(target: str, a: Shape, b: Shape) -> None:
    """Limits of both operands, and random ones: limbs, adders for few bits, and hard multipliers alike."""
    check(SIMULATED[target], a, b)


@in_turn
@pytest.mark.parametrize("target", HARD, ids=lambda target: target.name)
@pytest.mark.parametrize("b", NARROW, ids=repr)
def test_exact_around_dsps(target: Target, b: Shape, models: None) -> None:
    """In either order of the operands."""
    for a in WIDE:
        check(target, a, b)
        check(target, b, a)


@pytest.mark.parametrize("target", TARGETS)
def test_no_wider_than_proven(target: str) -> None:
    m, (left, right) = Module(), (Signal(signed(8)), Signal(signed(8)))
    product = multiply(m, SIMULATED[target], left, right, proven=signed(5))
    assert product.shape() == signed(5)
    rows = [[5, 3], [-128, 0], [-1, 16], [-4, 4]]
    cycles = product_latency(SIMULATED[target], signed(8), signed(8))
    assert show(m, [left, right], product, rows, cycles)[cycles:] == [15, 0, -16, -16]


@pytest.mark.parametrize(
    ("target", "a", "b", "count", "limbs"),
    [
        (ECP5, signed(8), signed(8), 1, 1),
        (ECP5, signed(18), unsigned(8), 1, 1),
        (ECP5, signed(19), unsigned(8), 1, 2),  # the two bits above 17 become adders
        (ECP5, signed(21), unsigned(8), 1, 2),
        (ECP5, signed(22), unsigned(8), 2, 2),
        (ECP5, signed(29), unsigned(16), 2, 2),
        (ECP5, signed(35), unsigned(16), 2, 2),
        (ECP5, signed(36), unsigned(16), 2, 3),
        (ECP5, signed(48), unsigned(16), 3, 3),
        (ECP5, signed(48), signed(2), 0, 1),
        (XC7, signed(25), unsigned(16), 1, 1),
        (XC7, signed(29), unsigned(16), 2, 2),
        (XC7, signed(48), unsigned(16), 2, 2),
        (XCUP, signed(27), unsigned(16), 1, 1),
        (XCUP, signed(29), unsigned(16), 1, 2),
        (XCUP, signed(48), unsigned(16), 2, 2),
        (GENERIC, signed(48), unsigned(16), 1, 1),
    ],
)
def test_how_many(target: Target, a: Shape, b: Shape, count: int, limbs: int) -> None:
    """Hard multipliers, and cycles: those of the target's multiplier, and one for each limb but the first."""
    assert product_dsps(target, a, b) == product_dsps(target, b, a) == count
    assert product_latency(target, a, b) == product_latency(target, b, a) == target.multiply_latency + limbs - 1


@pytest.mark.parametrize("target", HARD, ids=lambda target: target.name)
def test_that_many_are_built(target: Target) -> None:
    for a, b in itertools.product(WIDE, NARROW):
        m, left, right = Module(), Signal(a, name="left"), Signal(b, name="right")
        result = Signal((left * right).shape(), name="result")
        m.d.comb += result.eq(multiply(m, target, left, right))
        text = rtlil.convert(m, ports=[left, right, result])
        assert text.count(f"cell \\{target.dsp} ") == product_dsps(target, a, b), f"{a} by {b}"
        assert "cell $mul" not in text


@pytest.mark.parametrize("target", HARD, ids=lambda target: target.name)
def test_operands_of_two_bits_take_none(target: Target) -> None:
    for few in (signed(2), unsigned(1)):
        assert not takes_dsp(target, few, unsigned(8)) and not takes_dsp(target, signed(48), few)
        assert product_dsps(target, few, unsigned(8)) == product_dsps(target, signed(48), few) == 0
    for more in (signed(3), unsigned(2)):
        assert takes_dsp(target, more, unsigned(8)) and takes_dsp(target, signed(48), more)
        assert product_dsps(target, more, unsigned(8)) == 1


@pytest.mark.parametrize("target", HARD, ids=lambda target: target.name)
def test_a_cascade_refuses_what_its_ports_would_cut(target: Target) -> None:
    """A primitive's port takes the lowest bits of a wider operand, and nobody would be told."""
    assert target.a_bits is not None and target.b_bits is not None
    fitting = (signed(target.a_bits), unsigned(target.b_bits - 1))
    for wide in ((signed(target.a_bits + 1), fitting[1]), (fitting[0], unsigned(target.b_bits))):
        a, b = map(Signal, wide)
        with pytest.raises(AssertionError, match="wider than the multiplier's port"):
            cascade(Module(), target, [(a, b)], signed(48))
    cascade(Module(), target, [(Signal(fitting[0]), Signal(fitting[1]))], signed(48))


@pytest.mark.parametrize("targets", [TARGETS, SIMULATED], ids=["hard", "inferred"])
@pytest.mark.parametrize("name", ["xc7", "xcup"])
@pytest.mark.parametrize("terms", [1, 2, 9])
def test_cascade_sums_operands_that_come_one_after_the_other(
    targets: Mapping[str, Target], name: str, terms: int, models: None
) -> None:
    target = targets[name]
    assert terms <= target.cascade
    rng = np.random.default_rng(terms)
    m = Module()
    pairs = [(Signal(signed(target.a_bits), name=f"a_{i}"), Signal(signed(9), name=f"b_{i}")) for i in range(terms)]
    total = cascade(m, target, pairs, signed(40))
    low, high = [-(2 ** (target.a_bits - 1)), -256], [2 ** (target.a_bits - 1) - 1, 255]
    sets = [np.tile(low, (terms, 1)), np.tile(high, (terms, 1)), np.tile([low[0], high[1]], (terms, 1))]
    sets += [rng.integers(low, high, (terms, 2), endpoint=True) for _ in range(30)]
    rows = [
        [int(sets[min(max(t - i, 0), len(sets) - 1)][i, part]) for i in range(terms) for part in range(2)]
        for t in range(len(sets) + terms)
    ]
    cycles = target.multiply_latency + terms - 1
    shown = show(m, [signal for pair in pairs for signal in pair], total, rows, cycles)
    assert shown[cycles : cycles + len(sets)] == [int((s[:, 0] * s[:, 1]).sum()) for s in sets], f"seed {terms}"
