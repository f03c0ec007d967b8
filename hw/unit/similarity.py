"""Similarity: how alike the centre and each attention tap are, head by head (``dynamic`` product).

taps -> products with the centre -> sums of groups -> unpack -> sums of heads -> round, saturate

All output lanes share it.
"""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Mux, Shape, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.blocks import rounding
from hw.blocks.dot_product import dot_product
from hw.blocks.packed import join, split
from hw.blocks.pipeline import delay
from hw.blocks.rounding import rounded
from hw.plan.config import UnitConfig, shape_of
from hw.plan.group_packing import pair_width
from hw.unit.head_sum import CONTROL_AHEAD, HeadSum, head_control


class Similarity(wiring.Component):
    """``sim[t,h] = saturate(round_half_even(sum_{c in h} x[c,p] x[c,p+t] / 2^sim_shift))``.

    One beat per cycle. Two taps share a multiplier where the plan packs them.

    Members:
        i_taps: operands of one beat, each channel as much later as ``config.plan`` skews it.
        i_control: `head_control` of the beat, wanted ``control_latency`` cycles after it.
        o_sims: the similarities of the heads that the beat completes, in the order of
            ``geometry.attn_taps``; 0 in a place where it completes none.

    Attributes:
        control_latency: see ``i_control``.
        latency: cycles from beat to similarities.
    """

    def __init__(self, config: UnitConfig) -> None:
        assert config.heads is not None and config.ranges.similarity is not None
        self._config, self._heads, self._plan = config, config.heads, config.plan
        target, parts = config.target, len(self._plan.parts)
        self._head_sum = HeadSum(self._heads, parts=parts, radix=target.radix(self._heads.groups * parts))
        #: Where lanes have a copy of the operands, so has this stage.
        self._operands = int(target.lane_registers)
        summed = self._operands + self._plan.latency(target) + (self._plan.pair_shift is not None)
        self.control_latency = summed - CONTROL_AHEAD
        self._rounding = rounding.LATENCY + target.fast
        self.latency = summed + self._head_sum.latency + self._rounding
        super().__init__(
            {
                "i_taps": In(data.ArrayLayout(config.channel_taps, config.folding.simd)),
                "i_control": In(head_control(self._heads)),
                "o_sims": Out(config.sims),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._taps = delay(m, self.i_taps, self._operands)
        g, ranges = self._config.geometry, self._config.ranges.similarity
        form = self._config.layer.config.similarity
        assert ranges is not None and form is not None
        taps = range(len(g.attn_taps))
        # [tap][group]: the terms that the sum over a group comes in.
        terms: list[list[list[Value]]] = [[[] for _ in range(self._heads.groups)] for _ in taps]
        for pair in self._plan.pairs(len(taps)):
            for group in range(self._heads.groups):
                for part in self._plan.parts:
                    channels = [group * self._plan.group + channel for channel in part]
                    for tap, total in zip(pair, self._sum_chain(m, pair, channels), strict=True):
                        terms[tap][group].append(total)
        shapes = [shape_of(ranges.sums[t]) for t in g.attn_taps]
        sums = self._head_sum.sums(m, terms, shapes, self.i_control)
        flags = self._head_sum.flags(m, self.i_control, self._head_sum.latency + self._rounding)
        for place, pattern in enumerate(self._heads.completes):
            completes = self._heads.flag(pattern, flags)
            for tap in taps:
                value, proven = sums[tap][place], ranges.sums[g.attn_taps[tap]]
                shape, fast = shape_of(form.limits), self._config.target.fast
                sim = rounded(m, value, form.shift, form.limits, shape, split=fast, proven=proven)
                m.d.comb += self.o_sims[place][tap].eq(Mux(completes, sim, 0))
        return m

    def _sum_chain(self, m: Module, pair: Sequence[int], channels: Sequence[int]) -> list[Value]:
        """For each tap of ``pair`` the sum of its products over ``channels``."""
        g, target, config = self._config.geometry, self._config.target, self._config.layer.config
        ranges = self._config.ranges.similarity
        places = [g.offsets.index(config.attn_offsets[g.attn_taps[tap]]) for tap in pair]
        centre = g.offsets.index((0, 0))
        words = [(self._word(channel, places), self._taps[channel][centre]) for channel in channels]
        assert ranges is not None
        shapes = [shape_of(ranges.products[g.attn_taps[tap]].times(len(channels))) for tap in pair]
        shift = self._plan.pair_shift
        total = shapes[0] if len(pair) == 1 or shift is None else Shape(shift + shapes[1].width, signed=True)
        how = {"cascaded": self._plan.cascaded, "in_fabric": self._config.attention_in_fabric}
        value = dot_product(m, target, words, total, cycles=self._plan.latency(target), **how)
        if shift is None:
            return [value]
        if len(pair) == 1:
            return [delay(m, value, 1)]
        return list(split(m, value, shift, shapes[1]))

    def _word(self, channel: int, places: Sequence[int]) -> Value:
        """What the centre is multiplied with: one tap, or two of them packed."""
        signed = self._config.element.signed
        low, *high = (self._taps[channel][place] for place in places)
        if not high or self._plan.pair_shift is None:
            return low if signed else Cat(low, 0).as_signed()
        upper = high[0] - (low[-1] if signed else 0)
        return join(low, upper[: pair_width(self._config.element)], self._plan.pair_shift)
