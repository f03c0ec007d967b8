"""Requantise: scale, round half to even, saturate."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.bounds import Range
from hw import multiplier
from hw.config import UnitConfig, shape_of
from hw.multiplier import multiply


class Requantise(wiring.Component):
    """``y = saturate(round_half_even(acc * multiplier / 2^out_shift))`` of one output channel.

    Members:
        i_acc, i_multiplier: one sum and its channel's multiplier.
        o_y: the output element.

    Attributes:
        latency: cycles from sum to element: multiply, round, saturate.
    """

    def __init__(self, config: UnitConfig) -> None:
        self._config = config
        self._acc = shape_of(config.ranges.accumulator)
        #: Where the clock counts, what rounding carries and where it ends are two cycles each.
        self._split = int(config.target.fast)
        super().__init__({"i_acc": In(self._acc), "i_multiplier": In(config.multiplier), "o_y": Out(config.result)})

    @property
    def latency(self) -> int:
        product = multiplier.latency(self._config.target, self._acc, self._config.multiplier)
        return product + 2 * (1 + self._split)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        scaled = shape_of(self._config.ranges.scaled)
        product = multiply(m, self._config.target, self.i_acc, self.i_multiplier, proven=scaled)
        m.d.comb += self.o_y.eq(self._saturate(m, self._round(m, product)))
        return m

    def _round(self, m: Module, product: Value) -> Value:
        shift = self._config.layer.config.out_shift
        scaled = self._config.ranges.scaled
        # Rounding never leaves the range whose ends are moved to the next integer outward.
        shape = shape_of(Range(scaled.low >> shift, -(-scaled.high >> shift)))
        rounded = Signal(shape, reset_less=True)
        # Adding just under one half, plus one if the integer part is odd, carries into the
        # integer part exactly where rounding half to even goes up.
        fraction = Cat(product, product[-1].replicate(max(0, shift - len(product))))[:shift]
        odd = product.as_signed()[min(shift, len(product) - 1)]
        half = (1 << (shift - 1)) - 1 if shift else 0
        # The odd bit goes in as the carry of a position below, so that this is one adder.
        carries = (Cat(odd, fraction) + (2 * half + 1))[shift + 1] if shift else Const(0)
        whole: Value = product.as_signed() >> shift
        if self._split:
            carry, kept = Signal(reset_less=True), Signal(whole.shape(), reset_less=True)
            m.d.sync += [carry.eq(carries), kept.eq(whole)]
            carries, whole = carry, kept
        m.d.sync += rounded.eq(whole + carries)
        return rounded

    def _saturate(self, m: Module, rounded: Signal) -> Value:
        """The limits are 0 or powers of two, so a number's upper bits say whether it is beyond them."""
        limits, shape = self._config.layer.config.out_range, rounded.shape()
        value_bits = limits.high.bit_length()
        above, below = Signal(), Signal()
        upper = rounded[value_bits:] if value_bits < shape.width else rounded[-1]
        m.d.comb += above.eq(~rounded[-1] & upper.any())
        m.d.comb += below.eq(rounded[-1] & (~upper.all() if limits.low else 1))
        if self._split:
            late = [Signal.like(signal, reset_less=True) for signal in (rounded, above, below)]
            m.d.sync += [register.eq(signal) for register, signal in zip(late, (rounded, above, below), strict=True)]
            rounded, above, below = late
        y = Signal(self._config.result, reset_less=True)
        m.d.sync += y.eq(Mux(above, limits.high, Mux(below, limits.low, rounded)))
        return y
