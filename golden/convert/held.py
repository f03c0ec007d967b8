"""What integers of a network's results stand for, and how those are held that a source quantises.

A source may have zero points, the network has none. Where an integer of the source is the network's, shifted, the
difference is in the biases of the steps around the result. A shift by an odd number would round ties to other
integers than the source does. So such a result is held negated: as its complement, whose zero point is even.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import numpy as np

from golden.contract.ranges import Range
from golden.contract.rounding import HALF_EVEN, Rounding, round_quotient
from golden.convert.graph import Node
from golden.convert.ops import Quant
from golden.support.cli import UserError

#: Which zero points are none here, in words.
ZEROS = (
    "allowed are those at an end or in the middle of a type: ONNX Runtime's quantiser chooses them with its options "
    "ActivationSymmetric and, for types without a sign, ActivationRestrictedAsymmetric"
)
#: How far a number of steps may be off a whole one, where a source rounds it to that.
WHOLE = 0.25


@dataclass(frozen=True, kw_only=True)
class Held:
    """``(integer - zero) * scale`` is what an integer of a result stands for.

    Attributes:
        scale: value of one step. Below 0, the result is held negated.
        zero: the integer that stands for 0.
        point: the source's zero point, for messages.
    """

    scale: float
    zero: int = 0
    point: int = field(default=0, compare=False)

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


@dataclass(frozen=True, kw_only=True)
class Form:
    """How a result is held: its format, what its integers stand for, and how they are rounded."""

    bits: int
    signed: bool
    held: Held
    rounding: Rounding = HALF_EVEN


def truncated(node: Node, quant: Quant, taken: Range, unit: float) -> tuple[Form, float]:
    """How a result is held of which ``quant`` drops bits, and what a step of what it takes is worth exactly.

    Args:
        node: what gives the result.
        quant: says by how many bits its steps are coarser than those of which it takes whole numbers.
        taken: the range of what it takes.
        unit: what a step of that is worth. It may be off a whole number of these finer steps, as scales in files are.

    Raises:
        UserError: where it is farther off, and for numbers that the format does not hold.
    """
    assert quant.dropped is not None
    fine = quant.scale * 2.0**-quant.dropped
    count = round(unit / fine)
    if count < 1 or abs(unit / fine - count) * max(-taken.low, taken.high) > WHOLE:
        raise UserError(f"takes steps of {unit:g}, allowed are whole numbers of {fine:g}, its scale")
    if not quant.saturates:
        ends = Range(*(_dropped(count * end, quant.dropped, quant.rounding) for end in (taken.low, taken.high)))
        quant = dataclasses.replace(quant, signed=ends.low < 0)
        limits = Range.of_format(quant.bits, quant.signed)
        if ends.low < limits.low or ends.high > limits.high:
            raise UserError(
                f"gives {ends.low} to {ends.high}, which {quant.bits} bits do not hold, and does not saturate"
            )
        quant = dataclasses.replace(quant, low=limits.low, high=limits.high)
    return form_of(node, quant), count * fine


def limited(limit: float, end: float) -> UserError:
    """What is said of a limit below the end of a format."""
    return UserError(f"a limit of {limit:g} is below {end:g}, where its format ends")


def _dropped(value: int, bits: int, rounding: Rounding) -> int:
    return round_quotient(value, bits, rounding) if bits >= 0 else value << -bits


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
    if node.limit is not None and not quant.reaches(node.limit):
        raise limited(node.limit, quant.high * quant.scale)
    held = Held(scale=quant.scale, zero=zero, point=quant.zero)
    if quant.rounding == HALF_EVEN and zero % 2 != quant.odd:
        held = Held(scale=-quant.scale, zero=limits.low + quant.high, point=quant.zero)
    return Form(bits=quant.bits, signed=quant.signed, held=held, rounding=quant.rounding)
