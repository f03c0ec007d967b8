"""Tap MACs: per input channel, the static and the attention sum over the taps."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw import multiplier
from hw.config import UnitConfig, shape_of
from hw.multiplier import multiply
from hw.pipeline import adder_tree, delay, tree_latency


class TapMacs(wiring.Component):
    """``conv_sum[c] = sum_i Wc[c,i] x[c,p+i]`` and ``attn_sum[c] = sum_t Wa[c,t] x[c,p+t]`` of one output lane.

    Both sums of a tap share the operand ``x``. One beat per cycle.

    Members:
        i_taps, i_weights: operands and weights of one beat.
        o_conv_sum, o_attn_sum: the sums per channel (no ``o_attn_sum`` without attention taps).
        o_centre: ``x[c,p]``, in step with the sums.

    Attributes:
        latency: cycles from operands to sums.
    """

    def __init__(self, config: UnitConfig) -> None:
        self._config = config
        channels = config.lane_channels
        self._conv = shape_of(config.ranges.conv_sum)
        self._attn = shape_of(config.ranges.attn_sum)
        ports = {
            "i_taps": In(config.lane_taps),
            "i_weights": In(config.lane_weights),
            "o_conv_sum": Out(data.ArrayLayout(self._conv, channels)),
        }
        if config.geometry.attn_taps:
            ports["o_attn_sum"] = Out(data.ArrayLayout(self._attn, channels))
            ports["o_centre"] = Out(data.ArrayLayout(config.element, channels))
        super().__init__(ports)

    @property
    def latency(self) -> int:
        g = self._config.geometry
        return multiplier.LATENCY + tree_latency(max(len(g.conv_taps), len(g.attn_taps)))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config.layer.config
        g = self._config.geometry
        position = {offset: index for index, offset in enumerate(g.offsets)}
        conv = [position[config.kernel_offsets[i]] for i in g.conv_taps]
        attn = [position[config.attn_offsets[t]] for t in g.attn_taps]

        for channel in range(self._config.lane_channels):
            taps, weights = self.i_taps[channel], self.i_weights[channel]
            products = [multiply(m, weights[w], taps[tap]) for w, tap in enumerate([*conv, *attn])]
            sums = [(self.o_conv_sum, products[: len(conv)], self._conv)]
            if attn:
                sums.append((self.o_attn_sum, products[len(conv) :], self._attn))
                m.d.comb += self.o_centre[channel].eq(delay(m, taps[position[0, 0]], self.latency))
            for output, terms, shape in sums:
                total = adder_tree(m, terms, shape)
                waits = self.latency - multiplier.LATENCY - tree_latency(len(terms))
                m.d.comb += output[channel].eq(delay(m, total, waits))
        return m
