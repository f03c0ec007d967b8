"""Attention combine: the content-dependent sum meets its centre pixel and the static sum."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.blocks.multiply import multiply, product_latency
from hw.blocks.pipeline import delay
from hw.plan.dsp_count import attention_in_fabric
from hw.plan.shapes import Shapes, shape_of
from hw.unit.scaling import scaled, setting_port


class AttentionCombine(wiring.Component):
    """``combined[c] = 2^attn_shift * conv_sum[c] + x[c,p] * attn_sum[c]`` of one output channel.

    With the ``hadamard`` product the centre pixel leaves the sum over taps. So attention costs this
    one multiplication per channel. Without attention taps only the shift is left, which costs nothing.

    Members:
        i_conv_sum: static sums, from `TapMacs`.
        i_attn_sum: the attention's sums, from `TapMacs` (only with attention taps).
        i_centre: ``x[c,p]``, in step with the sums (only with attention taps).
        o_combined: one value per channel.
        i_attn_shift: wanted `shift_latency` cycles after the sums (only where it comes at run time).

    The output comes `latency` cycles after the sums.
    """

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        channels = shapes.lane_channels
        ports = {
            "i_conv_sum": In(data.ArrayLayout(shape_of(shapes.ranges.conv_sum), channels)),
            "o_combined": Out(data.ArrayLayout(shape_of(shapes.ranges.combined), channels)),
        }
        if shapes.geometry.attn_taps:
            ports["i_attn_sum"] = In(data.ArrayLayout(shape_of(shapes.ranges.attn_sum), channels))
            ports["i_centre"] = In(data.ArrayLayout(shapes.element, channels))
        super().__init__(ports | setting_port(shapes.settings.attn_shift))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for channel in range(self._shapes.lane_channels):
            static = self._static(m, self.i_conv_sum[channel])
            if not self._shapes.geometry.attn_taps:
                m.d.comb += self.o_combined[channel].eq(static)
                continue
            operands, in_fabric = (self.i_attn_sum[channel], self.i_centre[channel]), attention_in_fabric(self._shapes)
            attention = multiply(m, self._shapes.target, *operands, in_fabric=in_fabric)
            combined = Signal(shape_of(self._shapes.ranges.combined), reset_less=True)
            m.d.sync += combined.eq(static + attention)
            m.d.comb += self.o_combined[channel].eq(combined)
        return m

    def _static(self, m: Module, conv_sum: Value) -> Value:
        """``2^attn_shift * conv_sum`` when the attention's product is there."""
        setting, port = self._shapes.settings.attn_shift, getattr(self, "i_attn_shift", None)
        late = delay(m, conv_sum, shift_latency(self._shapes))
        return scaled(m, late, setting, port, shape_of(self._shapes.ranges.combined))


def latency(shapes: Shapes) -> int:
    """Cycles from sums to output; 0 where nothing is left but a shift that is built in."""
    static = shift_latency(shapes) + shapes.settings.attn_shift.latency
    return static + 1 if shapes.geometry.attn_taps else static


def shift_latency(shapes: Shapes) -> int:
    """Cycles after the sums at which the static ones are shifted: as late as the attention's product allows."""
    if not shapes.geometry.attn_taps:
        return 0
    attn, in_fabric = shape_of(shapes.ranges.attn_sum), attention_in_fabric(shapes)
    product = product_latency(shapes.target, attn, shapes.element, in_fabric=in_fabric)
    return product - shapes.settings.attn_shift.latency
