"""Proven integer ranges of every intermediate of a layer.

Each range is the sum of the ranges of its terms. A term ``w * x`` reaches its extremes
where ``x`` does, and every range holds 0 because an element outside the frame is 0; so the
range of a sum also holds each of its partial sums, in whatever order they are added. That
is what lets the hardware fold a sum over cycles, and the model add it in any order,
without a wider accumulator. Rounding and saturation never decrease from one sum to a larger
one, so a similarity's extremes are those of its sum, rounded and saturated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from golden.layer import LayerConfig

#: Width of the widest accumulator the contract allows (a DSP48's).
ACCUMULATOR_BITS = 48


class Weighted(Protocol):
    """What bounds are proven for: a `golden.layer.Layer`, or all layers of a format (`golden.extremes`).

    Attributes:
        conv_weight: ``[O, C/groups, K, K]``.
        attn_weight: ``[O, C/groups, T]``.
        bias, multiplier: ``[O]``.
    """

    @property
    def config(self) -> LayerConfig: ...

    @property
    def conv_weight(self) -> np.ndarray: ...

    @property
    def attn_weight(self) -> np.ndarray: ...

    @property
    def bias(self) -> np.ndarray: ...

    @property
    def multiplier(self) -> np.ndarray: ...


@dataclass(frozen=True)
class Range:
    """All integers from ``low`` to ``high``, both included."""

    low: int
    high: int

    @classmethod
    def of_format(cls, bits: int, signed: bool) -> Range:
        """Range of a two's complement or unsigned number of ``bits`` bits."""
        return cls(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else cls(0, 2**bits - 1)

    @classmethod
    def hull(cls, low: np.ndarray, high: np.ndarray) -> Range:
        """The range of many sums with these extremes, as `weighted_sum` gives them."""
        return cls(int(low.min()), int(high.max()))

    @property
    def signed_bits(self) -> int:
        """Bits of the narrowest two's complement number that holds the range."""
        return max((end if end >= 0 else ~end).bit_length() for end in (self.low, self.high)) + 1

    def product(self, other: Range) -> Range:
        """Range of a product of two independent factors."""
        corners = [a * b for a in (self.low, self.high) for b in (other.low, other.high)]
        return Range(min(corners), max(corners))

    def times(self, count: int) -> Range:
        """Range of a sum of ``count`` terms."""
        return Range(count * self.low, count * self.high)

    def square(self) -> Range:
        """Range of the square of a factor that may be 0."""
        return Range(0, max(self.low**2, self.high**2))


def weighted_sum(weight: np.ndarray, element: Range | Sequence[Range]) -> tuple[np.ndarray, np.ndarray]:
    """Extremes of ``sum_k weight[..., k] * e_k`` over all ``e_k`` in ``element``.

    Args:
        weight: int64 ``[..., k]``.
        element: range of every element, or one for each ``k``; all must hold 0.

    Returns:
        ``(low, high)``, int64 ``[...]`` each.
    """
    ranges = [element] * weight.shape[-1] if isinstance(element, Range) else element
    lows, highs = (np.array(ends, np.int64) for ends in ([r.low for r in ranges], [r.high for r in ranges]))
    positive, negative = np.maximum(weight, 0), np.minimum(weight, 0)
    return positive @ lows + negative @ highs, positive @ highs + negative @ lows


@dataclass(frozen=True, kw_only=True)
class SimilarityRanges:
    """What becomes of a ``dynamic`` layer's similarities: a range for each attention tap, over all heads.

    Attributes:
        products: ``x[c,p] x[c,p+t]``.
        sums: ``sum_{c in h} x[c,p] x[c,p+t]`` and each of its partial sums.
        sims: ``sim[t,h]``, the sum rounded and saturated.
        elements: ``sim[t,h] x[c,p+t]``, what an attention weight multiplies.
    """

    products: tuple[Range, ...]
    sums: tuple[Range, ...]
    sims: tuple[Range, ...]
    elements: tuple[Range, ...]


def similarity_ranges(config: LayerConfig) -> SimilarityRanges | None:
    """Ranges of the similarities, from the number formats; None where there are none (``hadamard``)."""
    form = config.similarity
    if form is None:
        return None
    x = config.in_range
    # At the centre the factors are the same element.
    products = tuple(x.product(x) if any(offset) else x.square() for offset in config.attn_offsets)
    sums = tuple(product.times(form.head_channels) for product in products)
    sims = tuple(Range(form.coefficient(s.low), form.coefficient(s.high)) for s in sums)
    return SimilarityRanges(products=products, sums=sums, sims=sims, elements=tuple(s.product(x) for s in sims))


def attention_elements(config: LayerConfig) -> Sequence[Range]:
    """Range of what the attention weight of each tap multiplies: ``x0 x_t``, for ``dynamic`` ``sim x_t``."""
    similarity = similarity_ranges(config)
    product = config.in_range.product(config.in_range)
    return [product] * len(config.attn_offsets) if similarity is None else similarity.elements


def combined_ranges(layer: Weighted) -> tuple[np.ndarray, np.ndarray]:
    """Extremes of ``2^attn_shift * conv_sum`` and the attention of all taps, per output and input channel.

    Returns:
        ``(low, high)``, int64 ``[O, C/groups]`` each.
    """
    x = layer.config.in_range
    conv_low, conv_high = weighted_sum(layer.conv_weight.reshape(*layer.conv_weight.shape[:2], -1), x)
    attn_low, attn_high = weighted_sum(layer.attn_weight, attention_elements(layer.config))
    scale = 2**layer.config.attn_shift
    return scale * conv_low + attn_low, scale * conv_high + attn_high


def accumulator_ranges(layer: Weighted) -> tuple[np.ndarray, np.ndarray]:
    """Extremes of ``acc`` and of each of its partial sums, bias in or out: int64 ``[O]`` each."""
    low, high = combined_ranges(layer)
    return low.sum(axis=1) + np.minimum(layer.bias, 0), high.sum(axis=1) + np.maximum(layer.bias, 0)


@dataclass(frozen=True, kw_only=True)
class StageRanges:
    """What each stage of a unit can put out, over all its output channels.

    Attributes:
        conv_sum: ``sum_i conv_weight[o,c,i] x[c,p+i]`` of one input channel.
        similarity: the similarities, None for ``hadamard``.
        attn_sum: ``sum_t attn_weight[o,c,t] x[c,p+t]`` of one input channel, for ``dynamic``
            ``sum_t attn_weight[o,c,t] sim[t,h(c)] x[c,p+t]``.
        combined: ``2^attn_shift * conv_sum + x0 * attn_sum`` of one input channel, for
            ``dynamic`` without ``x0``.
        accumulator: ``acc`` and all its partial sums.
        scaled: ``acc * multiplier``.
    """

    conv_sum: Range
    similarity: SimilarityRanges | None
    attn_sum: Range
    combined: Range
    accumulator: Range
    scaled: Range


def stage_ranges(layer: Weighted) -> StageRanges:
    """Ranges of the intermediates of ``layer``, from its actual weights."""
    x = layer.config.in_range
    conv = weighted_sum(layer.conv_weight.reshape(*layer.conv_weight.shape[:2], -1), x)
    low, high = accumulator_ranges(layer)
    similarity = similarity_ranges(layer.config)
    return StageRanges(
        conv_sum=Range.hull(*conv),
        similarity=similarity,
        attn_sum=Range.hull(*weighted_sum(layer.attn_weight, x if similarity is None else similarity.elements)),
        combined=Range.hull(*combined_ranges(layer)),
        accumulator=Range.hull(low, high),
        scaled=Range.hull(low * layer.multiplier, high * layer.multiplier),
    )
