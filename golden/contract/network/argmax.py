"""``argmax``: which channel is the largest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from golden.contract.fields import LayerError
from golden.contract.network.result import Result
from golden.contract.network.step import Step
from golden.contract.ranges import ACCUMULATOR_BITS


@dataclass(frozen=True, kw_only=True, eq=False)
class Argmax(Step):
    """The index of the largest of ``[K, 1, 1]``, the lowest of them at ties. It is the output of its network."""

    op: ClassVar[str] = "argmax"
    taken_bits: ClassVar[tuple[int, int]] = (2, ACCUMULATOR_BITS)

    def result(self, taken: Sequence[Result]) -> Result:
        (x,) = taken
        if x.shape[1:] != (1, 1):
            raise LayerError(f"it takes shape {list(x.shape)}, allowed is [K, 1, 1]")
        bits = max(1, (x.channels - 1).bit_length())
        return Result(channels=1, height=1, width=1, bits=bits, signed=False, scale=self.scale)
