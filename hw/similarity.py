"""Similarity: how alike the centre and each attention tap are, head by head (``dynamic`` product).

taps -> products with the centre -> sums of groups -> unpack -> sums of heads -> round, saturate

All output lanes share it.
"""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Mux, Shape, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.bounds import Range
from hw import rounding
from hw.config import UnitConfig, shape_of
from hw.group_packing import pair_width
from hw.head_sum import CONTROL_AHEAD, HeadSum, head_control
from hw.multiplier import cascade, multiply
from hw.packed import join, split
from hw.pipeline import adder_tree, delay, tree_latency
from hw.rounding import rounded


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
        group, length, target = self._plan.group, self._plan.longest, config.target
        self._parts = [range(first, min(first + length, group)) for first in range(0, group, length)]
        terms = self._heads.groups * len(self._parts)
        self._head_sum = HeadSum(self._heads, parts=len(self._parts), radix=target.radix(terms))
        #: Where lanes have a copy of the operands, so has this stage.
        self._operands = int(target.lane_registers)
        # A shorter chain may take more cycles, as wide trees have nodes of more inputs.
        self._slowest_chain = max(self._chain_latency(len(part)) for part in self._parts)
        summed = self._operands + self._slowest_chain + (self._plan.pair_shift is not None)
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
        pairs = [taps[first : first + 2] for first in taps[::2]] if self._plan.pair_shift else [[tap] for tap in taps]
        for pair in pairs:
            for group in range(self._heads.groups):
                for part in self._parts:
                    channels = [group * self._plan.group + channel for channel in part]
                    for tap, total in zip(pair, self._sum_chain(m, pair, channels), strict=True):
                        terms[tap][group].append(total)
        shapes = [shape_of(ranges.sums[t]) for t in g.attn_taps]
        sums = self._head_sum.sums(m, terms, shapes, self.i_control)
        flags = self._head_sum.flags(m, self.i_control, self._head_sum.latency + self._rounding)
        for place, pattern in enumerate(self._heads.completes):
            completes = self._heads.flag(pattern, flags)
            for tap in taps:
                shape, fast = shape_of(form.limits), self._config.target.fast
                sim = rounded(m, sums[tap][place], form.shift, form.limits, shape, split=fast)
                m.d.comb += self.o_sims[place][tap].eq(Mux(completes, sim, 0))
        return m

    def _sum_chain(self, m: Module, pair: Sequence[int], channels: Sequence[int]) -> list[Value]:
        """For each tap of ``pair`` the sum of its products over ``channels``."""
        g, target, config = self._config.geometry, self._config.target, self._config.layer.config
        places = [g.offsets.index(config.attn_offsets[g.attn_taps[tap]]) for tap in pair]
        centre = g.offsets.index((0, 0))
        words = [(self._word(channel, places), self._taps[channel][centre]) for channel in channels]
        shapes = [self._sum_shape(tap, len(channels)) for tap in pair]
        shift = self._plan.pair_shift
        total = shapes[0] if len(pair) == 1 or shift is None else Shape(shift + shapes[1].width, signed=True)
        if self._plan.cascaded:
            value = cascade(m, target, words, total)
        else:
            in_fabric = self._config.attention_in_fabric
            products = [multiply(m, target, word, operand, in_fabric=in_fabric) for word, operand in words]
            value = adder_tree(m, products, total, target.radix(len(products)))
        value = delay(m, value, self._slowest_chain - self._chain_latency(len(channels)))
        if shift is None:
            return [value]
        if len(pair) == 1:
            return [delay(m, value, 1)]
        return list(split(m, value, shift, shapes[1]))

    def _chain_latency(self, products: int) -> int:
        target = self._config.target
        sums = products - 1 if self._plan.cascaded else tree_latency(products, target.radix(products))
        return target.multiply_latency + sums

    def _word(self, channel: int, places: Sequence[int]) -> Value:
        """What the centre is multiplied with: one tap, or two of them packed."""
        signed = self._config.element.signed
        low, *high = (self._taps[channel][place] for place in places)
        if not high or self._plan.pair_shift is None:
            return low if signed else Cat(low, 0).as_signed()
        upper = high[0] - (low[-1] if signed else 0)
        return join(low, upper[: pair_width(self._config.element)], self._plan.pair_shift)

    def _sum_shape(self, tap: int, products: int) -> Shape:
        """Shape of a sum of that many products of a head."""
        form, ranges = self._config.layer.config.similarity, self._config.ranges.similarity
        assert form is not None and ranges is not None
        head = ranges.sums[self._config.geometry.attn_taps[tap]]
        each = form.head_channels
        return shape_of(Range(head.low // each * products, head.high // each * products))
