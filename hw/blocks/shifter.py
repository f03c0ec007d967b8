"""Shifter: multiply by a power of two that comes at run time."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Shape, Signal, Value

from hw.blocks.pipeline import delay

#: Bits of the amount that one cycle deals with: it chooses between four shifts.
BITS_A_CYCLE = 2


def shift_latency(most: int) -> int:
    """Cycles of `shift_left` for amounts of up to ``most``."""
    return -(-most.bit_length() // BITS_A_CYCLE)


def shift_left(m: Module, value: Value, amount: Value, most: int) -> Value:
    """``value * 2^amount``, exact, `shift_latency` cycles later; ``amount`` is at most ``most``.

    ``amount`` is wanted with ``value``.
    """
    bits, wide = most.bit_length(), value.shape().width + most
    for cycle in range(shift_latency(most)):
        for place in range(cycle * BITS_A_CYCLE, min(bits, (cycle + 1) * BITS_A_CYCLE)):
            value = Mux(delay(m, amount[place], cycle), value << (1 << place), value)
        shifted = Signal(Shape(min(wide, value.shape().width), signed=value.shape().signed), reset_less=True)
        m.d.sync += shifted.eq(value)
        value = shifted
    return value
