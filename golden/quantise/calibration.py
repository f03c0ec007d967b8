"""What calibration frames decide: the scale of activations, and the shift of similarities."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from reprlib import repr as brief
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from golden.contract.layer_config import LayerConfig, SimilarityFormat
from golden.contract.powers import least_power
from golden.contract.ranges import Range
from golden.contract.scales import to_steps
from golden.model.similarity import similarity_sums
from golden.model.tiles import Scratch, Window
from golden.support.cli import UserError

Method = Literal["minmax", "mse"]
#: Which values a step can have: any, or powers of two.
Scales = Literal["float", "po2"]

#: Clipped ranges of activations that ``mse`` tries, as fractions of the full range.
ACTIVATION_FRACTIONS = 2.0 ** (-np.arange(49) / 8)
#: The same where scales are powers of two.
POWER_FRACTIONS = 2.0 ** -np.arange(7)


def as_frames(calibration: Tensor | np.ndarray) -> Tensor:
    """Calibration frames or images as a tensor of floats. An array becomes float64.

    Raises `UserError` for another dtype, and for what is neither a tensor nor an array.
    """
    if isinstance(calibration, np.ndarray) and calibration.dtype.kind == "f":
        return torch.from_numpy(calibration.astype(np.float64))
    if isinstance(calibration, Tensor) and calibration.is_floating_point():
        return calibration
    dtype = getattr(calibration, "dtype", None)
    what = f"is {brief(calibration)}" if dtype is None else f"has dtype {dtype}"
    raise UserError(f"calibration {what}, allowed are floating-point dtypes, in a tensor or an array")


def activation_scale(
    values: np.ndarray,
    limits: Range,
    method: Method,
    result: Callable[[np.ndarray], np.ndarray] = lambda values: values,
    scales: Scales = "float",
) -> float:
    """Value of one step for ``values`` in an integer format.

    ``minmax`` takes the smallest scale at which nothing saturates. ``mse`` tries
    `ACTIVATION_FRACTIONS` of that scale. It takes the one at which rounding and saturation leave
    the least squared error in ``result(values)``.

    With ``scales`` of ``po2`` the full scale is the smallest power of two at which nothing saturates, and
    `POWER_FRACTIONS` take the place of `ACTIVATION_FRACTIONS`.

    Raises `UserError` for values that are all 0, or none of which the format reaches: no scale follows from them.
    """
    full = max(_steps_needed(float(values.max()), limits.high), _steps_needed(float(values.min()), limits.low))
    if full == 0:
        what = "nowhere above 0, and the format is unsigned" if values.any() else "0 everywhere"
        raise UserError(f"calibration is {what}, which gives no scale")
    fractions: np.ndarray = ACTIVATION_FRACTIONS
    if scales == "po2":
        full, fractions = float(least_power(np.array(full))), POWER_FRACTIONS
    if method == "minmax":
        return full
    wanted = result(values)

    def loss(scale: float) -> float:
        return float(np.square(result(to_steps(values, scale, limits) * scale) - wanted).mean())

    return min((float(full * fraction) for fraction in fractions), key=loss)


def _steps_needed(extreme: float, limit: int) -> float:
    """Scale at which ``extreme`` is ``limit`` steps; 0 where the two have different signs, or one is 0."""
    return max(0.0, extreme / limit) if limit else 0.0


def full_sim_shift(config: LayerConfig, form: SimilarityFormat, frames: np.ndarray) -> int:
    """The smallest ``sim_shift`` at which no similarity of ``frames`` saturates.

    Args:
        config: of a layer. Its ``sim_shift`` does not matter.
        form: ``config.similarity``.
        frames: integers ``[N, C, H, W]``.
    """
    scratch = Scratch()
    low = high = 0
    for frame in frames if config.attn_offsets else ():
        window = Window(config, frame[None], slice(0, config.out_height), scratch)
        sums = similarity_sums(config, [window], form.heads, scratch)
        low, high = min(low, int(sums.min())), max(high, int(sums.max()))
    shift = 0
    while round(Fraction(low, 2**shift)) < form.limits.low or round(Fraction(high, 2**shift)) > form.limits.high:
        shift += 1
    return shift
