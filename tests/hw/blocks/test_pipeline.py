"""The small pieces of hw.blocks.pipeline, each against plain Python."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from amaranth.hdl import Const, Module, Shape, Signal, signed, unsigned

from golden.contract.ranges import Range
from hw.blocks.latency import tree_latency
from hw.blocks.pipeline import Counter, adder_tree, delay, index_shape, pick, within, wrap_increment
from tests.support.components import show
from tests.support.tiers import in_turn

TERMS = (1, 2, 3, 4, 5, 7, 9, 16, 17, 49, 70)


@pytest.mark.parametrize("count", [*range(1, 10), 255, 256, 257, 4096])
def test_index_shape_holds_every_index_and_is_not_empty(count: int) -> None:
    shape = index_shape(count)
    assert not shape.signed and shape.width > 0
    assert 2**shape.width >= count
    assert shape.width == 1 or 2 ** (shape.width - 1) < count


@pytest.mark.parametrize("cycles", [0, 1, 2, 5])
@pytest.mark.parametrize("reset_less", [False, True])
def test_delay(cycles: int, reset_less: bool) -> None:
    m, value = Module(), Signal(signed(5))
    late = delay(m, value, cycles, reset_less=reset_less)
    values = [-16, 15, 0, -1, 7, -9]
    shown = show(m, [value], late, [[v] for v in values], cycles)
    assert shown[cycles:] == values
    assert shown[:cycles] == [0] * cycles


@pytest.mark.parametrize("value", [0, 7])
def test_delay_begins_with_zero(value: int) -> None:
    """Whatever the delayed signal begins with: what marks data as valid must not come out of nowhere."""
    m, signal = Module(), Signal(3, init=value)
    assert show(m, [], delay(m, signal, 2), [[]] * 4, 0) == [0, 0, value, value]


@pytest.mark.parametrize("radix", [2, 3, 4])
@pytest.mark.parametrize("terms", TERMS)
def test_tree_latency_is_the_number_of_levels(terms: int, radix: int) -> None:
    levels, remaining = 0, terms
    while remaining > 1:
        remaining = (remaining + radix - 1) // radix
        levels += 1
    assert tree_latency(terms, radix) == levels


@in_turn
@pytest.mark.parametrize("terms", TERMS)
@pytest.mark.parametrize("radix", [2, 3, 4])
@pytest.mark.parametrize("sign", ["signed", "unsigned", "one_sided"])
def test_adder_tree_holds_the_extremes(terms: int, sign: str, radix: int) -> None:
    element = {"signed": Range(-8, 7), "unsigned": Range(0, 15), "one_sided": Range(-8, 0)}[sign]
    shape = unsigned(4) if sign == "unsigned" else signed(4)
    m, rng = Module(), np.random.default_rng(terms)
    inputs = [Signal(shape, name=f"term_{i}") for i in range(terms)]
    total = Shape(Range(element.low * terms, element.high * terms).signed_bits, signed=True)
    result = adder_tree(m, inputs, total, radix)
    one_at_limit = np.eye(terms, dtype=int)
    rows = [
        [element.low] * terms,
        [element.high] * terms,
        *(one_at_limit * element.low).tolist(),
        *(one_at_limit * element.high).tolist(),
        *rng.integers(element.low, element.high, (50, terms), endpoint=True).tolist(),
    ]
    shown = show(m, inputs, result, rows, tree_latency(terms, radix))
    assert shown[tree_latency(terms, radix) :] == [sum(row) for row in rows], f"seed {terms}"


def test_adder_tree_nodes_are_no_wider_than_the_total() -> None:
    """Where the weights prove a narrow sum, no partial sum is wider."""
    m = Module()
    inputs = [Signal(signed(8), name=f"term_{i}") for i in range(20)]
    result = adder_tree(m, inputs, signed(9), 4)
    assert result.shape() == signed(9)
    rows = [[0] * 3 + [value] + [0] * 13 + [value] + [0] * 2 for value in (127, -128)]
    shown = show(m, inputs, result, rows, tree_latency(20, 4))
    assert shown[tree_latency(20, 4) :] == [254, -256]


@pytest.mark.parametrize("modulus", range(1, 11))
def test_wrap_increment(modulus: int) -> None:
    for step in range(-7, 2 * modulus + 3):
        m, value = Module(), Signal(index_shape(modulus))
        shown = show(m, [value], wrap_increment(value, step, modulus), [[v] for v in range(modulus)], 0)
        assert shown == [(v + step) % modulus for v in range(modulus)], f"step {step}"


@pytest.mark.parametrize("modulus", [1, 2, 5, 8])
def test_wrap_increment_of_few_values(modulus: int) -> None:
    """What no value needs is left out, what one needs is not."""
    for step, among in itertools.product(range(-2, modulus), _subsets(modulus)):
        m, value = Module(), Signal(index_shape(modulus))
        shown = show(m, [value], wrap_increment(value, step, modulus, among), [[v] for v in among], 0)
        assert shown == [(v + step) % modulus for v in among], f"step {step}, values {among}"


@pytest.mark.parametrize("size", [1, 2, 5, 8])
def test_within(size: int) -> None:
    for first in range(size):
        for last in range(first, size):
            m, value = Module(), Signal(index_shape(size))
            shown = show(m, [value], within(value, first, last, size), [[v] for v in range(size)], 0)
            assert shown == [int(first <= v <= last) for v in range(size)], f"{first} to {last}"


@pytest.mark.parametrize("count", range(1, 18))
def test_pick(count: int) -> None:
    m, index = Module(), Signal(index_shape(count))
    options = [Signal(8, init=100 + i, name=f"option_{i}") for i in range(count)]
    shown = show(m, [index], pick(options, index), [[i] for i in range(count)], 0)
    assert shown == [100 + i for i in range(count)]


@pytest.mark.parametrize("count", [1, 2, 5, 7])
def test_pick_of_few(count: int) -> None:
    """The options that there is no index of are left out, the others are where they were."""
    for among in _subsets(count):
        m, index = Module(), Signal(index_shape(count))
        options = [Signal(8, init=100 + i, name=f"option_{i}") if i in among else Const(0, 8) for i in range(count)]
        shown = show(m, [index], pick(options, index, among), [[i] for i in among], 0)
        assert shown == [100 + i for i in among], f"indices {among}"


def _subsets(count: int) -> list[tuple[int, ...]]:
    return [chosen for size in range(1, count + 1) for chosen in itertools.combinations(range(count), size)]


@pytest.mark.parametrize("size", [1, 2, 3, 8, 9])
def test_counter(size: int) -> None:
    """Counts only while enabled, and says in advance when it is at its end."""
    rng = np.random.default_rng(size)
    enables = rng.integers(0, 2, 60).tolist()
    for init in {0, size - 1}:
        m, enable = Module(), Signal()
        counter = Counter(m, size, enable, init=init, name="counter")
        shown = Signal(index_shape(size) if size > 1 else 1)
        m.d.comb += shown.eq(counter.value)
        both = Signal(len(shown) + 1)
        m.d.comb += both.eq((counter.value << 1) | counter.last)
        expected, value = [], init
        for enabled in enables:
            expected.append(2 * value + (value == size - 1))
            value = (value + enabled) % size
        assert show(m, [enable], both, [[e] for e in enables], 0) == expected, f"seed {size}"
