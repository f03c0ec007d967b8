"""Input frames that find faults."""

from __future__ import annotations

import itertools

import numpy as np

from golden.contract.layer import Layer
from golden.contract.layer_config import LayerConfig
from golden.contract.network.result import Result
from golden.contract.ports import image_of
from golden.model.integer import accumulate


def random_frames(rng: np.random.Generator, config: LayerConfig, count: int) -> np.ndarray:
    """Random frames, uniform over the whole input format: int64 ``[count, C, H, W]``."""
    return random_images(rng, image_of(config), count)


def random_images(rng: np.random.Generator, image: Result, count: int) -> np.ndarray:
    """Random frames of ``image``, uniform over its format: int64 ``[count, C, H, W]``."""
    return rng.integers(image.limits.low, image.limits.high, (count, *image.shape), endpoint=True)


def flat_images(rng: np.random.Generator, image: Result, count: int) -> np.ndarray:
    """Frames of ``image`` whose channels each stay near a level: int64 ``[count, C, H, W]``.

    Levels are uniform over the format. How far from them elements go is drawn for each frame, from nothing to half of
    the format. Sums over windows take all values in such frames, and elements are often equal.
    """
    low, high = image.limits.low, image.limits.high
    level = rng.integers(low, high, (count, image.channels, 1, 1), endpoint=True)
    reach = 2 ** rng.integers(image.bits, size=(count, 1, 1, 1)) - 1
    return np.clip(level + rng.integers(-reach, reach, (count, *image.shape), endpoint=True), low, high)


def extreme_frames(config: LayerConfig) -> np.ndarray:
    """The `extreme_images` of a layer's input: int64 ``[5, C, H, W]``."""
    return extreme_images(image_of(config))


def extreme_images(image: Result) -> np.ndarray:
    """Frames at the limits of the format: int64 ``[5, C, H, W]``.

    In this order: all highest, all zero, all lowest, and both checkerboards of highest and lowest.
    Whatever a unit keeps of the frame before shows in the frame of zeros.
    """
    high, low = image.limits.high, image.limits.low
    board = np.indices(image.shape).sum(axis=0) % 2
    flat = np.ones_like(board)
    return np.stack([high * flat, 0 * flat, low * flat, np.where(board, high, low), np.where(board, low, high)])


def provoking_frames(rng: np.random.Generator, layer: Layer) -> np.ndarray:
    """Frames that bring accumulators near their bounds: int64 ``[2 O, C, H, W]``.

    Each output channel has two frames: one for the lowest and one for the highest accumulator at the
    output position in the middle. They are found by coordinate ascent on the integer model: each
    element in turn takes its lowest value, its highest or 0, as long as that helps.
    """
    config = layer.config
    limits = config.in_range
    choices = sorted({limits.low, 0, limits.high})
    row, column = config.out_height // 2, config.out_width // 2
    frames = []
    for channel, sign in itertools.product(range(config.out_channels), (-1, 1)):
        (frame,) = random_frames(rng, config, 1)
        best, better = None, True
        while better:
            better = False
            for place in np.ndindex(frame.shape):
                tried = np.stack([frame] * len(choices))
                tried[(slice(None), *place)] = choices
                reached = sign * accumulate(layer, tried)[:, channel, row, column]
                if best is None or reached.max() > best:
                    best, better = reached.max(), True
                    frame = tried[reached.argmax()]
        frames.append(frame)
    return np.stack(frames)
