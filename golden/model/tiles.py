"""The memory that the integer model works in: reused buffers, and the input elements of a tile."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import DTypeLike

from golden.contract.layer_config import LayerConfig


class Scratch:
    """Buffers that serve every tile: fresh memory pages would cost as much as the sums."""

    def __init__(self) -> None:
        self._buffers: dict[tuple[str, np.dtype], np.ndarray] = {}

    def take(self, name: str, dtype: DTypeLike, shape: tuple[int, ...]) -> np.ndarray:
        """An uninitialised array. All arrays of one ``name`` and ``dtype`` share their memory."""
        size = math.prod(shape)
        key = name, np.dtype(dtype)
        if key not in self._buffers or self._buffers[key].size < size:
            self._buffers[key] = np.empty(size, dtype)
        return self._buffers[key][:size].reshape(shape)


class Window:
    """The input elements that a tile reads, with the zeros around the frame.

    A second window of one ``scratch`` takes the memory of the first.

    Args:
        config: of the layer.
        frames: ``[n, c, H, W]``.
        rows: output rows of the tile.
        scratch: where the elements are kept.
    """

    def __init__(self, config: LayerConfig, frames: np.ndarray, rows: slice, scratch: Scratch) -> None:
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
