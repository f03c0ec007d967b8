"""Channel accumulate: the sum over channels, in a beat and over beats, with the bias."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.config import UnitConfig, shape_of
from hw.pipeline import adder_tree, delay, tree_latency


class ChannelAccumulate(wiring.Component):
    """``acc = bias + sum_c combined[c]`` of one output channel.

    Members:
        i_combined: one value per channel of the beat.
        i_bias: wanted ``bias_latency`` cycles after ``i_combined``.
        i_valid, i_first: there is a beat, and it is the first of a sum; wanted with ``i_bias``
            (only where a sum takes several beats).
        o_acc: the sum up to this beat; complete after the last one.

    Attributes:
        bias_latency: see ``i_bias``; -1 where it is wanted before the values.
        latency: cycles from ``i_combined`` to ``o_acc``.
    """

    def __init__(self, config: UnitConfig) -> None:
        self._config = config
        self._acc = shape_of(config.ranges.accumulator)
        self._radix = config.target.radix(config.lane_channels)
        self._folded = config.beats_per_output > 1
        #: Where the clock counts, the bias is added ahead of the loop, and the loop is two short ones.
        self._halves = self._folded and config.target.fast and self._acc.width > 1
        tree = tree_latency(config.lane_channels, self._radix)
        self.bias_latency = tree - 1 if self._halves else tree
        self.latency = tree + (3 if self._halves else 1)
        ports = {
            "i_combined": In(data.ArrayLayout(shape_of(config.ranges.combined), config.lane_channels)),
            "i_bias": In(config.bias),
            "o_acc": Out(self._acc),
        }
        if self._folded:
            ports |= {"i_valid": In(1), "i_first": In(1)}
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        terms = [self.i_combined[c] for c in range(self._config.lane_channels)]
        beat = adder_tree(m, terms, self._acc, self._radix)
        if self._halves:
            m.d.comb += self.o_acc.eq(self._accumulate_in_halves(m, beat))
            return m
        acc = Signal(self._acc, reset_less=True)
        if self._folded:
            with m.If(self.i_valid):
                m.d.sync += acc.eq(Mux(self.i_first, self.i_bias, acc) + beat)
        else:
            m.d.sync += acc.eq(self.i_bias + beat)
        m.d.comb += self.o_acc.eq(acc)
        return m

    def _accumulate_in_halves(self, m: Module, beat: Value) -> Value:
        """The sum in two halves, the upper one a cycle later with the lower one's carry: short loops."""
        bias, biased = (Signal(self._acc, reset_less=True, name=name) for name in ("bias", "biased"))
        m.d.sync += [bias.eq(Mux(self.i_first, self.i_bias, 0)), biased.eq(bias + beat)]
        valid, first = delay(m, self.i_valid, 2), delay(m, self.i_first, 2)
        half = len(biased) // 2
        low, carry = Signal(half, reset_less=True), Signal(reset_less=True)
        high = Signal(len(biased) - half, reset_less=True)
        with m.If(valid):
            m.d.sync += Cat(low, carry).eq(Mux(first, 0, low) + biased[:half])
        late_valid, late_first, late_biased = (delay(m, value, 1) for value in (valid, first, biased[half:]))
        with m.If(late_valid):
            # The carry comes in from a position below.
            m.d.sync += high.eq((Cat(1, Mux(late_first, 0, high)) + Cat(carry, late_biased)) >> 1)
        return Cat(delay(m, low, 1), high).as_signed()
