"""Tap plans: packed sums come apart exactly, every plan is one its target can build, and how much it saves."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from golden.contract.layer_config import NEIGHBOURS
from golden.contract.ranges import Range
from hw.plan.packing import Chain
from hw.plan.shapes import Shapes
from hw.plan.weight_layout import weight_skew
from hw.targets.families import TARGETS
from hw.unit import tap_macs
from hw.unit.tap_macs import TapMacs
from tests.support.components import stream_through
from tests.support.tiers import seeds
from tests.support.units import HADAMARD, SIGNS, at_limits, random_unit, unit_shapes

#: Formats of operands in the exhaustive tests.
ELEMENTS = [(bits, signed) for bits in (2, 3) for signed in (False, True)]
#: Frames of one row that leave so many taps of a 3x3 kernel.
FRAMES: dict[int, dict[str, Any]] = {
    1: {"width": 1},
    2: {"width": 2, "stride": 2},
    3: {"width": 2},
}
PACKING = [name for name, target in TARGETS.items() if target.packs]


def tap_choices(weight_bits: int, element: Range) -> list[tuple[int, int, int]]:
    """Every ``(low, high, x)`` of one tap."""
    weights = range(-(2 ** (weight_bits - 1)) + 1, 2 ** (weight_bits - 1))
    return list(itertools.product(weights, weights, range(element.low, element.high + 1)))


def bits_of(low: int, high: int) -> int:
    """Bits of the narrowest two's complement number that holds both."""
    return next(bits for bits in itertools.count(1) if -(2**bits) <= 2 * low and 2 * high < 2**bits)


@pytest.mark.parametrize("weight_bits", [2, 3])
@pytest.mark.parametrize(("in_bits", "in_signed"), ELEMENTS)
@pytest.mark.parametrize("taps", [1, 2, 3])
def test_sums_come_apart(weight_bits: int, in_bits: int, in_signed: bool, taps: int) -> None:
    """All weights and operands of so many taps, with the fewest bits for the low field; one bit less is too few."""
    element = Range.of_format(in_bits, in_signed)
    choices = tap_choices(weight_bits, element)
    lows = [low * x for low, _, x in choices]
    needed = bits_of(taps * min(lows), taps * max(lows))

    def split_wrongly(shift: int) -> set[tuple[int, int]]:
        words = set()
        for low, high, x in choices:
            stored = high - (low < 0)
            assert -(2 ** (weight_bits - 1)) <= stored < 2 ** (weight_bits - 1)
            words.add((low * x, high * x, (stored * 2**shift + low % 2**shift) * x))
        # Sums of the same products are alike, so each is formed once.
        sums = {(0, 0, 0)}
        for _ in range(taps):
            sums = {(a + d, b + e, c + f) for a, b, c in sums for d, e, f in words}
        wrong = set()
        for low_sum, high_sum, packed in sums:
            low = packed % 2**shift
            low -= 2**shift if low >= 2 ** (shift - 1) else 0
            if (low, (packed >> shift) + (low < 0)) != (low_sum, high_sum):
                wrong.add((low_sum, high_sum))
        return wrong

    assert not split_wrongly(needed)
    assert not split_wrongly(needed + 1)
    assert split_wrongly(needed - 1)


@pytest.mark.parametrize("target", PACKING)
@pytest.mark.parametrize(("in_bits", "in_signed"), [(2, False), (3, True)])
@pytest.mark.parametrize("taps", [1, 2, 3])
def test_every_pair_of_sums(target: str, in_bits: int, in_signed: bool, taps: int) -> None:
    """Hardware that packs: each pair of sums that the taps can make; for a single tap all weights and operands."""
    offsets = tuple((0, dx) for dx in range(-1, 2))
    shapes = unit_shapes(
        target=target,
        **{"simd": 1, "pe": 1, "in_channels": 1, "out_channels": 1, "height": 1, "attn_offsets": offsets},
        **{"in_bits": in_bits, "in_signed": in_signed, "weight_bits": 3},
        **FRAMES[taps],
    )
    shapes = at_limits(shapes, "positive")
    [chain] = shapes.plan.chains
    choices = tap_choices(3, shapes.layer.config.in_range)
    lows = [low * x for low, _, x in choices]
    assert len(chain.products) == len(shapes.geometry.offsets) == taps
    assert chain.shift == bits_of(taps * min(lows), taps * max(lows))

    cases = [((low * x, high * x), [(low, high, x)]) for low, high, x in choices]
    for _ in range(taps - 1):
        # One way to make each pair of sums, and of the next tap one way to make each pair of products.
        ways, steps = dict(cases), {(low * x, high * x): (low, high, x) for low, high, x in choices}
        cases = list(
            {
                (a + d, b + e): [*way, step]
                for ((a, b), way), ((d, e), step) in itertools.product(ways.items(), steps.items())
            }.items()
        )
    skew = shapes.plan.skew

    def tap(cycle: int, index: int) -> tuple[int, int, int]:
        return cases[min(max(cycle - skew[index], 0), len(cases) - 1)][1][index]

    inputs = []
    for cycle in range(len(cases) + max(skew)):
        shown = [tap(cycle, index) for index in range(taps)]
        stored = [high - (low < 0) for low, high, _ in shown]
        weights = [low for low, _, _ in shown] + stored
        inputs.append({"i_taps": [[x for _, _, x in shown]], "i_weights": [weights]})
    dut = TapMacs(shapes)
    low_sums, high_sums = stream_through(dut, inputs, [dut.o_conv_sum[0], dut.o_attn_sum])
    for record, field in ((low_sums, 0), (high_sums, 1)):
        assert [sums[0] for sums in record[tap_macs.latency(shapes) :][: len(cases)]] == [
            pair[field] for pair, _ in cases
        ]


def field_extremes(shapes: Shapes, chain: Chain, field: str) -> Range | None:
    """The lowest and highest sum of a chain's low or high products over all output channels, operands and weights."""
    layer, c, g, outputs = shapes.layer, shapes.layer.config, shapes.geometry, shapes.plan.outputs
    conv = layer.conv_weight.reshape(c.out_channels, c.fan_in_channels, -1)
    elements = [element for p in chain.products if (element := getattr(p, field)) is not None]
    if not elements:
        return None
    columns = []
    for element in elements:
        output, tap = divmod(element, len(g.conv_taps))
        if output < outputs:
            columns.append(conv[output::outputs, :, g.conv_taps[tap]].ravel())
        else:
            columns.append(layer.attn_weight[:, :, g.attn_taps[element - outputs * len(g.conv_taps)]].ravel())
    operands = np.arange(c.in_range.low, c.in_range.high + 1)
    products = np.stack(columns)[..., None] * operands
    return Range(int(products.min(axis=-1).sum(axis=0).min()), int(products.max(axis=-1).sum(axis=0).max()))


def check_plan(shapes: Shapes) -> None:
    """Every weight in one product with its own operand, and every chain one that the target can build."""
    layer, g, plan, target = shapes.layer.config, shapes.geometry, shapes.plan, shapes.target
    offsets = [layer.kernel_offsets[i] for i in g.conv_taps] * plan.outputs + [
        layer.attn_offsets[t] for t in g.attn_taps
    ]
    fields = [0] * len(g.conv_taps) + [1] * (len(offsets) - len(g.conv_taps))
    met = []
    for chain in plan.chains:
        for product in chain.products:
            for field, element in enumerate((product.low, product.high)):
                if element is not None:
                    assert (g.offsets[product.offset], field) == (offsets[element], fields[element])
                    met.append(element)
    assert sorted(met) == list(range(len(offsets)))
    assert plan.products == sum(len(chain.products) for chain in plan.chains) <= len(offsets)
    assert shapes.lanes * plan.outputs == shapes.folding.pe

    for chain in plan.chains:
        assert chain.products
        low, high = (field_extremes(shapes, chain, field) for field in ("low", "high"))
        assert (chain.low, chain.high) == (low, high)
        if chain.shift is None:
            assert (low is None) != (high is None)
            sums = low or high
            assert sums is not None and sums.signed_bits <= chain.total_bits
        else:
            assert shapes.config.pack and target.packs and target.a_bits and target.b_bits
            assert low is not None and high is not None
            assert -(2 ** (chain.shift - 1)) <= low.low and low.high < 2 ** (chain.shift - 1)
            assert chain.shift + layer.weight_bits <= target.a_bits
            assert layer.in_bits + (not layer.in_signed) <= target.b_bits
            ends = [(high.low << chain.shift) + low.low, (high.high << chain.shift) + low.high]
            assert bits_of(*ends) <= chain.total_bits
        assert chain.total_bits <= 48
        if plan.cascaded:
            assert len(chain.products) <= target.cascade
            assert [plan.skew[product.offset] for product in chain.products] == list(range(len(chain.products)))
    assert len(plan.skew) == len(g.offsets)
    if not plan.cascaded:
        assert set(plan.skew) == {0}
    elements = {
        e: plan.skew[p.offset] for c in plan.chains for p in c.products for e in (p.low, p.high) if e is not None
    }
    assert weight_skew(shapes) == [elements[e] for e in range(len(offsets))] * shapes.lane_channels


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("unit", HADAMARD)
def test_plan(unit: str, target: str, pack: bool) -> None:
    check_plan(unit_shapes(target=target, pack=pack, **HADAMARD[unit]))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("seed", seeds(60))
def test_plan_of_any_layer(seed: int, target: str) -> None:
    check_plan(random_unit(seed, target))
    check_plan(random_unit(seed, target, pack=False))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("seed", seeds(30))
def test_plan_of_weights_at_their_limits(seed: int, target: str) -> None:
    for signs in SIGNS:
        check_plan(at_limits(random_unit(seed, target), signs))


@pytest.mark.parametrize("target", PACKING)
def test_random_layers_have_plans_of_every_kind(target: str) -> None:
    """What the tests above are meant to see is really there."""
    plans = [random_unit(seed, target).plan for seed in range(60)]
    assert {plan.packed for plan in plans} == {False, True}
    assert {plan.outputs for plan in plans} == {1, 2}
    assert any(chain.shift is None for plan in plans if plan.packed for chain in plan.chains)
    assert any(plan.packed and len(plan.chains) > 1 for plan in plans)
    assert any(plan.packed and len(plan.chains) == 1 for plan in plans)


def chain_lengths(shapes: Shapes) -> list[int]:
    return [len(chain.products) for chain in shapes.plan.chains]


def test_one_chain_of_nine() -> None:
    """3x3, eight directions, eight bits on UltraScale+: 17 weights in nine multipliers."""
    signed = unit_shapes(in_signed=True, target="xcup")
    assert chain_lengths(signed) == [9] and signed.plan.packed
    for signs in SIGNS:
        assert chain_lengths(at_limits(signed, signs)) == [9]
    unsigned = unit_shapes(target="xcup")
    assert unsigned.plan.products == 9 and unsigned.plan.packed
    assert chain_lengths(at_limits(unsigned, "positive")) == [5, 4]


@pytest.mark.parametrize(("in_signed", "lengths"), [(True, [3, 3, 3]), (False, [2, 2, 2, 2, 1])])
def test_narrower_words_make_shorter_chains(in_signed: bool, lengths: list[int]) -> None:
    """7 series, eight bits: 17 bits of a word are left for the low field."""
    shapes = at_limits(unit_shapes(in_signed=in_signed, target="xc7"), "positive")
    assert shapes.plan.products == 9
    assert chain_lengths(shapes) == lengths
    # One product more might not fit: 127 * 128 * 4 < 2^16, 127 * 255 * 2 < 2^16 <= 127 * 255 * 3.
    assert max(lengths) <= (4 if in_signed else 2)


@pytest.mark.parametrize("in_signed", [False, True])
@pytest.mark.parametrize(("bits", "products"), [(8, 17), (4, 9), (2, 17)])
def test_words_of_18_bits(bits: int, products: int, in_signed: bool) -> None:
    """ECP5: two weights of eight bits do not fit one word, two of four do; two bits need no multiplier."""
    shapes = unit_shapes(in_bits=bits, weight_bits=bits, in_signed=in_signed, target="ecp5")
    for unit in (shapes, *(at_limits(shapes, signs) for signs in SIGNS)):
        assert unit.plan.products == products
        assert unit.plan.packed == (products == 9)


@pytest.mark.parametrize("in_signed", [False, True])
def test_a_plain_convolution_packs_two_outputs(in_signed: bool) -> None:
    def plan(**changed: Any) -> tuple[int, bool, int]:
        fields: dict[str, Any] = {"attn_offsets": (), "target": "xcup", "in_signed": in_signed}
        unit = unit_shapes(**(fields | changed))
        return unit.plan.outputs, unit.plan.packed, unit.plan.products

    assert plan() == (2, True, 9)
    assert plan(pe=4) == (2, True, 9)
    assert plan(pack=False) == (1, False, 9)
    assert plan(pe=1) == (1, False, 9)
    assert plan(pe=3, out_channels=6) == (1, False, 9)
    assert plan(groups=4) == (1, False, 9)
    assert plan(target="generic") == (1, False, 9)
    assert plan(attn_offsets=NEIGHBOURS) == (1, True, 9)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("in_signed", [False, True])
def test_without_packing_each_weight_has_a_multiplier(target: str, in_signed: bool) -> None:
    shapes = unit_shapes(in_signed=in_signed, target=target, pack=False)
    assert shapes.plan.products == 17
    assert not shapes.plan.packed
    assert chain_lengths(shapes) == [9, 8]
