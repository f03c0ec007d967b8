"""``add``: the sum of two results with steps of different size."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from reprlib import repr as brief
from typing import Any, ClassVar

from golden.contract.fields import LayerError, check_boolean, check_integer
from golden.contract.network.result import Result
from golden.contract.network.step import MULTIPLIER, OUT_BITS, SHIFT, Step
from golden.contract.ranges import Range
from golden.contract.rounding import HALF_EVEN, Rounding, check_rounding
from golden.support.arrays import plain


@dataclass(frozen=True, kw_only=True, eq=False)
class Add(Step):
    """``saturate(round((m0 a + m1 b) / 2^shift))`` of two results ``a`` and ``b`` of one shape.

    The scaled sum stays below 2^33, because an operand has at most 16 bits and a multiplier 16.

    Attributes:
        multipliers: ``(m0, m1)``, 0 to 65535 each.
        shift: 0 to 47.
        out_bits, out_signed: format of the sum.
        relu: whether a negative sum becomes 0.
        rounding: of the quotient (`golden.contract.rounding`).
    """

    multipliers: tuple[int, int]
    shift: int
    out_bits: int
    out_signed: bool
    relu: bool
    rounding: Rounding = HALF_EVEN

    op: ClassVar[str] = "add"
    takes: ClassVar[tuple[int, int]] = (2, 2)

    def __post_init__(self) -> None:
        super().__post_init__()
        pair: Any = self.multipliers
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise LayerError(f"multipliers {brief(pair)} are not two integers")
        pair = tuple(map(plain, pair))
        for multiplier in pair:
            check_integer("multipliers entry", multiplier, (0, MULTIPLIER[1]))
        object.__setattr__(self, "multipliers", pair)
        check_integer("shift", self.shift, SHIFT)
        check_integer("out_bits", self.out_bits, OUT_BITS)
        check_boolean("out_signed", self.out_signed)
        check_boolean("relu", self.relu)
        check_rounding(self.rounding)

    @property
    def limits(self) -> Range:
        """What the sum saturates to."""
        full = Range.of_format(self.out_bits, self.out_signed)
        return Range(0, full.high) if self.relu else full

    def result(self, taken: Sequence[Result]) -> Result:
        a, b = taken
        if a.shape != b.shape:
            raise LayerError(f"it takes shapes {list(a.shape)} and {list(b.shape)}, allowed are two of the same shape")
        return dataclasses.replace(a, bits=self.out_bits, signed=self.out_signed, scale=self.scale)
