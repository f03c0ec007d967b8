"""``concat``: the channels of several results, one after the other."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from golden.contract.fields import LayerError
from golden.contract.network.result import Result
from golden.contract.network.step import Step


@dataclass(frozen=True, kw_only=True, eq=False)
class Concat(Step):
    """The channels of 2 to 8 results of the same height, width, bits and sign, in the order of ``inputs``."""

    op: ClassVar[str] = "concat"
    takes: ClassVar[tuple[int, int]] = (2, 8)

    def result(self, taken: Sequence[Result]) -> Result:
        first = taken[0]
        for name in ("height", "width", "bits", "signed"):
            values = [getattr(x, name) for x in taken]
            if len(set(values)) > 1:
                raise LayerError(f"what it takes has {name} {', '.join(map(str, values))}, allowed is one for all")
        return dataclasses.replace(first, channels=sum(x.channels for x in taken), scale=self.scale)
