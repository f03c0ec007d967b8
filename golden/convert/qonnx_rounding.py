"""Formats and requantisation in operations of ONNX and QONNX, exact whoever executes them.

A result is a number of steps, in float32. ``Quant`` of steps of 1 says its format. What it was made of is a sum of
products times a multiplier of 16 bits, divided by a power of two, in the first of three types that holds it:

- float32, where all bits of the product fit. This is always so of powers of two. ``Quant`` rounds it.
- float64. ``Quant`` takes float32, so ``Round`` or ``Floor`` rounds it, and ``Quant`` only saturates it.
- int64. The quotient is made of remainders, as ONNX's own division rounds towards 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from golden.contract.powers import in_lowest_terms
from golden.contract.rounding import HALF_EVEN, Rounding
from golden.convert.onnx_writer import BOOL, DOUBLE, FLOAT, INT64, GraphWriter, Tensor, numbers
from golden.convert.qonnx_ops import DOMAIN

#: Floats of these types hold all integers below this magnitude.
EXACT = {FLOAT: 2**24, DOUBLE: 2**53}


@dataclass(frozen=True, kw_only=True)
class Form:
    """The format of a result, and how it is made: see `golden.contract.network.add.Add`, for one."""

    bits: int
    signed: bool
    relu: bool = False
    rounding: Rounding = HALF_EVEN


@dataclass(frozen=True, kw_only=True, eq=False)
class Scaled:
    """``sum multipliers operands / 2^shift``.

    Attributes:
        operands: one or two, integers.
        multipliers: int64, of each operand: one for all channels, or one for each.
        shift: what all multipliers share.
        largest: a bound on the magnitude of what is divided.
    """

    operands: Sequence[Tensor]
    multipliers: Sequence[np.ndarray]
    shift: int
    largest: int


def kind_of(scaled: Scaled, rounding: Rounding) -> int:
    """The type in which no bit of ``scaled`` is lost, nor of a half that is added to it."""
    parts = np.concatenate([np.atleast_1d(own) for own in scaled.multipliers])
    _, shift = in_lowest_terms(parts, scaled.shift)
    half = 2**shift // 2 if rounding == "half_up" else 0
    bits = (scaled.largest >> (scaled.shift - shift)) + half
    return next((kind for kind, limit in EXACT.items() if bits < limit), INT64)


def requantised(writer: GraphWriter, name: str, scaled: Scaled, form: Form) -> Tensor:
    """``saturate(round(scaled))``, the result ``name``. A sum of two is a node of that name."""
    kind, shift = kind_of(scaled, form.rounding), scaled.shift
    parts = [
        writer.times(writer.cast(x, kind), own if kind == INT64 else np.ldexp(own.astype(np.float64), -shift))
        for x, own in zip(scaled.operands, scaled.multipliers, strict=True)
    ]
    total = parts[0] if len(parts) == 1 else writer.add("Add", parts, node=name)
    if form.relu:
        total = writer.add("Max", [total, numbers(0, kind)]) if kind == INT64 else writer.add("Relu", [total])
    if kind == INT64:
        total = quotient(writer, total, shift, form.rounding)
    else:
        if form.rounding == "half_up":  # QONNX's own mode of this name rounds ties below 0 down
            total = writer.add("Add", [total, numbers(0.5, kind)])
        if kind == DOUBLE:
            total = writer.add("Round" if form.rounding == HALF_EVEN else "Floor", [total])
    mode = "FLOOR" if kind == FLOAT and form.rounding != HALF_EVEN else "ROUND"
    return quantised(writer, name, writer.cast(total, FLOAT), form, mode)


def quotient(writer: GraphWriter, total: Tensor, shift: int, rounding: Rounding) -> Tensor:
    """``round(total / 2^shift)`` of int64."""
    if shift == 0:
        return total
    divisor, half = numbers(2**shift, INT64), numbers(2 ** (shift - 1), INT64)
    # A remainder has its divisor's sign. Without it nothing is left to round.
    rest = writer.add("Mod", [total, divisor])
    down = writer.add("Div", [writer.add("Sub", [total, rest]), divisor])
    if rounding == "floor":
        return down
    if rounding == HALF_EVEN:
        odd = writer.add("Mod", [down, numbers(2, INT64)])
        above = writer.add("Greater", [writer.add("Add", [rest, odd]), half], type=BOOL)
    else:
        above = writer.add("GreaterOrEqual", [rest, half], type=BOOL)
    return writer.add("Add", [down, writer.cast(above, INT64)])


def quantised(writer: GraphWriter, name: str, x: Tensor, form: Form, mode: str) -> Tensor:
    """``x`` rounded in ``mode`` and saturated to the format, as the result ``name``."""
    attributes: dict[str, Any] = {"signed": int(form.signed), "narrow": 0, "rounding_mode": mode}
    node = f"{name}/Quant"
    return writer.add("Quant", [x, *_format(1, form.bits)], result=name, node=node, domain=DOMAIN, **attributes)


def quantised_weight(writer: GraphWriter, integers: np.ndarray, bits: int, scale: int = 1) -> Tensor:
    """Weights ``integers * scale`` as a ``Quant`` that leaves them as they are."""
    values = numbers(integers * scale, FLOAT)
    attributes: dict[str, Any] = {
        "shape": values.shape,
        "type": FLOAT,
        "signed": 1,
        "narrow": 1,
        "rounding_mode": "ROUND",
    }
    return writer.add("Quant", [values, *_format(scale, bits)], domain=DOMAIN, **attributes)


def _format(scale: int, bits: int) -> list[np.ndarray]:
    """Scale, zero point and bits."""
    return [numbers(value, FLOAT) for value in (scale, 0, bits)]
