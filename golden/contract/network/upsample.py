"""``upsample``: each pixel several times, along rows and columns."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from golden.contract.fields import check_integer
from golden.contract.network.result import Result
from golden.contract.network.step import Step

FACTORS = (2, 4)


@dataclass(frozen=True, kw_only=True, eq=False)
class Upsample(Step):
    """Nearest-neighbour upsampling: each pixel becomes ``factor`` times ``factor`` pixels.

    Attributes:
        factor: 2 to 4.
    """

    factor: int

    op: ClassVar[str] = "upsample"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_integer("factor", self.factor, FACTORS)

    def result(self, taken: Sequence[Result]) -> Result:
        (x,) = taken
        return dataclasses.replace(x, height=self.factor * x.height, width=self.factor * x.width, scale=self.scale)
