"""One output lane: the stages from the window's taps to an output element."""

from __future__ import annotations

from amaranth.hdl import Module
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.blocks.pipeline import delay
from hw.plan.shapes import Shapes
from hw.unit.attention_combine import AttentionCombine
from hw.unit.channel_accumulate import ChannelAccumulate
from hw.unit.head_sum import head_control
from hw.unit.requantise import Requantise
from hw.unit.scaling import setting_port
from hw.unit.similarity_combine import SimilarityCombine
from hw.unit.tap_macs import TapMacs
from hw.unit.timetable import LaneTimetable


class Lane(wiring.Component):
    """``tap_macs -> attention_combine -> channel_accumulate -> requantise`` for one output channel at a time.

    Where two output channels of a plain convolution share their multipliers (`hw.plan.packing`), a
    lane works on both, and everything behind ``tap_macs`` is there twice.

    All lanes of a unit are alike, so Verilog has the lane once and an instance for each.

    Members:
        taps, weights: operands and weights of one beat, each ``shapes.plan.skew`` cycles after it.
        centre: the operands at ``(0, 0)`` (only with attention taps and the ``hadamard`` product).
        sims: from `hw.unit.similarity` (only with the ``dynamic`` product and attention taps).
        control: `head_control` of the beat (only with ``sims``, where heads and beats are not alike).
        bias: bias of each output channel.
        valid: there is a beat; with ``bias`` (only where a sum takes several beats).
        first: the beat is the first of a sum; with ``bias`` (only where a sum takes several beats).
        multiplier: multiplier of each output channel, or what is kept of it (not where nothing is).
        complete, goes_on: there is a complete sum, and another digit of its multiplier follows (only where products
            take turns, `hw.unit.turns`).
        attn_shift, out_shift, relu: settings of the beat (only those that come at run time).
        y: the output elements.
        cut: for each element whether it was cut at a limit other than 0, in step with ``y`` (only where that
            is counted).

    `hw.unit.timetable.LaneTimetable` says when each input is wanted, and when ``y`` is there.
    """

    def __init__(self, shapes: Shapes) -> None:
        outputs = shapes.plan.outputs
        self._operands = LaneTimetable(shapes).operands
        self._settings = shapes.settings
        self._tap_macs = TapMacs(shapes)
        combine = AttentionCombine if shapes.heads is None else SimilarityCombine
        self._attention_combine = [combine(shapes) for _ in range(outputs)]
        self._channel_accumulate = [ChannelAccumulate(shapes) for _ in range(outputs)]
        self._requantise = [Requantise(shapes) for _ in range(outputs)]
        self._folded = shapes.beats_per_output > 1
        self._turns = ("complete", "goes_on") if shapes.takes_turns else ()
        ports = {
            "taps": In(shapes.lane_taps),
            "weights": In(shapes.lane_weights),
            "bias": In(data.ArrayLayout(shapes.bias, outputs)),
            **({"multiplier": In(data.ArrayLayout(shapes.multiplier, outputs))} if shapes.stores_multipliers else {}),
            **dict.fromkeys(self._turns, In(1)),
            "y": Out(data.ArrayLayout(shapes.result, outputs)),
        }
        if shapes.heads is not None:
            ports["sims"] = In(shapes.sims)
            if shapes.heads.vary:
                ports["control"] = In(head_control(shapes.heads))
        elif shapes.geometry.attn_taps:
            ports["centre"] = In(data.ArrayLayout(shapes.element, shapes.lane_channels))
        if self._folded:
            ports |= {"valid": In(1), "first": In(1)}
        for setting in self._settings.ports:
            ports |= setting_port(setting, prefix="")
        if self._settings.counts_cut:
            ports["cut"] = Out(outputs)
        super().__init__(ports)

    @property
    def _shared(self) -> list[str]:
        """Ports that the attention needs beside the lane's own sums."""
        return [name for name in ("centre", "sims", "control") if name in self.signature.members]

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.tap_macs = macs = self._tap_macs
        m.d.comb += macs.i_taps.eq(delay(m, self.taps, self._operands))
        m.d.comb += macs.i_weights.eq(delay(m, self.weights, self._operands))
        multiplier = delay(m, self.multiplier, self._operands) if "multiplier" in self.signature.members else None
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
            m.d.comb += requantise.i_acc.eq(accumulate.o_acc)
            if multiplier is not None:
                m.d.comb += requantise.i_multiplier.eq(multiplier[index])
            for name in self._turns:
                m.d.comb += getattr(requantise, f"i_{name}").eq(getattr(self, name))
            m.d.comb += self.y[index].eq(requantise.o_y)
            for setting in self._settings.ports:
                stage = combine if setting is self._settings.attn_shift else requantise
                m.d.comb += getattr(stage, f"i_{setting.name}").eq(getattr(self, setting.name))
            if self._settings.counts_cut:
                m.d.comb += self.cut[index].eq(requantise.o_cut)
        return m
