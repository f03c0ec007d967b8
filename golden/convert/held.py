"""What integers of a network's results stand for, and how those are held that a source quantises.

A source may have zero points, the network has none. Where an integer of the source is the network's, shifted, the
difference is in the biases of the steps around the result. A shift by an odd number would round ties to other
integers than the source does. So such a result is held negated: as its complement, whose zero point is even.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from golden.contract.ranges import Range
from golden.contract.rounding import HALF_EVEN, Rounding
from golden.convert.graph import Node
from golden.convert.ops import Quant
from golden.support.cli import UserError

#: Which zero points are none here, in words.
ZEROS = (
    "allowed are those at an end or in the middle of a type: ONNX Runtime's quantiser chooses them with its options "
    "ActivationSymmetric and, for types without a sign, ActivationRestrictedAsymmetric"
)
#: Each rounding, of floats.
ROUND: Mapping[Rounding, Callable[[np.float32], np.float32]] = {
    "half_even": np.rint,
    "half_up": lambda x: np.floor(x + np.float32(0.5)),
    "floor": np.floor,
}


@dataclass(frozen=True, kw_only=True)
class Held:
    """``(integer - zero) * scale`` is what an integer of a result stands for.

    Attributes:
        scale: value of one step. Below 0, the result is held negated.
        zero: the integer that stands for 0.
    """

    scale: float
    zero: int = 0

    @property
    def plain(self) -> bool:
        """Whether a scale alone says what the integers stand for."""
        return self.zero == 0 and self.scale > 0

    @property
    def recorded(self) -> float | None:
        """The scale that a file may record. None: it would not say enough."""
        return self.scale if self.plain else None

    def steps(self, integers: np.ndarray) -> np.ndarray:
        """What ``integers`` stand for, in steps of the source."""
        found: np.ndarray = (integers - self.zero) * (1 if self.scale > 0 else -1)
        return found

    def integers(self, steps: np.ndarray) -> np.ndarray:
        """The integers that stand for whole ``steps`` of the source, int64."""
        found: np.ndarray = np.rint(steps).astype(np.int64) * (1 if self.scale > 0 else -1) + self.zero
        return found

    def limits(self, limits: Range) -> Range:
        """What integers within ``limits`` stand for, in steps of the source."""
        low, high = sorted(int(self.steps(np.array(end))) for end in (limits.low, limits.high))
        return Range(low, high)

    @property
    def said(self) -> str:
        """The zero point in words."""
        return f"zero point {self.zero}{'' if self.scale > 0 else ' and is negated'}"


@dataclass(frozen=True, kw_only=True)
class Form:
    """How a result is held: its format, what its integers stand for, and how they are rounded."""

    bits: int
    signed: bool
    held: Held
    rounding: Rounding = HALF_EVEN

    @property
    def limits(self) -> Range:
        """What it saturates to."""
        return Range.of_format(self.bits, self.signed)


def form_of(node: Node, quant: Quant) -> Form:
    """How the result of ``node`` is held, which ``quant`` quantises.

    Raises `UserError` for limits that no format of ours has, and for zero points that a ReLU would have to know.
    """
    limits = Range.of_format(quant.bits, quant.signed)
    shifted = quant.high - quant.low == limits.high - limits.low
    if not shifted and (quant.high != limits.high or not node.rectifies):
        raise UserError(f"narrow 1 of a result is not allowed ({quant.low} to {quant.high}), allowed is 0")
    zero = limits.low - quant.low if shifted else 0
    if zero and node.rectifies:
        raise UserError(f"zero point {quant.zero} of what a ReLU gives is not allowed, {ZEROS}")
    if node.limit is not None:
        ratio = np.float32(node.limit) / np.float32(quant.scale)
        if ROUND[quant.rounding](ratio) < quant.high:
            raise UserError(f"a limit of {node.limit:g} is below {quant.high * quant.scale:g}, where its format ends")
    held = Held(scale=quant.scale, zero=zero)
    if quant.rounding == HALF_EVEN and zero % 2 != quant.odd:
        held = Held(scale=-quant.scale, zero=limits.low + quant.high)
    return Form(bits=quant.bits, signed=quant.signed, held=held, rounding=quant.rounding)
