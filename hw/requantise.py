"""Requantise: scale, round half to even, saturate."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw import multiplier, rounding
from hw.config import UnitConfig, shape_of
from hw.multiplier import multiply
from hw.rounding import rounded


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
        super().__init__({"i_acc": In(self._acc), "i_multiplier": In(config.multiplier), "o_y": Out(config.result)})

    @property
    def latency(self) -> int:
        product = multiplier.latency(self._config.target, self._acc, self._config.multiplier)
        return product + rounding.LATENCY + self._config.target.fast

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c, target = self._config.layer.config, self._config.target
        scaled = shape_of(self._config.ranges.scaled)
        product = multiply(m, target, self.i_acc, self.i_multiplier, proven=scaled)
        y = rounded(m, product, c.out_shift, c.out_range, self._config.result, split=target.fast)
        m.d.comb += self.o_y.eq(y)
        return m
