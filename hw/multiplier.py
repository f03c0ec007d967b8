"""The multiplier that all stages use; the place for one that maps to a target's primitive."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, Value

#: Cycles from operands to product.
LATENCY = 1


def multiply(m: Module, a: Value, b: Value) -> Value:
    """The exact product of ``a`` and ``b``, `LATENCY` cycles later."""
    product = Signal((a * b).shape(), reset_less=True)
    m.d.sync += product.eq(a * b)
    return product
