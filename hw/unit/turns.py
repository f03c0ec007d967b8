"""Turns: products of sums and multipliers, made of adders that work many times (`hw.plan.scale`).

A sum is held when it is complete. In each cycle from then on, a digit of its multiplier, the lowest first, gates the
sum once for each of its bits. What these come to is added to what is there already, a digit's bits lower:

    sum -> held -> gates -> adder tree -> + ---------> product
                    ^                     ^ |
                  digit                   +-+  a digit lower; nothing before the first digit

Bits that have become lower than the digit are final. Rounding to the nearest needs those from the half on. With ties
to even it needs to know of those below whether any is set, which is one bit. Rounding down needs those of the integer.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value, signed

from golden.contract.ranges import Range
from hw.blocks.latency import tree_latency
from hw.blocks.pipeline import adder_tree, delay
from hw.plan.scale import Scale
from hw.plan.shapes import shape_of

#: Cycles from a sum to the first digit of its multiplier.
HOLD = 1
#: Cycles of the gates, whose registers' resets they are.
GATES = 1


def digit_latency(scale: Scale) -> int:
    """Cycles from a digit to what the sum and it come to."""
    return GATES + tree_latency(scale.digit_bits, 2)


def latency(scale: Scale) -> int:
    """Cycles from a sum to its product."""
    return HOLD + digit_latency(scale) + scale.digits - 1 + int(scale.takes_turns)


def product_range(scale: Scale, scaled: Range) -> Range:
    """The range of products as `product` gives them, where those of the multipliers have the range ``scaled``."""
    return Range(*(_shortened(end >> scale.zeros, scale) for end in (scaled.low, scaled.high)))


def shift(scale: Scale) -> int:
    """What products as `product` gives them are shifted by."""
    return scale.shift - scale.below + scale.tells_ties


def product(
    m: Module, scale: Scale, acc: Value, digit: Value, *, scaled: Range, complete: Value | None, goes_on: Value | None
) -> Value:
    """The product of ``acc`` and a factor, `latency` cycles later, without its lowest ``scale.below`` bits.

    Where ``scale.tells_ties``, one bit stands for them.

    Args:
        digit: of the factor, from `HOLD` cycles after the sum on.
        scaled: the range of products of sums and multipliers.
        complete: whether the sum is complete; None where every sum is.
        goes_on: whether another digit follows, wanted `digit_latency` cycles after the digit; None where none does.
    """
    held = Signal(acc.shape(), reset_less=True, name="held")
    if complete is None:
        m.d.sync += held.eq(acc)
    else:
        with m.If(complete):
            m.d.sync += held.eq(acc)
    gated = [delay(m, Mux(bit, held, 0), GATES) << place for place, bit in enumerate(digit)]
    bits = len(digit)
    term = adder_tree(m, gated, signed(len(held) + bits), 2)
    shape = shape_of(product_range(scale, scaled))
    if goes_on is None:
        exact = Signal(shape, name="product")
        m.d.comb += exact.eq(term)
        return exact
    return _accumulate(m, scale, term, goes_on, Shape(len(held) + bits, signed=True), shape)


def _accumulate(m: Module, scale: Scale, term: Value, goes_on: Value, total: Shape, shape: Shape) -> Value:
    """The sum of all digits' terms, a cycle after the last one's."""
    bits = scale.digit_bits
    above, product = Signal(total, reset_less=True, name="above"), Signal(shape, reset_less=True, name="product")
    kept_bits = bits * (scale.digits - 1) - scale.below
    kept = Signal(kept_bits, reset_less=True, name="kept") if kept_bits else Cat()
    any_below = Signal(reset_less=True, name="any_below") if scale.tells_ties else Cat()
    final = Cat(kept, above[:bits])
    now = Cat((any_below | final[:bits].any()) if scale.tells_ties else Cat(), final[bits:], (above >> bits) + term)
    m.d.sync += [product.eq(now.as_signed()), Cat(any_below, kept, above).eq(Mux(goes_on, now, 0))]
    return product


def _shortened(number: int, scale: Scale) -> int:
    """``number`` without its lowest ``scale.below`` bits, or with one bit for them. This is monotonic."""
    kept, any_below = number >> scale.below, number % (1 << scale.below) != 0
    return 2 * kept + any_below if scale.tells_ties else kept
