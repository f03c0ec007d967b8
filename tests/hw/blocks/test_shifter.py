"""Shifter: every amount, every value of a few bits."""

from __future__ import annotations

import itertools

import pytest
from amaranth.hdl import Module, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.blocks.pipeline import index_shape
from hw.blocks.shifter import shift_latency, shift_left
from tests.support.components import stream_through


class Shifter(wiring.Component):
    def __init__(self, bits: int, most: int, *, is_signed: bool) -> None:
        self._most = most
        self._value = signed(bits) if is_signed else unsigned(bits)
        super().__init__(
            {"i": In(self._value), "i_amount": In(index_shape(most + 1)), "o": Out(signed(bits + most + 1))}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.o.eq(shift_left(m, self.i, self.i_amount, self._most))
        return m


@pytest.mark.parametrize("most", [0, 1, 2, 3, 5, 7, 8, 15, 47])
@pytest.mark.parametrize("is_signed", [False, True])
def test_every_amount(most: int, is_signed: bool) -> None:
    values = range(-4, 4) if is_signed else range(8)
    pairs = list(itertools.product(values, range(most + 1)))
    dut = Shifter(3, most, is_signed=is_signed)
    [shown] = stream_through(dut, [{"i": value, "i_amount": amount} for value, amount in pairs], [dut.o])
    assert shown[shift_latency(most) :][: len(pairs)] == [value << amount for value, amount in pairs]


def test_two_bits_of_the_amount_a_cycle() -> None:
    assert [shift_latency(most) for most in (0, 1, 3, 4, 15, 16, 47)] == [0, 1, 1, 2, 2, 3, 3]
