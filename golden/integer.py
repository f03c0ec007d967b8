"""The exact integer model of a layer, at the speed of a floating-point matrix product.

A tile of output positions is one column block of two matrix products per block of input
channels: weights times shifted elements (convolution) and weights times ``x0 * x_t``
(attention). Both run in floating point and are exact all the same. Every term is an
integer, and `golden.bounds` proves that each partial sum of the terms, in whatever order
they are added, is one too, below 2^47 in magnitude; float64 holds every integer up to 2^53,
so no multiplication, addition or fused multiply-add of the sum ever rounds. A product whose
own proven bound, from its actual weights, stays within 2^24 runs in float32 by the same
argument.

A depthwise layer has nothing to share between output channels and is summed tap by tap.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from golden.bounds import Range, weighted_sum
from golden.layer import Layer, LayerConfig

#: Integers up to this magnitude are exact in float32.
FLOAT32_EXACT = 2**24
#: Input channels per matrix product and output positions per tile: what about fills a cache.
CHANNEL_BLOCK = 32
TILE_POSITIONS = 784


def run(layer: Layer, x: np.ndarray, advance: Callable[[int], object] | None = None) -> np.ndarray:
    """The layer's output frames.

    Args:
        layer: the layer.
        x: integer frames ``[N, C, H, W]`` or ``[C, H, W]``.
        advance: called after each tile with the number of output positions it finished;
            they add up to ``N * Ho * Wo``.

    Returns:
        int32 ``[N, O, Ho, Wo]``, every element in ``layer.config.out_range``.

    Raises:
        UserError: for frames that are not the layer's input, see `Layer.check_input`.
    """
    frames = layer.check_input(x)
    out = np.empty(_out_shape(layer, frames), np.int32)
    for images, rows, acc in _tiles(layer, frames):
        out[images, :, rows] = requantise(layer, acc)
        if advance is not None:
            advance(acc[:, 0].size)
    return out


def accumulate(layer: Layer, x: np.ndarray) -> np.ndarray:
    """The accumulators ``acc`` before requantisation.

    Args:
        layer: the layer.
        x: integer frames ``[N, C, H, W]`` or ``[C, H, W]``.

    Returns:
        int64 ``[N, O, Ho, Wo]``.

    Raises:
        UserError: for frames that are not the layer's input, see `Layer.check_input`.
    """
    frames = layer.check_input(x)
    total = np.empty(_out_shape(layer, frames), np.int64)
    for images, rows, acc in _tiles(layer, frames):
        total[images, :, rows] = acc
    return total


def requantise(layer: Layer, acc: np.ndarray) -> np.ndarray:
    """``saturate(round_half_even(acc * multiplier / 2^out_shift))``.

    Adding just under half, or half where the quotient is odd, before the shift rounds ties
    to even. Nothing overflows int64: ``|acc| < 2^47``, ``multiplier < 2^16`` and
    ``out_shift <= 47`` keep the sum below ``2^63 - 2^47 + 2^46``.

    Args:
        layer: the layer.
        acc: int64 ``[N, O, h, w]``, within the layer's proven accumulator range.

    Returns:
        int64 ``[N, O, h, w]``, every element in ``layer.config.out_range``.
    """
    shift = layer.config.out_shift
    limits = layer.config.out_range
    scaled = acc * layer.multiplier[:, None, None]
    if shift > 0:
        is_odd = (scaled >> shift) & 1
        scaled += is_odd
        scaled += 2 ** (shift - 1) - 1
        scaled >>= shift
    return scaled.clip(limits.low, limits.high, out=scaled)


def _out_shape(layer: Layer, frames: np.ndarray) -> tuple[int, int, int, int]:
    c = layer.config
    return len(frames), c.out_channels, c.out_height, c.out_width


def _tiles(layer: Layer, frames: np.ndarray) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """``acc`` tile by tile: images, output rows, and int64 ``[n, O, rows, Wo]``."""
    c = layer.config
    blocks = _channel_blocks(layer)
    scratch = _Scratch()
    add = _add_depthwise if c.depthwise else _add_dense
    for images, rows in _tile_slices(len(frames), c):
        shape = (c.out_channels, images.stop - images.start, rows.stop - rows.start, c.out_width)
        total = scratch.take("total", np.float64, shape)
        total[...] = layer.bias[:, None, None, None]
        for block in blocks:
            add(total, c, block, _Window(c, frames[images, block.channels], rows, scratch), scratch)
        yield images, rows, total.transpose(1, 0, 2, 3).astype(np.int64)


def _tile_slices(images: int, config: LayerConfig) -> Iterator[tuple[slice, slice]]:
    """Whole images while several fit a tile, else rows of one; at least a row."""
    height, width = config.out_height, config.out_width
    image_step = max(1, TILE_POSITIONS // (height * width))
    row_step = max(1, TILE_POSITIONS // width)
    for image in range(0, images, image_step):
        for row in range(0, height, row_step):
            yield slice(image, min(image + image_step, images)), slice(row, min(row + row_step, height))


@dataclass(frozen=True, kw_only=True)
class _ChannelBlock:
    """Weights of a block of input channels, as the left operands of the matrix products.

    Attributes:
        channels: the input channels.
        conv: ``[O, c*K*K]`` (depthwise ``[c, K*K]``) times ``2^attn_shift``.
        attn: ``[O, c*T]`` (depthwise ``[c, T]``).
    """

    channels: slice
    conv: np.ndarray
    attn: np.ndarray


def _channel_blocks(layer: Layer) -> list[_ChannelBlock]:
    c = layer.config
    blocks = []
    for first in range(0, c.in_channels, CHANNEL_BLOCK):
        channels = slice(first, min(first + CHANNEL_BLOCK, c.in_channels))
        own = np.s_[channels] if c.depthwise else np.s_[:, channels]
        conv = _exact_floats(layer.conv_weight[own], c.in_range)
        attn = _exact_floats(layer.attn_weight[own], c.in_range.product(c.in_range))
        # A power of two moves exponents only: what was exact stays so.
        blocks.append(_ChannelBlock(channels=channels, conv=conv * 2**c.attn_shift, attn=attn))
    return blocks


def _exact_floats(weight: np.ndarray, element: Range) -> np.ndarray:
    """``[rows, ...]`` flattened to ``[rows, k]``, in the narrowest float that sums it exactly."""
    matrix = weight.reshape(len(weight), -1)
    low, high = weighted_sum(matrix, element)
    bound = max(-int(low.min()), int(high.max()))
    return matrix.astype(np.float32 if bound <= FLOAT32_EXACT else np.float64)


class _Scratch:
    """Buffers that serve every tile: fresh memory pages would cost as much as the sums."""

    def __init__(self) -> None:
        self._buffers: dict[tuple[str, np.dtype], np.ndarray] = {}

    def take(self, name: str, dtype: DTypeLike, shape: tuple[int, ...]) -> np.ndarray:
        """Uninitialised memory, each time the same for one ``name`` and ``dtype``."""
        size = math.prod(shape)
        key = name, np.dtype(dtype)
        if key not in self._buffers or self._buffers[key].size < size:
            self._buffers[key] = np.empty(size, dtype)
        return self._buffers[key][:size].reshape(shape)


class _Window:
    """The input elements that a tile reads, with the zeros around the frame.

    Args:
        frames: ``[n, c, H, W]``.
        rows: output rows of the tile.
    """

    def __init__(self, config: LayerConfig, frames: np.ndarray, rows: slice, scratch: _Scratch) -> None:
        self._stride = stride = config.stride
        self._radius = radius = config.radius
        self._rows, self._columns = (stride * (n - 1) + 1 for n in (rows.stop - rows.start, config.out_width))
        height, width = self._rows + 2 * radius, self._columns + 2 * radius
        top, left = stride * rows.start + config.first_centre - radius, config.first_centre - radius
        inside = frames[:, :, max(top, 0) : top + height, max(left, 0) : left + width]
        y, x = max(-top, 0), max(-left, 0)
        self._elements = scratch.take("window", np.float64, (frames.shape[1], len(frames), height, width))
        self._elements[...] = 0
        self._elements[:, :, y : y + inside.shape[2], x : x + inside.shape[3]] = inside.transpose(1, 0, 2, 3)

    def tap(self, dy: int, dx: int) -> np.ndarray:
        """``x[c, p + (dy, dx)]`` of every output position: ``[c, n, rows, Wo]``."""
        y, x = self._radius + dy, self._radius + dx
        return self._elements[:, :, y : y + self._rows : self._stride, x : x + self._columns : self._stride]


def _add_dense(
    total: np.ndarray, config: LayerConfig, block: _ChannelBlock, window: _Window, scratch: _Scratch
) -> None:
    """Add a block of input channels to ``total``, ``[O, n, rows, Wo]``: two matrix products."""
    centre = window.tap(0, 0)
    channels, *positions = centre.shape
    taps = scratch.take("taps", block.conv.dtype, (channels, config.kernel**2, *positions))
    for i, offset in enumerate(config.kernel_offsets):
        taps[:, i] = window.tap(*offset)
    products = scratch.take("products", block.attn.dtype, (channels, len(config.attn_offsets), *positions))
    for t, offset in enumerate(config.attn_offsets):
        np.multiply(centre, window.tap(*offset), out=products[:, t])
    for weight, elements in ((block.conv, taps), (block.attn, products)):
        columns = elements.reshape(weight.shape[1], total[0].size)
        part = scratch.take("part", weight.dtype, (len(weight), columns.shape[1]))
        total += np.matmul(weight, columns, out=part).reshape(total.shape)


def _add_depthwise(
    total: np.ndarray, config: LayerConfig, block: _ChannelBlock, window: _Window, scratch: _Scratch
) -> None:
    """Add a block of channels to its rows of ``total``, ``[O, n, rows, Wo]``, tap by tap."""
    own = total[block.channels]
    centre = window.tap(0, 0)
    part = scratch.take("part", np.float64, centre.shape)
    for i, offset in enumerate(config.kernel_offsets):
        own += np.multiply(block.conv[:, i, None, None, None], window.tap(*offset), out=part)
    for t, offset in enumerate(config.attn_offsets):
        np.multiply(centre, window.tap(*offset), out=part)
        part *= block.attn[:, t, None, None, None]
        own += part
