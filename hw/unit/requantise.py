"""Requantise: scale, round half to even, saturate."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.contract.ranges import Range
from hw.blocks import multiplier, rounding
from hw.blocks.multiplier import multiply
from hw.blocks.pipeline import index_shape
from hw.blocks.rounding import rounded
from hw.blocks.shifter import shift_latency, shift_left
from hw.plan.config import UnitConfig, shape_of


class Requantise(wiring.Component):
    """``y = saturate(round_half_even(acc * multiplier / 2^out_shift))`` of one output channel.

    A reloadable unit first brings the product to the largest shift of its build, ``product *
    2^(largest - out_shift)``, which is exact; so rounding is the same for every shift.

    Members:
        i_acc, i_multiplier: one sum and its channel's multiplier.
        i_out_shift: wanted ``shift_latency`` cycles after the sum (only where it is reloadable).
        i_relu: wanted ``relu_latency`` cycles after the sum (ditto).
        o_y: the output element.
        o_cut: whether it was cut at a limit other than 0 (only where that is counted, in reloadable units).

    Attributes:
        latency: cycles from sum to element: multiply, round, saturate.
    """

    def __init__(self, config: UnitConfig) -> None:
        self._config = config
        self._acc = shape_of(config.ranges.accumulator)
        ports = {"i_acc": In(self._acc), "i_multiplier": In(config.multiplier), "o_y": Out(config.result)}
        if config.reload is not None:
            ports |= {"i_out_shift": In(config.reload.out_shift_shape), "i_relu": In(1), "o_cut": Out(1)}
        super().__init__(ports)

    @property
    def shift_latency(self) -> int:
        return multiplier.latency(self._config.target, self._acc, self._config.multiplier) - 1

    @property
    def relu_latency(self) -> int:
        return self.latency - 1

    @property
    def latency(self) -> int:
        product = multiplier.latency(self._config.target, self._acc, self._config.multiplier)
        reload = self._config.reload
        aligned = 0 if reload is None else shift_latency(reload.out_shift.high - reload.out_shift.low)
        return product + aligned + rounding.LATENCY + self._config.target.fast

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c, target = self._config.layer.config, self._config.target
        scaled = self._config.ranges.scaled
        product = multiply(m, target, self.i_acc, self.i_multiplier, proven=shape_of(scaled))
        reload, result = self._config.reload, self._config.result
        if reload is None:
            y = rounded(m, product, c.out_shift, c.out_range, result, split=target.fast, proven=scaled)
            m.d.comb += self.o_y.eq(y)
            return m
        largest = reload.out_shift.high
        amount = Signal(index_shape(largest - reload.out_shift.low + 1), reset_less=True)
        m.d.sync += amount.eq(largest - self.i_out_shift)
        aligned = shift_left(m, product, amount, largest - reload.out_shift.low)
        full, cut = Range.of_format(c.out_bits, c.out_signed), Signal(reset_less=True)
        y = rounded(m, aligned, largest, full, result, split=target.fast, relu=self.i_relu, cut=cut)
        m.d.comb += [self.o_y.eq(y), self.o_cut.eq(cut)]
        return m
