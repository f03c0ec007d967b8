"""Merging: batch norms folded into weights, and both branches into one dynamic convolution."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from golden.operators.convolution import geometry
from golden.operators.dynamic_conv import DynamicConv2d
from golden.operators.norms import channel_affine, is_batch_norm
from golden.operators.parts import in_float64, is_plain, refuse_hooks, refuse_own_forward, settled
from golden.operators.sliding import SlidingModule
from golden.support.cli import UserError


class Mergeable(SlidingModule):
    """A layer with a merged form, such as `golden.operators.xvolution.XVolution`."""

    def merge(self) -> nn.Module:
        """This layer as a dynamic convolution, or as a network of several. Raises `UserError` where it is none."""
        raise NotImplementedError


def merged_form(layer: nn.Module, norm: nn.Module | None = None) -> DynamicConv2d:
    """``layer``, and the ``norm`` that follows it, as one dynamic convolution.

    Args:
        layer: a Conv2d, which becomes a dynamic convolution without attention; a DynamicConv2d; or a
            layer with a merged form of its own.
        norm: what follows the layer, a batch norm or what else `channel_affine` takes. None: nothing.

    Returns:
        A new layer in eval mode, or ``layer`` itself where it is a DynamicConv2d with plain weights and
        there is no ``norm``.

    Raises:
        UserError: for another layer, for a Conv2d that no dynamic convolution can express, for hooks,
            and for all that `channel_affine` and the layer's own ``merge`` refuse.
    """
    if isinstance(layer, Mergeable):
        merged = layer.merge()
        if not isinstance(merged, DynamicConv2d):
            raise UserError(
                "layer merges into several, allowed are layers that merge into one; quantise_network takes others"
            )
    elif isinstance(layer, DynamicConv2d):
        refuse_own_forward(layer, DynamicConv2d)
        refuse_hooks(layer)
        merged = layer if is_plain(layer) else _with_plain_weights(layer)
    elif isinstance(layer, nn.Conv2d):
        merged = _of_convolution(layer)
    else:
        raise UserError(
            f"layer is a {type(layer).__name__}, allowed are Conv2d, DynamicConv2d and layers that merge into one"
        )
    return merged if norm is None else _followed_by(merged, norm)


def _of_convolution(conv: nn.Conv2d) -> DynamicConv2d:
    sliding = geometry(conv)
    refuse_hooks(conv)
    own = settled(conv)
    merged = DynamicConv2d(
        conv.in_channels,
        conv.out_channels,
        **sliding,
        attn_offsets=(),
        device=own.weight.device,
        dtype=own.weight.dtype,
    ).eval()
    return filled(merged, conv_weight=own.weight, **({} if own.bias is None else {"bias": own.bias}))


def _with_plain_weights(layer: DynamicConv2d) -> DynamicConv2d:
    own = settled(layer)
    return filled(_like(layer), conv_weight=own.conv_weight, attn_weight=own.attn_weight, bias=own.bias)


def _like(layer: DynamicConv2d) -> DynamicConv2d:
    """A new layer of the geometry of ``layer``, in eval mode."""
    return DynamicConv2d(
        layer.in_channels,
        layer.out_channels,
        kernel_size=layer.kernel_size,
        stride=layer.stride,
        padding=layer.padding,
        groups=layer.groups,
        product=layer.product,
        heads=layer.heads,
        attn_offsets=layer.attn_offsets,
        device=layer.bias.device,
        dtype=layer.bias.dtype,
    ).eval()


def _followed_by(merged: DynamicConv2d, norm: nn.Module) -> DynamicConv2d:
    scale, shift = channel_affine(norm, merged.out_channels)
    return filled(
        _like(merged),
        conv_weight=scale[:, None, None, None] * in_float64(merged.conv_weight),
        attn_weight=scale[:, None, None] * in_float64(merged.attn_weight),
        bias=scale * in_float64(merged.bias) + shift,
    )


def without_means(
    weight: Tensor, norm: nn.Module, offsets: Sequence[tuple[int, int]], *, kernel_size: int, groups: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Attention of normed features as attention of features: ``weight (x0 - m)(x_t - m) / d^2``.

    Args:
        weight: of the attention, float64 ``[O, C/groups, T]``.
        norm: of the features, a batch norm without parameters of its own. It holds their
            means ``m`` and deviations ``d``.
        offsets: the T places ``(dy, dx)`` of ``x_t``, inside the kernel.
        kernel_size: K, of the convolution.
        groups: 1, or C for a depthwise layer.

    Returns:
        The attention weight ``[O, C/groups, T]``, what the convolution's weight gains
        ``[O, C/groups, K, K]``, and what the bias gains ``[O]``.

    Raises:
        UserError: as `channel_affine` raises it, and for another ``norm``.
    """
    # The layer takes statistics from its norm and nothing else, whatever the norm would do with them.
    if not is_batch_norm(norm) or norm.affine:
        raise UserError(f"feature_norm is a {norm}, allowed are batch norms without weight and bias (affine False)")
    scale, shift = channel_affine(norm, norm.num_features, name="feature_norm")
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
    """``merged``, its weights set to ``values`` by name.

    Raises `UserError` for a value that is infinite or not a number in the dtype of its weight.
    """
    with torch.no_grad():
        for name, value in values.items():
            own = getattr(merged, name).copy_(value)
            if not own.isfinite().all():
                raise UserError(f"merged {name} is not finite in {own.dtype}, check the batch norms")
    return merged
