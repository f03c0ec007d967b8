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
        i_first: the beat is the first of a sum; wanted ``tree`` cycles after ``i_combined``
            (only where a sum takes several beats).
        i_bias: wanted with ``i_first``.
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
            ports["i_first"] = In(1)
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        beat = adder_tree(m, [self.i_combined[c] for c in range(self._config.lane_channels)], self._acc)
        acc = Signal(self._acc, reset_less=True)
        start = Mux(self.i_first, self.i_bias, acc) if self._config.beats_per_output > 1 else self.i_bias
        m.d.sync += acc.eq(start + beat)
        m.d.comb += self.o_acc.eq(acc)
        return m
