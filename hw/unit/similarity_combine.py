"""Similarity combine: what each tap's sum over a head is worth, and the static sum (``dynamic`` product)."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.blocks import multiplier
from hw.blocks.multiplier import multiply
from hw.blocks.pipeline import adder_tree, delay, tree_latency
from hw.plan.config import UnitConfig, shape_of
from hw.unit.head_sum import HeadSum, head_control


class SimilarityCombine(wiring.Component):
    """``combined = 2^attn_shift * conv_sum + sum_{t,h} sim[t,h] * sum_{c in h} attn_sum[c,t]`` of one output channel.

    A similarity is the same for all channels of its head, so it is multiplied with the sum
    over them: once per tap and head, in the beat that completes the head.

    Members:
        i_conv_sum: static sums of the groups, ``conv_late`` cycles after ``i_attn_sum``.
        i_attn_sum: the attention's sums ``[group][tap]``, from `TapMacs`.
        i_control: `head_control` of the beat, `CONTROL_AHEAD` cycles before ``i_attn_sum``.
        i_sims: from `Similarity`, wanted ``sims_latency`` cycles after ``i_attn_sum``.
        i_attn_shift: wanted ``shift_latency`` cycles after ``i_attn_sum`` (only where it is reloadable).
        o_combined: the sum over a beat's channels, as ``config.combined``.

    Attributes:
        shift_latency: see ``i_attn_shift``.
        sims_latency: see ``i_sims``.
        latency: cycles from ``i_attn_sum`` to output.
    """

    def __init__(self, config: UnitConfig, *, conv_late: int) -> None:
        assert config.heads is not None
        self._config, target = config, config.target
        groups, taps = config.lane_groups, len(config.geometry.attn_taps)
        attn, conv = shape_of(config.group_ranges.attn), shape_of(config.group_ranges.conv)
        sim = shape_of(config.group_ranges.sim)
        self._attn = attn
        self._head_sum = HeadSum(config.heads, parts=1, radix=target.radix(groups))
        products = taps * config.heads.at_once
        self.sims_latency = self._head_sum.latency
        self._multiply = multiplier.latency(target, attn, sim, in_fabric=config.attention_in_fabric)
        attention = self.sims_latency + self._multiply + self._tree_latency(products)
        # A shift that comes at run time takes a cycle of its own.
        static = conv_late + self._tree_latency(groups) + (config.reload is not None)
        self._waits = [max(attention, static) - path for path in (attention, static)]
        self.latency = max(attention, static) + 1
        ports = {
            "i_conv_sum": In(data.ArrayLayout(conv, groups)),
            "i_attn_sum": In(config.group_sums),
            "i_control": In(head_control(config.heads)),
            "i_sims": In(config.sims),
            "o_combined": Out(config.combined),
        }
        if config.reload is not None:
            ports["i_attn_shift"] = In(config.reload.attn_shift_shape)
        super().__init__(ports)

    @property
    def shift_latency(self) -> int:
        return self.latency - 2

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, groups = self._config, range(self._config.lane_groups)
        taps = range(len(config.geometry.attn_taps))
        terms = [[[self.i_attn_sum[group][tap]] for group in groups] for tap in taps]
        products: list[Value] = []
        for tap, sums in enumerate(self._head_sum.sums(m, terms, [self._attn for _ in taps], self.i_control)):
            for place, total in enumerate(sums):
                sim = self.i_sims[place][tap]
                products.append(multiply(m, config.target, total, sim, in_fabric=config.attention_in_fabric))
        acc = shape_of(config.ranges.accumulator)
        attention = adder_tree(m, products, acc, config.target.radix(len(products)))
        sums = [self.i_conv_sum[group] for group in groups]
        static = adder_tree(m, sums, acc, config.target.radix(len(sums)))
        attention, static = (delay(m, part, wait) for part, wait in zip((attention, static), self._waits, strict=True))
        if config.reload is None:
            static = static << config.layer.config.attn_shift
        else:
            shifted = Signal(acc, reset_less=True)
            m.d.sync += shifted.eq(static << self.i_attn_shift)
            static = shifted
        combined = Signal(acc, reset_less=True)
        m.d.sync += combined.eq(static + attention)
        m.d.comb += self.o_combined[0].eq(combined)
        return m

    def _tree_latency(self, terms: int) -> int:
        return tree_latency(terms, self._config.target.radix(terms))
