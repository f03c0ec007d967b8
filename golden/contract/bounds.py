"""Proven integer ranges of every intermediate of a layer.

The range of a sum is the sum of the ranges of its terms. A term ``w * x`` reaches its extremes
at the extremes of ``x``. Every range holds 0, because an element outside the frame is 0. So the
range of a sum also holds each of its partial sums, in whatever order the terms are added.
Therefore the hardware may fold a sum over cycles, and the model may add it in any order, without
a wider accumulator. Rounding and saturation are monotonic. So the extremes of a similarity are
the extremes of its sum, rounded and saturated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from golden.contract.ranges import Range, weighted_sum

if TYPE_CHECKING:
    from golden.contract.layer_config import LayerConfig


class Weighted(Protocol):
    """What bounds are proven for: a layer, or all layers of a format (`golden.contract.extremes`).

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


@dataclass(frozen=True, kw_only=True)
class SimilarityRanges:
    """Ranges around the similarities of a ``dynamic`` layer: one for each attention tap, over all heads.

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
    """Ranges of the similarities, from the number formats. None for ``hadamard``, which has no similarities."""
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
    """Range of what each tap's attention weight multiplies: ``x0 x_t`` (``hadamard``) or ``sim x_t`` (``dynamic``)."""
    similarity = similarity_ranges(config)
    product = config.in_range.product(config.in_range)
    return [product] * len(config.attn_offsets) if similarity is None else similarity.elements


def combined_ranges(layer: Weighted) -> tuple[np.ndarray, np.ndarray]:
    """Extremes of ``2^attn_shift * conv_sum`` plus the attention of all taps, per output and input channel.

    Returns:
        ``(low, high)``, int64 ``[O, C/groups]`` each.
    """
    x = layer.config.in_range
    conv_low, conv_high = weighted_sum(layer.conv_weight.reshape(*layer.conv_weight.shape[:2], -1), x)
    attn_low, attn_high = weighted_sum(layer.attn_weight, attention_elements(layer.config))
    scale = 2**layer.config.attn_shift
    return scale * conv_low + attn_low, scale * conv_high + attn_high


def accumulator_ranges(layer: Weighted) -> tuple[np.ndarray, np.ndarray]:
    """Extremes of ``acc`` and of each of its partial sums, with or without the bias.

    Returns:
        ``(low, high)``, int64 ``[O]`` each.
    """
    low, high = combined_ranges(layer)
    return low.sum(axis=1) + np.minimum(layer.bias, 0), high.sum(axis=1) + np.maximum(layer.bias, 0)


@dataclass(frozen=True, kw_only=True)
class StageRanges:
    """What each stage of a unit can put out, over all its output channels.

    Attributes:
        conv_sum: ``sum_i conv_weight[o,c,i] x[c,p+i]`` of one input channel.
        similarity: the similarities, None for ``hadamard``.
        attn_sum: ``sum_t attn_weight[o,c,t] x[c,p+t]`` of one input channel (``hadamard``), or
            ``sum_t attn_weight[o,c,t] sim[t,h(c)] x[c,p+t]`` (``dynamic``).
        combined: ``2^attn_shift * conv_sum + x0 * attn_sum`` of one input channel (``hadamard``),
            or ``2^attn_shift * conv_sum + attn_sum`` (``dynamic``).
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
