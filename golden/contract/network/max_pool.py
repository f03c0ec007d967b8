"""``max_pool``: the largest element of each window."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from golden.contract.fields import check_integer
from golden.contract.network.pooling import SIZES, positions
from golden.contract.network.result import Result
from golden.contract.network.step import Step


@dataclass(frozen=True, kw_only=True, eq=False)
class MaxPool(Step):
    """The largest of the elements of each window that are inside the frame.

    Each window has at least one, because ``pad`` is at most half of ``kernel``.

    Attributes:
        kernel: side of the window, 1 to 7.
        stride: 1 to 7.
        pad: rows and columns around the frame that windows may reach over, 0 to ``kernel // 2``.
    """

    kernel: int
    stride: int
    pad: int

    op: ClassVar[str] = "max_pool"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("kernel", self.kernel, SIZES)
        check_integer("stride", self.stride, SIZES)
        check_integer("pad", self.pad, (0, self.kernel // 2))

    def result(self, taken: Sequence[Result]) -> Result:
        (x,) = taken
        height, width = (
            positions(name, getattr(x, name), self.kernel, self.stride, self.pad) for name in ("height", "width")
        )
        return dataclasses.replace(x, height=height, width=width, scale=self.scale)
