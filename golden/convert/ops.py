"""What a network of any source is made of. Each op knows its result's shape, and refuses what no step of ours is.

Shapes are without the batch: ``(C, H, W)`` of frames, ``(K,)`` of features. Weights are float64.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np

from golden.contract.network.avg_pool import FRAME
from golden.contract.network.pooling import positions
from golden.contract.rounding import HALF_EVEN, Rounding
from golden.operators.dynamic_conv import DynamicConv2d
from golden.support.cli import UserError

Shape = tuple[int, ...]
#: Each rounding, of floats.
ROUND: Mapping[Rounding, Callable[[np.float32], np.float32]] = {
    "half_even": np.rint,
    "half_up": lambda x: np.floor(x + np.float32(0.5)),
    "floor": np.floor,
}


class Op(ABC):
    """One operation.

    Class attributes:
        takes: how many results it takes; None for any number from two up.
    """

    takes: ClassVar[int | None] = 1

    @abstractmethod
    def result(self, taken: Sequence[Shape]) -> Shape:
        """The shape of its result. Raises `UserError` where it cannot take ``taken``."""


#: What a reader makes of one operation of a source: an op, or several, one after the other.
Ops = Op | Sequence[Op]


@dataclass(frozen=True, kw_only=True, eq=False)
class WeightLevels:
    """Weights as integers: ``weight[o] = integers[o] * scales[o]``.

    Attributes:
        integers: int64, of the weight's shape.
        scales: ``[O]``; an affine map behind the weight may make one 0 or negative.
        bits: of the source's format.
    """

    integers: np.ndarray
    scales: np.ndarray
    bits: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Conv(Op):
    """A convolution, as `torch.nn.Conv2d` has it.

    Attributes:
        weight: ``[O, C/groups, K, K]``.
        bias: ``[O]``.
        stride: 1 or 2.
        padding: ``"same"`` for K//2 zeros on each side, or ``"valid"`` for none.
        groups: 1 or C.
        levels: the weight's own integers, where the source has them.
    """

    weight: np.ndarray
    bias: np.ndarray
    stride: int
    padding: str
    groups: int
    levels: WeightLevels | None = None

    def result(self, taken: Sequence[Shape]) -> Shape:
        channels, height, width = frames_of(taken[0])
        outputs, own, kernel, _ = self.weight.shape
        if own * self.groups != channels:
            raise UserError(f"weight has shape {list(self.weight.shape)}, which does not fit {channels} channels")
        pad = kernel // 2 if self.padding == "same" else 0
        return outputs, *(positions("side", size, kernel, self.stride, pad) for size in (height, width))


@dataclass(frozen=True, kw_only=True, eq=False)
class Dynamic(Op):
    """A merged X-volution, ``part``."""

    part: DynamicConv2d

    def result(self, taken: Sequence[Shape]) -> Shape:
        part = self.part
        _, height, width = frames_of(taken[0])
        sides = (positions("side", size, part.kernel_size, part.stride, part.pad) for size in (height, width))
        return part.out_channels, *sides


@dataclass(frozen=True, kw_only=True, eq=False)
class Linear(Op):
    """``weight x + bias``, ``[K, F]`` and ``[K]``, of features; ``levels`` as of a `Conv`."""

    weight: np.ndarray
    bias: np.ndarray
    levels: WeightLevels | None = None

    def result(self, taken: Sequence[Shape]) -> Shape:
        (features,) = features_of(taken[0])
        if self.weight.shape[1] != features:
            raise UserError(f"weight has shape {list(self.weight.shape)}, which does not fit {features} features")
        return (len(self.weight),)


@dataclass(frozen=True, kw_only=True, eq=False)
class Affine(Op):
    """``scale x + shift`` of each channel or feature: a batch norm in eval mode, or arithmetic with constants."""

    scale: np.ndarray
    shift: np.ndarray

    def result(self, taken: Sequence[Shape]) -> Shape:
        if len(self.scale) != taken[0][0]:
            raise UserError(f"its scale and shift are of {len(self.scale)} channels, {taken[0][0]} come in")
        return taken[0]


@dataclass(frozen=True, kw_only=True, eq=False)
class Relu(Op):
    """``max(x, 0)``, and at most ``ceiling``. None: no limit."""

    ceiling: float | None = None

    def result(self, taken: Sequence[Shape]) -> Shape:
        return taken[0]


@dataclass(frozen=True, kw_only=True, eq=False)
class Quant(Op):
    """Rounded to steps of ``scale``, and saturated to ``low`` and ``high`` steps.

    Attributes:
        scale: value of one step.
        bits, signed: the format that holds ``low`` and ``high``.
        low, high: the limits. A narrow format has one less than its bits allow. With a zero point they are elsewhere.
        rounding: to a step (`golden.contract.rounding`).
        zero: the source's zero point, which ``low`` and ``high`` take into account.
        odd: whether ties are rounded to odd steps, as where an odd zero point is added before it rounds half to even.
        dropped: bits by which a step is coarser than those of which it takes whole numbers. None: it takes any numbers.
        saturates: whether it does. One that does not says no limits, and no sign.
    """

    scale: float
    bits: int
    signed: bool
    low: int
    high: int
    rounding: Rounding = HALF_EVEN
    zero: int = 0
    odd: bool = False
    dropped: int | None = None
    saturates: bool = True

    def reaches(self, limit: float) -> bool:
        """Whether a ``limit`` of what it takes is none of what it gives, in floats of 32 bits."""
        return bool(ROUND[self.rounding](np.float32(limit) / np.float32(self.scale)) >= self.high)

    def result(self, taken: Sequence[Shape]) -> Shape:
        return taken[0]


@dataclass(frozen=True, kw_only=True, eq=False)
class Round(Op):
    """To whole numbers, as ``rounding`` says (`golden.contract.rounding`)."""

    rounding: Rounding

    def result(self, taken: Sequence[Shape]) -> Shape:
        return taken[0]


@dataclass(frozen=True, kw_only=True, eq=False)
class Identity(Op):
    """What it takes."""

    def result(self, taken: Sequence[Shape]) -> Shape:
        return taken[0]


@dataclass(frozen=True, kw_only=True, eq=False)
class Flatten(Op):
    """Frames as features, channel by channel."""

    def result(self, taken: Sequence[Shape]) -> Shape:
        return (prod(taken[0]),)


@dataclass(frozen=True, kw_only=True, eq=False)
class Add(Op):
    """``a + b``, each times its own factor, which is not below 0 and 1 where the result is not quantised."""

    factors: tuple[float, float] = (1.0, 1.0)

    takes: ClassVar[int | None] = 2

    def result(self, taken: Sequence[Shape]) -> Shape:
        a, b = taken
        if a != b:
            raise UserError(f"shapes {list(a)} and {list(b)} are added, allowed are two of the same shape")
        return a


@dataclass(frozen=True, kw_only=True, eq=False)
class Concat(Op):
    """The channels of all that it takes, one after the other."""

    takes: ClassVar[int | None] = None

    def result(self, taken: Sequence[Shape]) -> Shape:
        if len({shape[1:] for shape in taken}) > 1:
            shapes = ", ".join(str(list(shape)) for shape in taken)
            raise UserError(f"shapes {shapes} are joined, allowed are those that differ in channels only")
        return sum(shape[0] for shape in taken), *taken[0][1:]


@dataclass(frozen=True, kw_only=True, eq=False)
class MaxPool(Op):
    """The largest element of each window that is inside the frame."""

    kernel: int
    stride: int
    pad: int

    def result(self, taken: Sequence[Shape]) -> Shape:
        channels, *sides = frames_of(taken[0])
        return channels, *(positions("side", size, self.kernel, self.stride, self.pad) for size in sides)


@dataclass(frozen=True, kw_only=True, eq=False)
class AvgPool(Op):
    """The mean of each window, times ``factor``; ``kernel`` may be `FRAME`."""

    kernel: int | str
    stride: int
    factor: float = 1.0

    def result(self, taken: Sequence[Shape]) -> Shape:
        channels, *sides = frames_of(taken[0])
        if isinstance(self.kernel, str):
            assert self.kernel == FRAME
            return channels, 1, 1
        return channels, *(positions("side", size, self.kernel, self.stride) for size in sides)


@dataclass(frozen=True, kw_only=True, eq=False)
class Upsample(Op):
    """Each pixel ``factor`` times ``factor`` times."""

    factor: int

    def result(self, taken: Sequence[Shape]) -> Shape:
        channels, *sides = frames_of(taken[0])
        return channels, *(self.factor * size for size in sides)


@dataclass(frozen=True, kw_only=True, eq=False)
class Argmax(Op):
    """The index of the largest feature."""

    def result(self, taken: Sequence[Shape]) -> Shape:
        return (1,)


def frames_of(shape: Shape) -> Shape:
    """``shape``, if it is that of frames. Raises `UserError` otherwise."""
    if len(shape) != 3:
        raise UserError(f"takes features of shape {list(shape)}, allowed are frames [C, H, W]")
    return shape


def features_of(shape: Shape) -> Shape:
    """``shape``, if it is that of features. Raises `UserError` otherwise."""
    if len(shape) != 1:
        raise UserError(f"takes frames of shape {list(shape)}, allowed are features [F] (flatten them first)")
    return shape
