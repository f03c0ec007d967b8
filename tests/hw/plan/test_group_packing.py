"""Tap plans of the ``dynamic`` product: words come apart exactly, and every plan is one its target can build."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Cat, Module, Shape, Signal, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.contract.layer_config import NEIGHBOURS
from golden.contract.ranges import Range
from hw.blocks.packed import join, split
from hw.plan.packing import Chain
from hw.plan.shapes import Shapes
from hw.plan.weight_layout import weight_skew
from hw.targets.families import TARGETS
from tests.support.components import stream_through
from tests.support.tiers import seeds
from tests.support.units import SIGNS, SIMILAR, at_limits, random_unit, unit_shapes, with_arrays

PACKING = [name for name, target in TARGETS.items() if target.packs]


class PackedProducts(wiring.Component):
    """``sum low*x`` and ``sum high*x`` from sums of words, as two similarities share a multiplier."""

    def __init__(self, element: Shape, count: int, shift: int) -> None:
        self._element, self._shift = element, shift
        elements = data.ArrayLayout(element, count)
        self._sum = signed(shift)
        ports = {"i_low": In(elements), "i_high": In(elements), "i_x": In(elements)}
        super().__init__({**ports, "o_low": Out(self._sum), "o_high": Out(self._sum)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        total: Any = 0
        for low, high, x in zip(self.i_low, self.i_high, self.i_x, strict=True):
            upper = (high - (low[-1] if self._element.signed else 0))[: self._element.width + 1]
            total = total + join(low, upper, self._shift) * x
        word = Signal(signed(2 * self._shift))
        m.d.comb += word.eq(total)
        for output, part in zip((self.o_low, self.o_high), split(m, word, self._shift, self._sum), strict=True):
            m.d.comb += output.eq(part)
        return m


def limits_of(element: Shape) -> range:
    half = 2 ** (element.width - 1)
    return range(-half, half) if element.signed else range(2 * half)


@pytest.mark.parametrize("element", [signed(2), signed(3), unsigned(2), unsigned(3)], ids=repr)
@pytest.mark.parametrize("spare", [0, 2])
def test_every_pair_of_products(element: Shape, spare: int) -> None:
    """All operands, in the fewest bits that hold the lower sum and in more."""
    values = limits_of(element)
    products = [a * b for a in values for b in values]
    dut = PackedProducts(element, 1, Range(min(products), max(products)).signed_bits + spare)
    cases = list(itertools.product(values, repeat=3))
    inputs = [{"i_low": [low], "i_high": [high], "i_x": [x]} for low, high, x in cases]
    lows, highs = stream_through(dut, inputs, [dut.o_low, dut.o_high])
    assert lows[1:][: len(cases)] == [low * x for low, _, x in cases]
    assert highs[1:][: len(cases)] == [high * x for _, high, x in cases]


@pytest.mark.parametrize("element", [signed(3), unsigned(3), signed(8), unsigned(8)], ids=repr)
@pytest.mark.parametrize("count", [2, 5])
def test_sums_of_pairs(element: Shape, count: int) -> None:
    """All combinations of the limits of two operands, and of five alike; random ones too."""
    values = limits_of(element)
    ends = {values[0], values[-1]}
    products = [count * a * b for a in ends | {0} for b in ends | {0}]
    dut = PackedProducts(element, count, Range(min(products), max(products)).signed_bits)
    cases = [((low, high, x),) * count for low, high, x in itertools.product(sorted(ends | {0}), repeat=3)]
    if count == 2:
        cases = list(itertools.product(itertools.product(sorted(ends), repeat=3), repeat=2))
    rng = np.random.default_rng(1)
    cases += [tuple(map(tuple, case)) for case in rng.choice(values, (300, count, 3)).tolist()]
    names = ("i_low", "i_high", "i_x")
    inputs = [{name: [term[n] for term in case] for n, name in enumerate(names)} for case in cases]
    lows, highs = stream_through(dut, inputs, [dut.o_low, dut.o_high])
    assert lows[1:][: len(cases)] == [sum(low * x for low, _, x in case) for case in cases]
    assert highs[1:][: len(cases)] == [sum(high * x for _, high, x in case) for case in cases]


class Words(wiring.Component):
    """`join` with ports."""

    def __init__(self, low: Shape, high: Shape, shift: int) -> None:
        self._shift = shift
        super().__init__({"i_low": In(low), "i_high": In(high), "o_word": Out(signed(shift + high.width))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += Cat(self.o_word).eq(join(self.i_low, self.i_high, self._shift))
        return m


@pytest.mark.parametrize("low", [signed(3), unsigned(3)], ids=repr)
@pytest.mark.parametrize("shift", [2, 3, 4, 7])
def test_a_word_has_both_fields(low: Shape, shift: int) -> None:
    """The lower one extended, or cut where it has more bits than can matter."""
    dut = Words(low, signed(3), shift)
    cases = list(itertools.product(limits_of(low), limits_of(signed(3))))
    [words] = stream_through(dut, [{"i_low": a, "i_high": b} for a, b in cases], [dut.o_word], drain=0)
    assert words == [b * 2**shift + a % 2**shift for a, b in cases]


def field_extremes(shapes: Shapes, chain: Chain, field: str) -> Range | None:
    """The lowest and highest sum of a chain's low or high products over all output channels, groups and operands."""
    layer, c, g, plan = shapes.layer, shapes.layer.config, shapes.geometry, shapes.plan
    lows, highs = [], []
    for o, first in itertools.product(range(c.out_channels), range(0, c.in_channels, plan.group)):
        low = high = 0
        for product in chain.products:
            element, channel = getattr(product, field), first + product.channel
            if element is None:
                return None
            if element < len(g.conv_taps):
                weight = int(layer.conv_weight[o, channel].flat[g.conv_taps[element]])
            else:
                weight = int(layer.attn_weight[o, channel, g.attn_taps[element - len(g.conv_taps)]])
            ends = (weight * c.in_range.low, weight * c.in_range.high)
            low, high = low + min(ends), high + max(ends)
        lows.append(low)
        highs.append(high)
    return Range(min(lows), max(highs))


def check_plan(shapes: Shapes) -> None:
    """Every weight of every channel of a group once, with its own operand, and every chain one that can be built."""
    c, g, plan, target, heads = shapes.layer.config, shapes.geometry, shapes.plan, shapes.target, shapes.heads
    assert heads is not None
    assert (plan.outputs, plan.group, shapes.lane_groups) == (1, heads.group, heads.groups)
    offsets = [c.kernel_offsets[i] for i in g.conv_taps] + [c.attn_offsets[t] for t in g.attn_taps]
    met = []
    skew = {}
    for chain in plan.chains:
        assert chain.products and len({product.offset for product in chain.products}) == 1
        for place, product in enumerate(chain.products):
            for field, element in enumerate((product.low, product.high)):
                if element is not None:
                    assert g.offsets[product.offset] == offsets[element]
                    assert field == (element >= len(g.conv_taps))
                    met.append((product.channel, element))
                    skew[product.channel, element] = place if plan.cascaded else 0
            high = product.high
            assert chain.tap == (None if high is None else high - len(g.conv_taps))
    assert sorted(met) == list(itertools.product(range(plan.group), range(len(offsets))))

    for chain in plan.chains:
        low, high = (field_extremes(shapes, chain, field) for field in ("low", "high"))
        assert (chain.low, chain.high) == (low, high)
        if chain.shift is None:
            assert (low is None) != (high is None)
        else:
            assert shapes.config.pack and target.packs and target.a_bits and target.b_bits
            assert low is not None and high is not None
            assert -(2 ** (chain.shift - 1)) <= low.low and low.high < 2 ** (chain.shift - 1)
            assert chain.shift + c.weight_bits <= target.a_bits
            assert c.in_bits + (not c.in_signed) <= target.b_bits
        if plan.cascaded:
            assert len(chain.products) <= target.cascade
    assert set(plan.skew) == {0} and len(plan.skew) == len(g.offsets)
    elements = [skew[key] for key in sorted(skew)]
    assert weight_skew(shapes) == elements * shapes.lane_groups
    assert plan.channel_skew == tuple(skew[channel, 0] for channel in range(plan.group))
    check_pairs(shapes)


def check_pairs(shapes: Shapes) -> None:
    """Similarities are packed where two fit a multiplier, and nowhere else."""
    c, plan, target = shapes.layer.config, shapes.plan, shapes.target
    pairs = len(shapes.geometry.attn_taps) > 1
    # Two bits are multiplied by adders.
    hard = c.in_bits + (not c.in_signed) > 2
    if not (shapes.config.pack and target.packs and pairs and hard):
        assert plan.pair_shift is None
        return
    assert target.a_bits is not None
    elements = (c.in_range.low, 0, c.in_range.high)
    products = [0]
    for t in shapes.geometry.attn_taps:
        others = [(x, y) for x in elements for y in elements] if any(c.attn_offsets[t]) else [(x, x) for x in elements]
        products += [x * y for x, y in others]
    least = Range(plan.longest * min(products), plan.longest * max(products)).signed_bits
    # The upper operand, and what the lower one borrows from it.
    fits = least + c.in_bits + 1 <= target.a_bits
    assert plan.pair_shift == (least if fits else None)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("unit", SIMILAR)
def test_plan(unit: str, target: str, pack: bool) -> None:
    check_plan(unit_shapes(target=target, pack=pack, **SIMILAR[unit]))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("in_signed", [False, True])
def test_plan_of_weights_at_their_limits(bits: int, in_signed: bool, target: str) -> None:
    units = ("dynamic_heads_in_a_beat", "dynamic_head_over_beats", "dynamic_heads_of_one", "dynamic_lopsided")
    for unit, signs in itertools.product(units, SIGNS):
        fields = {"in_bits": bits, "weight_bits": bits, "target": target, **SIMILAR[unit], "in_signed": in_signed}
        check_plan(at_limits(unit_shapes(**fields), signs))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("seed", seeds(30))
def test_plan_of_any_layer(seed: int, target: str) -> None:
    for pack in (False, True):
        check_plan(random_unit(seed, target, pack=pack, similar=True))


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("in_channels", [10, 19])
def test_plan_of_groups_longer_than_a_cascade(in_channels: int, pack: bool, target: str) -> None:
    fields: dict[str, Any] = {"product": "dynamic", "heads": 1, "in_channels": in_channels, "simd": in_channels}
    shapes = unit_shapes(in_signed=True, target=target, pack=pack, out_channels=1, pe=1, **fields)
    check_plan(shapes)
    if not pack:
        # As few chains as possible, of nearly the same length.
        chains = -(-in_channels // 9) if shapes.plan.cascaded else 1
        assert shapes.plan.longest == -(-in_channels // chains)


@pytest.mark.parametrize("heavy", [0, 4, 8])
def test_the_widest_word_decides(heavy: int) -> None:
    """One tap with weights at their limits, all others 0: chains that this one allows."""
    fields: dict[str, Any] = {"product": "dynamic", "heads": 1, "simd": 4, "out_channels": 1, "pe": 1}
    shapes = unit_shapes(target="xc7", attn_offsets=(*NEIGHBOURS, (0, 0)), **fields)
    conv = np.zeros_like(shapes.layer.conv_weight)
    conv[:, :, heavy // 3, heavy % 3] = 127
    shapes = with_arrays(shapes, conv_weight=conv)
    check_plan(shapes)
    # 127 * 255 * 2 < 2^16 <= 127 * 255 * 3
    assert shapes.plan.longest <= 2


@pytest.mark.parametrize("target", PACKING)
def test_random_layers_have_plans_of_every_kind(target: str) -> None:
    """What the tests above are meant to see is really there."""
    plans = [random_unit(seed, target, similar=True).plan for seed in range(30)]
    assert {(plan.packed, plan.pair_shift is not None) for plan in plans} >= {(True, True), (True, False)}
    assert any(not plan.packed and plan.pair_shift is None for plan in plans)
    assert {plan.group > 1 for plan in plans} == {False, True}
    assert any(plan.packed and plan.longest > 1 for plan in plans)


def products_and_pairs(shapes: Shapes) -> tuple[int, bool]:
    """Multipliers of a lane and beat, and whether similarities share theirs."""
    return shapes.plan.products * shapes.lane_groups, shapes.plan.pair_shift is not None


@pytest.mark.parametrize(("heads", "simd"), [(8, 4), (1, 4), (1, 16), (16, 4), (2, 16)])
@pytest.mark.parametrize(("target", "in_bits"), [("xcup", 8), ("xc7", 7), ("ecp5", 4)])
def test_two_to_a_multiplier(heads: int, simd: int, target: str, in_bits: int) -> None:
    """3x3, eight directions: the 17 weights of a channel in nine multipliers, and its similarities in four."""
    fields = {"product": "dynamic", "in_channels": 16, "heads": heads, "simd": simd, "target": target}
    shapes = unit_shapes(in_signed=True, in_bits=in_bits, weight_bits=in_bits, **fields)
    for unit in (shapes, *(at_limits(shapes, signs) for signs in SIGNS)):
        assert products_and_pairs(unit) == (9 * simd, True)
        assert unit.plan.packed


@pytest.mark.parametrize("in_signed", [False, True])
def test_similarities_that_do_not_fit_have_their_own_multipliers(in_signed: bool) -> None:
    """7 series, eight bits: of 25 bits 9 are for the upper operand, a signed product takes 16, an unsigned one 17."""
    fields = {"product": "dynamic", "heads": 2, "simd": 4, "in_signed": in_signed}
    assert products_and_pairs(unit_shapes(target="xc7", **fields)) == (9 * 4, in_signed)
    assert products_and_pairs(unit_shapes(target="ecp5", **fields)) == (17 * 4, False)
    assert products_and_pairs(unit_shapes(target="generic", **fields)) == (17 * 4, False)
    assert products_and_pairs(unit_shapes(target="xcup", **fields)) == (9 * 4, True)


def test_a_single_tap_has_no_partner() -> None:
    fields = {"product": "dynamic", "heads": 2, "in_signed": True, "target": "xcup"}
    assert unit_shapes(attn_offsets=((0, 1),), **fields).plan.pair_shift is None
    assert unit_shapes(attn_offsets=((0, 1), (1, 0)), **fields).plan.pair_shift is not None


@pytest.mark.parametrize("target", TARGETS)
def test_without_packing_each_product_has_a_multiplier(target: str) -> None:
    shapes = unit_shapes(product="dynamic", heads=1, simd=4, target=target, pack=False)
    assert products_and_pairs(shapes) == (17 * 4, False)
    assert not shapes.plan.packed and all(chain.shift is None for chain in shapes.plan.chains)


def test_shorter_chains_where_similarities_then_pair() -> None:
    """16 channels in a beat, eight bits: a chain of nine leaves no room for a second similarity."""
    shapes = unit_shapes(
        product="dynamic", in_channels=16, heads=1, simd=16, in_signed=True, target="xcup", attn_offsets=NEIGHBOURS
    )
    plan = shapes.plan
    assert plan.cascaded and plan.packed and plan.pair_shift is not None
    assert plan.longest < 8 and plan.pair_shift + 9 <= 27
