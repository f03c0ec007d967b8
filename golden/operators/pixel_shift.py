"""Pixel-shift self-attention: the content-dependent half of X-volution (arXiv 2106.02253).

The feature map is shifted by each of the given offsets. Each shifted map is multiplied
element-wise by the original. The output is a weighted sum of these products, which is a
convolution. This is the ``hadamard`` product. The ``inner`` product adds the products of each head
before the weighted sum. The ``dynamic`` product makes a similarity of each head's products,
multiplies each shifted map by its similarity, and takes the weighted sum of the results.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from golden.operators.sliding import Centres, every_pixel
from golden.support.arrays import plain
from golden.support.cli import UserError

Offset = tuple[int, int]


def check_offsets(name: str, offsets: Iterable[Sequence[int]]) -> tuple[Offset, ...]:
    """``offsets`` as a tuple of ``(dy, dx)``; may be empty.

    Raises `UserError` for an entry that is no pair of integers, or that is there twice.
    """
    offsets = plain(offsets)
    if isinstance(offsets, str) or not isinstance(offsets, Iterable):
        raise UserError(f"{name} {offsets!r} is not a list of (dy, dx)")
    checked: list[Offset] = []
    for offset in offsets:
        pair = tuple(map(plain, offset)) if isinstance(offset, (tuple, list, np.ndarray)) else ()
        if len(pair) != 2 or any(type(d) is not int for d in pair):
            raise UserError(f"{name} entry {offset!r} is not a pair of integers (dy, dx)")
        dy, dx = pair
        if (dy, dx) in checked:
            raise UserError(f"{name} entry {(dy, dx)} is there twice, each is allowed once")
        checked.append((dy, dx))
    return tuple(checked)


def feature_count(in_channels: int, product: str, heads: int | None) -> int:
    """F, the number of features that are weighted at each offset: heads for ``inner``, else channels."""
    return heads if product == "inner" and heads is not None else in_channels


def branch_weight(shape: Sequence[int], *, device: Any = None, dtype: torch.dtype | None = None) -> Tensor:
    """A new weight of a branch over offsets, ``[O, F, T, ...]``, drawn as Conv2d draws its own: a Parameter."""
    weight = trained(torch.empty(tuple(shape), device=device, dtype=dtype))
    if weight.numel():
        nn.init.kaiming_uniform_(weight, a=math.sqrt(5))
    return weight


def trained(weight: Tensor) -> Tensor:
    """``weight`` as a Parameter, or as a buffer where it is empty.

    An empty weight gets no gradient, and DistributedDataParallel waits for that of every Parameter.
    """
    return nn.Parameter(weight) if weight.numel() else nn.Buffer(weight)


class PixelShiftAttention(nn.Module):
    """The attention branch of `golden.operators.xvolution.XVolution`: `pixel_shift_attention` and its weight.

    Args:
        in_channels: C.
        out_channels: O.
        offsets: the T places ``(dy, dx)`` of ``x_t`` around ``x0``.
        product: ``"hadamard"``, ``"inner"`` or ``"dynamic"``.
        heads: a divisor of C; None for ``hadamard``.
        groups: 1, or C for a depthwise layer.
        weighting: K, kernel size of the weighted sum.
        stack: attention layers on top of each other; all but the last are unweighted.
        device: of the weight.
        dtype: of the weight.

    Attributes:
        weight: Parameter ``[O, F/groups, T]``, for ``weighting`` above 1 ``[O, F/groups, T, K, K]``.
            F is ``heads`` for ``inner``, else C. Without offsets it is empty, and a buffer.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        offsets: Sequence[Offset],
        *,
        product: str,
        heads: int | None,
        groups: int,
        weighting: int,
        stack: int,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.offsets = offsets
        self.product = product
        self.heads = heads
        self.groups = groups
        self.stack = stack
        features = feature_count(in_channels, product, heads)
        kernel = (weighting, weighting) if weighting > 1 else ()
        shape = (out_channels, features // groups, len(offsets), *kernel)
        self.weight = branch_weight(shape, device=device, dtype=dtype)

    def forward(self, x: Tensor, centres: Centres) -> Tensor:
        """``[N, C, H, W]`` to ``[N, O, Ho, Wo]``: the outputs at rows and columns ``centres``."""
        return pixel_shift_attention(
            x,
            self.weight,
            self.offsets,
            product=self.product,
            heads=self.heads,
            centres=centres,
            groups=self.groups,
            stack=self.stack,
        )


def pixel_shift_attention(
    x: Tensor,
    weight: Tensor,
    offsets: Sequence[Offset],
    *,
    product: str,
    heads: int | None,
    centres: Centres,
    groups: int = 1,
    stack: int = 1,
) -> Tensor:
    """``sum_{f,t,k} weight[o,f,t,k] z_t[f] at p + k``, for the given centres ``p``.

    ``z`` are the `transformed_features` of ``x``. Where ``stack`` is above 1, ``x`` passes through
    `unweighted_attention` ``stack - 1`` times before. ``k`` runs over the K x K pixels around the
    centre. Everything outside the frame is 0.

    Args:
        x: ``[N, C, H, W]``.
        weight: ``[O, F/groups, T, K, K]`` with K odd, or ``[O, F/groups, T]`` where K is 1.
        offsets: the T places ``(dy, dx)`` of ``x_t`` around ``x0``; at least one.
        product: ``"hadamard"``, ``"inner"`` or ``"dynamic"``.
        heads: a divisor of C; not used for ``hadamard``.
        centres: rows and columns of ``p``.
        groups: 1, or C for an output channel that sees only the input channel of its number.
        stack: attention layers on top of each other; all but the last are unweighted.

    Returns:
        ``[N, O, Ho, Wo]``.
    """
    for _ in range(stack - 1):
        x = unweighted_attention(x, offsets, product=product, heads=heads)
    if weight.ndim == 3:
        features = transformed_features(x, offsets, product=product, heads=heads, centres=centres)
        return F.conv2d(features.flatten(1, 2), weight.flatten(1)[..., None, None], groups=groups)
    features = transformed_features(x, offsets, product=product, heads=heads, centres=every_pixel(x))
    rows, columns = centres
    reach = weight.shape[-1] // 2
    padded = F.pad(features.flatten(1, 2), (reach, reach, reach, reach))
    seen = padded[:, :, rows.start : rows.stop + 2 * reach, columns.start : columns.stop + 2 * reach]
    return F.conv2d(seen, weight.flatten(1, 2), stride=(rows.step, columns.step), groups=groups)


def transformed_features(
    x: Tensor, offsets: Sequence[Offset], *, product: str, heads: int | None, centres: Centres
) -> Tensor:
    """What each offset makes of the pixels: ``z_t`` at the given centres, zeros outside the frame::

        hadamard   z_t[c] = x0[c] x_t[c]
        inner      z_t[h] = <x0, x_t>_h
        dynamic    z_t[c] = sim_t[h(c)] x_t[c]

    ``<,>_h`` is the inner product over the consecutive channels of head ``h``. The similarity
    ``sim_t[h]`` is ``<x0, x_t>_h`` divided by the number of these channels.

    Args:
        x: ``[N, C, H, W]``.
        offsets: the T places ``(dy, dx)`` of ``x_t`` around ``x0``; at least one.
        product: ``"hadamard"``, ``"inner"`` or ``"dynamic"``.
        heads: a divisor of C; not used for ``hadamard``.
        centres: rows and columns of ``x0``.

    Returns:
        ``[N, F, T, Ho, Wo]``. F is ``heads`` for ``inner``, else C.
    """
    features = []
    # Products are stacked, not factors: autograd then keeps views of one padded frame, not T copies of it.
    for x0, xt in shifted_pixels(x, offsets, centres):
        feature = x0 * xt
        if product != "hadamard":
            feature = feature.unflatten(1, (heads, -1))
        if product == "inner":
            feature = feature.sum(2)
        elif product == "dynamic":
            feature = (feature.mean(2, keepdim=True) * xt.unflatten(1, (heads, -1))).flatten(1, 2)
        features.append(feature)
    return torch.stack(features, dim=2)


def unweighted_attention(x: Tensor, offsets: Sequence[Offset], *, product: str, heads: int | None) -> Tensor:
    """The attention that stands below another in a stack: all offsets weigh ``1/T``::

        hadamard, dynamic   y[c] = 1/T sum_t z_t[c]
        inner               y[c] = 1/T sum_t z_t[h(c)] heads/C

    The paper takes the sum in place of the mean. The two differ by a constant factor, which the
    weights of the last attention take back. A sum of T products, squared from layer to layer,
    would soon leave the range of floats.

    Args:
        x: ``[N, C, H, W]``.

    The other arguments are those of `transformed_features`.

    Returns:
        ``[N, C, H, W]``, every pixel, whatever the stride of the layer.
    """
    y = transformed_features(x, offsets, product=product, heads=heads, centres=every_pixel(x)).mean(2)
    if product != "inner":
        return y
    size = x.shape[1] // y.shape[1]
    return y.repeat_interleave(size, dim=1) / size


def shifted_pixels(x: Tensor, offsets: Sequence[Offset], centres: Centres) -> Iterable[tuple[Tensor, Tensor]]:
    """``x0`` and ``x_t`` for each offset, ``[N, C, Ho, Wo]`` each, zeros outside the frame."""
    rows, columns = centres
    height, width = x.shape[2:]
    # An offset of a whole frame sees zeros only, as does any farther one: no need to pad for more.
    near = [(max(-height, min(dy, height)), max(-width, min(dx, width))) for dy, dx in offsets]
    pad_y = max(abs(dy) for dy, _ in near)
    pad_x = max(abs(dx) for _, dx in near)
    padded = F.pad(x, (pad_x, pad_x, pad_y, pad_y))
    x0 = x[:, :, rows, columns]
    for dy, dx in near:
        yield x0, padded[:, :, _moved(rows, dy + pad_y), _moved(columns, dx + pad_x)]


def _moved(places: slice, by: int) -> slice:
    return slice(places.start + by, places.stop + by, places.step)
