"""QuantizeLinear and DequantizeLinear: where results become integers, and what integers stand for."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import onnx

from golden.contract.ranges import Range
from golden.convert.levels import Levels
from golden.convert.onnx_ops import Call, Given, constant
from golden.convert.ops import Identity, Ops
from golden.convert.reading import Value, finite, one, positive
from golden.convert.steps import Steps, integer_type
from golden.support.cli import UserError

#: The domain of ONNX Runtime's own operations.
MICROSOFT = "com.microsoft"


@dataclass(frozen=True, kw_only=True, eq=False)
class Integers:
    """Ops whose result the source has as integers of ``steps``."""

    ops: Ops
    steps: Steps


#: What a reader makes of an operation: ops, ops that give integers, or a constant.
Made = Ops | Integers | Levels | np.ndarray


def quantize_linear(call: Call, x: Given, scale: Given, zero: Given = None) -> Integers | np.ndarray:
    """Rounded half to even to steps of ``scale``, then shifted by ``zero``, whose type is that of the integers."""
    kind, axis = call.take("output_dtype", 0), call.take("axis", 1)
    _common(call)
    steps = constant("y_scale", scale)
    zeros = _zeros("y_zero_point", zero, steps, kind)
    if isinstance(x, Value):
        if x.steps is not None:
            raise UserError(f"takes integers of {x.steps}, allowed are floats")
        return integers_of("y", steps, zeros)
    limits = Range.of_format(*integer_type("y_zero_point", zeros))
    values = finite("x", constant("x", x)).astype(np.float32)
    own = _along("y_scale", positive("y_scale", steps).astype(np.float32), values.shape, axis)
    shift = _along("y_zero_point", zeros.astype(np.int64), values.shape, axis)
    return np.clip(np.rint(values / own) + shift, limits.low, limits.high).astype(zeros.dtype)


def dequantize_linear(call: Call, x: Given, scale: Given, zero: Given = None) -> Ops | Levels:
    """What integers stand for."""
    _floats(call, "output_dtype")
    _common(call)
    axis = call.take("axis", 1)
    steps = constant("x_scale", scale)
    if isinstance(x, Value):
        check_steps("x", x, steps, zero)
        return Identity()
    return levels_of("x", x, steps, zero, axis)


def clip(call: Call, x: Value, low: Given = None, high: Given = None) -> Integers:
    """Integers within limits: those of fewer bits than their type has."""
    assert x.steps is not None
    full = Range.of_format(x.steps.bits, x.steps.signed)
    least = full.low if low is None else _integer("min", low)
    most = full.high if high is None else _integer("max", high)
    if not full.low <= least < most <= full.high:
        raise UserError(
            f"min {least} and max {most} are not allowed, allowed are limits from {full.low} to {full.high}"
        )
    return Integers(ops=x.steps.within(Range(least, most)), steps=x.steps)


def levels_of(name: str, x: Given, scale: np.ndarray, zero: Given, axis: int) -> Levels:
    """A constant of integers, with a scale and a zero point for all or for each channel of ``axis``."""
    values = constant(name, x)
    bits, _ = integer_type(name, values)
    own = positive(f"{name}_scale", scale)
    zeros = np.zeros((), values.dtype) if zero is None else constant(f"{name}_zero_point", zero)
    integer_type(f"{name}_zero_point", zeros)
    own, shift = (
        _along(part, array, values.shape, axis)
        for part, array in ((f"{name}_scale", own), (f"{name}_zero_point", zeros.astype(np.int64)))
    )
    most = int(shift.flat[np.abs(shift).argmax()]) if shift.size else 0
    integers = values.astype(np.int64) - shift
    return Levels(integers=integers, scale=own, bits=min(bits, _bits(integers)), zero=most)


def integers_of(name: str, scale: np.ndarray, zero: np.ndarray) -> Integers:
    """What makes integers of a result that is not quantised yet."""
    steps = steps_of(name, scale, zero)
    if not 2 <= steps.bits <= 16:
        raise UserError(f"{name}_zero_point has type {zero.dtype.name}, allowed are types of 2 to 16 bits")
    return Integers(ops=steps.quant, steps=steps)


def steps_of(name: str, scale: np.ndarray, zero: np.ndarray) -> Steps:
    """What the integers of a result stand for."""
    step = one(f"{name}_scale", positive(f"{name}_scale", scale))
    bits, signed = integer_type(f"{name}_zero_point", zero)
    return Steps(scale=step, zero=_integer(f"{name}_zero_point", zero), bits=bits, signed=signed)


def check_steps(name: str, x: Value, scale: np.ndarray, zero: Given) -> None:
    """Raise `UserError` unless ``x`` has integers that stand for what ``scale`` and ``zero`` say."""
    if x.steps is None:
        raise UserError(f"takes {x.name!r}, which has no integers, allowed is what QuantizeLinear gives")
    if zero is None:
        said = dataclasses.replace(x.steps, scale=one(f"{name}_scale", positive(f"{name}_scale", scale)), zero=0)
    else:
        said = steps_of(name, scale, constant(f"{name}_zero_point", zero))
    if said != x.steps:
        raise UserError(f"{name} has {said}, its integers are made with {x.steps}, allowed are the same")


#: What makes ops, or constants, of operations of ONNX's domain and of ONNX Runtime's.
QDQ_OPERATIONS: Mapping[str, Callable[..., Made]] = {
    "QuantizeLinear": quantize_linear,
    "DequantizeLinear": dequantize_linear,
}


def _common(call: Call) -> None:
    """The attributes of both."""
    call.only("block_size", 0, 0)
    _floats(call, "precision")
    call.take("saturate")  # of results that are floats of 8 bits


def _floats(call: Call, name: str) -> None:
    """Raise `UserError` where the attribute ``name`` is another type than floats of 32 bits."""
    value = call.take(name, 0)
    if value not in (0, onnx.TensorProto.FLOAT):
        raise UserError(f"{name} {value} is not allowed, allowed are 0 and {onnx.TensorProto.FLOAT}, FLOAT")


def _zeros(name: str, zero: Given, scale: np.ndarray, kind: int) -> np.ndarray:
    """The zero points that are given, or zeros of the type ``kind``; of 8 bits unsigned where that is 0."""
    if zero is not None:
        return constant(name, zero)
    try:
        dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(kind)) if kind else np.dtype(np.uint8)
    except (KeyError, TypeError):
        raise UserError(f"output_dtype {kind} is not known, allowed are types of integers") from None
    return np.zeros(scale.shape, dtype)


def _integer(name: str, given: Given) -> int:
    array = constant(name, given)
    integer_type(name, array)
    return int(one(name, array.astype(np.int64)))


def _bits(integers: np.ndarray) -> int:
    """Bits of the format that ``integers`` need. A type may have more than were meant."""
    return max(int(integers.max(initial=0)), -1 - int(integers.min(initial=0))).bit_length() + 1


def _along(name: str, array: np.ndarray, shape: tuple[int, ...], axis: int) -> np.ndarray:
    """``array`` of one element, or of one for each of ``axis``, so that it fits ``shape``."""
    if array.size == 1:
        return array.reshape(())
    if array.ndim != 1 or not -len(shape) <= axis < len(shape) or array.size != shape[axis]:
        allowed = f"one, or one for each of axis {axis}"
        raise UserError(f"{name} has shape {list(array.shape)}, which does not fit {list(shape)}, allowed is {allowed}")
    sides = [1] * len(shape)
    sides[axis] = array.size
    return array.reshape(sides)
