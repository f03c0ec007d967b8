"""QONNX's operations: quantised constants, and where results are quantised."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from golden.convert.levels import OF_RESULTS, ROUNDING, Levels, limits_of, quantised_constant
from golden.convert.onnx_ops import Call, Given, constant
from golden.convert.ops import Op, Quant
from golden.convert.reading import Value, finite
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
    _no_zero_point(zero)
    if not isinstance(x, Value):
        if width == 1 and signed:
            return bipolar_quant(call, x, scale)
        values = constant("x", x)
        return quantised_constant(values, step, width, signed=signed, narrow=narrow, rounding=rounding)
    if step.size != 1:
        raise UserError(f"scale has shape {list(step.shape)}, allowed is one for all channels of a result")
    if rounding not in OF_RESULTS:
        raise UserError(f"rounding_mode {rounding} of a result is not allowed, allowed are {', '.join(OF_RESULTS)}")
    if rounding == "HALF_UP" and signed:
        raise UserError("rounding_mode HALF_UP of a signed result is not allowed, it rounds ties below 0 down")
    if not 2 <= width <= 16:
        raise UserError(f"bitwidth {width} of a result is not allowed, allowed are 2 to 16")
    low, high = limits_of(width, signed=signed, narrow=narrow)
    scale_of_step, mode = float(step.reshape(())), OF_RESULTS[rounding]
    return Quant(scale=scale_of_step, bits=width, signed=signed, low=low, high=high, rounding=mode)


def bipolar_quant(call: Call, x: Given, scale: Given) -> Levels:
    """A constant of -1 and 1, times ``scale``."""
    if isinstance(x, Value):
        raise UserError("makes a result of 1 bit, allowed are 2 to 16")
    signs = np.where(finite("x", constant("x", x)) >= 0, 1, -1)
    return Levels(integers=signs, scale=_scale(scale).astype(np.float64), bits=2)


def trunc(call: Call, x: Given, scale: Given, zero: Given, in_bits: Given, *others: Given) -> Op:
    """Drop low bits. None are dropped where it takes as many as it gives: then it is a `Quant` that changes nothing.

    ``others`` are the scale of what it gives, which version 1 has not, and its bits.
    """
    if len(others) not in (1, 2):
        raise UserError(f"takes {4 + len(others)} inputs, allowed are 5 or 6")
    *out_scale, out_bits = others
    rounding = _rounding(call)
    signed, narrow = bool(call.take("signed", 1)), bool(call.take("narrow", 0))
    taken, left = _bits("in_bitwidth", in_bits), _bits("out_bitwidth", out_bits)
    step = _scale(scale)
    _no_zero_point(zero)
    if not isinstance(x, Value):
        raise UserError("truncates a constant, allowed are results")
    if taken != left or step.size != 1 or any(not np.array_equal(_scale(own), step) for own in out_scale):
        what = f"in_bitwidth {taken}, out_bitwidth {left}, rounding_mode {rounding}"
        raise UserError(f"{what} drops bits, allowed is as many out as in (a Quant rounds half to even)")
    low, high = limits_of(left, signed=signed, narrow=narrow)
    return Quant(scale=float(step.reshape(())), bits=left, signed=signed, low=low, high=high, exact=True)


#: What makes an op, or a constant, of each operation.
QONNX_OPERATIONS: Mapping[str, Callable[..., Op | Levels]] = {
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
    scale = finite("scale", constant("scale", given)).astype(np.float32)
    if not (scale > 0).all():
        raise UserError(f"scale {scale.min():g} is not allowed, allowed is above 0")
    return scale


def _bits(name: str, given: Given) -> int:
    value = constant(name, given)
    if value.size != 1 or float(value.reshape(())) not in range(BITS[0], BITS[1] + 1):
        raise UserError(f"{name} {value.tolist()} is not allowed, allowed is an integer from {BITS[0]} to {BITS[1]}")
    return int(value.reshape(()))


def _no_zero_point(given: Given) -> None:
    zero = finite("zeropt", constant("zeropt", given))
    if zero.any():
        raise UserError(f"zeropt {zero.flat[np.abs(zero).argmax()]:g} is not allowed, allowed is 0")
