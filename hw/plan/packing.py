"""Tap plan: which products of a lane share a multiplier, and which multipliers are chained.

Two weights that meet the same operand ``x`` make one word. One multiplier then makes both products:

    word = high * 2^shift + low          word * x = (high * x) * 2^shift + low * x

Sums of such products are sums of both fields. Let ``L`` be the sum of the low products and ``H``
that of the high products. Let ``-2^(shift-1) <= L < 2^(shift-1)`` hold for everything that can occur.
Then the low ``shift`` bits of ``P = H * 2^shift + L`` are ``L`` in two's complement. ``P >> shift`` is
``H + floor(L / 2^shift)``, which is ``H`` less one where ``L`` is negative. So
``H = (P >> shift) + P[shift-1]``. A chain packs if

- ``shift`` bits hold every sum of its low products. This is proven from the weights, each with its
  worst input. Partial sums and masked taps are then within, too (`golden.contract.bounds`).
- the word fits the multiplier's wide operand: ``shift + weight_bits <= a_bits``. The word's bits
  from ``shift`` on are ``high - (low < 0)``. This is at least ``-2^(weight_bits-1)``, because weights
  are symmetric. So the word is stored in the bits of the two weights.
- ``x`` fits the narrow operand.

A plan cuts the taps into the fewest chains of (nearly) the same length that allow this.

`hw.plan.group_packing` has the plan for the ``dynamic`` product.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from golden.contract.bounds import Weighted
from golden.contract.ranges import Range, weighted_sum
from hw.blocks.latency import dot_product_latency, limb_offsets
from hw.plan.geometry import Geometry
from hw.targets.families import Target

#: Most chains of full length in a sum over the taps. A sum that takes more chains has shorter ones.
MANY = 3


@dataclass(frozen=True, kw_only=True)
class Product:
    """One multiplier's work: an operand and the weights that meet it.

    Attributes:
        offset: index of the operand in ``geometry.offsets``.
        low, high: indices of the operand's weights in ``channel_weights``; None where a field has none.
        channel: the operand's channel within its group.
    """

    offset: int
    low: int | None = None
    high: int | None = None
    channel: int = 0


@dataclass(frozen=True, kw_only=True)
class Chain:
    """Products that are summed before anything is unpacked.

    Attributes:
        products: in the order of the cascade.
        shift: lowest bit of the high field; None where all products are of one field.
        low, high: proven ranges of the sums of each field; None for a field without weights.
        tap: with the ``dynamic`` product, the attention tap (place in ``geometry.attn_taps``) of the high field.
    """

    products: tuple[Product, ...]
    shift: int | None
    low: Range | None
    high: Range | None
    tap: int | None = None

    @property
    def total_bits(self) -> int:
        """Bits of the signed sum, packed or not."""
        if self.shift is None:
            only = self.low or self.high
            assert only is not None
            return only.signed_bits
        return self.shift + (self.high.signed_bits if self.high else 1)


@dataclass(frozen=True, kw_only=True)
class TapPlan:
    """How a lane multiplies the taps of a group of input channels. Only ``dynamic`` has groups of several channels.

    Attributes:
        outputs: output channels of a lane; 2 where those of a plain convolution are packed.
        chains: all products, each in one chain.
        cascaded: whether a chain is a cascade of multipliers, not products and adders.
        skew: for each of ``geometry.offsets``, cycles that its operand and weights come after the first.
        channel_skew: for each channel of a group, cycles that its operands and weights come after the
            first; they add to ``skew``.
        pair_shift: lowest bit of the second of two packed similarities; None where they are not packed.
        limbs: limbs of an operand that is wider than a multiplier's port. Each limb has a multiplier.
    """

    outputs: int
    chains: tuple[Chain, ...]
    cascaded: bool
    skew: tuple[int, ...]
    channel_skew: tuple[int, ...] = (0,)
    pair_shift: int | None = None
    limbs: int = 1

    @property
    def group(self) -> int:
        """Channels of a group."""
        return len(self.channel_skew)

    def latency(self, target: Target) -> int:
        """Cycles until all chains are summed."""
        return max(
            dot_product_latency(target, len(chain.products), cascaded=self.cascaded, limbs=self.limbs)
            for chain in self.chains
        )

    @property
    def parts(self) -> list[range]:
        """Channels of a group that a chain runs over, all of them or a part."""
        return channel_parts(self.group, self.longest)

    def pairs(self, taps: int) -> list[range]:
        """The ``taps`` attention taps by whose similarities share multipliers: in pairs, or each by itself."""
        step = 1 if self.pair_shift is None else 2
        return [range(first, min(first + step, taps)) for first in range(0, taps, step)]

    @property
    def packed(self) -> bool:
        return any(chain.shift is not None for chain in self.chains)

    @property
    def longest(self) -> int:
        """Products of the longest chain."""
        return max((len(chain.products) for chain in self.chains), default=0)

    @property
    def products(self) -> int:
        """Multiplications per group of input channels and cycle."""
        return sum(len(chain.products) for chain in self.chains)


def channel_parts(group: int, length: int) -> list[range]:
    """The channels of a group cut into chains of ``length``."""
    return [range(first, min(first + length, group)) for first in range(0, group, length)]


@dataclass(frozen=True, kw_only=True)
class _Field:
    """The weights of a sum over taps.

    Attributes:
        weights: ``[rows, taps]``.
        offsets: for each tap, the index of its operand in ``geometry.offsets``.
        first: index of the first tap's weight in ``channel_weights``.
    """

    weights: np.ndarray
    offsets: tuple[int, ...]
    first: int

    def among(self, offsets: Sequence[int]) -> np.ndarray:
        return self.weights[:, [self.offsets.index(o) for o in offsets if o in self.offsets]]

    def element(self, offset: int) -> int | None:
        return self.first + self.offsets.index(offset) if offset in self.offsets else None


def tap_plan(layer: Weighted, geometry: Geometry, target: Target, *, pe: int, pack: bool) -> TapPlan:
    """The plan of a ``hadamard`` layer on ``target``. Without ``pack`` every product has a multiplier of its own."""
    c = layer.config
    places = {offset: index for index, offset in enumerate(geometry.offsets)}
    conv_offsets = tuple(places[c.kernel_offsets[i]] for i in geometry.conv_taps)
    attn_offsets = tuple(places[c.attn_offsets[t]] for t in geometry.attn_taps)
    conv_weight = layer.conv_weight.reshape(-1, c.fan_in_channels, c.kernel**2)[..., list(geometry.conv_taps)]
    attn_weight = layer.attn_weight[..., list(geometry.attn_taps)]
    conv = _Field(weights=conv_weight.reshape(-1, len(conv_offsets)), offsets=conv_offsets, first=0)

    element_bits = c.in_range.signed_bits
    # A weight, or a word of two, takes the wide operand of a multiplier. That leaves the element the narrow one.
    fits = target.takes_dsp(c.weight_bits, element_bits) and element_bits <= (target.b_bits or 0)
    planner = _Planner(
        element=c.in_range,
        weight_bits=c.weight_bits,
        a_bits=target.a_bits or 0,
        cascade=target.cascade if fits else 1,
        count=len(geometry.offsets),
        limbs=len(limb_offsets(target, element_bits, c.weight_bits)),
    )
    pack = pack and target.packs and fits
    if attn_offsets:
        attn = _Field(weights=attn_weight.reshape(-1, len(attn_offsets)), offsets=attn_offsets, first=len(conv_offsets))
        return (planner.packed(conv, attn) if pack else None) or planner.single((conv, attn))
    if pack and not c.depthwise and pe % 2 == 0:
        # Output channels 2n and 2n + 1 meet the same operands.
        even, odd = (conv_weight[n::2].reshape(-1, len(conv_offsets)) for n in (0, 1))
        pair = planner.packed(
            _Field(weights=even, offsets=conv_offsets, first=0),
            _Field(weights=odd, offsets=conv_offsets, first=len(conv_offsets)),
            outputs=2,
        )
        if pair is not None:
            return pair
    return planner.single((conv,))


@dataclass(frozen=True, kw_only=True)
class _Planner:
    """Cuts taps into chains.

    Attributes:
        element: range of an operand.
        weight_bits: bits of a weight.
        a_bits: bits of the multiplier's wide operand.
        cascade: products that one cascade may sum; 1 where adders sum any number.
        count: number of distinct operands.
        limbs: limbs of an operand.
    """

    element: Range
    weight_bits: int
    a_bits: int
    cascade: int
    count: int
    limbs: int

    def packed(self, low: _Field, high: _Field, outputs: int = 1) -> TapPlan | None:
        """Both fields in one multiplier per operand; None where not even single products fit."""
        shared = [o for o in low.offsets if o in high.offsets]
        order = shared + [o for o in low.offsets if o not in shared] + [o for o in high.offsets if o not in shared]
        for length in self._lengths(len(order)):
            parts = [order[start : start + length] for start in range(0, len(order), length)]
            chains = [self._chain(part, low, high) for part in parts]
            if all(chain.shift is None or chain.shift + self.weight_bits <= self.a_bits for chain in chains):
                return self._plan(chains, order, length, outputs)
        return None

    def single(self, fields: Sequence[_Field]) -> TapPlan:
        """A multiplier for every product. Operands that fields share come first in each, so that their skew agrees."""
        shared = [o for o in fields[0].offsets if all(o in field.offsets for field in fields)]
        orders = [shared + [o for o in field.offsets if o not in shared] for field in fields]
        length = next(self._lengths(max(map(len, orders))))
        chains, skewed = [], []
        for number, (field, order) in enumerate(zip(fields, orders, strict=True)):
            skewed.append(order)
            for start in range(0, len(order), length):
                part = order[start : start + length]
                chains.append(self._chain(part, *((field, None) if number == 0 else (None, field))))
        plans = [self._plan(chains, order, length, 1) for order in skewed]
        skew = tuple(max(plan.skew[o] for plan in plans) for o in range(self.count))
        return TapPlan(outputs=1, chains=tuple(chains), cascaded=plans[0].cascaded, skew=skew, limbs=self.limbs)

    def _lengths(self, products: int) -> Iterator[int]:
        """Lengths of chains to try, the longest first."""
        most = self.cascade if self.cascade > 1 else max(1, products)
        if products > MANY * most:
            # The sum of the chains takes cycles anyway, so the chains may be shorter.
            most = 2 * most // 3
        seen = 0
        for chains in range(-(-products // most), products + 1):
            length = -(-products // max(1, chains))
            if length != seen:
                yield length
            seen = length
        if products == 0:
            yield 1

    def _chain(self, offsets: Sequence[int], low: _Field | None, high: _Field | None) -> Chain:
        products = tuple(
            Product(offset=o, low=low.element(o) if low else None, high=high.element(o) if high else None)
            for o in offsets
        )
        low_sum = self._sum(low, offsets) if low else None
        high_sum = self._sum(high, offsets) if high else None
        both = low_sum is not None and high_sum is not None
        return Chain(
            products=products,
            shift=low_sum.signed_bits if both and low_sum is not None else None,
            low=low_sum,
            high=high_sum,
        )

    def _sum(self, field: _Field, offsets: Sequence[int]) -> Range | None:
        weights = field.among(offsets)
        if not weights.shape[1]:
            return None
        return Range.hull(*weighted_sum(weights, self.element))

    def _plan(self, chains: Sequence[Chain], order: Sequence[int], length: int, outputs: int) -> TapPlan:
        cascaded = self.cascade > 1
        place: Mapping[int, int] = {o: index % length for index, o in enumerate(order)}
        skew = tuple(place.get(o, 0) if cascaded else 0 for o in range(self.count))
        return TapPlan(outputs=outputs, chains=tuple(chains), cascaded=cascaded, skew=skew, limbs=self.limbs)
