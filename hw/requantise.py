"""Requantise: scale, round half to even, saturate."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Shape, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.bounds import Range
from hw import multiplier
from hw.config import UnitConfig, shape_of
from hw.multiplier import multiply


class Requantise(wiring.Component):
    """``y = saturate(round_half_even(acc * multiplier / 2^out_shift))`` of one output lane.

    Members:
        i_acc, i_multiplier: one sum and its channel's multiplier.
        o_y: the output element.

    Attributes:
        latency: cycles from sum to element: multiply, round, saturate.
    """

    latency = multiplier.LATENCY + 2

    def __init__(self, config: UnitConfig) -> None:
        self._config = config
        super().__init__(
            {
                "i_acc": In(shape_of(config.ranges.accumulator)),
                "i_multiplier": In(config.multiplier),
                "o_y": Out(config.result),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config.layer.config
        shift = config.out_shift
        # Rounding never leaves the range whose ends are moved to the next integer outward.
        scaled = self._config.ranges.scaled
        rounded_range = Range(scaled.low >> shift, -(-scaled.high >> shift))

        product = multiply(m, self.i_acc, self.i_multiplier, proven=shape_of(scaled))
        rounded = Signal(shape_of(rounded_range), reset_less=True)
        if shift:
            # Adding just under one half, plus one if the integer part is odd, carries into the
            # integer part exactly where rounding half to even goes up.
            wide = Signal(Shape(max(len(product), shift + 1) + 1, signed=True))
            half = (1 << (shift - 1)) - 1
            m.d.comb += wide.eq(product + half + product.as_signed()[min(shift, len(product) - 1)])
            m.d.sync += rounded.eq(wide >> shift)
        else:
            m.d.sync += rounded.eq(product)

        limits = config.out_range
        y = Signal(self._config.result, reset_less=True)
        limited = rounded
        if rounded_range.high > limits.high:
            limited = Mux(rounded > limits.high, limits.high, limited)
        if rounded_range.low < limits.low:
            limited = Mux(rounded < limits.low, limits.low, limited)
        m.d.sync += y.eq(limited)
        m.d.comb += self.o_y.eq(y)
        return m
