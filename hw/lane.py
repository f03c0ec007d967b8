"""One output lane: the stages from the window's taps to an output element."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.attention_combine import AttentionCombine
from hw.channel_accumulate import ChannelAccumulate
from hw.config import UnitConfig
from hw.requantise import Requantise
from hw.tap_macs import TapMacs


class Lane(wiring.Component):
    """``tap_macs -> attention_combine -> channel_accumulate -> requantise`` for one output channel at a time.

    All lanes of a unit are alike, so Verilog has the lane once and ``pe`` instances of it.

    Members:
        taps, weights: operands and weights of one beat.
        bias: wanted ``bias_latency`` cycles after the operands.
        valid, first: there is a beat, and it is the first of a sum; wanted with ``bias``
            (only where a sum takes several beats).
        multiplier: wanted ``multiplier_latency`` cycles after the operands.
        y: the output element, ``latency`` cycles after the last operands of its sum.
    """

    def __init__(self, config: UnitConfig) -> None:
        self._tap_macs = TapMacs(config)
        self._attention_combine = AttentionCombine(config)
        self._channel_accumulate = ChannelAccumulate(config)
        self._requantise = Requantise(config)
        self._has_attention = bool(config.geometry.attn_taps)
        combined = self._tap_macs.latency + self._attention_combine.latency
        self.bias_latency = combined + self._channel_accumulate.tree
        self.multiplier_latency = combined + self._channel_accumulate.latency
        self.latency = self.multiplier_latency + self._requantise.latency
        self._folded = config.beats_per_output > 1
        ports = {
            "taps": In(config.lane_taps),
            "weights": In(config.lane_weights),
            "bias": In(config.bias),
            "multiplier": In(config.multiplier),
            "y": Out(config.result),
        }
        if self._folded:
            ports |= {"valid": In(1), "first": In(1)}
        super().__init__(ports)

    @property
    def stage_latencies(self) -> dict[str, int]:
        """Cycles of each stage; their sum is ``latency``."""
        return {
            "tap_macs": self._tap_macs.latency,
            "attention_combine": self._attention_combine.latency,
            "channel_accumulate": self._channel_accumulate.latency,
            "requantise": self._requantise.latency,
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.tap_macs = macs = self._tap_macs
        m.submodules.attention_combine = combine = self._attention_combine
        m.submodules.channel_accumulate = accumulate = self._channel_accumulate
        m.submodules.requantise = requantise = self._requantise

        m.d.comb += [macs.i_taps.eq(self.taps), macs.i_weights.eq(self.weights)]
        m.d.comb += combine.i_conv_sum.eq(macs.o_conv_sum)
        if self._has_attention:
            m.d.comb += [combine.i_attn_sum.eq(macs.o_attn_sum), combine.i_centre.eq(macs.o_centre)]
        m.d.comb += [accumulate.i_combined.eq(combine.o_combined), accumulate.i_bias.eq(self.bias)]
        if self._folded:
            m.d.comb += [accumulate.i_valid.eq(self.valid), accumulate.i_first.eq(self.first)]
        m.d.comb += [requantise.i_acc.eq(accumulate.o_acc), requantise.i_multiplier.eq(self.multiplier)]
        m.d.comb += self.y.eq(requantise.o_y)
        return m
