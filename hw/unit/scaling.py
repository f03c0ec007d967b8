"""Scaling: how a setting reaches a stage, and how the stage multiplies with a power of two that is a setting."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Shape, Signal, Value
from amaranth.lib.wiring import In, Member

from hw.blocks.pipeline import index_shape
from hw.plan.settings import Setting


def setting_shape(setting: Setting) -> Shape:
    return index_shape(setting.allowed.high + 1)


def setting_port(setting: Setting, prefix: str = "i_") -> dict[str, Member]:
    """The stage's port for a setting; none where the setting is built in."""
    return {f"{prefix}{setting.name}": In(setting_shape(setting))} if setting.at_run_time else {}


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
