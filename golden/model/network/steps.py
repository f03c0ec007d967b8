"""Each operation of a network, for many frames at once.

`RUN` has a function for each op. It takes the step and what the step takes, integers
``[N, C, H, W]`` each. It returns the result, integers ``[N, K, Ho, Wo]``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from golden.contract.network.add import Add
from golden.contract.network.argmax import Argmax
from golden.contract.network.avg_pool import AvgPool
from golden.contract.network.concat import Concat
from golden.contract.network.layer import LayerStep
from golden.contract.network.linear import Linear
from golden.contract.network.max_pool import MaxPool
from golden.contract.network.upsample import Upsample
from golden.model import integer
from golden.model.rounding import requantised


def layer(step: LayerStep, taken: Sequence[np.ndarray]) -> np.ndarray:
    return integer.run(step.layer, taken[0])


def add(step: Add, taken: Sequence[np.ndarray]) -> np.ndarray:
    a, b = (x.astype(np.int64) for x in taken)
    a *= step.multipliers[0]
    b *= step.multipliers[1]
    a += b
    return requantised(a, step.shift, step.limits, step.rounding)


def max_pool(step: MaxPool, taken: Sequence[np.ndarray]) -> np.ndarray:
    (x,) = taken
    pad = step.pad
    # No element outside the frame is larger than one inside.
    padded = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)), constant_values=np.iinfo(x.dtype).min)
    rows = _largest(padded, step, axis=2)
    return _largest(rows, step, axis=3)


def avg_pool(step: AvgPool, taken: Sequence[np.ndarray]) -> np.ndarray:
    (x,) = taken
    windows = sliding_window_view(x, step.window(*x.shape[2:]), axis=(2, 3))[:, :, :: step.stride, :: step.stride]
    total = windows.sum(axis=(4, 5), dtype=np.int64)
    total *= step.multiplier
    return requantised(total, step.shift, step.limits, step.rounding)


def linear(step: Linear, taken: Sequence[np.ndarray]) -> np.ndarray:
    (x,) = taken
    elements = x.sum(axis=(2, 3), dtype=np.int64) if step.weight.ndim == 2 else x.reshape(len(x), -1)
    acc = _product(elements, step.weight.reshape(len(step.weight), -1)) + step.bias
    if step.multiplier is not None:
        assert step.out_shift is not None
        acc = requantised(acc * step.multiplier, step.out_shift, step.limits, step.rounding)
    return acc[:, :, None, None]


def concat(step: Concat, taken: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(taken, axis=1)


def upsample(step: Upsample, taken: Sequence[np.ndarray]) -> np.ndarray:
    return taken[0].repeat(step.factor, axis=2).repeat(step.factor, axis=3)


def argmax(step: Argmax, taken: Sequence[np.ndarray]) -> np.ndarray:
    # NumPy returns the first of several largest.
    return taken[0].argmax(axis=1)[:, None]


#: The function of each op.
RUN: Mapping[str, Callable[[Any, Sequence[np.ndarray]], np.ndarray]] = {
    LayerStep.op: layer,
    Add.op: add,
    MaxPool.op: max_pool,
    AvgPool.op: avg_pool,
    Linear.op: linear,
    Concat.op: concat,
    Upsample.op: upsample,
    Argmax.op: argmax,
}


def _largest(x: np.ndarray, step: MaxPool, axis: int) -> np.ndarray:
    return sliding_window_view(x, step.kernel, axis=axis)[_every(step.stride, axis)].max(axis=-1)


def _every(stride: int, axis: int) -> tuple[slice, ...]:
    return (*[slice(None)] * axis, slice(None, None, stride))


def _product(elements: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """``elements [N, k]`` times ``weight [K, k]`` transposed, int64 ``[N, K]``.

    The products run in float64. The proven bound on each partial sum, below 2^47, makes them exact.
    """
    return (elements.astype(np.float64) @ weight.T.astype(np.float64)).astype(np.int64)
