"""The exact integer model of a layer, at the speed of a floating-point matrix product.

A tile of output positions takes two matrix products per block of input channels, a column for
each position. The convolution is weights times shifted elements. The attention is weights times
``x0 * x_t`` (``hadamard``) or ``sim * x_t`` (``dynamic``).

Both products run in floating point and are exact. Every term is an integer. So is each partial
sum of the terms, in whatever order they are added. `golden.contract.bounds` proves that partial
sums are below 2^47 in magnitude, and float64 holds every integer up to 2^53. So no
multiplication, addition or fused multiply-add ever rounds. float32 holds every integer up to
2^24. So a product whose proven bound, from its actual weights, is at most 2^24 runs in float32.

A depthwise layer has nothing to share between output channels and is summed tap by tap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from golden.contract.bounds import attention_elements
from golden.contract.layer import Layer
from golden.contract.layer_config import LayerConfig
from golden.contract.ranges import Range, weighted_sum
from golden.model.rounding import requantised
from golden.model.similarity import similarities
from golden.model.tiles import Scratch, Window

#: Integers up to this magnitude are exact in float32.
FLOAT32_EXACT = 2**24
#: Input channels per matrix product, and output positions per tile. Together they about fill a cache.
CHANNEL_BLOCK = 32
TILE_POSITIONS = 784


def run(layer: Layer, x: np.ndarray, advance: Callable[[int], object] | None = None) -> np.ndarray:
    """The layer's output frames.

    Args:
        layer: the layer.
        x: integer frames ``[N, C, H, W]`` or ``[C, H, W]``.
        advance: called after each tile with the number of output positions it finished.
            These numbers add up to ``N * Ho * Wo``.

    Returns:
        int32 ``[N, O, Ho, Wo]``, every element in ``layer.config.out_range``; int64 where elements have more bits.

    Raises:
        UserError: for frames that are not the layer's input, see `Layer.check_input`.
    """
    frames = layer.check_input(x)
    out = np.empty(_out_shape(layer, frames), np.int32 if layer.config.out_bits <= 32 else np.int64)
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
    """``saturate(round(acc * multiplier / 2^out_shift))``, rounded as the layer's ``rounding`` says.

    Nothing overflows: ``|acc| < 2^47`` and ``multiplier < 2^16`` keep the product below 2^63 - 2^47.

    Args:
        layer: the layer.
        acc: int64 ``[N, O, h, w]``, within the layer's proven accumulator range.

    Returns:
        int64 ``[N, O, h, w]``, every element in ``layer.config.out_range``.
    """
    scaled = acc * layer.multiplier[:, None, None]
    return requantised(scaled, layer.config.out_shift, layer.config.out_range, layer.config.rounding)


def _out_shape(layer: Layer, frames: np.ndarray) -> tuple[int, int, int, int]:
    c = layer.config
    return len(frames), c.out_channels, c.out_height, c.out_width


def _tiles(layer: Layer, frames: np.ndarray) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """``acc`` tile by tile: images, output rows, and int64 ``[n, O, rows, Wo]``."""
    groups = _block_groups(layer)
    scratch = Scratch()
    for images, rows in _tile_slices(len(frames), layer.config):
        total = _tile_sum(layer, groups, frames[images], rows, scratch)
        yield images, rows, total.transpose(1, 0, 2, 3).astype(np.int64)


def _tile_sum(
    layer: Layer, groups: Sequence[Sequence[_ChannelBlock]], frames: np.ndarray, rows: slice, scratch: Scratch
) -> np.ndarray:
    """``acc`` of some output rows of ``frames``: float64 ``[O, n, rows, Wo]`` in ``scratch``."""
    c = layer.config

    def window(block: _ChannelBlock) -> Window:
        return Window(c, frames[:, block.channels], rows, scratch)

    total = scratch.take("total", np.float64, (c.out_channels, len(frames), rows.stop - rows.start, c.out_width))
    total[...] = layer.bias[:, None, None, None]
    for blocks in groups:
        sims = None
        if c.similarity is not None:
            sims = similarities(c, c.similarity, map(window, blocks), blocks[0].heads, scratch)
        for block in blocks:
            if c.depthwise:
                _add_depthwise(total, c, block, window(block), scratch)
            else:
                _add_dense(total, c, block, window(block), sims, scratch)
    return total


def _tile_slices(images: int, config: LayerConfig) -> Iterator[tuple[slice, slice]]:
    """Images and output rows of each tile: whole images where several fit a tile, else rows of one image."""
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
        heads: number of heads in the block, or 1 for a part of one head. In a layer without
            heads, the number of channels.
        conv: ``2^attn_shift * conv_weight``, ``[O, c*K*K]`` (depthwise ``[c, K*K]``).
        attn: ``attn_weight``, ``[O, c*T]`` (depthwise ``[c, T]``).
    """

    channels: slice
    heads: int
    conv: np.ndarray
    attn: np.ndarray


def _block_groups(layer: Layer) -> list[list[_ChannelBlock]]:
    """All input channels in blocks, grouped so that no head is in two groups.

    A group is one block of whole heads, or the blocks of one head that is larger than a block.
    """
    c = layer.config
    head = 1 if c.similarity is None else c.similarity.head_channels
    step = head * max(1, CHANNEL_BLOCK // head)
    groups = []
    for first in range(0, c.in_channels, step):
        end = min(first + step, c.in_channels)
        starts = range(first, end, CHANNEL_BLOCK)
        groups.append([_channel_block(layer, slice(n, min(n + CHANNEL_BLOCK, end)), head) for n in starts])
    return groups


def _channel_block(layer: Layer, channels: slice, head_channels: int) -> _ChannelBlock:
    c = layer.config
    count = channels.stop - channels.start
    own = np.s_[channels] if c.depthwise else np.s_[:, channels]
    conv = _exact_floats(layer.conv_weight[own], [c.in_range] * c.kernel**2)
    attn = _exact_floats(layer.attn_weight[own], attention_elements(c))
    return _ChannelBlock(
        channels=channels,
        heads=max(1, count // head_channels),
        # A power of two moves exponents only: what was exact stays exact.
        conv=conv * 2**c.attn_shift,
        attn=attn,
    )


def _exact_floats(weight: np.ndarray, elements: Sequence[Range]) -> np.ndarray:
    """Weights ``[rows, ..., taps]`` flattened to ``[rows, k]``, in the narrowest float that sums exactly.

    ``elements`` are the ranges of what the taps multiply.
    """
    low, high = weighted_sum(weight.reshape(*weight.shape[:2], len(elements)), elements)
    bound = max(-int(low.sum(axis=1).min()), int(high.sum(axis=1).max()))
    return weight.reshape(len(weight), -1).astype(np.float32 if bound <= FLOAT32_EXACT else np.float64)


def _add_dense(
    total: np.ndarray,
    config: LayerConfig,
    block: _ChannelBlock,
    window: Window,
    sims: np.ndarray | None,
    scratch: Scratch,
) -> None:
    """Add a block of input channels to ``total``, ``[O, n, rows, Wo]``: two matrix products.

    ``sims`` are the similarities of the block's heads, ``[heads, T, n, rows, Wo]``. Where ``sims`` is
    None, ``x0`` takes their place.
    """
    centre = window.tap(0, 0)
    channels, *positions = centre.shape
    taps = scratch.take("taps", block.conv.dtype, (channels, config.kernel**2, *positions))
    for i, offset in enumerate(config.kernel_offsets):
        taps[:, i] = window.tap(*offset)
    split = (block.heads, channels // block.heads)
    products = scratch.take("products", block.attn.dtype, (*split, len(config.attn_offsets), *positions))
    for t, offset in enumerate(config.attn_offsets):
        factor = centre if sims is None else sims[:, t]
        np.multiply(factor[:, None], window.tap(*offset).reshape(*split, *positions), out=products[:, :, t])
    for weight, elements in ((block.conv, taps), (block.attn, products)):
        columns = elements.reshape(weight.shape[1], total[0].size)
        part = scratch.take("part", weight.dtype, (len(weight), columns.shape[1]))
        total += np.matmul(weight, columns, out=part).reshape(total.shape)


def _add_depthwise(
    total: np.ndarray, config: LayerConfig, block: _ChannelBlock, window: Window, scratch: Scratch
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
