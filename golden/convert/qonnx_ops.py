"""QONNX's operations: quantised constants, and where results are quantised."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from golden.contract.rounding import HALF_EVEN, Rounding
from golden.convert.levels import OF_RESULTS, ROUNDING, Levels, limits_of, quantised_constant
from golden.convert.onnx_ops import Call, Given, constant
from golden.convert.ops import Op, Ops, Quant
from golden.convert.reading import Value, arithmetic, finite, one, positive
from golden.convert.steps import Steps
from golden.support.cli import UserError

#: The domain of QONNX's operations.
DOMAIN = "qonnx.custom_op.general"
#: Bits of the formats of constants: a bias may have 32.
BITS = (1, 32)


def quant(call: Call, x: Given, scale: Given, zero: Given, bits: Given) -> Op | Levels:
    """Round to steps of ``scale``, saturated to a format of ``bits``."""
    signed, narrow = _flag(call, "signed"), _flag(call, "narrow")
    rounding = _rounding(call)
    step, width = _scale(scale), _bits("bitwidth", bits)
    if not isinstance(x, Value):
        _no_zero_point(zero)
        if width == 1 and signed:
            return bipolar_quant(call, x, scale)
        values = constant("x", x)
        return quantised_constant(values, step, width, signed=signed, narrow=narrow, rounding=rounding)
    mode = _mode(rounding, signed)
    low, high = limits_of(_result_bits(width), signed=signed, narrow=narrow)
    own = Steps(scale=one("scale", step), zero=_zero_point(zero, low, high), bits=width, signed=signed)
    # Here integers are rounded that have their zero point already.
    return dataclasses.replace(
        own.quant,
        low=low - own.zero,
        high=high - own.zero,
        rounding=mode,
        odd=own.zero % 2 == 1 and mode == HALF_EVEN,
    )


def bipolar_quant(call: Call, x: Given, scale: Given) -> Levels:
    """A constant of -1 and 1, times ``scale``."""
    if isinstance(x, Value):
        raise UserError("makes a result of 1 bit, allowed are 2 to 16")
    signs = np.where(finite("x", constant("x", x)) >= 0, 1, -1)
    return Levels(integers=signs, scale=_scale(scale).astype(np.float64), bits=2)


def trunc(call: Call, x: Given, scale: Given, zero: Given, in_bits: Given, *others: Given) -> Ops:
    """Drop low bits of whole steps of ``scale``.

    ``others`` are the scale of what it gives, and its bits. Version 1 has no such scale. There the steps are worth
    what they were before, and nothing saturates.
    """
    if len(others) not in (1, 2):
        raise UserError(f"takes {4 + len(others)} inputs, allowed are 5 or 6")
    *out_scale, out_bits = others
    rounding, first = _rounding(call), not out_scale
    signed, narrow = (True, False) if first else (_flag(call, "signed"), _flag(call, "narrow"))
    taken, left = _bits("in_bitwidth", in_bits), _bits("out_bitwidth", out_bits)
    own, given = (one("scale", _scale(part)) for part in (scale, scale if first else out_scale[0]))
    _no_zero_point(zero)
    if not isinstance(x, Value):
        raise UserError("truncates a constant, allowed are results")
    mode = _mode(rounding, signed)
    # QONNX rounds what the scales say to a power of two.
    dropped = taken - left if first else round(np.log2(given / own))
    low, high = limits_of(_result_bits(left), signed=signed, narrow=narrow)
    made = Quant(
        scale=given,
        bits=left,
        signed=signed,
        low=low,
        high=high,
        rounding=mode,
        dropped=dropped,
        saturates=not first,
    )
    factor = given / (own * 2.0**dropped)
    return made if factor == 1 else (arithmetic(factor, 0.0, x.shape), made)


#: What makes an op, or a constant, of each operation.
QONNX_OPERATIONS: Mapping[str, Callable[..., Ops | Levels]] = {
    "Quant": quant,
    "IntQuant": quant,
    "BipolarQuant": bipolar_quant,
    "Trunc": trunc,
}


def _flag(call: Call, name: str) -> bool:
    """An attribute whose default differs between QONNX's specification and its code."""
    value = call.take(name)
    if value not in (0, 1):
        raise UserError(f"{name} {value} is not allowed, allowed are 0 and 1, said explicitly")
    return bool(value)


def _rounding(call: Call) -> str:
    mode = str(call.take("rounding_mode", "ROUND"))
    if mode.upper() not in ROUNDING:
        raise UserError(f"rounding_mode {mode} is not one of {', '.join(ROUNDING)}")
    return mode.upper()


def _scale(given: Given) -> np.ndarray:
    return positive("scale", finite("scale", constant("scale", given)).astype(np.float32)).astype(np.float32)


def _bits(name: str, given: Given) -> int:
    value = constant(name, given)
    if value.size != 1 or float(value.reshape(())) not in range(BITS[0], BITS[1] + 1):
        raise UserError(f"{name} {value.tolist()} is not allowed, allowed is an integer from {BITS[0]} to {BITS[1]}")
    return int(value.reshape(()))


def _mode(rounding: str, signed: bool) -> Rounding:
    """How a result is rounded."""
    if rounding not in OF_RESULTS:
        raise UserError(f"rounding_mode {rounding} of a result is not allowed, allowed are {', '.join(OF_RESULTS)}")
    if rounding == "HALF_UP" and signed:
        raise UserError("rounding_mode HALF_UP of a signed result is not allowed, it rounds ties below 0 down")
    return OF_RESULTS[rounding]


def _result_bits(width: int) -> int:
    if not 2 <= width <= 16:
        raise UserError(f"bitwidth {width} of a result is not allowed, allowed are 2 to 16")
    return width


def _zero_point(given: Given, low: int, high: int) -> int:
    """The zero point of a result, an integer of its format."""
    zero = finite("zeropt", constant("zeropt", given))
    if zero.size != 1 or zero.reshape(()) not in range(low, high + 1):
        raise UserError(f"zeropt {zero.tolist()} is not allowed, allowed is an integer from {low} to {high}")
    return int(zero.reshape(()))


def _no_zero_point(given: Given) -> None:
    zero = finite("zeropt", constant("zeropt", given))
    if zero.any():
        raise UserError(f"zeropt {zero.flat[np.abs(zero).argmax()]:g} is not allowed, allowed is 0")
