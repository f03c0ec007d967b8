"""A graph that grows as its source is read, node by node, and what the readers of all sources have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from golden.convert.graph import Graph, Node
from golden.convert.ops import Affine, Conv, Linear, Op, Ops, Relu, Shape
from golden.convert.steps import Steps
from golden.convert.window import conv_groups, conv_kernel, conv_padding, conv_stride, no_dilation
from golden.support.cli import UserError

#: What installs the packages that read and run ONNX and QONNX.
INSTALL = "pip install -e '.[import]'"


@dataclass(frozen=True)
class Value:
    """A result that depends on the image.

    Attributes:
        name: the source's.
        shape: without the batch.
        steps: what its integers stand for. None: it is of floats.
    """

    name: str
    shape: Shape
    steps: Steps | None = None

    @property
    def shown(self) -> str:
        """The shape in words, with the batch."""
        return f"shape [N, {', '.join(map(str, self.shape))}]"


class GraphReader:
    """Collects nodes.

    Args:
        image: the source's name of what goes in.
        shape: ``(C, H, W)`` of it.
    """

    def __init__(self, image: str, shape: Shape) -> None:
        self.image = Value(image, shape)
        self._nodes: list[Node] = []

    def append(self, name: str, label: str, origin: str, inputs: Sequence[Value], made: Ops) -> Value:
        """Append what was ``made``: each op takes what the one before gives. The first takes ``inputs``."""
        taken, ops = list(inputs), [made] if isinstance(made, Op) else made
        for index, op in enumerate(ops):
            last = index == len(ops) - 1
            own = name if last else f"{name} before {len(ops) - 1 - index}"
            if op.takes is not None and len(taken) != op.takes:
                raise UserError(f"takes {len(taken)} results, allowed are {op.takes}")
            shape = op.result([value.shape for value in taken])
            self._nodes.append(
                Node(
                    name=own,
                    label=label,
                    origins=(origin,) if last else (),
                    op=op,
                    inputs=tuple(value.name for value in taken),
                    shape=shape,
                )
            )
            taken = [Value(own, shape)]
        (value,) = taken
        return value

    def graph(self, output: Value) -> Graph:
        """The nodes that ``output`` needs."""
        needed, nodes = {output.name}, []
        for node in reversed(self._nodes):
            if node.name in needed:
                needed |= set(node.inputs)
                nodes.append(node)
        if self.image.name not in needed:
            raise UserError(f"output {output.name!r} does not depend on the image")
        return Graph(
            image=self.image.name, image_shape=self.image.shape, nodes=tuple(reversed(nodes)), output=output.name
        )


@contextmanager
def naming(origin: str) -> Iterator[None]:
    """Put ``origin``, how the source calls an operation, before the message of a refusal."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{origin}: {error}") from None


def first_line(error: Exception) -> str:
    """The first line of a message of a library that writes several. Its type's name where it says nothing."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0]


def batches(images: np.ndarray, size: int | None) -> list[np.ndarray]:
    """``images`` in batches of ``size``; None: in one. What is missing in the last one is the first image again."""
    if size is None:
        return [images]
    filled = np.concatenate([images, np.repeat(images[:1], -len(images) % size, axis=0)])
    return [filled[start : start + size] for start in range(0, len(filled), size)]


def finite(name: str, array: np.ndarray) -> np.ndarray:
    """``array`` in float64. Raises `UserError` for one that is no array of finite real numbers."""
    if array.dtype.kind not in "fiu":
        raise UserError(f"{name} has dtype {array.dtype}, allowed are real numbers")
    array = array.astype(np.float64)
    if not np.isfinite(array).all():
        raise UserError(f"{name} has a value that is NaN or infinite, allowed are finite numbers")
    return array


def positive(name: str, array: np.ndarray) -> np.ndarray:
    """``array`` in float64. Raises `UserError` for one that is not finite and above 0."""
    found = finite(name, array)
    if not (found > 0).all():
        raise UserError(f"{name} {found.min():g} is not allowed, allowed is above 0")
    return found


def one(name: str, array: np.ndarray) -> float:
    """The one element of ``array``, what all channels share. Raises `UserError` where there are more."""
    if array.size != 1:
        raise UserError(f"{name} has shape {list(array.shape)}, allowed is one for all channels of a result")
    return float(array.reshape(()))


def conv_weight(weight: np.ndarray) -> np.ndarray:
    """``weight``, if it is that of a convolution of frames. Raises `UserError` otherwise."""
    if weight.ndim != 4:
        raise UserError(f"weight has shape {list(weight.shape)}, allowed is that of a Conv2d, [O, C, K, K]")
    return weight


def convolution(
    weight: np.ndarray,
    bias: np.ndarray | None,
    *,
    kernel: str,
    stride: tuple[str, object],
    padding: tuple[str, object],
    dilation: tuple[str, object],
    groups: tuple[str, int],
) -> Conv:
    """A convolution whose attributes have these names and values. Raises `UserError` for one that is not allowed."""
    weight = conv_weight(weight)
    no_dilation(*dilation)
    side = conv_kernel(kernel, weight.shape[2:])
    return Conv(
        weight=finite("weight", weight),
        bias=vector("bias", bias, len(weight)),
        stride=conv_stride(*stride),
        padding=conv_padding(*padding, side),
        groups=conv_groups(*groups, weight.shape),
    )


def numbers(name: str, array: np.ndarray) -> list[int]:
    """The integers of an array of one axis: a shape, or axes."""
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise UserError(f"{name} has shape {list(array.shape)} and dtype {array.dtype}, allowed are integers in a row")
    return [int(value) for value in array]


def linear(weight: np.ndarray, bias: np.ndarray | None) -> Linear:
    """A linear map of features with ``weight`` ``[K, F]``."""
    if weight.ndim != 2:
        raise UserError(f"weight has shape {list(weight.shape)}, allowed is [K, F]")
    return Linear(weight=finite("weight", weight), bias=vector("bias", bias, len(weight)))


def vector(name: str, array: np.ndarray | None, count: int) -> np.ndarray:
    """An array of ``count`` numbers. Zeros where there is none."""
    if array is None:
        return np.zeros(count)
    if array.shape not in ((count,), (1, count)):
        raise UserError(f"{name} has shape {list(array.shape)}, allowed is [{count}]")
    return finite(name, array).reshape(count)


def batch_norm(
    weight: np.ndarray | None, bias: np.ndarray | None, mean: np.ndarray, variance: np.ndarray, eps: float
) -> Affine:
    """A batch norm in eval mode. Raises `UserError` for statistics without a finite scale."""
    if mean.ndim != 1:
        raise UserError(f"mean has shape {list(mean.shape)}, allowed is [C]")
    count = len(mean)
    spread = vector("variance", variance, count) + eps
    if not (spread > 0).all():
        raise UserError(f"variance + epsilon is {spread.min():g} at its least, allowed is above 0")
    scale = (np.ones(count) if weight is None else vector("weight", weight, count)) / np.sqrt(spread)
    return Affine(scale=scale, shift=vector("bias", bias, count) - vector("mean", mean, count) * scale)


def clamped(least: object, most: object) -> Relu:
    """A ReLU that ends at ``most``; None: nowhere. Raises `UserError` for limits that none has."""
    if not isinstance(least, (int, float)) or least != 0:
        raise UserError(f"min {least} is not allowed, allowed is 0")
    if most is None:
        return Relu()
    if not isinstance(most, (int, float)) or not 0 < most < float("inf"):
        raise UserError(f"max {most} is not allowed, allowed is a number above 0")
    return Relu(ceiling=float(most))


def arithmetic(scale: np.ndarray | float, shift: np.ndarray | float, shape: Shape) -> Affine:
    """``scale x + shift`` with constants that are broadcast to ``shape``: one for all, or one for each channel."""
    return Affine(scale=_per_channel("factor", scale, shape), shift=_per_channel("constant", shift, shape))


def _per_channel(name: str, constant: np.ndarray | float, shape: Shape) -> np.ndarray:
    array = finite(name, np.asarray(constant))
    sizes = (1,) * (len(shape) - array.ndim) + array.shape
    batch, own = sizes[: -len(shape)], sizes[-len(shape) :]
    if any(size != 1 for size in (*batch, *own[1:])) or own[0] not in (1, shape[0]):
        allowed = f"one number, or one for each of {shape[0]} channels"
        raise UserError(f"{name} has shape {list(array.shape)}, allowed is {allowed}")
    return np.broadcast_to(array.reshape(-1), (shape[0],)).copy()
