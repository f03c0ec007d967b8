"""``avg_pool``: the requantised sum of each window."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from golden.contract.fields import LayerError, check_boolean, check_integer
from golden.contract.network.pooling import SIZES, positions
from golden.contract.network.result import Result
from golden.contract.network.step import MULTIPLIER, OUT_BITS, SHIFT, Step
from golden.contract.ranges import Range
from golden.contract.rounding import HALF_EVEN, Rounding, check_rounding

#: The ``kernel`` that is as large as the frame.
FRAME = "frame"


@dataclass(frozen=True, kw_only=True, eq=False)
class AvgPool(Step):
    """``saturate(round(sum * multiplier / 2^shift))`` of the elements of each window.

    A sum stays below 2^40, because it has at most 2^24 elements of at most 16 bits.

    Attributes:
        kernel: side of the window, 1 to 7, or `FRAME`: one window, the frame.
        stride: 1 to 7; 1 with `FRAME`.
        multiplier: 1 to 65535.
        shift: 0 to 47.
        out_bits, out_signed: format of the result.
        rounding: of the quotient (`golden.contract.rounding`).
    """

    kernel: int | str
    stride: int
    multiplier: int
    shift: int
    out_bits: int
    out_signed: bool
    rounding: Rounding = HALF_EVEN

    op: ClassVar[str] = "avg_pool"

    def __post_init__(self) -> None:
        super().__post_init__()
        kernel: Any = self.kernel
        if kernel == FRAME:
            if type(self.stride) is not int or self.stride != 1:
                raise LayerError(f"stride {self.stride!r} is not 1, which kernel {FRAME!r} needs")
        else:
            if isinstance(kernel, str):
                raise LayerError(f"kernel {kernel[:40]!r} is neither {FRAME!r} nor an integer from 1 to {SIZES[1]}")
            check_integer("kernel", kernel, SIZES)
            check_integer("stride", self.stride, SIZES)
        check_integer("multiplier", self.multiplier, MULTIPLIER)
        check_integer("shift", self.shift, SHIFT)
        check_integer("out_bits", self.out_bits, OUT_BITS)
        check_boolean("out_signed", self.out_signed)
        check_rounding(self.rounding)

    @property
    def limits(self) -> Range:
        """What the average saturates to."""
        return Range.of_format(self.out_bits, self.out_signed)

    def window(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of a window in frames of ``height`` times ``width``."""
        return (height, width) if isinstance(self.kernel, str) else (self.kernel, self.kernel)

    def result(self, taken: Sequence[Result]) -> Result:
        (x,) = taken
        height, width = (
            positions(name, size, kernel, self.stride)
            for name, size, kernel in zip(
                ("height", "width"), (x.height, x.width), self.window(x.height, x.width), strict=True
            )
        )
        return dataclasses.replace(
            x, height=height, width=width, bits=self.out_bits, signed=self.out_signed, scale=self.scale
        )
