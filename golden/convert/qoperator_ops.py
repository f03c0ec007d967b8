"""Operations on integers: each is an operation on what these stand for, and makes integers of its result."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from golden.convert import onnx_ops
from golden.convert.levels import Levels
from golden.convert.onnx_ops import Call, Given, constant
from golden.convert.ops import Op, Ops
from golden.convert.qdq_ops import Integers, Made, check_steps, integers_of, levels_of
from golden.convert.reading import Value
from golden.convert.steps import integer_type
from golden.support.cli import UserError


def qlinear_conv(
    call: Call,
    x: Given,
    x_scale: Given,
    x_zero: Given,
    weight: Given,
    w_scale: Given,
    w_zero: Given,
    y_scale: Given,
    y_zero: Given,
    bias: Given = None,
) -> Integers:
    """A convolution, its bias in steps of its products."""
    taken = _taken("x", x, x_scale, x_zero)
    levels = levels_of("w", weight, constant("w_scale", w_scale), w_zero, 0)
    return _made(onnx_ops.conv(call, taken, levels, _bias(bias, taken, levels.by_output())), y_scale, y_zero)


def qlinear_matmul(
    call: Call,
    x: Given,
    x_scale: Given,
    x_zero: Given,
    weight: Given,
    w_scale: Given,
    w_zero: Given,
    y_scale: Given,
    y_zero: Given,
) -> Integers:
    """A linear map without a bias."""
    taken = _taken("a", x, x_scale, x_zero)
    levels = levels_of("b", weight, constant("b_scale", w_scale), w_zero, -1)
    return _made(onnx_ops.matmul(call, taken, levels), y_scale, y_zero)


def q_gemm(
    call: Call,
    x: Given,
    x_scale: Given,
    x_zero: Given,
    weight: Given,
    w_scale: Given,
    w_zero: Given,
    bias: Given = None,
    y_scale: Given = None,
    y_zero: Given = None,
) -> Made:
    """A linear map, its bias in steps of its products. Without a scale of its result, this is of floats."""
    taken = _taken("A", x, x_scale, x_zero)
    transposed, alpha = call.attributes.get("transB", 0), call.attributes.get("alpha", 1.0)
    levels = levels_of("B", weight, constant("b_scale", w_scale), w_zero, 0 if transposed else -1)
    columns = (levels if transposed else levels.transposed).by_output()
    ops = onnx_ops.gemm(call, taken, levels, _bias(bias, taken, columns * alpha))
    return ops if y_scale is None else _made(ops, y_scale, y_zero)


def qlinear_add(
    call: Call,
    a: Given,
    a_scale: Given,
    a_zero: Given,
    b: Given,
    b_scale: Given,
    b_zero: Given,
    y_scale: Given,
    y_zero: Given = None,
) -> Integers:
    """An addition."""
    terms = _term("A", a, a_scale, a_zero), _term("B", b, b_scale, b_zero)
    return _made(onnx_ops.add(call, *terms), y_scale, y_zero, zero_first=True)


def qlinear_mul(
    call: Call,
    a: Given,
    a_scale: Given,
    a_zero: Given,
    b: Given,
    b_scale: Given,
    b_zero: Given,
    y_scale: Given,
    y_zero: Given = None,
) -> Integers:
    """A product with a constant."""
    factors = _term("A", a, a_scale, a_zero), _term("B", b, b_scale, b_zero)
    return _made(onnx_ops.mul(call, *factors), y_scale, y_zero, zero_first=True)


def qlinear_average_pool(
    call: Call, x: Given, x_scale: Given, x_zero: Given, y_scale: Given, y_zero: Given = None
) -> Integers:
    """Means of windows."""
    call.only("channels_last", 0, 0)
    mean = onnx_ops.average_pool(call, _taken("X", x, x_scale, x_zero))
    return _made(mean, y_scale, y_zero, zero_first=True)


def qlinear_global_average_pool(
    call: Call, x: Given, x_scale: Given, x_zero: Given, y_scale: Given, y_zero: Given = None
) -> Integers:
    """The mean of each channel."""
    call.only("channels_last", 0, 0)
    return _made(onnx_ops.global_average_pool(call, _taken("X", x, x_scale, x_zero)), y_scale, y_zero)


def qlinear_concat(call: Call, y_scale: Given, y_zero: Given, *parts: Given) -> Integers:
    """Channels of several results, each with a scale and a zero point."""
    if not parts or len(parts) % 3:
        raise UserError(f"takes {len(parts)} inputs behind its own scale, allowed are three of each result")
    triples = zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    taken = [_taken(f"input {index}", *triple) for index, triple in enumerate(triples)]
    return _made(onnx_ops.concat(call, *taken), y_scale, y_zero)


#: What makes ops of ONNX's own operations on integers.
QLINEAR_OPERATIONS: Mapping[str, Callable[..., Made]] = {
    "QLinearConv": qlinear_conv,
    "QLinearMatMul": qlinear_matmul,
}
#: What makes ops of ONNX Runtime's.
MICROSOFT_OPERATIONS: Mapping[str, Callable[..., Made]] = {
    "QGemm": q_gemm,
    "QLinearAdd": qlinear_add,
    "QLinearAveragePool": qlinear_average_pool,
    "QLinearConcat": qlinear_concat,
    "QLinearGlobalAveragePool": qlinear_global_average_pool,
    "QLinearMul": qlinear_mul,
}


def _taken(name: str, x: Given, scale: Given, zero: Given) -> Value:
    """A result that has the integers that its taker says."""
    if not isinstance(x, Value):
        raise UserError(f"{name} is a constant, allowed is a result")
    check_steps(name, x, constant(f"{name}_scale", scale), zero)
    return x


def _term(name: str, x: Given, scale: Given, zero: Given) -> Given:
    """A result, or a constant."""
    if isinstance(x, Value):
        return _taken(name, x, scale, zero)
    return levels_of(name, x, constant(f"{name}_scale", scale), zero, 0)


def _bias(bias: Given, taken: Value, scales: np.ndarray) -> Levels | None:
    """A bias in steps of products, of which each output has its own."""
    if bias is None:
        return None
    integers = constant("bias", bias)
    bits, _ = integer_type("bias", integers)
    assert taken.steps is not None
    return Levels(integers=integers.astype(np.int64).reshape(-1), scale=scales * taken.steps.scale, bits=bits)


def _made(ops: Ops, scale: Given, zero: Given, *, zero_first: bool = False) -> Integers:
    """``ops``, then what makes integers of their result.

    ONNX Runtime's kernels of some operations add the zero point before they round, others afterwards, as ONNX says.
    That is another integer at a tie where the zero point is odd.
    """
    zeros = np.zeros((), np.uint8) if zero is None else constant("y_zero_point", zero)
    own = integers_of("y", constant("y_scale", scale), zeros)
    listed = [ops] if isinstance(ops, Op) else list(ops)
    quant = dataclasses.replace(own.steps.quant, odd=zero_first and own.steps.zero % 2 == 1)
    return Integers(ops=[*listed, quant], steps=own.steps)
