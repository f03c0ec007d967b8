"""Weighted sum: ``sum element * weight`` of constant weights, without a multiplier.

The bits of the elements are cut into digits, across elements. A digit picks one of a table's numbers: the sum of the
weights of those of its bits that are set. A weight that is a power of two is a shift and needs no table.

    bits of a digit -> table -+-> + -> + -> ... -> sum
                      table --+    |
                      table -------+

A digit has as many bits as a LUT has inputs, so a table takes a LUT for each bit of its numbers. Where a LUT stands in
front of each carry cell, every table but the first is in the LUTs of the adder that adds it. Signed digits of the
weights would take an adder each: two or three times as many LUTs for two weights of 16 bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Shape, Signal, Value, signed, unsigned

from golden.contract.ranges import Range
from hw.blocks.pipeline import delay
from hw.targets.families import Target


@dataclass(frozen=True, kw_only=True)
class Weighted:
    """An element that is weighted.

    Attributes:
        shape: of the element.
        weight: at least 1.
    """

    shape: Shape
    weight: int

    @property
    def is_shift(self) -> bool:
        return self.weight.bit_count() == 1

    @property
    def range(self) -> Range:
        """The range of the product."""
        return Range.of_format(self.shape.width, self.shape.signed).product(Range(self.weight, self.weight))

    @property
    def bit_weights(self) -> list[int]:
        """What each bit of the element adds."""
        weights = [self.weight << bit for bit in range(self.shape.width)]
        return [*weights[:-1], -weights[-1]] if self.shape.signed else weights


@dataclass(frozen=True)
class Table:
    """A digit and what its bits weigh.

    Attributes:
        bits: number of the element, and of the bit in it, for each bit of the digit.
        weights: what each of these bits adds.
    """

    bits: tuple[tuple[int, int], ...]
    weights: tuple[int, ...]

    @property
    def range(self) -> Range:
        return Range(sum(w for w in self.weights if w < 0), sum(w for w in self.weights if w > 0))

    @property
    def numbers(self) -> list[int]:
        """What each digit picks."""
        places = range(len(self.weights))
        return [sum(self.weights[p] for p in places if digit >> p & 1) for digit in range(1 << len(places))]


def tables(target: Target, elements: Sequence[Weighted]) -> list[Table]:
    """The tables of all elements whose weight is no power of two."""
    bits = [
        ((number, bit), weight)
        for number, element in enumerate(elements)
        if not element.is_shift
        for bit, weight in enumerate(element.bit_weights)
    ]
    found, size = [], target.fabric.lut_inputs
    while bits:
        digit, bits = bits[:size], bits[size:]
        found.append(Table(tuple(place for place, _ in digit), tuple(weight for _, weight in digit)))
        size = target.fabric.addend_inputs
    return found


def latency(target: Target, elements: Sequence[Weighted]) -> int:
    """Cycles from the elements to their sum; 0 where that is a single shift, or nothing."""
    in_tables, shifts = tables(target, elements), _shifts(elements)
    return _ahead(target, in_tables) + max(len(in_tables) + len(shifts) - 1, min(len(in_tables), 1))


def weighted_sum(m: Module, target: Target, elements: Sequence[Value], weights: Sequence[int]) -> Value:
    """The exact sum of ``elements`` by ``weights`` of at least 1, `latency` cycles later."""
    weighted = weighted_elements(elements, weights)
    in_tables = tables(target, weighted)
    ahead = _ahead(target, in_tables)
    early = [delay(m, element, ahead) for element in elements]
    addends: list[tuple[Value, Range]] = []
    for number, table in enumerate(in_tables):
        digit = Cat(early[element][bit] for element, bit in table.bits)
        addends.append((_pick(m, table, delay(m, digit, max(0, number - 1))), table.range))
    for number in _shifts(weighted):
        late = delay(m, early[number], max(0, len(addends) - 1))
        addends.append((late << weighted[number].weight.bit_length() - 1, weighted[number].range))
    if not addends:
        return Const(0)
    (total, reached), *others = addends
    if in_tables and not others:
        return delay(m, total, 1)
    for addend, own in others:
        reached = Range(reached.low + own.low, reached.high + own.high)
        register = Signal(_shape(reached), reset_less=True, name="sum")
        m.d.sync += register.eq(total + addend)
        total = register
    return total


def weighted_elements(elements: Iterable[Value], weights: Iterable[int]) -> list[Weighted]:
    return [Weighted(shape=element.shape(), weight=weight) for element, weight in zip(elements, weights, strict=True)]


def _shifts(elements: Sequence[Weighted]) -> list[int]:
    return [number for number, element in enumerate(elements) if element.is_shift]


def _ahead(target: Target, in_tables: Sequence[Table]) -> int:
    """Cycles that bring the elements near. Where the clock counts, tables do not begin where elements come from."""
    return int(target.fast and bool(in_tables))


def _pick(m: Module, table: Table, digit: Value) -> Value:
    """The number of ``digit``: for each of its bits a choice among constants."""
    shape, numbers = _shape(table.range), table.numbers
    picked = Signal(shape, name="number")
    columns = [sum((number >> bit & 1) << digit for digit, number in enumerate(numbers)) for bit in range(shape.width)]
    m.d.comb += picked.eq(Cat((Const(column, len(numbers)) >> digit)[0] for column in columns))
    return picked


def _shape(reached: Range) -> Shape:
    """The narrowest shape that holds the range."""
    return signed(reached.signed_bits) if reached.low < 0 else unsigned(max(1, reached.high.bit_length()))
