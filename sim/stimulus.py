"""Input frames that find faults."""

from __future__ import annotations

import numpy as np

from golden.layer import LayerConfig


def random_frames(rng: np.random.Generator, config: LayerConfig, count: int) -> np.ndarray:
    """Uniform over the whole input format: int64 ``[count, C, H, W]``."""
    shape = (count, config.in_channels, config.height, config.width)
    return rng.integers(config.in_range.low, config.in_range.high, shape, endpoint=True)


def extreme_frames(config: LayerConfig) -> np.ndarray:
    """Frames at the limits of the format: int64 ``[5, C, H, W]``.

    Highest, zero (whatever a unit keeps of a frame shows in one of zeros), lowest, and
    both checkerboards of highest and lowest.
    """
    high, low = config.in_range.high, config.in_range.low
    board = np.indices((config.in_channels, config.height, config.width)).sum(axis=0) % 2
    flat = np.ones_like(board)
    return np.stack([high * flat, 0 * flat, low * flat, np.where(board, high, low), np.where(board, low, high)])
