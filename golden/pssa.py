"""Pixel-shift self-attention: the content-dependent half of X-volution (arXiv 2106.02253).

Shift the feature map by each of the given offsets, multiply each shifted map element-wise
with the original, and take a weighted sum of the products, which is a 1x1 convolution. Or
make the products a similarity of each head, multiply each shifted map with its own, and take
the weighted sum of that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from golden.cli import UserError

Offset = tuple[int, int]


def check_offsets(name: str, offsets: Iterable[Sequence[int]]) -> tuple[Offset, ...]:
    """``offsets`` as a tuple of ``(dy, dx)``; may be empty.

    Raises `UserError` for an entry that is no pair of integers, or that is there twice.
    """
    if isinstance(offsets, str) or not isinstance(offsets, Iterable):
        raise UserError(f"{name} {offsets!r} is not a list of (dy, dx)")
    checked: list[Offset] = []
    for offset in offsets:
        if not isinstance(offset, (tuple, list)) or len(offset) != 2 or any(type(d) is not int for d in offset):
            raise UserError(f"{name} entry {offset!r} is not a pair of integers (dy, dx)")
        dy, dx = offset
        if (dy, dx) in checked:
            raise UserError(f"{name} entry {(dy, dx)} is there twice, each is allowed once")
        checked.append((dy, dx))
    return tuple(checked)


def pixel_shift_attention(
    x: Tensor, weight: Tensor, offsets: Sequence[Offset], *, centres: tuple[slice, slice], groups: int = 1
) -> Tensor:
    """``sum_{h,t} weight[o,h,t] <x0, x_t>_h`` at the given centres, zeros outside the frame.

    ``<,>_h`` is the inner product over the consecutive channels of head ``h``. One channel a
    head makes it the element-wise product, ``sum_{c,t} weight[o,c,t] x0[c] x_t[c]``.

    Args:
        x: ``[N, C, H, W]``.
        weight: ``[O, heads/groups, T]``; ``heads`` divides C and equals it where ``groups`` is C.
        offsets: the T places ``(dy, dx)`` of ``x_t`` around ``x0``; at least one.
        centres: rows and columns of ``x0``.
        groups: 1, or C for an output channel that sees only the input channel of its number.

    Returns:
        ``[N, O, Ho, Wo]``.
    """
    heads = weight.shape[1] * groups
    # Products are stacked, not factors: autograd then keeps views of one padded frame, not T copies of it.
    products = [_sum_heads(x0 * xt, heads) for x0, xt in _shifted(x, offsets, centres)]
    return _weighted_sum(products, weight, groups)


def similarity_attention(
    x: Tensor, weight: Tensor, offsets: Sequence[Offset], *, centres: tuple[slice, slice], heads: int
) -> Tensor:
    """``sum_{c,t} weight[o,c,t] sim_t[h(c)] x_t[c]`` at the given centres, zeros outside the frame.

    ``sim_t[h]`` is the mean of ``x0[c] x_t[c]`` over the consecutive channels of head ``h``: an
    inner product whose size does not depend on the head's.

    Args:
        x: ``[N, C, H, W]``.
        weight: ``[O, C, T]``.
        offsets: the T places ``(dy, dx)`` of ``x_t`` around ``x0``; at least one.
        centres: rows and columns of ``x0``.
        heads: a divisor of C.

    Returns:
        ``[N, O, Ho, Wo]``.
    """
    products = []
    for x0, xt in _shifted(x, offsets, centres):
        sims = (x0 * xt).unflatten(1, (heads, -1)).mean(2, keepdim=True)
        products.append((sims * xt.unflatten(1, (heads, -1))).flatten(1, 2))
    return _weighted_sum(products, weight)


def _weighted_sum(products: list[Tensor], weight: Tensor, groups: int = 1) -> Tensor:
    """T tensors ``[N, C, Ho, Wo]`` under weights ``[O, C/groups, T]``: a 1x1 convolution."""
    return F.conv2d(torch.stack(products, dim=2).flatten(1, 2), weight.flatten(1)[..., None, None], groups=groups)


def _shifted(x: Tensor, offsets: Sequence[Offset], centres: tuple[slice, slice]) -> Iterable[tuple[Tensor, Tensor]]:
    """``x0`` and ``x_t`` for each offset, ``[N, C, Ho, Wo]`` each."""
    rows, columns = centres
    height, width = x.shape[2:]
    # A whole frame away everything is 0, however much farther: no need to pad for more.
    near = [(max(-height, min(dy, height)), max(-width, min(dx, width))) for dy, dx in offsets]
    pad_y = max(abs(dy) for dy, _ in near)
    pad_x = max(abs(dx) for _, dx in near)
    padded = F.pad(x, (pad_x, pad_x, pad_y, pad_y))
    x0 = x[:, :, rows, columns]
    for dy, dx in near:
        yield x0, padded[:, :, _moved(rows, dy + pad_y), _moved(columns, dx + pad_x)]


def _moved(places: slice, by: int) -> slice:
    return slice(places.start + by, places.stop + by, places.step)


def _sum_heads(product: Tensor, heads: int) -> Tensor:
    """Sum ``[N, C, Ho, Wo]`` over the channels of each head, to ``[N, heads, Ho, Wo]``."""
    return product if product.shape[1] == heads else product.unflatten(1, (heads, -1)).sum(2)
