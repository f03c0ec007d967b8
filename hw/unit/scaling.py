"""Scaling: how a stage multiplies with a power of two that is a setting."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Shape, Signal, Value

from hw.blocks.pipeline import index_shape
from hw.plan.settings import Setting


def scaled(m: Module, value: Value, setting: Setting, port: Value | None, shape: Shape) -> Value:
    """``value * 2^setting``, exact, ``setting.latency`` cycles later.

    ``port`` is wanted with ``value``. It is None where the setting is built in.
    """
    if port is None:
        return value << setting.allowed.low
    shifted = Signal(shape, reset_less=True, name="shifted")
    m.d.sync += shifted.eq(value << port)
    return shifted


def below_largest(m: Module, setting: Setting, port: Value | None) -> Value:
    """How far the setting is below its largest value, a cycle after ``port``."""
    if port is None:
        return Const(0)
    amount = Signal(index_shape(setting.span + 1), reset_less=True, name="amount")
    m.d.sync += amount.eq(setting.allowed.high - port)
    return amount
