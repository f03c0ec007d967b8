"""Tap plan of the ``dynamic`` product: chains over the channels of a group, and pairs of similarities.

The sum of a tap's products meets that tap's similarity. So a chain runs over the channels of a
group (`hw.plan.heads`) at one tap. A static and a dynamic weight that meet the same operand share
a multiplier under the rule of `hw.plan.packing`.

The similarities of two taps share a multiplier, too, because both taps meet the centre:
``(x_u * 2^shift + x_t) * x0``. This word is made of operands as they come. Its upper field is a bit
wider than an element, because what the lower field borrows may lead out of the element's format.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from golden.contract.bounds import Weighted, similarity_ranges
from golden.contract.ranges import Range, weighted_sum
from hw.plan.geometry import Geometry
from hw.plan.heads import Heads
from hw.plan.packing import Chain, Product, TapPlan, channel_parts
from hw.targets.families import Target


def group_plan(layer: Weighted, geometry: Geometry, heads: Heads, target: Target, *, pack: bool) -> TapPlan:
    """The plan of a ``dynamic`` layer on ``target``. Without ``pack`` every product has a multiplier of its own."""
    planner = _GroupPlanner(layer=layer, geometry=geometry, heads=heads, target=target)
    if pack:
        plans = [plan for length in planner.lengths if (plan := planner.packed(length)) is not None]
        # Shorter chains cost less than twice the multipliers for the similarities.
        if plans:
            return next((plan for plan in plans if plan.pair_shift is not None), plans[0])
    return planner.single(next(planner.lengths), pack=pack)


def pair_width(in_bits: int) -> int:
    """Bits of the upper operand of a packed pair, an element of ``in_bits`` less what the lower one borrows."""
    return in_bits + 1


@dataclass(frozen=True, kw_only=True)
class _GroupPlanner:
    layer: Weighted
    geometry: Geometry
    heads: Heads
    target: Target

    @property
    def lengths(self) -> Iterator[int]:
        """Lengths of chains to try, the longest first."""
        group = self.heads.group
        most = min(group, self.target.cascade) if self._cascaded else group
        yield from dict.fromkeys(-(-group // chains) for chains in range(-(-group // most), group + 1))

    def packed(self, length: int) -> TapPlan | None:
        """Both weights of a tap in one multiplier; None where not every chain of ``length`` allows it."""
        if not (self.target.packs and self._in_dsp and self._element_bits <= (self.target.b_bits or 0)):
            return None
        chains = [
            self._chain(place, part, low=conv, high=attn)
            for place, (conv, attn) in enumerate(self._elements)
            for part in channel_parts(self.heads.group, length)
        ]
        words = [c.shift + self.layer.config.weight_bits for c in chains if c.shift is not None]
        if not words or max(words) > (self.target.a_bits or 0):
            return None
        return self._plan(chains, length, pack=True)

    def single(self, length: int, *, pack: bool) -> TapPlan:
        """A multiplier for every weight. ``pack`` allows two similarities to share one."""
        chains = []
        for place, (conv, attn) in enumerate(self._elements):
            for part in channel_parts(self.heads.group, length):
                chains += [self._chain(place, part, low=conv)] if conv is not None else []
                chains += [self._chain(place, part, high=attn)] if attn is not None else []
        return self._plan(chains, length, pack=pack)

    @property
    def _element_bits(self) -> int:
        """Bits of an element as a signed number."""
        return self.layer.config.in_range.signed_bits

    @property
    def _in_dsp(self) -> bool:
        return self.target.takes_dsp(self.layer.config.weight_bits, self._element_bits)

    @property
    def _cascaded(self) -> bool:
        # Weights and similarities see the same skew, so cascades are for both or neither.
        return (
            self._in_dsp and self.target.takes_dsp(self._element_bits, self._element_bits) and self.target.cascade > 1
        )

    @cached_property
    def _elements(self) -> list[tuple[int | None, int | None]]:
        """For each of ``geometry.offsets``, the places of its static and its dynamic weight in ``channel_weights``."""
        c, g = self.layer.config, self.geometry
        conv = {c.kernel_offsets[i]: place for place, i in enumerate(g.conv_taps)}
        attn = {c.attn_offsets[t]: len(conv) + place for place, t in enumerate(g.attn_taps)}
        return [(conv.get(offset), attn.get(offset)) for offset in g.offsets]

    def _chain(self, offset: int, part: range, *, low: int | None = None, high: int | None = None) -> Chain:
        low_sum, high_sum = self._sum(low, part), self._sum(high, part)
        both = low_sum is not None and high_sum is not None
        return Chain(
            products=tuple(Product(offset=offset, low=low, high=high, channel=channel) for channel in part),
            shift=low_sum.signed_bits if both and low_sum is not None else None,
            low=low_sum,
            high=high_sum,
            tap=None if high is None else high - len(self.geometry.conv_taps),
        )

    def _sum(self, element: int | None, part: range) -> Range | None:
        """Range of a chain's sum of one weight per channel, over all groups and outputs."""
        if element is None:
            return None
        groups = self._weights[:, :, list(part), element]
        return Range.hull(*weighted_sum(groups, self.layer.config.in_range))

    @cached_property
    def _weights(self) -> np.ndarray:
        """``[O, groups, group, channel_weights]``."""
        c, g = self.layer.config, self.geometry
        conv = self.layer.conv_weight.reshape(-1, c.in_channels, c.kernel**2)[..., list(g.conv_taps)]
        weights = np.concatenate([conv, self.layer.attn_weight[..., list(g.attn_taps)]], axis=-1)
        return weights.reshape(len(weights), -1, self.heads.group, weights.shape[-1])

    def _plan(self, chains: list[Chain], length: int, *, pack: bool) -> TapPlan:
        skew = [channel % length if self._cascaded else 0 for channel in range(self.heads.group)]
        return TapPlan(
            outputs=1,
            chains=tuple(chains),
            cascaded=self._cascaded,
            skew=(0,) * len(self.geometry.offsets),
            channel_skew=tuple(skew),
            pair_shift=self._pair_shift(length) if pack else None,
        )

    def _pair_shift(self, length: int) -> int | None:
        """Lowest bit of the second similarity of a pair, None where there is no room for one."""
        target, bits = self.target, self._element_bits
        if not target.packs or not target.takes_dsp(bits, bits) or len(self.geometry.attn_taps) < 2:
            return None
        ranges = similarity_ranges(self.layer.config)
        assert ranges is not None
        shift = max(ranges.products[t].times(length).signed_bits for t in self.geometry.attn_taps)
        word = shift + pair_width(self.layer.config.in_bits)
        fits = word <= (target.a_bits or 0) and bits <= (target.b_bits or 0)
        return shift if fits else None
