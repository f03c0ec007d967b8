"""Packed words: two numbers become one word, and a sum of products becomes two sums (`hw.plan.packing`)."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Shape, Signal, Value

from hw.blocks.pipeline import delay


def join(low: Value, high: Value, shift: int) -> Value:
    """A word of two fields, ``high`` from bit ``shift`` on. ``high`` must come less what a negative ``low`` borrows."""
    sign = low[-1] if low.shape().signed else Const(0, 1)
    field = Cat(low, sign.replicate(max(0, shift - len(low))))[:shift]
    return Cat(field, high).as_signed()


def split(m: Module, total: Value, shift: int, high: Shape) -> tuple[Value, Value]:
    """The sums of the low and the high field in ``total``, a cycle later."""
    low = total[:shift].as_signed()
    upper = Signal(high, reset_less=True, name="high")
    # A negative low field has borrowed one from the high field.
    m.d.sync += upper.eq((total.as_signed() >> shift) + low[-1])
    return delay(m, low, 1), upper
