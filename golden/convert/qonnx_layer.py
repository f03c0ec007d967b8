"""The accumulators of layers in operations of ONNX, exact whoever executes them.

Sums are float32 where a proven bound keeps them and all their parts below 2^24, so that no order of additions rounds.
Else they are float64, and the contract keeps them below 2^47. ONNX Runtime has no convolution of float64: these are
matrix products of shifted frames. Its convolution of integers is no way, either. On processors that have no products
of 8 bits, its parts saturate at 16.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np

from golden.contract.bounds import accumulator_ranges
from golden.contract.layer import Layer
from golden.contract.layer_config import SimilarityFormat
from golden.contract.ranges import weighted_sum
from golden.convert.onnx_writer import DOUBLE, FLOAT, INT64, Given, GraphWriter, Tensor, numbers
from golden.convert.qonnx_rounding import EXACT, quantised_weight

Offset = tuple[int, int]


def accumulators(writer: GraphWriter, name: str, x: Tensor, layer: Layer) -> Tensor:
    """``acc`` of ``layer`` for frames ``x``. A convolution is a node called ``name``."""
    c = layer.config
    scale = 2**c.attn_shift
    if not c.attn_offsets and largest(accumulator_ranges(layer)) < EXACT[FLOAT]:
        return convolved(writer, name, x, layer, scale, layer.bias)
    weight = layer.conv_weight.reshape(*layer.conv_weight.shape[:2], -1)
    low, high = weighted_sum(weight, c.in_range)
    shifted = _shifted(writer, x, layer)
    if largest((low.sum(axis=1), high.sum(axis=1))) < EXACT[FLOAT]:
        total = writer.cast(convolved(writer, name, x, layer), DOUBLE)
    else:
        sides = range(-(c.kernel // 2), c.kernel // 2 + 1)
        total = _weighted(writer, [shifted((dy, dx)) for dy in sides for dx in sides], weight, c.groups)
    total = writer.times(total, scale)
    if c.attn_offsets:
        attention = _weighted(writer, _elements(writer, shifted, layer), layer.attn_weight, c.groups)
        total = writer.add("Add", [total, attention])
    return writer.add("Add", [total, numbers(layer.bias, DOUBLE).reshape(-1, 1, 1)])


def largest(ranges: tuple[np.ndarray, np.ndarray]) -> int:
    """The largest magnitude within ``(low, high)``, which hold 0."""
    low, high = ranges
    return int(np.maximum(-low, high).max())


def convolved(
    writer: GraphWriter, name: str, x: Tensor, layer: Layer, scale: int = 1, bias: np.ndarray | None = None
) -> Tensor:
    """``bias`` and ``scale`` times the convolution of ``layer``, in float32."""
    c = layer.config
    weight = quantised_weight(writer, layer.conv_weight, c.weight_bits, scale)
    inputs: list[Given] = [x, weight, *([] if bias is None else [numbers(bias, FLOAT)])]
    shape = (x.shape[0], c.out_channels, c.out_height, c.out_width)
    geometry: dict[str, Any] = {"kernel_shape": [c.kernel] * 2, "strides": [c.stride] * 2, "pads": [c.pad] * 4}
    return writer.add("Conv", inputs, shape=shape, node=name, group=c.groups, **geometry)


def _shifted(writer: GraphWriter, x: Tensor, layer: Layer) -> Callable[[Offset], Tensor]:
    """What gives the element at an offset from the centre of each window of ``layer``, in float64."""
    c = layer.config
    around = max(c.kernel // 2, *(abs(d) for offset in c.attn_offsets for d in offset), 0)

    @cache
    def padded() -> Tensor:
        shape = (*x.shape[:2], *(side + 2 * around for side in x.shape[2:]))
        pads = numbers([0, 0, around, around] * 2, INT64)
        return writer.add("Pad", [writer.cast(x, DOUBLE), pads], shape=shape)

    @cache
    def at(offset: Offset) -> Tensor:
        sides = (c.out_height, c.out_width)
        starts = [around - c.pad + c.kernel // 2 + d for d in offset]
        ends = [start + c.stride * (side - 1) + 1 for start, side in zip(starts, sides, strict=True)]
        slices = [numbers(values, INT64) for values in (starts, ends, [2, 3], [c.stride] * 2)]
        return writer.add("Slice", [padded(), *slices], shape=(*x.shape[:2], *sides))

    return at


def _elements(writer: GraphWriter, shifted: Callable[[Offset], Tensor], layer: Layer) -> Sequence[Tensor]:
    """What the attention weights of each tap multiply: ``x0 x_t``, or ``sim x_t``."""
    form, centre = layer.config.similarity, shifted((0, 0))
    elements = []
    for offset in layer.config.attn_offsets:
        other = shifted(offset)
        product = writer.add("Mul", [centre, other])
        elements.append(product if form is None else _similar(writer, product, other, form))
    return elements


def _similar(writer: GraphWriter, product: Tensor, other: Tensor, form: SimilarityFormat) -> Tensor:
    """``sim[h] other[c]``, where ``sim`` is ``product`` summed over the channels of a head, rounded and saturated."""
    batch, _, height, width = product.shape
    by_head = (batch, form.heads, form.head_channels, height * width)
    summed = (batch, form.heads, 1, height * width)
    total = writer.add("ReduceSum", [writer.reshaped(product, by_head), numbers([2], INT64)], shape=summed, keepdims=1)
    rounded = writer.add("Round", [writer.times(total, 2.0**-form.shift)])
    limits = [numbers(limit, DOUBLE) for limit in (form.limits.low, form.limits.high)]
    sim = writer.add("Clip", [rounded, *limits])
    return writer.reshaped(writer.add("Mul", [writer.reshaped(other, by_head), sim]), product.shape)


def _weighted(writer: GraphWriter, taps: Sequence[Tensor], weight: np.ndarray, groups: int) -> Tensor:
    """``sum_{c,t} weight[o,c,t] taps[t][c]`` in float64. ``weight`` is ``[O, C/groups, T]``, taps are frames."""
    batch, channels, height, width = taps[0].shape
    outputs, pixels, own = len(weight), height * width, channels // groups * len(taps)
    rows = [writer.reshaped(tap, (batch, channels, 1, pixels)) for tap in taps]
    stacked = writer.add("Concat", rows, shape=(batch, channels, len(taps), pixels), axis=2)
    grouped = writer.reshaped(stacked, (batch, groups, own, pixels))
    matrices = numbers(weight.reshape(groups, outputs // groups, own), DOUBLE)
    shape = (batch, groups, outputs // groups, pixels)
    product = writer.add("MatMul", [matrices, grouped], shape=shape, type=DOUBLE)
    return writer.reshaped(product, (batch, outputs, height, width))
