"""Linear layer: a ``linear`` step as a layer on frames of one pixel, which a frozen unit computes.

The step sums over the whole frame. With weights ``[K, C, H, W]`` every element has weights of its own.
So the frame is as good as one pixel of ``C*H*W`` channels. In its stream they come in the order y, x,
channel. With weights ``[K, C]`` the unit takes each channel's sum over the frame: ``C`` channels of
wider elements.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from golden.contract.fields import LayerError
from golden.contract.layer import Layer
from golden.contract.layer_config import FIELD_RANGES, LayerConfig
from golden.contract.network.linear import Linear
from golden.contract.network.result import MOST, Result
from golden.contract.ranges import ACCUMULATOR_BITS, Range


@dataclass(frozen=True, kw_only=True)
class LinearConfig(LayerConfig):
    """A config beyond those of layer files: of more channels, wider elements and results as wide as accumulators.

    Attributes:
        element: range of an input element. ``in_bits`` and ``in_signed`` are its narrowest format.
        requantised: whether results are requantised. Where they are not, multipliers are 1 and ``out_shift`` is 0.

    Raises `LayerError` as `LayerConfig` does, and for another format of the elements.
    """

    element: Range
    requantised: bool

    field_ranges: ClassVar[Mapping[str, tuple[int, int]]] = FIELD_RANGES | {
        "in_channels": (1, MOST**3),
        "in_bits": (2, 32),
        "out_bits": (2, ACCUMULATOR_BITS),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        # Products are planned by the range and made by the format.
        if (self.in_bits, self.in_signed) != narrowest_format(self.element):
            elements = f"the narrowest format of elements from {self.element.low} to {self.element.high}"
            raise LayerError(f"in_bits {self.in_bits}, in_signed {self.in_signed} is not {elements}")

    @property
    def in_range(self) -> Range:
        return self.element

    @property
    def raw(self) -> bool:
        return not self.requantised


def narrowest_format(values: Range) -> tuple[int, bool]:
    """Bits and sign of the narrowest format that holds ``values``."""
    signed = values.low < 0
    return values.signed_bits - (not signed), signed


@lru_cache(maxsize=4)  # of many foldings of a step, each asks for the same layer
def linear_layer(step: Linear, taken: Result) -> Layer:
    """The layer whose result is that of ``step``, which takes ``taken``.

    With weights ``[K, C, H, W]`` the layer's input is the frame's stream. With weights ``[K, C]`` it is one
    pixel, each channel's sum over the frame. The result of a raw step is the accumulator itself.

    Raises `LayerError` where the step cannot take ``taken``.
    """
    result = step.result([taken])
    if step.weight.ndim == 2:
        element, weight = taken.limits.times(taken.height * taken.width), step.weight
    else:
        element, weight = taken.limits, step.weight.transpose(0, 2, 3, 1).reshape(result.channels, -1)
    in_bits, in_signed = narrowest_format(element)
    config = LinearConfig(
        product="hadamard",
        in_channels=weight.shape[1],
        out_channels=result.channels,
        height=1,
        width=1,
        kernel=1,
        stride=1,
        padding="same",
        groups=1,
        attn_offsets=(),
        in_bits=in_bits,
        in_signed=in_signed,
        weight_bits=step.weight_bits,
        out_bits=result.bits,
        out_signed=result.signed,
        relu=bool(step.relu),
        attn_shift=0,
        out_shift=step.out_shift or 0,
        rounding=step.rounding,
        element=element,
        requantised=not step.raw,
    )
    return Layer(
        config=config,
        conv_weight=weight[:, :, None, None],
        attn_weight=np.zeros((*weight.shape, 0), np.int64),
        bias=step.bias,
        multiplier=np.ones_like(step.bias) if step.multiplier is None else step.multiplier,
    )
