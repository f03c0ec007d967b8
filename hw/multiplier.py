"""The multiplier that all stages use; the place for one that maps to a target's primitive."""

from __future__ import annotations

from amaranth.hdl import Module, Shape, Signal, Value

#: Cycles from operands to product.
LATENCY = 1


def multiply(m: Module, a: Value, b: Value, *, proven: Shape | None = None) -> Value:
    """The exact product of ``a`` and ``b``, `LATENCY` cycles later.

    ``proven`` is a shape that holds every product that occurs, where that is narrower than
    what the operands' shapes allow.
    """
    product = Signal(proven or (a * b).shape(), reset_less=True)
    m.d.sync += product.eq(a * b)
    return product
