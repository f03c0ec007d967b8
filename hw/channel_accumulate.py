"""Channel accumulate: the sum over channels, in a beat and over beats, with the bias."""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.config import UnitConfig, shape_of
from hw.pipeline import adder_tree, tree_latency


class ChannelAccumulate(wiring.Component):
    """``acc = bias + sum_c combined[c]`` of one output lane.

    Members:
        i_combined: one value per channel of the beat.
        i_bias: wanted ``tree`` cycles after ``i_combined``.
        i_valid, i_first: there is a beat, and it is the first of a sum; wanted with ``i_bias``
            (only where a sum takes several beats).
        o_acc: the sum up to this beat; complete after the last one.

    Attributes:
        tree: cycles that the channels of one beat take to become one value.
        latency: cycles from ``i_combined`` to ``o_acc``.
    """

    def __init__(self, config: UnitConfig) -> None:
        self._config = config
        self._acc = shape_of(config.ranges.accumulator)
        self.tree = tree_latency(config.lane_channels)
        self.latency = self.tree + 1
        ports = {
            "i_combined": In(data.ArrayLayout(shape_of(config.ranges.combined), config.lane_channels)),
            "i_bias": In(config.bias),
            "o_acc": Out(self._acc),
        }
        if config.beats_per_output > 1:
            ports |= {"i_valid": In(1), "i_first": In(1)}
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        beat = adder_tree(m, [self.i_combined[c] for c in range(self._config.lane_channels)], self._acc)
        acc = Signal(self._acc, reset_less=True)
        if self._config.beats_per_output > 1:
            with m.If(self.i_valid):
                m.d.sync += acc.eq(Mux(self.i_first, self.i_bias, acc) + beat)
        else:
            m.d.sync += acc.eq(self.i_bias + beat)
        m.d.comb += self.o_acc.eq(acc)
        return m
