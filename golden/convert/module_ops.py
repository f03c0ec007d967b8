"""PyTorch's operations as exported programs have them, by name: each makes ops of ours of its arguments.

A function takes the arguments of an ATen operation under the names of its schema. What depends on the
image is a `Value`, what does not is a tensor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from golden.contract.network.avg_pool import FRAME
from golden.convert.ops import (
    Add,
    Argmax,
    AvgPool,
    Concat,
    Dynamic,
    Flatten,
    Identity,
    MaxPool,
    Ops,
    Relu,
    Upsample,
    frames_of,
)
from golden.convert.reading import Value, arithmetic, batch_norm, clamped, convolution, linear
from golden.convert.window import (
    adaptive_kernel,
    max_pool_pad,
    no_dilation,
    no_padding,
    pool_kernel,
    pool_stride,
    upsample_factor,
    whole_windows,
)
from golden.operators.dynamic_conv import DynamicConv2d
from golden.operators.merge import filled
from golden.operators.parts import in_float64
from golden.support.cli import UserError

Pair = Sequence[int] | int


def conv2d(
    input: Value,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Pair = 1,
    padding: Pair | str = 0,
    dilation: Pair = 1,
    groups: int = 1,
) -> Ops:
    kernel = tuple(weight.shape[2:])
    if isinstance(padding, str):
        padding = [side // 2 for side in kernel] if padding == "same" else 0
    return convolution(
        array("weight", weight),
        optional("bias", bias),
        kernel="kernel_size",
        stride=("stride", stride),
        padding=("padding", padding),
        dilation=("dilation", _pair(dilation)),
        groups=("groups", groups),
    )


def convolution_(
    input: Value,
    weight: Tensor,
    bias: Tensor | None,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    transposed: bool,
    output_padding: Pair,
    groups: int,
) -> Ops:
    if transposed:
        raise UserError("transposed True is not allowed, allowed is False")
    return conv2d(input, weight, bias, stride, padding, dilation, groups)


def batch_norm_(
    input: Value,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool = False,
) -> Ops:
    if training or running_mean is None or running_var is None:
        raise UserError("takes the statistics of its batch, allowed is eval mode with running statistics")
    return eval_batch_norm(input, weight, bias, running_mean, running_var, momentum, eps)


def eval_batch_norm(
    input: Value,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor,
    running_var: Tensor,
    momentum: float,
    eps: float,
) -> Ops:
    mean, variance = array("running_mean", running_mean), array("running_var", running_var)
    return batch_norm(optional("weight", weight), optional("bias", bias), mean, variance, eps)


def dynamic_conv(
    x: Value,
    conv_weight: Tensor,
    attn_weight: Tensor,
    bias: Tensor,
    stride: int,
    padding: str,
    groups: int,
    product: str,
    heads: int | None,
    offsets: Sequence[int],
) -> Ops:
    outputs, own, kernel, _ = conv_weight.shape
    part = DynamicConv2d(
        own * groups,
        outputs,
        kernel_size=kernel,
        stride=stride,
        padding=padding,
        groups=groups,
        product=product,
        heads=heads,
        attn_offsets=list(zip(offsets[::2], offsets[1::2], strict=True)),
        dtype=torch.float64,
    )
    values = {"conv_weight": conv_weight, "attn_weight": attn_weight, "bias": bias}
    return Dynamic(part=filled(part, **{name: in_float64(value) for name, value in values.items()}))


def relu(input: Value) -> Ops:
    return Relu()


def hardtanh(input: Value, min_val: float = -1, max_val: float = 1) -> Ops:
    return clamp(input, min_val, max_val)


def clamp(input: Value, min: float | None = None, max: float | None = None) -> Ops:
    return clamped(min, max)


def add(input: Any, other: Any, alpha: float = 1) -> Ops:
    if isinstance(input, Value) and isinstance(other, Value):
        if alpha != 1:
            raise UserError(f"alpha {alpha} is not allowed, allowed is 1")
        return Add()
    if isinstance(input, Value):
        return arithmetic(1.0, alpha * constant(other), input.shape)
    return arithmetic(alpha, constant(input), other.shape)


def sub(input: Any, other: Any, alpha: float = 1) -> Ops:
    if isinstance(input, Value) and isinstance(other, Value):
        raise UserError("subtracts two results, allowed is a constant")
    if isinstance(input, Value):
        return arithmetic(1.0, -alpha * constant(other), input.shape)
    return arithmetic(-alpha, constant(input), other.shape)


def mul(input: Any, other: Any) -> Ops:
    if isinstance(input, Value) and isinstance(other, Value):
        raise UserError("multiplies two results, allowed is a constant (X-volution's own products are kept)")
    value, factor = (input, other) if isinstance(input, Value) else (other, input)
    return arithmetic(constant(factor), 0.0, value.shape)


def div(input: Any, other: Any) -> Ops:
    if isinstance(other, Value):
        raise UserError("divides by a result, allowed is a constant")
    with np.errstate(divide="ignore"):
        return arithmetic(1 / constant(other), 0.0, input.shape)


def cat(tensors: Sequence[Value], dim: int = 0) -> Ops:
    for part in tensors:
        if not isinstance(part, Value):
            raise UserError("joins a constant, allowed are results")
    _dimension("dim", dim, tensors[0], (1,))
    return Identity() if len(tensors) == 1 else Concat()


def max_pool2d(
    input: Value,
    kernel_size: Pair,
    stride: Pair = (),
    padding: Pair = 0,
    dilation: Pair = 1,
    ceil_mode: bool = False,
) -> Ops:
    kernel = pool_kernel("kernel_size", kernel_size)
    step = pool_stride("stride", stride or kernel)
    pad = max_pool_pad("padding", padding, kernel)
    no_dilation("dilation", _pair(dilation))
    whole_windows("ceil_mode", ceil_mode, frames_of(input.shape)[1:], kernel, step, pad)
    return MaxPool(kernel=kernel, stride=step, pad=pad)


def avg_pool2d(
    input: Value,
    kernel_size: Pair,
    stride: Pair = (),
    padding: Pair = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Ops:
    no_padding("padding", _pair(padding))
    if divisor_override is not None:
        raise UserError(f"divisor_override {divisor_override} is not allowed, allowed is None")
    sides = frames_of(input.shape)[1:]
    if _pair(kernel_size) == list(sides):
        return AvgPool(kernel=FRAME, stride=1)
    kernel = pool_kernel("kernel_size", kernel_size)
    step = pool_stride("stride", stride or kernel)
    whole_windows("ceil_mode", ceil_mode, sides, kernel, step, 0)
    return AvgPool(kernel=kernel, stride=step)


def adaptive_avg_pool2d(input: Value, output_size: Pair) -> Ops:
    sides, wanted = frames_of(input.shape)[1:], _pair(output_size)
    if wanted == [1, 1]:
        return AvgPool(kernel=FRAME, stride=1)
    if wanted == list(sides):
        return Identity()
    kernel = adaptive_kernel("output_size", sides, wanted)
    return AvgPool(kernel=kernel, stride=kernel)


def mean(input: Value, dim: Sequence[int] | None, keepdim: bool = False, dtype: object = None) -> Ops:
    rank = len(input.shape) + 1
    dims = sorted(d % rank for d in dim or ())
    if rank != 4 or dims != [2, 3]:
        raise UserError(f"dim {dim} is not allowed, allowed are rows and columns, [2, 3]")
    pool = AvgPool(kernel=FRAME, stride=1)
    return pool if keepdim else (pool, Flatten())


def upsample_nearest2d(input: Value, output_size: Sequence[int] | None, *scales: Any) -> Ops:
    sides = frames_of(input.shape)[1:]
    if output_size is not None:
        factors = [wanted / size for wanted, size in zip(output_size, sides, strict=True)]
    else:
        factors = list(scales[0])
    return Upsample(factor=upsample_factor("scale_factor", factors))


def linear_(input: Value, weight: Tensor, bias: Tensor | None = None) -> Ops:
    return linear(array("weight", weight), optional("bias", bias))


def addmm(input: Tensor, mat1: Value, mat2: Tensor, beta: float = 1, alpha: float = 1) -> Ops:
    for name, value in (("beta", beta), ("alpha", alpha)):
        if value != 1:
            raise UserError(f"{name} {value} is not allowed, allowed is 1")
    return linear(array("mat2", mat2).T, array("input", input))


def mm(input: Value, mat2: Tensor) -> Ops:
    return linear(array("mat2", mat2).T, None)


def flatten(input: Value, start_dim: int = 0, end_dim: int = -1) -> Ops:
    _dimension("start_dim", start_dim, input, (1,))
    _dimension("end_dim", end_dim, input, (len(input.shape),))
    return Flatten()


def view(input: Value, size: Sequence[int]) -> Ops:
    shape, count = tuple(size[1:]), int(np.prod(input.shape))
    if shape == input.shape:
        return Identity()
    if shape not in ((count,), (-1,)):
        raise UserError(f"size {list(size)} of {input.shown} is not allowed, allowed is to flatten it, [N, {count}]")
    return Flatten()


def squeeze(input: Value, dim: Sequence[int] | int) -> Ops:
    dims = sorted(d % (len(input.shape) + 1) for d in _pair(dim))
    if input.shape[1:] != (1, 1) or dims != [2, 3]:
        raise UserError(f"dim {dim} of {input.shown} is not allowed, allowed are [2, 3] of frames of one pixel")
    return Flatten()


def identity(input: Value, *others: Any, **options: Any) -> Ops:
    return Identity()


def first(input: Value, index: int) -> Ops:
    if index:
        raise UserError(f"takes result {index} of an operation, allowed is its first, 0")
    return Identity()


def dropout(input: Value, p: float, train: bool) -> Ops:
    if train:
        raise UserError("train True is not allowed, allowed is eval mode")
    return Identity()


def argmax(input: Value, dim: int | None = None, keepdim: bool = False) -> Ops:
    if dim is None or dim % (len(input.shape) + 1) != 1 or len(input.shape) != 1:
        raise UserError(f"dim {dim} of {input.shown} is not allowed, allowed is 1 of features [N, K]")
    return Argmax()


#: What makes ops of each operation, by its name without the prefix ``aten``.
OPERATIONS: Mapping[str, Callable[..., Ops]] = {
    "conv2d.default": conv2d,
    "conv2d.padding": conv2d,
    "convolution.default": convolution_,
    "batch_norm.default": batch_norm_,
    "_native_batch_norm_legit_no_training.default": eval_batch_norm,
    "relu.default": relu,
    "hardtanh.default": hardtanh,
    "clamp.default": clamp,
    "clamp_min.default": clamp,
    "add.Tensor": add,
    "sub.Tensor": sub,
    "rsub.Scalar": lambda input, other, alpha=1: sub(other, input, alpha),
    "mul.Tensor": mul,
    "div.Tensor": div,
    "cat.default": cat,
    "max_pool2d.default": max_pool2d,
    "max_pool2d_with_indices.default": max_pool2d,
    "avg_pool2d.default": avg_pool2d,
    "adaptive_avg_pool2d.default": adaptive_avg_pool2d,
    "_adaptive_avg_pool2d.default": adaptive_avg_pool2d,
    "mean.dim": mean,
    "upsample_nearest2d.vec": upsample_nearest2d,
    "upsample_nearest2d.default": upsample_nearest2d,
    "linear.default": linear_,
    "addmm.default": addmm,
    "mm.default": mm,
    "flatten.using_ints": flatten,
    "view.default": view,
    "_unsafe_view.default": view,
    "reshape.default": view,
    "squeeze.dims": squeeze,
    "dropout.default": dropout,
    "clone.default": identity,
    "alias.default": identity,
    "contiguous.default": identity,
    "detach.default": identity,
    "argmax.default": argmax,
    "getitem": first,
    "xvolution.dynamic_conv.default": dynamic_conv,
}


def array(name: str, tensor: Any) -> np.ndarray:
    """A tensor that does not depend on the image. Raises `UserError` for one that does."""
    if isinstance(tensor, Value):
        raise UserError(f"{name} depends on the image, allowed are constants")
    return in_float64(tensor).numpy()


def optional(name: str, tensor: Any) -> np.ndarray | None:
    return None if tensor is None else array(name, tensor)


def constant(value: Any) -> np.ndarray:
    """A number or a tensor as an array."""
    return array("operand", value) if isinstance(value, (Tensor, Value)) else np.asarray(value, np.float64)


def _pair(value: Pair) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value) * (2 // len(value))


def _dimension(name: str, value: int, of: Value, allowed: Sequence[int]) -> None:
    if value % (len(of.shape) + 1) not in allowed:
        raise UserError(f"{name} {value} is not allowed, allowed is {allowed[0]}")
