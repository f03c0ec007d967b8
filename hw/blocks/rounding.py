"""Rounding: divide by a power of two, round and saturate, with an adder as wide as the result."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value

from golden.contract.ranges import Range
from golden.contract.rounding import Rounding, round_quotient
from hw.blocks.pipeline import delay

#: Cycles of `rounded` without a register inside the rounding.
LATENCY = 2


def rounded(
    m: Module,
    value: Value,
    shift: int,
    limits: Range,
    shape: Shape,
    *,
    rounding: Rounding,
    split: bool,
    proven: Range | None = None,
    relu: Value | None = None,
    cut: Signal | None = None,
) -> Value:
    """``saturate(round(value / 2^shift))`` in ``shape``, ``LATENCY + split`` cycles later.

    Args:
        value: a number. Without a sign it gets one, which is 0.
        limits: what the result saturates to. The lower limit is 0 or minus a power of two, the upper
            one a power of two less 1.
        rounding: how the quotient is rounded. It changes no cycle.
        split: whether finding the carry of the rounding is a cycle of its own.
        proven: the range that ``value`` is known to keep to, by default all of its bits. A limit beyond
            that range takes no logic.
        relu: whether the lower limit is 0 instead, wanted a cycle before the result.
        cut: driven: whether the result was cut at a limit other than 0, in step with the result.
    """
    value = value if value.shape().signed else Cat(value, 0).as_signed()
    whole, carry = (delay(m, part, int(split)) for part in _round(value, shift, rounding))
    known = proven or Range.of_format(len(value), signed=True)
    reached = Range(*(round_quotient(end, shift, rounding) for end in (known.low, known.high)))
    return _saturate(m, whole, carry, limits, reached, shape, relu, cut)


def _round(value: Value, shift: int, rounding: Rounding) -> tuple[Value, Value]:
    """``value / 2^shift`` rounded down, and whether rounding adds one."""
    whole = value >> shift
    if not shift or rounding == "floor":
        return whole, Const(0)
    fraction = Cat(value, value[-1].replicate(max(0, shift - len(value))))[:shift]
    if rounding == "half_up":
        return whole, fraction[-1]
    # Adding just under one half, plus one if the integer part is odd, carries into the
    # integer part exactly where rounding half to even goes up.
    odd = value[min(shift, len(value) - 1)]
    half = (1 << (shift - 1)) - 1
    # The odd bit goes in as the carry of a position below, so that this is one adder.
    return whole, (Cat(odd, fraction) + (2 * half + 1))[shift + 1]


def _saturate(
    m: Module,
    whole: Value,
    carry: Value,
    limits: Range,
    reached: Range,
    shape: Shape,
    relu: Value | None,
    cut: Signal | None,
) -> Value:
    """``whole + carry``, which is in the range ``reached``, within the limits.

    Only the bits of the result are added. The upper bits, and the carry that reaches them, tell
    whether the sum is beyond the limits.
    """
    total = _added(m, whole, carry, limits.high.bit_length())
    result = Signal(shape, reset_less=True)
    kept, below = _clamp_low(total, limits, reached, relu)
    above: Value = Const(0)
    if reached.high > limits.high:
        above = ~total.negative & ~total.is_zero
        kept = Mux(above, limits.high, kept)
    m.d.sync += result.eq(kept)
    if cut is not None:
        m.d.sync += cut.eq(above | below)
    return result


@dataclass(frozen=True, kw_only=True)
class _Total:
    """A sum whose upper bits are not added, but classified.

    Attributes:
        low: the lower bits of the sum.
        negative: the upper bits were negative before a carry reached them.
        is_zero, is_minus_one: the upper bits are 0, or -1, with the carry that reaches them.
    """

    low: Value
    negative: Value
    is_zero: Value
    is_minus_one: Value


def _added(m: Module, whole: Value, carry: Value, bits: int) -> _Total:
    """``whole + carry`` a cycle later, of which the lowest ``bits`` bits are added."""
    whole = Cat(whole, whole[-1].replicate(max(0, bits + 1 - len(whole)))).as_signed()
    low, reaches = Signal(bits, reset_less=True), Signal(reset_less=True)
    upper = whole >> bits
    # The upper bits are -2, -1, 0, or something else that is negative or not.
    flags = Cat(upper == -2, upper == -1, ~upper.any(), upper[-1])
    known = Signal(len(flags), reset_less=True)
    m.d.sync += [Cat(low, reaches).eq(whole[:bits] + carry), known.eq(flags)]
    minus_two, minus_one, zero, negative = known
    is_zero = Mux(reaches, minus_one, zero)
    is_minus_one = Mux(reaches, minus_two, minus_one)
    return _Total(low=low, negative=negative, is_zero=is_zero, is_minus_one=is_minus_one)


def _clamp_low(total: _Total, limits: Range, reached: Range, relu: Value | None) -> tuple[Value, Value]:
    """The lower bits, at least the lower limit, and whether they were cut at a lower limit other than 0."""
    kept = Cat(total.low, total.is_minus_one).as_signed() if limits.low else total.low
    cut: Value = Const(0)
    if reached.low < limits.low:
        below = total.negative & ~total.is_zero & ~(total.is_minus_one if limits.low else Const(0))
        kept, cut = Mux(below, limits.low, kept), below if limits.low else Const(0)
    if relu is not None:
        kept, cut = Mux(relu & total.negative & ~total.is_zero, 0, kept), cut & ~relu
    return kept, cut
