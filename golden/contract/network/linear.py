"""``linear``: sums of the whole frame, raw or requantised."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from reprlib import repr as brief
from typing import Any, ClassVar, Self

import numpy as np

from golden.contract.fields import LayerError, check_boolean, check_header, check_integer, check_names, checked_array
from golden.contract.network.result import MOST, Result
from golden.contract.network.step import MULTIPLIER, OUT_BITS, SHIFT, Header, Read, Step
from golden.contract.ranges import ACCUMULATOR_BITS, Range, weighted_sum
from golden.contract.rounding import HALF_EVEN, Rounding, check_rounding

WEIGHT_BITS = (2, 8)
BIAS_BITS = 32
#: Bits of a result that is not requantised.
RAW_BITS = (8, ACCUMULATOR_BITS)
#: Fields that every result has; that a requantised one has, and a raw one has not; and that the former may have.
_FIELDS, _REQUANTISED, _OPTIONAL = ("weight_bits", "out_bits", "out_signed"), ("out_shift", "relu"), ("rounding",)


@dataclass(frozen=True, kw_only=True, eq=False)
class Linear(Step):
    """``acc[k] = bias[k] + sum weight[k] x``, raw or requantised as a layer's.

    Attributes:
        weight_bits: 2 to 8, of symmetric weights.
        weight: int64 ``[K, C]``, which multiplies each channel's sum over the frame, or ``[K, C, H, W]``.
        bias: int64 ``[K]``, fits 32 bits signed.
        out_bits, out_signed: format of the result. A raw one has 8 to 48 bits and is signed.
        out_shift, relu, multiplier: as a layer's; None for a raw result.
        rounding: as a layer's; `HALF_EVEN` for a raw result, of which nothing is rounded.
    """

    weight_bits: int
    out_bits: int
    out_signed: bool
    out_shift: int | None = None
    relu: bool | None = None
    weight: np.ndarray
    bias: np.ndarray
    multiplier: np.ndarray | None = None
    rounding: Rounding = HALF_EVEN

    op: ClassVar[str] = "linear"
    taken_bits: ClassVar[tuple[int, int]] = (2, 8)
    array_names: ClassVar[tuple[str, ...]] = ("weight", "bias", "multiplier")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("weight_bits", self.weight_bits, WEIGHT_BITS)
        check_boolean("out_signed", self.out_signed)
        given = [value is not None for value in (self.out_shift, self.relu, self.multiplier)]
        if any(given) and not all(given):
            raise LayerError("out_shift, relu and multiplier go together, allowed are all three or none")
        check_rounding(self.rounding)
        if self.raw:
            if self.rounding != HALF_EVEN:
                raise _not_rounded(self.rounding)
            check_integer("out_bits", self.out_bits, RAW_BITS)
            if not self.out_signed:
                raise LayerError("out_signed false is not for a raw result, allowed is true")
        else:
            check_integer("out_bits", self.out_bits, OUT_BITS)
            check_integer("out_shift", self.out_shift, SHIFT)
            check_boolean("relu", self.relu)
        self._check_arrays()

    def _check_arrays(self) -> None:
        weight = np.asarray(self.weight)
        if weight.ndim not in (2, 4) or not 1 <= len(weight) <= MOST:
            allowed = f"[K, C] or [K, C, H, W] with K from 1 to {MOST}"
            raise LayerError(f"weight has shape {list(weight.shape)}, allowed is {allowed}")
        limit = 2 ** (self.weight_bits - 1) - 1
        biases = Range.of_format(BIAS_BITS, True)
        outputs = (len(weight),)
        object.__setattr__(self, "weight", checked_array("weight", weight, weight.shape, -limit, limit))
        object.__setattr__(self, "bias", checked_array("bias", self.bias, outputs, biases.low, biases.high))
        if self.multiplier is not None:
            multiplier = checked_array("multiplier", self.multiplier, outputs, *MULTIPLIER)
            object.__setattr__(self, "multiplier", multiplier)

    @property
    def raw(self) -> bool:
        """Whether the result is ``acc`` itself."""
        return self.out_shift is None

    @property
    def limits(self) -> Range:
        """What a requantised result saturates to, or the format of a raw one."""
        full = Range.of_format(self.out_bits, self.out_signed)
        return Range(0, full.high) if self.relu else full

    def accumulator_ranges(self, x: Result) -> tuple[np.ndarray, np.ndarray]:
        """Extremes of ``acc`` and of each of its partial sums: ``(low, high)``, int64 ``[K]`` each."""
        element = x.limits.times(x.height * x.width) if self.weight.ndim == 2 else x.limits
        low, high = weighted_sum(self.weight.reshape(len(self.weight), -1), element)
        return low + np.minimum(self.bias, 0), high + np.maximum(self.bias, 0)

    def as_narrow_as_its_bound(self, x: Result) -> Linear:
        """This raw map of ``x`` with the least ``out_bits``."""
        return dataclasses.replace(self, out_bits=max(RAW_BITS[0], Range.hull(*self.accumulator_ranges(x)).signed_bits))

    def result(self, taken: Sequence[Result]) -> Result:
        (x,) = taken
        _check_weight_shape(self.weight.shape, x)
        acc = Range.hull(*self.accumulator_ranges(x))
        if max(-acc.low, acc.high) >= 2 ** (ACCUMULATOR_BITS - 1):
            bound = max(-acc.low, acc.high)
            raise LayerError(f"the proven bound on |acc| is {bound}, allowed is less than 2^{ACCUMULATOR_BITS - 1}")
        if self.raw and self.out_bits < acc.signed_bits:
            raise LayerError(f"out_bits {self.out_bits} is too narrow for raw sums, these need {acc.signed_bits}")
        return Result(
            channels=len(self.weight),
            height=1,
            width=1,
            bits=self.out_bits,
            signed=self.out_signed,
            scale=self.scale,
        )

    @property
    def macs(self) -> int:
        return self.weight.size

    @property
    def weights(self) -> int:
        return self.weight.size

    def arrays(self) -> dict[str, np.ndarray]:
        arrays: dict[str, np.ndarray] = {"weight": self.weight.astype(np.int8), "bias": self.bias.astype(np.int32)}
        if self.multiplier is not None:
            arrays["multiplier"] = self.multiplier.astype(np.uint16)
        return arrays

    @classmethod
    def present_arrays(cls, own: Mapping[str, Any]) -> tuple[str, ...]:
        # A raw result has no multiplier.
        return cls.array_names if any(name in own for name in _REQUANTISED) else cls.array_names[:-1]

    @classmethod
    def from_file(
        cls, common: Mapping[str, Any], own: Mapping[str, Any], taken: Sequence[Result], header: Header, read: Read
    ) -> Self:
        names = cls.present_arrays(own)
        requantised = "multiplier" in names
        needed, others = ((*_FIELDS, *_REQUANTISED), _OPTIONAL) if requantised else (_FIELDS, _REQUANTISED + _OPTIONAL)
        check_names(own, needed, others)
        if "rounding" in own and not requantised:
            raise _not_rounded(own["rounding"])
        (x,) = taken
        shape, dtype = header("weight")
        _check_weight_shape(shape, x)
        check_header("weight", shape, dtype, shape)
        for name in names[1:]:
            check_header(name, *header(name), shape[:1])
        arrays: dict[str, Any] = {name: read(name) for name in names}
        return cls(**common, **own, **arrays)


def _not_rounded(rounding: Any) -> LayerError:
    return LayerError(
        f"rounding {brief(rounding)} is not for a raw result, it goes with out_shift, relu and multiplier"
    )


def _check_weight_shape(shape: tuple[int, ...], x: Result) -> None:
    """Raise `LayerError` unless weights of ``shape`` fit what the step takes."""
    if shape[1:] not in (x.shape, x.shape[:1]) or not 1 <= shape[0] <= MOST:
        channels, height, width = x.shape
        allowed = f"[K, {channels}] and [K, {channels}, {height}, {width}] with K from 1 to {MOST}"
        raise LayerError(f"weight has shape {list(shape)}, allowed are {allowed}")
