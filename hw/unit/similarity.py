"""Similarity: how alike the centre and each attention tap are, head by head (``dynamic`` product).

taps -> products with the centre -> sums of groups -> unpack -> sums of heads -> round, saturate

All output lanes share it.
"""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Cat, Module, Mux, Shape, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.contract.rounding import HALF_EVEN
from hw.blocks import rounding
from hw.blocks.dot_product import dot_product
from hw.blocks.packed import join, split
from hw.blocks.pipeline import delay
from hw.blocks.rounding import rounded
from hw.plan.dsp_count import attention_in_fabric
from hw.plan.group_packing import pair_width
from hw.plan.shapes import Shapes, shape_of
from hw.unit.head_sum import CONTROL_AHEAD, HeadSum, beat_flag, head_control


class Similarity(wiring.Component):
    """``sim[t,h] = saturate(round_half_even(sum_{c in h} x[c,p] x[c,p+t] / 2^sim_shift))``.

    The stage takes one beat per cycle. Two taps share a multiplier where the plan packs them.

    Members:
        i_taps: operands of one beat, each channel as much later as ``shapes.plan`` skews it.
        i_control: `head_control` of the beat, wanted `control_latency` cycles after it.
        o_sims: the similarities of the heads that the beat completes, in the order of
            ``geometry.attn_taps``; 0 in a place where the beat completes no head.

    The similarities come `latency` cycles after the beat.
    """

    def __init__(self, shapes: Shapes) -> None:
        assert shapes.heads is not None and shapes.ranges.similarity is not None
        self._shapes, self._heads, self._plan = shapes, shapes.heads, shapes.plan
        self._head_sum = _head_sum(shapes)
        super().__init__(
            {
                "i_taps": In(data.ArrayLayout(shapes.channel_taps, shapes.folding.simd)),
                "i_control": In(head_control(self._heads)),
                "o_sims": Out(shapes.sims),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._taps = delay(m, self.i_taps, int(self._shapes.target.lane_registers))
        g, ranges = self._shapes.geometry, self._shapes.ranges.similarity
        form = self._shapes.layer.config.similarity
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
        flags = self._head_sum.flags(m, self.i_control, self._head_sum.latency + _rounding_latency(self._shapes))
        for place, pattern in enumerate(self._heads.completes):
            completes = beat_flag(self._heads, pattern, flags)
            for tap in taps:
                value, proven = sums[tap][place], ranges.sums[g.attn_taps[tap]]
                shape, fast = shape_of(form.limits), self._shapes.target.fast
                sim = rounded(m, value, form.shift, form.limits, shape, rounding=HALF_EVEN, split=fast, proven=proven)
                m.d.comb += self.o_sims[place][tap].eq(Mux(completes, sim, 0))
        return m

    def _sum_chain(self, m: Module, pair: Sequence[int], channels: Sequence[int]) -> list[Value]:
        """For each tap of ``pair`` the sum of its products over ``channels``."""
        g, target, c = self._shapes.geometry, self._shapes.target, self._shapes.layer.config
        ranges = self._shapes.ranges.similarity
        places = [g.offsets.index(c.attn_offsets[g.attn_taps[tap]]) for tap in pair]
        centre = g.offsets.index((0, 0))
        words = [(self._word(channel, places), self._taps[channel][centre]) for channel in channels]
        assert ranges is not None
        shapes = [shape_of(ranges.products[g.attn_taps[tap]].times(len(channels))) for tap in pair]
        shift = self._plan.pair_shift
        total = shapes[0] if len(pair) == 1 or shift is None else Shape(shift + shapes[1].width, signed=True)
        how = {"cascaded": self._plan.cascaded, "in_fabric": attention_in_fabric(self._shapes)}
        value = dot_product(m, target, words, total, cycles=self._plan.latency(target), **how)
        if shift is None:
            return [value]
        if len(pair) == 1:
            return [delay(m, value, 1)]
        return list(split(m, value, shift, shapes[1]))

    def _word(self, channel: int, places: Sequence[int]) -> Value:
        """What the centre is multiplied with: one tap, or two of them packed."""
        signed = self._shapes.element.signed
        low, *high = (self._taps[channel][place] for place in places)
        if not high or self._plan.pair_shift is None:
            # Adders take a bit less where an operand is known to have no sign.
            return low if signed or self._shapes.products_in_fabric else Cat(low, 0).as_signed()
        upper = high[0] - (low[-1] if signed else 0)
        return join(low, upper[: pair_width(self._shapes.element.width)], self._plan.pair_shift)


def latency(shapes: Shapes) -> int:
    """Cycles from beat to similarities."""
    return _sum_latency(shapes) + _head_sum(shapes).latency + _rounding_latency(shapes)


def control_latency(shapes: Shapes) -> int:
    """Cycles after the beat at which ``i_control`` is wanted; negative where that is before it."""
    return _sum_latency(shapes) - CONTROL_AHEAD


def _sum_latency(shapes: Shapes) -> int:
    """Cycles from beat to the sums of groups. Where lanes have a copy of the operands, this stage has one, too."""
    plan, target = shapes.plan, shapes.target
    return target.lane_registers + plan.latency(target) + (plan.pair_shift is not None)


def _rounding_latency(shapes: Shapes) -> int:
    return rounding.LATENCY + shapes.target.fast


def _head_sum(shapes: Shapes) -> HeadSum:
    assert shapes.heads is not None
    parts = len(shapes.plan.parts)
    return HeadSum(shapes.heads, parts=parts, radix=shapes.target.radix(shapes.heads.groups * parts))
