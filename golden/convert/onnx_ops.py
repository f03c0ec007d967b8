"""ONNX's operations by name: each makes ops of ours of a node.

A function takes the node's inputs in their order. What depends on the image is a `Value`, what does not is an
array, and what is left out is None. It takes every attribute that it knows from the `Call`. One that is left
is refused, so that no attribute is ignored.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import TensorProto

from golden.contract.network.avg_pool import FRAME
from golden.contract.rounding import HALF_EVEN
from golden.convert.levels import Levels
from golden.convert.ops import (
    Add,
    Affine,
    Argmax,
    AvgPool,
    Concat,
    Flatten,
    Identity,
    MaxPool,
    Ops,
    Relu,
    Round,
    Upsample,
    WeightLevels,
    frames_of,
)
from golden.convert.reading import (
    Value,
    arithmetic,
    batch_norm,
    clamped,
    conv_weight,
    convolution,
    finite,
    linear,
    numbers,
)
from golden.convert.window import (
    max_pool_pad,
    no_dilation,
    no_padding,
    pool_kernel,
    pool_stride,
    upsample_factor,
    whole_windows,
)
from golden.support.cli import UserError

Given = Value | np.ndarray | Levels | None


#: How paddings may be said.
AUTO_PADS = ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")


@dataclass(frozen=True, kw_only=True, eq=False)
class Call:
    """A node's attributes, and what it knows of its graph.

    Attributes:
        opset: the version of the operations.
        batch: images in a batch, or a number that stands for any.
        outputs: how many results the node gives.
        attributes: by name. Those that were taken are no longer there.
    """

    opset: int
    batch: int
    outputs: int
    attributes: dict[str, Any]

    def take(self, name: str, default: Any = None) -> Any:
        """The attribute ``name``, which is known from now on."""
        return self.attributes.pop(name, default)

    def listed(self, name: str, count: int, default: int | None = None) -> list[int]:
        """The attribute ``name``, ``count`` integers. None: it has no default."""
        value = self.take(name, None if default is None else [default] * count)
        if not isinstance(value, list) or len(value) != count:
            raise UserError(f"{name} {value} is not allowed, allowed are {count} integers")
        return value

    def only(self, name: str, allowed: Any, default: Any) -> None:
        """Raise `UserError` where the attribute ``name`` is not ``allowed``."""
        value = self.take(name, default)
        if value != allowed:
            raise UserError(f"{name} {value} is not allowed, allowed is {allowed}")


def conv(call: Call, x: Value, weight: Given, bias: Given = None) -> Ops:
    kernel = conv_weight(constant("weight", weight))
    call.only("kernel_shape", list(kernel.shape[2:]), list(kernel.shape[2:]))
    strides, dilations = call.listed("strides", 2, 1), call.listed("dilations", 2, 1)
    made = convolution(
        kernel,
        None if bias is None else constant("bias", bias),
        kernel="kernel_shape",
        stride=("strides", strides),
        padding=("pads", _pads(call, x, kernel.shape[2:], strides)),
        dilation=("dilations", dilations),
        groups=("group", call.take("group", 1)),
    )
    return dataclasses.replace(made, levels=_weight_levels(weight))


def batch_normalization(call: Call, x: Value, scale: Given, bias: Given, mean: Given, variance: Given) -> Ops:
    call.only("training_mode", 0, 0)
    call.take("momentum")
    names = ("scale", "B", "input_mean", "input_var")
    weight, shift, mean, variance = map(constant, names, (scale, bias, mean, variance))
    return batch_norm(weight, shift, mean, variance, call.take("epsilon", 1e-5))


def relu(call: Call, x: Value) -> Ops:
    return Relu()


def clip(call: Call, x: Value, low: Given = None, high: Given = None) -> Ops:
    least = None if low is None else _scalar("min", low)
    most = None if high is None else _scalar("max", high)
    return clamped(least, most)


def add(call: Call, a: Given, b: Given) -> Ops:
    if isinstance(a, Value) and isinstance(b, Value):
        return Add()
    value, other = _value_first(a, b)
    return arithmetic(1.0, other, value.shape)


def sub(call: Call, a: Given, b: Given) -> Ops:
    if isinstance(a, Value) and isinstance(b, Value):
        raise UserError("subtracts two results, allowed is a constant")
    value, other = _value_first(a, b)
    return arithmetic(1.0, -other, value.shape) if value is a else arithmetic(-1.0, other, value.shape)


def mul(call: Call, a: Given, b: Given) -> Ops:
    if isinstance(a, Value) and isinstance(b, Value):
        raise UserError("multiplies two results, allowed is a constant")
    value, other = _value_first(a, b)
    return arithmetic(other, 0.0, value.shape)


def div(call: Call, a: Given, b: Given) -> Ops:
    if not isinstance(a, Value) or isinstance(b, Value):
        raise UserError("divides by a result, allowed is a constant")
    with np.errstate(divide="ignore"):
        return arithmetic(1 / finite("B", constant("B", b)), 0.0, a.shape)


def sum_(call: Call, *terms: Given) -> Ops:
    if len(terms) == 1:
        return Identity()
    if len(terms) > 2:
        raise UserError(f"adds {len(terms)} results, allowed are 1 or 2")
    return add(call, *terms)


def concat(call: Call, *parts: Given) -> Ops:
    first = parts[0]
    if not isinstance(first, Value) or not all(isinstance(part, Value) for part in parts):
        raise UserError("joins a constant, allowed are results")
    _channels_only(call, "axis", first, 1)
    return Identity() if len(parts) == 1 else Concat()


def max_pool(call: Call, x: Value) -> Ops:
    if call.outputs > 1:
        raise UserError("gives indices, too, allowed is the maximum alone")
    kernel, stride, pads = _pool(call, x)
    return MaxPool(kernel=kernel, stride=stride, pad=max_pool_pad("pads", pads, kernel))


def average_pool(call: Call, x: Value) -> Ops:
    call.take("count_include_pad")
    sides = list(frames_of(x.shape)[1:])
    if list(call.attributes.get("kernel_shape", ())) == sides:
        call.take("kernel_shape")
        call.listed("strides", 2, 1)
        call.take("ceil_mode")
        no_dilation("dilations", call.listed("dilations", 2, 1))
        no_padding("pads", _pads(call, x, sides, [1, 1]))
        return AvgPool(kernel=FRAME, stride=1)
    kernel, stride, pads = _pool(call, x)
    no_padding("pads", pads)
    return AvgPool(kernel=kernel, stride=stride)


def global_average_pool(call: Call, x: Value) -> Ops:
    frames_of(x.shape)
    return AvgPool(kernel=FRAME, stride=1)


def reduce_mean(call: Call, x: Value, axes: Given = None) -> Ops:
    ends = _frame_only(call, x, axes)
    return AvgPool(kernel=FRAME, stride=1), *ends


def reduce_sum(call: Call, x: Value, axes: Given = None) -> Ops:
    ends = _frame_only(call, x, axes)
    channels, height, width = x.shape
    pixels = Affine(scale=np.full(channels, float(height * width)), shift=np.zeros(channels))
    return AvgPool(kernel=FRAME, stride=1), pixels, *ends


def resize(call: Call, x: Value, roi: Given = None, scales: Given = None, sizes: Given = None) -> Ops:
    call.only("mode", "nearest", "nearest")
    call.only("antialias", 0, 0)
    call.only("keep_aspect_ratio_policy", "stretch", "stretch")
    for unused in ("cubic_coeff_a", "exclude_outside", "extrapolation_value"):
        call.take(unused)  # of other modes
    axes = call.take("axes", [0, 1, 2, 3])
    sides = (call.batch, *frames_of(x.shape))
    if scales is not None and constant("scales", scales).size:
        given = finite("scales", constant("scales", scales)).ravel().tolist()
    elif sizes is not None:
        wanted = numbers("sizes", constant("sizes", sizes))
        given = [size / sides[axis % 4] for axis, size in zip(axes, wanted, strict=False)]
    else:
        raise UserError("has neither scales nor sizes that are constant")
    if len(given) != len(axes):
        raise UserError(f"scales {given} are not one for each of axes {axes}")
    by_axis = {axis % 4: factor for axis, factor in zip(axes, given, strict=True)}
    factors = [by_axis.get(axis, 1.0) for axis in range(4)]
    if factors[:2] != [1, 1]:
        raise UserError(f"scales {factors} change images or channels, allowed are rows and columns")
    factor = upsample_factor("scales", factors[2:])
    _nearest(call, factor, sides[2:])
    return Upsample(factor=factor)


def gemm(call: Call, x: Given, weight: Given, bias: Given = None) -> Ops:
    if not isinstance(x, Value):
        raise UserError("multiplies a constant from the left, allowed is from the right")
    call.only("transA", 0, 0)
    alpha, beta = call.take("alpha", 1.0), call.take("beta", 1.0)
    levels = weight.times(alpha) if isinstance(weight, Levels) else None
    matrix = finite("B", constant("B", weight)) * alpha
    if not call.take("transB", 0):
        matrix, levels = matrix.T, levels and levels.transposed
    offset = None if bias is None else finite("C", constant("C", bias)) * beta
    if offset is not None and offset.size == 1:
        offset = np.full(len(matrix), offset.reshape(()))
    return dataclasses.replace(linear(matrix, offset), levels=_weight_levels(levels))


def matmul(call: Call, x: Given, weight: Given) -> Ops:
    if not isinstance(x, Value):
        raise UserError("multiplies a constant from the left, allowed is from the right")
    levels = weight.transposed if isinstance(weight, Levels) else None
    return dataclasses.replace(linear(constant("B", weight).T, None), levels=_weight_levels(levels))


def flatten(call: Call, x: Value) -> Ops:
    _channels_only(call, "axis", x, 1)
    return Flatten()


def reshape(call: Call, x: Value, shape: Given) -> Ops:
    zeros = call.take("allowzero", 0)
    wanted, count = numbers("shape", constant("shape", shape)), int(np.prod(x.shape))
    given = (call.batch, *x.shape)
    filled = [given[i] if size == 0 and not zeros and i < len(given) else size for i, size in enumerate(wanted)]
    if filled in ([call.batch, *x.shape], [call.batch, -1, *x.shape[1:]]):
        return Identity()
    if filled not in ([call.batch, -1], [call.batch, count], [-1, count]):
        raise UserError(f"shape {wanted} of {x.shown} is not allowed, allowed is to flatten it, [0, {count}]")
    return Flatten()


def squeeze(call: Call, x: Value, axes: Given = None) -> Ops:
    wanted = None if axes is None else sorted(a % (len(x.shape) + 1) for a in numbers("axes", constant("axes", axes)))
    if x.shape[1:] != (1, 1) or wanted != [2, 3]:
        raise UserError(f"axes {wanted} of {x.shown} are not allowed, allowed are [2, 3] of frames of one pixel")
    return Flatten()


def identity(call: Call, x: Value) -> Ops:
    return Identity()


def dropout(call: Call, x: Value, ratio: Given = None, training: Given = None) -> Ops:
    call.take("seed")
    if training is not None and constant("training_mode", training).any():
        raise UserError("training_mode True is not allowed, allowed is False")
    return Identity()


def cast(call: Call, x: Value | Levels) -> Ops:
    """Between floats. What a shorter one rounds is in the comparison with the source."""
    call.take("saturate")  # of floats of 8 bits
    kind = call.take("to")
    if kind not in (TensorProto.FLOAT, TensorProto.DOUBLE):
        raise UserError(f"to {TensorProto.DataType.Name(kind)} is not allowed, allowed are FLOAT and DOUBLE")
    return Identity()


def round_(call: Call, x: Value) -> Ops:
    return Round(rounding=HALF_EVEN)


def floor(call: Call, x: Value) -> Ops:
    return Round(rounding="floor")


def argmax(call: Call, x: Value) -> Ops:
    call.take("keepdims")
    call.only("select_last_index", 0, 0)
    if len(x.shape) != 1:
        raise UserError(f"takes {x.shown}, allowed are features [N, K]")
    _channels_only(call, "axis", x, 0)
    return Argmax()


#: What makes ops of each of ONNX's own operations, by its name.
OPERATIONS: Mapping[str, Callable[..., Ops]] = {
    "Add": add,
    "ArgMax": argmax,
    "AveragePool": average_pool,
    "BatchNormalization": batch_normalization,
    "Cast": cast,
    "Clip": clip,
    "Concat": concat,
    "Conv": conv,
    "Div": div,
    "Dropout": dropout,
    "Flatten": flatten,
    "Floor": floor,
    "Gemm": gemm,
    "GlobalAveragePool": global_average_pool,
    "Identity": identity,
    "MatMul": matmul,
    "MaxPool": max_pool,
    "Mul": mul,
    "ReduceMean": reduce_mean,
    "ReduceSum": reduce_sum,
    "Relu": relu,
    "Reshape": reshape,
    "Resize": resize,
    "Round": round_,
    "Squeeze": squeeze,
    "Sub": sub,
    "Sum": sum_,
}


def constant(name: str, value: Given) -> np.ndarray:
    """An input that does not depend on the image. Raises `UserError` for one that does, or is missing."""
    if value is None:
        raise UserError(f"input {name} is missing")
    if isinstance(value, Value):
        raise UserError(f"input {name} is {value.name!r}, which depends on the image, allowed are constants")
    return value.values if isinstance(value, Levels) else value


def _weight_levels(weight: Given) -> WeightLevels | None:
    """A quantised weight's own integers."""
    if not isinstance(weight, Levels):
        return None
    if weight.zero:
        raise UserError(f"weight has zero point {weight.zero}, allowed is 0, of signed weights")
    return WeightLevels(integers=weight.integers, scales=weight.by_output(), bits=weight.bits)


def _value_first(a: Given, b: Given) -> tuple[Value, np.ndarray]:
    value, other = (a, b) if isinstance(a, Value) else (b, a)
    assert isinstance(value, Value)
    return value, finite("operand", constant("operand", other))


def _scalar(name: str, value: Given) -> float:
    array = constant(name, value)
    if array.size != 1:
        raise UserError(f"{name} has shape {list(array.shape)}, allowed is one number")
    return float(array.reshape(()))


def _frame_only(call: Call, x: Value, axes: Given) -> Sequence[Flatten]:
    """What follows a reduction of rows and columns. Raises `UserError` for one of other axes."""
    wanted = call.take("axes") if axes is None else numbers("axes", constant("axes", axes))
    keep = call.take("keepdims", 1)
    call.only("noop_with_empty_axes", 0, 0)
    rank = len(x.shape) + 1
    if rank != 4 or sorted(axis % rank for axis in wanted or ()) != [2, 3]:
        raise UserError(f"axes {wanted} are not allowed, allowed are rows and columns, [2, 3]")
    return () if keep else (Flatten(),)


def _channels_only(call: Call, name: str, of: Value, default: int) -> None:
    """Raise `UserError` unless the attribute ``name`` is the axis of channels, or of features."""
    value = call.take(name, default)
    if value % (len(of.shape) + 1) != 1:
        raise UserError(f"{name} {value} of {of.shown} is not allowed, allowed is 1")


def _pool(call: Call, x: Value) -> tuple[int, int, list[int]]:
    """Kernel, stride and paddings of a pool, whose windows are whole."""
    sides, shape = frames_of(x.shape)[1:], call.listed("kernel_shape", 2)
    strides = call.listed("strides", 2, 1)
    kernel, stride = pool_kernel("kernel_shape", shape), pool_stride("strides", strides)
    pads = _pads(call, x, shape, strides)
    no_dilation("dilations", call.listed("dilations", 2, 1))
    call.only("storage_order", 0, 0)
    whole_windows("ceil_mode", call.take("ceil_mode", 0), sides, kernel, stride, pads[0])
    return kernel, stride, pads


def _pads(call: Call, x: Value, kernel: Sequence[int], strides: Sequence[int]) -> list[int]:
    """Paddings of all sides: tops of all axes, then their bottoms."""
    auto, pads = call.take("auto_pad", "NOTSET"), call.listed("pads", 4, 0)
    if auto not in AUTO_PADS:
        raise UserError(f"auto_pad {auto!r} is not one of {', '.join(AUTO_PADS)}")
    if auto == "VALID":
        return [0, 0, 0, 0]
    if auto == "NOTSET":
        return pads
    totals = [
        max((-(-size // step) - 1) * step + side - size, 0)
        for size, side, step in zip(frames_of(x.shape)[1:], kernel, strides, strict=True)
    ]
    small, large = [total // 2 for total in totals], [total - total // 2 for total in totals]
    return [*small, *large] if auto == "SAME_UPPER" else [*large, *small]


def _nearest(call: Call, factor: int, sides: Sequence[int]) -> None:
    """Raise `UserError` unless each pixel is ``factor`` pixels of a row, and of a column, by the node's own formula."""
    where = call.take("coordinate_transformation_mode", "half_pixel")
    how = call.take("nearest_mode", "round_prefer_floor")
    for size in sides:
        out = np.arange(factor * size, dtype=np.float64)
        places = {
            "half_pixel": (out + 0.5) / factor - 0.5,
            "pytorch_half_pixel": (out + 0.5) / factor - 0.5,
            "half_pixel_symmetric": (out + 0.5) / factor - 0.5,
            "asymmetric": out / factor,
            "align_corners": out * (size - 1) / (factor * size - 1),
        }
        rounded: dict[str, Callable[[np.ndarray], np.ndarray]] = {
            "round_prefer_floor": lambda at: np.ceil(at - 0.5),
            "round_prefer_ceil": lambda at: np.floor(at + 0.5),
            "floor": np.floor,
            "ceil": np.ceil,
        }
        if where not in places or how not in rounded:
            raise UserError(f"coordinate_transformation_mode {where} with nearest_mode {how} is not known")
        taken = np.clip(rounded[how](places[where]), 0, size - 1)
        if not np.array_equal(taken, np.arange(factor * size) // factor):
            what = f"coordinate_transformation_mode {where} with nearest_mode {how}"
            raise UserError(f"{what} takes other pixels than each one {factor} times, allowed is asymmetric with floor")
