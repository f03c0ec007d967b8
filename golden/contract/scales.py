"""Real values to the integers of a layer and back, by the scales that its file records."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from golden.contract.layer import Layer
from golden.contract.ranges import Range
from golden.support.arrays import as_array
from golden.support.cli import UserError


def to_steps(values: np.ndarray, scale: float | np.ndarray, limits: Range) -> np.ndarray:
    """``values`` in whole steps of ``scale``: rounded half to even, saturated to ``limits``, int64."""
    return np.clip(np.rint(values / scale), limits.low, limits.high).astype(np.int64)


def quantise_input(layer: Layer, x: ArrayLike) -> np.ndarray:
    """Real activations to the integers a layer takes: int64 of the same shape.

    Values beyond the calibrated range saturate, as in any quantised network.

    Args:
        layer: a layer whose file records ``in_scale``.
        x: real numbers of any shape: an array, a PyTorch tensor or nested lists.

    Raises:
        UserError: for a layer without ``in_scale``, and for values that are not finite numbers.
    """
    scale = _recorded("in_scale", layer.config.in_scale)
    values = np.asarray(as_array("input", x), np.float64)
    if not np.isfinite(values).all():
        raise UserError("input has a value that is NaN or infinite, allowed are finite numbers")
    return to_steps(values, scale, layer.config.in_range)


def dequantise_output(layer: Layer, y: ArrayLike) -> np.ndarray:
    """Integers out of a layer to real values: float64 of the same shape.

    Args:
        layer: a layer whose file records ``out_scale``.
        y: integers of any shape, as `quantise_input` takes its numbers.

    Raises:
        UserError: for a layer without ``out_scale``, and for what is no array of numbers.
    """
    return np.asarray(as_array("output", y), np.float64) * _recorded("out_scale", layer.config.out_scale)


def _recorded(name: str, scale: float | None) -> float:
    if scale is None:
        raise UserError(f"the layer file records no {name}, which this conversion needs")
    return scale
