"""Weighted sum: exact after its declared latency for all elements, with tables across elements, shifts and both."""

from __future__ import annotations

import numpy as np
import pytest
from amaranth.hdl import Module, Shape, Signal, signed, unsigned

from golden.contract.ranges import Range
from hw.blocks import weighted_sum
from hw.blocks.weighted_sum import Weighted, tables
from hw.targets.families import ECP5, GENERIC, TARGETS, XCUP
from tests.support.components import show

CASES: dict[str, list[tuple[Shape, int]]] = {
    "one table": [(unsigned(4), 13)],
    "one signed table": [(signed(4), 65535)],
    "a table and a bit": [(signed(7), 40503)],
    "two elements in a table": [(signed(2), 5), (unsigned(2), 7)],
    "two elements": [(signed(8), 20511), (unsigned(8), 65535)],
    "a shift": [(signed(5), 8)],
    "two shifts": [(signed(5), 8), (unsigned(3), 1)],
    "a shift and tables": [(signed(5), 2**15), (signed(8), 33333)],
    "wide": [(signed(41), 54321)],
    "nothing": [],
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", CASES)
def test_exact_after_its_latency(name: str, target: str) -> None:
    shapes, weights = [shape for shape, _ in CASES[name]], [weight for _, weight in CASES[name]]
    m, elements = Module(), [Signal(shape, name=f"element_{n}") for n, shape in enumerate(shapes)]
    total = weighted_sum.weighted_sum(m, TARGETS[target], elements, weights)
    cycles = weighted_sum.latency(
        TARGETS[target], [Weighted(shape=s, weight=w) for s, w in zip(shapes, weights, strict=True)]
    )
    ranges = [Range.of_format(shape.width, shape.signed) for shape in shapes]
    if sum(shape.width for shape in shapes) <= 8:
        rows = [[]]
        for own in ranges:
            rows = [[*row, value] for row in rows for value in range(own.low, own.high + 1)]
    else:
        rng = np.random.default_rng(3)
        corners = [[own.low, own.high, 0, 1, own.high // 3] for own in ranges]
        rows = [[int(rng.choice(choice)) for choice in corners] for _ in range(30)]
        rows += [[int(rng.integers(own.low, own.high, endpoint=True)) for own in ranges] for _ in range(90)]
        rows += [[own.low for own in ranges], [own.high for own in ranges]]
    exact = Signal(signed(64))
    m.d.comb += exact.eq(total)
    shown = show(m, elements, exact, rows, cycles)
    assert shown[cycles:] == [sum(w * x for w, x in zip(weights, row, strict=True)) for row in rows]


def test_tables_hold_what_a_lut_has_inputs_for() -> None:
    """An element of 8 bits and one of 9: digits across both, every bit once, in order."""
    elements = [Weighted(shape=signed(8), weight=3), Weighted(shape=unsigned(9), weight=5)]
    places = [(0, bit) for bit in range(8)] + [(1, bit) for bit in range(9)]
    for target, sizes in ((XCUP, [6, 5, 5, 1]), (ECP5, [4, 4, 4, 4, 1]), (GENERIC, [4, 4, 4, 4, 1])):
        found = tables(target, elements)
        assert [len(table.bits) for table in found] == sizes
        assert [place for table in found for place in table.bits] == places
    (table, *_) = tables(ECP5, elements)
    assert table.numbers == [3 * digit for digit in range(16)]
    assert tables(ECP5, [Weighted(shape=signed(2), weight=3)])[0].numbers == [0, 3, -6, -3]


def test_a_power_of_two_takes_no_table() -> None:
    assert tables(ECP5, [Weighted(shape=signed(8), weight=2**15), Weighted(shape=signed(8), weight=1)]) == []
