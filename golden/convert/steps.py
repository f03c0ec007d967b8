"""Integers of a source's tensor: what they stand for, and the types that they have."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from golden.contract.ranges import Range
from golden.convert.ops import Quant
from golden.support.cli import UserError

#: Integer types of ONNX.
INTEGER = re.compile(r"(u?)int(\d+)")
#: The most bits that they have where they stand for something else.
MOST_BITS = 32


@dataclass(frozen=True, kw_only=True)
class Steps:
    """``(integer - zero) * scale`` is what an integer of a format stands for.

    Attributes:
        scale: value of one step, above 0.
        zero: the zero point, an integer of the format.
        bits, signed: the format.
    """

    scale: float
    zero: int
    bits: int
    signed: bool

    def values(self, integers: np.ndarray) -> np.ndarray:
        """What ``integers`` stand for, float64."""
        return (integers.astype(np.float64) - self.zero) * self.scale

    @property
    def quant(self) -> Quant:
        """What makes such integers: rounded half to even, and only then shifted by the zero point."""
        return self.within(Range.of_format(self.bits, self.signed))

    def within(self, limits: Range) -> Quant:
        """What makes such integers within ``limits``, as `quant` does.

        Integers of a zero point at an end of their format, or in its middle, are those of the other sign.
        """
        low, high = limits.low - self.zero, limits.high - self.zero
        bits = max(2, (high - low).bit_length())
        signed = low != 0 and (self.signed or low == Range.of_format(bits, True).low)
        return Quant(scale=self.scale, bits=bits, signed=signed, low=low, high=high, zero=self.zero)

    def __str__(self) -> str:
        return f"scale {self.scale:g} and zero point {self.zero} of {'' if self.signed else 'u'}int{self.bits}"


def integer_type(name: str, array: np.ndarray) -> tuple[int, bool]:
    """Bits of the type of ``array``, and whether it is signed. Raises `UserError` for any other type."""
    found = INTEGER.fullmatch(array.dtype.name)
    if found is None or int(found[2]) > MOST_BITS:
        raise UserError(f"{name} has type {array.dtype.name}, allowed are integers of up to {MOST_BITS} bits")
    return int(found[2]), not found[1]
