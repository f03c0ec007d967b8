"""Attention combine: the content-dependent sum meets its centre pixel and the static sum."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.blocks import multiplier
from hw.blocks.multiplier import multiply
from hw.blocks.pipeline import delay
from hw.plan.config import UnitConfig, shape_of


class AttentionCombine(wiring.Component):
    """``combined[c] = 2^attn_shift * conv_sum[c] + x[c,p] * attn_sum[c]`` of one output channel.

    With the ``hadamard`` product the centre pixel leaves the sum over taps, so attention
    costs this one multiplication per channel. Without attention taps only the shift is
    left, which costs nothing.

    Members:
        i_conv_sum, i_attn_sum: from `TapMacs`.
        i_centre: ``x[c,p]``, in step with them.
        o_combined: one value per channel.
        i_attn_shift: wanted ``shift_latency`` cycles after them (only where it is reloadable).

    Attributes:
        shift_latency: see ``i_attn_shift``.
        latency: cycles from sums to output (0 without attention, unless the shift is reloadable).
    """

    def __init__(self, config: UnitConfig) -> None:
        self._config = config
        channels = config.lane_channels
        ports = {
            "i_conv_sum": In(data.ArrayLayout(shape_of(config.ranges.conv_sum), channels)),
            "o_combined": Out(data.ArrayLayout(shape_of(config.ranges.combined), channels)),
        }
        if config.geometry.attn_taps:
            ports["i_attn_sum"] = In(data.ArrayLayout(shape_of(config.ranges.attn_sum), channels))
            ports["i_centre"] = In(data.ArrayLayout(config.element, channels))
        if config.reload is not None:
            ports["i_attn_shift"] = In(config.reload.attn_shift_shape)
        super().__init__(ports)

    @property
    def shift_latency(self) -> int:
        return self._multiply - 1 if self._config.geometry.attn_taps else 0

    @property
    def latency(self) -> int:
        if self._config.geometry.attn_taps:
            return self._multiply + 1
        return int(self._config.reload is not None)

    @property
    def _multiply(self) -> int:
        config = self._config
        attn, in_fabric = shape_of(config.ranges.attn_sum), config.attention_in_fabric
        return multiplier.latency(config.target, attn, config.element, in_fabric=in_fabric)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for channel in range(self._config.lane_channels):
            static = self._static(m, channel)
            if not self._config.geometry.attn_taps:
                m.d.comb += self.o_combined[channel].eq(static)
                continue
            operands, in_fabric = (self.i_attn_sum[channel], self.i_centre[channel]), self._config.attention_in_fabric
            attention = multiply(m, self._config.target, *operands, in_fabric=in_fabric)
            combined = Signal(shape_of(self._config.ranges.combined), reset_less=True)
            m.d.sync += combined.eq(static + attention)
            m.d.comb += self.o_combined[channel].eq(combined)
        return m

    def _static(self, m: Module, channel: int) -> Value:
        """``2^attn_shift * conv_sum[channel]`` when the attention's product is there."""
        if self._config.reload is None:
            late = self._multiply if self._config.geometry.attn_taps else 0
            return delay(m, self.i_conv_sum[channel], late) << self._config.layer.config.attn_shift
        shifted = Signal(shape_of(self._config.ranges.combined), reset_less=True)
        m.d.sync += shifted.eq(delay(m, self.i_conv_sum[channel], self.shift_latency) << self.i_attn_shift)
        return shifted
