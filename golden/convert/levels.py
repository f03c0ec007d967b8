"""Quantised constants: integers, and what one step of each output channel is worth."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from golden.contract.ranges import Range
from golden.contract.rounding import Rounding
from golden.convert.reading import finite
from golden.support.cli import UserError


@dataclass(frozen=True, kw_only=True, eq=False)
class Levels:
    """An array ``integers * scale``.

    Attributes:
        integers: int64.
        scale: float64, broadcasts to ``integers``.
        bits: of the integers' format, as the source says.
        zero: the source's zero point of the largest magnitude. ``integers`` are without it.
    """

    integers: np.ndarray
    scale: np.ndarray
    bits: int
    zero: int = 0

    @property
    def values(self) -> np.ndarray:
        """What it stands for, float64."""
        return self.integers * self.scale

    @property
    def transposed(self) -> Levels:
        """The same with its two axes swapped."""
        scale = np.broadcast_to(self.scale, self.integers.shape)
        return dataclasses.replace(self, integers=self.integers.T, scale=scale.T)

    def times(self, factor: float) -> Levels:
        """The same with steps that are worth ``factor`` times as much."""
        return dataclasses.replace(self, scale=self.scale * factor)

    def by_output(self) -> np.ndarray:
        """The scale of each output channel, the first axis. Raises `UserError` where it differs within one."""
        flat = np.broadcast_to(self.scale, self.integers.shape).reshape(len(self.integers), -1)
        if (flat != flat[:, :1]).any():
            raise UserError(f"scale of shape {list(self.scale.shape)} differs within an output channel, allowed is one")
        return flat[:, 0].copy()


#: The rounding modes of QONNX, by their names in capitals.
ROUNDING: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "ROUND": np.rint,
    "HALF_EVEN": np.rint,
    "CEIL": np.ceil,
    "FLOOR": np.floor,
    "UP": lambda x: np.sign(x) * np.ceil(np.abs(x)),
    "DOWN": np.trunc,
    "HALF_UP": lambda x: np.sign(x) * np.floor(np.abs(x) + 0.5),
    "HALF_DOWN": lambda x: np.sign(x) * np.ceil(np.abs(x) - 0.5),
}
#: Those that results may have, and what they are here. Below 0, QONNX's HALF_UP is down.
OF_RESULTS: Mapping[str, Rounding] = {
    "ROUND": "half_even",
    "HALF_EVEN": "half_even",
    "HALF_UP": "half_up",
    "FLOOR": "floor",
}


def limits_of(bits: int, *, signed: bool, narrow: bool) -> tuple[int, int]:
    """The least and the largest integer of a format. A ``narrow`` one has one less at an end."""
    limits = Range.of_format(bits, signed)
    return (limits.low + narrow, limits.high) if signed else (limits.low, limits.high - narrow)


def quantised_constant(
    values: np.ndarray, scale: np.ndarray, bits: int, *, signed: bool, narrow: bool, rounding: str
) -> Levels:
    """``values`` as QONNX quantises them: divided, clamped and rounded in floats of 32 bits."""
    finite("x", values)
    sides = zip(values.shape[::-1], scale.shape[::-1], strict=False)
    if values.ndim < scale.ndim or any(own not in (1, side) for side, own in sides):
        raise UserError(f"scale has shape {list(scale.shape)}, which does not fit {list(values.shape)}")
    low, high = limits_of(bits, signed=signed, narrow=narrow)
    with np.errstate(over="ignore"):  # what is infinitely many steps saturates, too
        steps = values.astype(np.float32) / scale.astype(np.float32)
    steps = np.clip(steps, np.float32(low), np.float32(high))
    integers = ROUNDING[rounding](steps).astype(np.int64)
    return Levels(integers=integers, scale=scale.astype(np.float64), bits=bits)
