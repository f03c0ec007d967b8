"""Real values to the integers of a layer and back, by the scales that its file records."""

from __future__ import annotations

import numpy as np

from golden.contract.layer import Layer
from golden.contract.ranges import Range
from golden.support.cli import UserError


def to_steps(values: np.ndarray, scale: float | np.ndarray, limits: Range) -> np.ndarray:
    """``values`` in whole steps of ``scale``: rounded half to even, saturated to ``limits``, int64."""
    return np.clip(np.rint(values / scale), limits.low, limits.high).astype(np.int64)


def quantise_input(layer: Layer, x: np.ndarray) -> np.ndarray:
    """Real activations to the integers a layer takes: int64 of the same shape.

    Values beyond the calibrated range saturate, as in any quantised network.

    Args:
        layer: a layer whose file records ``in_scale``.
        x: real numbers of any shape.

    Raises:
        UserError: for a layer without ``in_scale``, and for values that are not finite.
    """
    scale = _recorded("in_scale", layer.config.in_scale)
    if not np.isfinite(x).all():
        raise UserError("input has a value that is NaN or infinite, allowed are finite numbers")
    return to_steps(np.asarray(x, np.float64), scale, layer.config.in_range)


def dequantise_output(layer: Layer, y: np.ndarray) -> np.ndarray:
    """Integers out of a layer to real values: float64 of the same shape.

    Raises `UserError` for a layer without ``out_scale``.
    """
    return np.asarray(y, np.float64) * _recorded("out_scale", layer.config.out_scale)


def _recorded(name: str, scale: float | None) -> float:
    if scale is None:
        raise UserError(f"the layer file records no {name}, which this conversion needs")
    return scale
