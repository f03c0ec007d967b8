"""The dynamic convolution that a layer is at one position: static weights plus weights made from the content.

    y0 = b + sum_i (Wc_i + Wa_i(x0, x_i)) x_i                  (arXiv 2106.02253, the merged form)

The integer model adds all terms in one go. This module takes them apart, in exact integers, to be looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from golden.contract.layer import Layer
from golden.support.cli import UserError


@dataclass(frozen=True, kw_only=True, eq=False)
class FusedKernel:
    """Weights of one output position, in units of the accumulator.

    Attributes:
        offsets: ``(dy, dx)`` of the taps, in raster order.
        static: ``2^attn_shift * conv_weight``, int64 ``[O, C/groups, taps]``; 0 outside the kernel.
        dynamic: ``attn_weight`` times the centre (``hadamard``) or the similarity (``dynamic``),
            int64 ``[O, C/groups, taps]``; 0 where there is no offset.
    """

    offsets: Sequence[tuple[int, int]]
    static: np.ndarray
    dynamic: np.ndarray

    @property
    def total(self) -> np.ndarray:
        """The fused weights, int64 ``[O, C/groups, taps]``."""
        return self.static + self.dynamic


def fused_kernel(layer: Layer, frame: np.ndarray, y: int, x: int) -> FusedKernel:
    """The weights that ``layer`` applies to ``frame`` (integers ``[C, H, W]``) for output pixel ``(y, x)``.

    Raises `UserError` where there is no such pixel, or the frame is not the layer's input.
    """
    c = layer.config
    for name, value, size in (("row", y, c.out_height), ("column", x, c.out_width)):
        if not 0 <= value < size:
            raise UserError(f"{name} {value} is not in the layer's output, allowed are 0 to {size - 1}")
    elements = layer.check_input(frame)[0].astype(np.int64)
    row, column = (c.first_centre + c.stride * q for q in (y, x))

    def tap(dy: int, dx: int) -> np.ndarray:
        inside = 0 <= row + dy < c.height and 0 <= column + dx < c.width
        return elements[:, row + dy, column + dx] if inside else np.zeros(c.in_channels, np.int64)

    offsets = tuple(sorted({*c.kernel_offsets, *c.attn_offsets}))
    shape = (c.out_channels, c.fan_in_channels, len(offsets))
    static, dynamic = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    conv = layer.conv_weight.reshape(c.out_channels, c.fan_in_channels, -1)
    for i, offset in enumerate(c.kernel_offsets):
        static[..., offsets.index(offset)] = conv[..., i] << c.attn_shift
    for t, offset in enumerate(c.attn_offsets):
        factor = _factor(layer, tap(0, 0), tap(*offset))
        # In a depthwise layer an output channel sees only the input channel of its own number.
        own = factor[:, None] if c.depthwise else factor
        dynamic[..., offsets.index(offset)] = layer.attn_weight[..., t] * own
    return FusedKernel(offsets=offsets, static=static, dynamic=dynamic)


def _factor(layer: Layer, centre: np.ndarray, neighbour: np.ndarray) -> np.ndarray:
    """What the attention weights of a tap are multiplied by, for each input channel: ``[C]``."""
    form = layer.config.similarity
    if form is None:
        return centre
    sums = (centre * neighbour).reshape(form.heads, form.head_channels).sum(axis=1)
    return np.repeat([form.coefficient(int(total)) for total in sums], form.head_channels)
