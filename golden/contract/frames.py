"""Integer frames: what a layer or a network takes."""

from __future__ import annotations

import numpy as np

from golden.contract.ranges import Range
from golden.support.cli import UserError


def check_frames(x: np.ndarray, frame: tuple[int, int, int], limits: Range, source: str) -> np.ndarray:
    """Frames as int64 ``[N, C, H, W]`` from integers ``[C, H, W]`` or ``[N, C, H, W]``.

    Args:
        x: the frames.
        frame: the shape of one, ``[C, H, W]``.
        limits: what an element may be.
        source: the fields that say so, for a refusal.

    Raises `UserError` for another shape, a non-integer dtype or a value outside ``limits``.
    """
    if x.dtype.kind not in "iu":
        raise UserError(
            f"input has dtype {x.dtype}, allowed are integer dtypes (for real values: golden.contract.scales)"
        )
    if x.ndim not in (3, 4) or x.shape[-3:] != frame or x.size == 0:
        frames = f"[N, {', '.join(map(str, frame))}] with N >= 1"
        raise UserError(f"input has shape {list(x.shape)}, allowed are {list(frame)} and {frames}")
    if x.min() < limits.low or x.max() > limits.high:
        worst = int(x.min() if x.min() < limits.low else x.max())
        raise UserError(f"input has a value {worst}, allowed are {limits.low} to {limits.high} ({source})")
    return x.astype(np.int64).reshape(-1, *frame)
