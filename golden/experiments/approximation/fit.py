"""How well pixel-shift attention approximates self-attention over all pixels.

The weights of the branch are fitted by least squares to the output of a self-attention layer on
some images. The score says how far off the fit is on other images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch.nn.functional as F
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from golden.operators.pixel_shift import Offset, transformed_features, unweighted_attention
from golden.operators.sliding import every_pixel
from golden.support.cli import UserError

#: Weight of the penalty on large weights, for inputs of unit variance. Products of products have long tails.
PENALTY = 1e-3


@dataclass(frozen=True, kw_only=True)
class Score:
    """How close outputs come to those they approximate, on images that were not fitted.

    Attributes:
        error: root mean square of the difference, divided by the root mean square of the target
            around its mean in each channel. The best constant reaches 1.
        correlation: of output and target, each around its mean in each channel.
    """

    error: float
    correlation: float


def attention_inputs(
    x: Tensor, offsets: Sequence[Offset], *, product: str, heads: int | None, stack: int, weighting: int
) -> np.ndarray:
    """What the weights of `golden.operators.pixel_shift.pixel_shift_attention` multiply, a row for each pixel.

    Args:
        x: ``[N, C, H, W]``.
        weighting: K, the kernel size of the weights.

    The other arguments are options of `pixel_shift_attention`.

    Returns:
        ``[N H W, F T K K]``, columns in the order of the weights, rows in raster order.
    """
    x = x.double()  # a stack makes high powers of its input
    for _ in range(stack - 1):
        x = unweighted_attention(x, offsets, product=product, heads=heads)
    features = transformed_features(x, offsets, product=product, heads=heads, centres=every_pixel(x))
    return _windows(features.flatten(1, 2), weighting)


def convolution_inputs(x: Tensor, kernel_size: int = 3) -> np.ndarray:
    """What the weights of a convolution multiply: ``[N, C, H, W]`` to ``[N H W, C K K]``."""
    return _windows(x, kernel_size)


def output_rows(y: Tensor) -> np.ndarray:
    """Outputs ``[N, O, H, W]`` as ``[N H W, O]``."""
    return _windows(y, 1)


def fitted_outputs(inputs: np.ndarray, target: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Fit weights and a bias of each output, by least squares with `PENALTY`, and apply them to ``others``.

    Args:
        inputs: ``[R, F]``.
        target: ``[R, O]``, what the outputs for ``inputs`` are to come close to.
        others: ``[S, F]``, with the columns of ``inputs``.

    Returns:
        ``[S, O]``, the outputs for ``others``.
    """
    fit = make_pipeline(StandardScaler(), Ridge(PENALTY * len(inputs), solver="cholesky"))
    return fit.fit(inputs, target).predict(others).reshape(len(others), -1)


def score(output: np.ndarray, target: np.ndarray) -> Score:
    """`Score` of outputs ``[S, O]`` against the target ``[S, O]`` that they approximate.

    Raises `UserError` for a target that does not vary.
    """
    true = target - target.mean(axis=0)
    centred = output - output.mean(axis=0)
    power, own_power = np.square(true).sum(), np.square(centred).sum()
    if power == 0:
        raise UserError("target is the same at every pixel, there is nothing to approximate")
    return Score(
        error=float(np.sqrt(np.square(output - target).sum() / power)),
        correlation=float((true * centred).sum() / np.sqrt(power * own_power)) if own_power else 0.0,
    )


def _windows(x: Tensor, kernel_size: int) -> np.ndarray:
    """The K x K pixels around each pixel: ``[N, C, H, W]`` to ``[N H W, C K K]``, in float64."""
    windows = F.unfold(x.detach().double(), kernel_size, padding=kernel_size // 2)
    return windows.transpose(1, 2).flatten(0, 1).numpy()
