"""Proven integer ranges of every intermediate of a layer.

Each range is the sum of the ranges of its terms. A term ``w * x`` reaches its extremes
where ``x`` does, and every range holds 0 because an element outside the frame is 0; so the
range of a sum also holds each of its partial sums, in whatever order they are added. That
is what lets the hardware fold a sum over cycles, and the model add it in any order,
without a wider accumulator.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from golden.layer import Layer

#: Width of the widest accumulator the contract allows (a DSP48's).
ACCUMULATOR_BITS = 48


@dataclass(frozen=True)
class Range:
    """All integers from ``low`` to ``high``, both included."""

    low: int
    high: int

    @classmethod
    def of_format(cls, bits: int, signed: bool) -> Range:
        """Range of a two's complement or unsigned number of ``bits`` bits."""
        return cls(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else cls(0, 2**bits - 1)

    @property
    def signed_bits(self) -> int:
        """Bits of the narrowest two's complement number that holds the range."""
        return max((end if end >= 0 else ~end).bit_length() for end in (self.low, self.high)) + 1

    def product(self, other: Range) -> Range:
        """Range of a product of two independent factors."""
        corners = [a * b for a in (self.low, self.high) for b in (other.low, other.high)]
        return Range(min(corners), max(corners))


def weighted_sum(weight: np.ndarray, element: Range) -> tuple[np.ndarray, np.ndarray]:
    """Extremes of ``sum_k weight[..., k] * e_k`` over all ``e_k`` in ``element``.

    Args:
        weight: int64 ``[..., k]``.
        element: range of every element; it must hold 0.

    Returns:
        ``(low, high)``, int64 ``[...]`` each.
    """
    positive = np.maximum(weight, 0).sum(axis=-1)
    negative = np.minimum(weight, 0).sum(axis=-1)
    low = positive * element.low + negative * element.high
    high = positive * element.high + negative * element.low
    return low, high


def combined_ranges(layer: Layer) -> tuple[np.ndarray, np.ndarray]:
    """Extremes of ``2^attn_shift * conv_sum + x0 * attn_sum`` per output and input channel.

    Returns:
        ``(low, high)``, int64 ``[O, C/groups]`` each.
    """
    x = layer.config.in_range
    conv_low, conv_high = weighted_sum(layer.conv_weight.reshape(*layer.conv_weight.shape[:2], -1), x)
    attn_low, attn_high = weighted_sum(layer.attn_weight, x.product(x))
    scale = 2**layer.config.attn_shift
    return scale * conv_low + attn_low, scale * conv_high + attn_high


def accumulator_ranges(layer: Layer) -> tuple[np.ndarray, np.ndarray]:
    """Extremes of ``acc`` and of each of its partial sums, bias in or out: int64 ``[O]`` each."""
    low, high = combined_ranges(layer)
    return low.sum(axis=1) + np.minimum(layer.bias, 0), high.sum(axis=1) + np.maximum(layer.bias, 0)


@dataclass(frozen=True, kw_only=True)
class StageRanges:
    """What each stage of a unit can put out, over all its output channels.

    Attributes:
        conv_sum: ``sum_i conv_weight[o,c,i] x[c,p+i]`` of one input channel.
        attn_sum: ``sum_t attn_weight[o,c,t] x[c,p+t]`` of one input channel.
        combined: ``2^attn_shift * conv_sum + x0 * attn_sum`` of one input channel.
        accumulator: ``acc`` and all its partial sums.
        scaled: ``acc * multiplier``.
    """

    conv_sum: Range
    attn_sum: Range
    combined: Range
    accumulator: Range
    scaled: Range


def stage_ranges(layer: Layer) -> StageRanges:
    """Ranges of the intermediates of ``layer``, from its actual weights."""
    x = layer.config.in_range
    conv = weighted_sum(layer.conv_weight.reshape(*layer.conv_weight.shape[:2], -1), x)
    low, high = accumulator_ranges(layer)
    return StageRanges(
        conv_sum=_hull(*conv),
        attn_sum=_hull(*weighted_sum(layer.attn_weight, x)),
        combined=_hull(*combined_ranges(layer)),
        accumulator=_hull(low, high),
        scaled=_hull(low * layer.multiplier, high * layer.multiplier),
    )


def _hull(low: np.ndarray, high: np.ndarray) -> Range:
    return Range(int(low.min()), int(high.max()))
