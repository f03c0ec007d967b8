"""Merging: batch norms folded into weights, and both branches into one dynamic convolution."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from golden.operators.dynamic_conv import DynamicConv2d
from golden.support.cli import UserError


def batch_norm_affine(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """What a batch norm is while it evaluates: ``norm(y)[o] = scale[o] * y[o] + shift[o]``.

    Returns:
        ``(scale, shift)``, ``[O]`` each, in float64 on the CPU (not every device has float64).

    Raises:
        UserError: for a batch norm that is training, or has no running statistics. Such a norm
            takes the statistics of its batch, and has no fixed scale.
    """
    if norm.training or norm.running_mean is None or norm.running_var is None:
        state = "is in training mode" if norm.training else "keeps no running statistics"
        raise UserError(f"batch norm {state}, allowed is one with running statistics in eval mode (call eval())")
    mean, variance = in_float64(norm.running_mean), in_float64(norm.running_var)
    scale = (variance + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * in_float64(norm.weight)
    shift = -mean * scale
    return scale, shift if norm.bias is None else shift + in_float64(norm.bias)


def in_float64(tensor: Tensor) -> Tensor:
    """``tensor`` in float64 on the CPU, detached. Weights that are folded in float64 are rounded once."""
    return tensor.detach().cpu().double()


def without_means(
    weight: Tensor, norm: nn.BatchNorm2d, offsets: Sequence[tuple[int, int]], *, kernel_size: int, groups: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Attention of normed features as attention of features: ``weight (x0 - m)(x_t - m) / d^2``.

    Args:
        weight: of the attention, float64 ``[O, C/groups, T]``.
        norm: of the features, without parameters of its own. It holds their means ``m`` and
            deviations ``d``.
        offsets: the T places ``(dy, dx)`` of ``x_t``, inside the kernel.
        kernel_size: K, of the convolution.
        groups: 1, or C for a depthwise layer.

    Returns:
        The attention weight ``[O, C/groups, T]``, what the convolution's weight gains
        ``[O, C/groups, K, K]``, and what the bias gains ``[O]``.
    """
    scale, shift = batch_norm_affine(norm)
    by_channel = np.s_[None, :, None] if groups == 1 else np.s_[:, None, None]
    mean = (-shift / scale)[by_channel]
    weight = weight * (scale.square())[by_channel]
    half = kernel_size // 2
    static = weight.new_zeros(*weight.shape[:2], kernel_size, kernel_size)
    for t, (dy, dx) in enumerate(offsets):
        for y, x in ((dy, dx), (0, 0)):
            static[:, :, half + y, half + x] -= (weight * mean)[:, :, t]
    return weight, static, (weight * mean.square()).sum((1, 2))


def filled(merged: DynamicConv2d, **values: Tensor) -> DynamicConv2d:
    """``merged``, its parameters set to ``values`` by name.

    Raises `UserError` for a value that is infinite or not a number in the dtype of its parameter.
    """
    with torch.no_grad():
        for name, value in values.items():
            parameter = merged.get_parameter(name).copy_(value)
            if not parameter.isfinite().all():
                raise UserError(f"merged {name} is not finite in {parameter.dtype}, check the batch norms")
    return merged
