"""One output lane: the stages from the window's taps to an output element."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.blocks.pipeline import delay
from hw.plan.config import UnitConfig
from hw.unit.attention_combine import AttentionCombine
from hw.unit.channel_accumulate import ChannelAccumulate
from hw.unit.head_sum import CONTROL_AHEAD, head_control
from hw.unit.requantise import Requantise
from hw.unit.similarity_combine import SimilarityCombine
from hw.unit.tap_macs import TapMacs


class Lane(wiring.Component):
    """``tap_macs -> attention_combine -> channel_accumulate -> requantise`` for one output channel at a time.

    Where two output channels of a plain convolution share their multipliers (`hw.plan.packing`), a
    lane works on both, and everything behind ``tap_macs`` is there twice.

    All lanes of a unit are alike, so Verilog has the lane once and an instance for each.

    Members:
        taps, weights: operands and weights of one beat, each ``config.plan.skew`` cycles after it.
        centre: the operands at ``(0, 0)``, wanted ``centre_latency`` cycles after the beat
            (only with attention taps and the ``hadamard`` product).
        sims: from `hw.unit.similarity`, wanted ``sims_latency`` cycles after the beat (only with the
            ``dynamic`` product and attention taps).
        control: `head_control` of the beat, wanted ``control_latency`` cycles after it (only
            with ``sims``, where heads and beats are not alike).
        bias: of each output channel, wanted ``bias_latency`` cycles after the beat.
        valid, first: there is a beat, and it is the first of a sum; wanted with ``bias``
            (only where a sum takes several beats).
        multiplier: of each output channel, wanted ``multiplier_latency`` cycles after the beat.
        attn_shift, out_shift, relu: of the beat's set, wanted ``attn_shift_latency``,
            ``out_shift_latency`` and ``relu_latency`` cycles after it (only in reloadable units).
        y: the output elements, ``latency`` cycles after the last beat of their sum.
        cut: for each whether it was cut at a limit other than 0, in step with ``y`` (only in
            reloadable units).
    """

    def __init__(self, config: UnitConfig) -> None:
        outputs = config.plan.outputs
        self._operands = int(config.target.lane_registers)
        self._tap_macs = TapMacs(config)
        self._heads = config.heads
        self._attention_combine = [self._combine(config) for _ in range(outputs)]
        self._channel_accumulate = [ChannelAccumulate(config) for _ in range(outputs)]
        self._requantise = [Requantise(config) for _ in range(outputs)]
        accumulate = self._channel_accumulate[0]
        self.centre_latency = self._tap_macs.latency
        self.control_latency = self._tap_macs.latency - CONTROL_AHEAD
        combined = self._operands + self._tap_macs.latency + self._attention_combine[0].latency
        self.bias_latency = combined + accumulate.bias_latency
        self.multiplier_latency = combined + accumulate.latency - self._operands
        requantise, at_acc = self._requantise[0], combined + accumulate.latency
        self.latency = at_acc + requantise.latency
        self.attn_shift_latency = self._operands + self._tap_macs.latency + self._attention_combine[0].shift_latency
        self._folded = config.beats_per_output > 1
        ports = {
            "taps": In(config.lane_taps),
            "weights": In(config.lane_weights),
            "bias": In(data.ArrayLayout(config.bias, outputs)),
            "multiplier": In(data.ArrayLayout(config.multiplier, outputs)),
            "y": Out(data.ArrayLayout(config.result, outputs)),
        }
        combine = self._attention_combine[0]
        if isinstance(combine, SimilarityCombine):
            assert self._heads is not None
            self.sims_latency = self._tap_macs.latency + combine.sims_latency
            ports["sims"] = In(config.sims)
            if self._heads.vary:
                ports["control"] = In(head_control(self._heads))
        elif config.geometry.attn_taps:
            ports["centre"] = In(data.ArrayLayout(config.element, config.lane_channels))
        if self._folded:
            ports |= {"valid": In(1), "first": In(1)}
        self._reload = config.reload
        if self._reload is not None:
            self.out_shift_latency = at_acc + requantise.shift_latency
            self.relu_latency = at_acc + requantise.relu_latency
            ports |= {
                "attn_shift": In(self._reload.attn_shift_shape),
                "out_shift": In(self._reload.out_shift_shape),
                "relu": In(1),
                "cut": Out(outputs),
            }
        super().__init__(ports)

    def _combine(self, config: UnitConfig) -> AttentionCombine | SimilarityCombine:
        if self._heads is None:
            return AttentionCombine(config)
        return SimilarityCombine(config, conv_late=self._tap_macs.conv_latency - self._tap_macs.latency)

    @property
    def _shared(self) -> list[str]:
        """Ports that the attention needs beside the lane's own sums."""
        return [name for name in ("centre", "sims", "control") if name in self.signature.members]

    @property
    def stage_latencies(self) -> dict[str, int]:
        """Cycles of each stage; their sum is ``latency``. A lane's own copy of the operands counts as ``tap_macs``."""
        return {
            "tap_macs": self._operands + self._tap_macs.latency,
            "attention_combine": self._attention_combine[0].latency,
            "channel_accumulate": self._channel_accumulate[0].latency,
            "requantise": self._requantise[0].latency,
        }

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.tap_macs = macs = self._tap_macs
        m.d.comb += macs.i_taps.eq(delay(m, self.taps, self._operands))
        m.d.comb += macs.i_weights.eq(delay(m, self.weights, self._operands))
        multiplier = delay(m, self.multiplier, self._operands)
        stages = zip(self._attention_combine, self._channel_accumulate, self._requantise, strict=True)
        for index, (combine, accumulate, requantise) in enumerate(stages):
            suffix = f"_{index}" if index else ""
            m.submodules[f"attention_combine{suffix}"] = combine
            m.submodules[f"channel_accumulate{suffix}"] = accumulate
            m.submodules[f"requantise{suffix}"] = requantise
            m.d.comb += combine.i_conv_sum.eq(macs.o_conv_sum[index])
            for name in self._shared:
                m.d.comb += getattr(combine, f"i_{name}").eq(delay(m, getattr(self, name), self._operands))
            if self._shared:
                m.d.comb += combine.i_attn_sum.eq(macs.o_attn_sum)
            m.d.comb += [accumulate.i_combined.eq(combine.o_combined), accumulate.i_bias.eq(self.bias[index])]
            if self._folded:
                m.d.comb += [accumulate.i_valid.eq(self.valid), accumulate.i_first.eq(self.first)]
            m.d.comb += [requantise.i_acc.eq(accumulate.o_acc), requantise.i_multiplier.eq(multiplier[index])]
            m.d.comb += self.y[index].eq(requantise.o_y)
            if self._reload is not None:
                m.d.comb += [
                    combine.i_attn_shift.eq(self.attn_shift),
                    requantise.i_out_shift.eq(self.out_shift),
                    requantise.i_relu.eq(self.relu),
                    self.cut[index].eq(requantise.o_cut),
                ]
        return m
