"""Requantise: scale, round half to even, saturate."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw import multiplier
from hw.config import UnitConfig, shape_of
from hw.multiplier import multiply
from hw.pipeline import delay


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
        #: Where the clock counts, rounding takes two cycles: what carries, and where that ends.
        self._split = int(config.target.fast)
        super().__init__({"i_acc": In(self._acc), "i_multiplier": In(config.multiplier), "o_y": Out(config.result)})

    @property
    def latency(self) -> int:
        product = multiplier.latency(self._config.target, self._acc, self._config.multiplier)
        return product + self._split + 2

    def elaborate(self, platform: object) -> Module:
        m = Module()
        scaled = shape_of(self._config.ranges.scaled)
        product = multiply(m, self._config.target, self.i_acc, self.i_multiplier, proven=scaled)
        whole, carry = (delay(m, value, self._split) for value in self._round(product))
        m.d.comb += self.o_y.eq(self._saturate(m, whole, carry))
        return m

    def _round(self, product: Value) -> tuple[Value, Value]:
        """``product / 2^out_shift`` rounded down, and whether rounding half to even adds one."""
        shift = self._config.layer.config.out_shift
        whole = product.as_signed() >> shift
        if not shift:
            return whole, Const(0)
        # Adding just under one half, plus one if the integer part is odd, carries into the
        # integer part exactly where rounding half to even goes up.
        fraction = Cat(product, product[-1].replicate(max(0, shift - len(product))))[:shift]
        odd = product.as_signed()[min(shift, len(product) - 1)]
        half = (1 << (shift - 1)) - 1
        # The odd bit goes in as the carry of a position below, so that this is one adder.
        return whole, (Cat(odd, fraction) + (2 * half + 1))[shift + 1]

    def _saturate(self, m: Module, whole: Value, carry: Value) -> Value:
        """``whole + carry`` within the limits, which are 0 or powers of two.

        Only the bits of the element are added; whether the sum is beyond the limits follows from
        what the upper bits are and whether a carry reaches them.
        """
        limits = self._config.layer.config.out_range
        bits = limits.high.bit_length()
        whole = Cat(whole, whole[-1].replicate(max(0, bits + 1 - len(whole)))).as_signed()
        low, reaches = Signal(bits, reset_less=True), Signal(reset_less=True)
        upper = whole >> bits
        # The upper bits are -2, -1, 0, or something else that is negative or not.
        flags = Cat(upper == -2, upper == -1, upper == 0, upper[-1])
        known = Signal(len(flags), reset_less=True)
        m.d.sync += [Cat(low, reaches).eq(whole[:bits] + carry), known.eq(flags)]
        minus_two, minus_one, zero, negative = known
        is_zero = Mux(reaches, minus_one, zero)
        is_minus_one = Mux(reaches, minus_two, minus_one)
        below = negative & ~is_zero & ~(is_minus_one if limits.low else Const(0))
        above = ~negative & ~is_zero
        y = Signal(self._config.result, reset_less=True)
        kept = Cat(low, is_minus_one).as_signed() if limits.low else low
        m.d.sync += y.eq(Mux(above, limits.high, Mux(below, limits.low, kept)))
        return y
