"""Similarity combine: each tap's sum over a head meets its similarity, then the static sum (``dynamic`` product)."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.blocks.latency import tree_latency
from hw.blocks.multiply import multiply, product_latency
from hw.blocks.pipeline import adder_tree, delay
from hw.plan.dsp_count import attention_in_fabric
from hw.plan.shapes import Shapes, shape_of
from hw.unit import tap_macs
from hw.unit.head_sum import HeadSum, head_control
from hw.unit.scaling import scaled, setting_port


class SimilarityCombine(wiring.Component):
    """``combined = 2^attn_shift * conv_sum + sum_{t,h} sim[t,h] * sum_{c in h} attn_sum[c,t]`` of one output channel.

    All channels of a head share a similarity. So the similarity is multiplied with the sum over these
    channels: once per tap and head, in the beat that completes the head.

    Members:
        i_conv_sum: static sums of the groups, ``conv_late`` cycles after ``i_attn_sum``.
        i_attn_sum: the attention's sums ``[group][tap]``, from `TapMacs`.
        i_control: `head_control` of the beat, `CONTROL_AHEAD` cycles before ``i_attn_sum``.
        i_sims: from `Similarity`, wanted `sims_latency` cycles after ``i_attn_sum``.
        i_attn_shift: wanted `shift_latency` cycles after ``i_attn_sum`` (only where it comes at run time).
        o_combined: the sum over a beat's channels, as ``shapes.combined``.

    The output comes `latency` cycles after ``i_attn_sum``.
    """

    def __init__(self, shapes: Shapes, *, conv_late: int | None = None) -> None:
        """``conv_late``: cycles that ``i_conv_sum`` comes after ``i_attn_sum``, by default as from `TapMacs`."""
        assert shapes.heads is not None
        self._shapes, self._conv_late = shapes, conv_late
        groups = shapes.lane_groups
        self._attn, conv = shape_of(shapes.group_ranges.attn), shape_of(shapes.group_ranges.conv)
        self._head_sum = _head_sum(shapes)
        ports = {
            "i_conv_sum": In(data.ArrayLayout(conv, groups)),
            "i_attn_sum": In(shapes.group_sums),
            "i_control": In(head_control(shapes.heads)),
            "i_sims": In(shapes.sims),
            "o_combined": Out(shapes.combined),
        }
        super().__init__(ports | setting_port(shapes.settings.attn_shift))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shapes, groups = self._shapes, range(self._shapes.lane_groups)
        taps = range(len(shapes.geometry.attn_taps))
        terms = [[[self.i_attn_sum[group][tap]] for group in groups] for tap in taps]
        products: list[Value] = []
        in_fabric = attention_in_fabric(shapes)
        for tap, sums in enumerate(self._head_sum.sums(m, terms, [self._attn for _ in taps], self.i_control)):
            for place, total in enumerate(sums):
                sim = self.i_sims[place][tap]
                products.append(multiply(m, shapes.target, total, sim, in_fabric=in_fabric))
        acc = shape_of(shapes.ranges.accumulator)
        attention = adder_tree(m, products, acc, shapes.target.radix(len(products)))
        sums = [self.i_conv_sum[group] for group in groups]
        static = adder_tree(m, sums, acc, shapes.target.radix(len(sums)))
        paths = _paths(shapes, self._conv_late)
        attention, static = (
            delay(m, part, max(paths) - own) for part, own in zip((attention, static), paths, strict=True)
        )
        static = scaled(m, static, shapes.settings.attn_shift, getattr(self, "i_attn_shift", None), acc)
        combined = Signal(acc, reset_less=True)
        m.d.sync += combined.eq(static + attention)
        m.d.comb += self.o_combined[0].eq(combined)
        return m


def latency(shapes: Shapes, conv_late: int | None = None) -> int:
    """Cycles from the attention's sums to the output."""
    return max(_paths(shapes, conv_late)) + 1


def sims_latency(shapes: Shapes) -> int:
    """Cycles after the attention's sums at which the similarities are wanted."""
    return _head_sum(shapes).latency


def shift_latency(shapes: Shapes, conv_late: int | None = None) -> int:
    """Cycles after the attention's sums at which the static sum is shifted."""
    return max(_paths(shapes, conv_late)) - shapes.settings.attn_shift.latency


def _paths(shapes: Shapes, conv_late: int | None) -> tuple[int, int]:
    """Cycles from the attention's sums to the sum of their products, and to the shifted static sum."""
    assert shapes.heads is not None
    attn, sim = shape_of(shapes.group_ranges.attn), shape_of(shapes.group_ranges.sim)
    product = product_latency(shapes.target, attn, sim, in_fabric=attention_in_fabric(shapes))
    products = len(shapes.geometry.attn_taps) * shapes.heads.at_once
    attention = sims_latency(shapes) + product + _tree_latency(shapes, products)
    if conv_late is None:
        conv_late = tap_macs.conv_latency(shapes) - tap_macs.latency(shapes)
    static = conv_late + _tree_latency(shapes, shapes.lane_groups) + shapes.settings.attn_shift.latency
    return attention, static


def _head_sum(shapes: Shapes) -> HeadSum:
    assert shapes.heads is not None
    return HeadSum(shapes.heads, parts=1, radix=shapes.target.radix(shapes.lane_groups))


def _tree_latency(shapes: Shapes, terms: int) -> int:
    return tree_latency(terms, shapes.target.radix(terms))
