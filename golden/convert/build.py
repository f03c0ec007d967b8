"""The float network of a graph: its steps with names that network files allow, and what each stands for."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from golden.contract.network.network import IMAGE
from golden.convert.graph import Graph, Node
from golden.convert.ops import (
    Add,
    Affine,
    Argmax,
    AvgPool,
    Concat,
    Conv,
    Dynamic,
    Flatten,
    Linear,
    MaxPool,
    Op,
    Relu,
    Round,
    Shape,
    Upsample,
)
from golden.convert.reading import naming
from golden.operators.dynamic_conv import DynamicConv2d
from golden.operators.merge import filled
from golden.operators.network import Network
from golden.operators.step import Step
from golden.support.cli import UserError

#: Most characters of a step's name.
LONGEST = 64


@dataclass(frozen=True, kw_only=True, eq=False)
class Built:
    """A network, and the node of the source's graph that each of its steps is.

    Attributes:
        network: in float64, merged.
        nodes: by the names of the steps.
    """

    network: Network
    nodes: Mapping[str, Node]


def build(graph: Graph) -> Built:
    """The network of a rewritten ``graph``. Raises `UserError` for a node that no step can be, by its origin."""
    names = {graph.image: IMAGE} | step_names(graph.nodes)
    shapes = graph.shapes
    steps: list[Step] = []
    parts: dict[str, nn.Module] = {}
    for node in graph.nodes:
        with naming(" + ".join(node.origins)):
            op, options, part = STEPS[type(node.op)](node.op, shapes[node.inputs[0]])
        name = names[node.name]
        steps.append(
            Step(
                name=name,
                op=op,
                inputs=tuple(names[taken] for taken in node.inputs),
                relu=node.rectifies,
                ceiling=node.limit,
                options=options,
            )
        )
        if part is not None:
            parts[name] = part
    return Built(network=Network(steps, parts).eval(), nodes={names[node.name]: node for node in graph.nodes})


def step_names(nodes: Iterable[Node]) -> dict[str, str]:
    """A name for each node's step, by the node's name: its label in letters, digits and ``_``, used once."""
    names: dict[str, str] = {}
    taken = {IMAGE}
    for node in nodes:
        plain = re.sub(r"[^A-Za-z0-9]+", "_", node.label).strip("_")
        plain = plain if re.match(r"[A-Za-z]", plain) else f"step_{plain}".rstrip("_")
        names[node.name] = unused_name(plain, taken)
        taken.add(names[node.name])
    return names


def unused_name(plain: str, taken: Collection[str]) -> str:
    """``plain``, as long as a name may be, with a number if it is taken."""
    name, count = plain[:LONGEST], 1
    while name in taken:
        count += 1
        suffix = f"_{count}"
        name = plain[: LONGEST - len(suffix)] + suffix
    return name


_Made = tuple[str, dict[str, int | str], nn.Module | None]


def _conv(op: Conv, taken: Shape) -> _Made:
    outputs, _, kernel, _ = op.weight.shape
    return "layer", {}, _layer(taken[0], outputs, op.weight, op.bias, kernel, op.stride, op.padding, op.groups)


def _dynamic(op: Dynamic, taken: Shape) -> _Made:
    return "layer", {}, op.part


def _affine(op: Affine, taken: Shape) -> _Made:
    channels = taken[0]
    weight = op.scale[:, None, None, None]
    return "layer", {}, _layer(channels, channels, weight, op.shift, 1, 1, "same", channels)


def _relu(op: Relu, taken: Shape) -> _Made:
    return _affine(Affine(scale=np.ones(taken[0]), shift=np.zeros(taken[0])), taken)


def _linear(op: Linear, taken: Shape) -> _Made:
    linear = nn.Linear(op.weight.shape[1], len(op.weight), dtype=torch.float64)
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(op.weight))
        linear.bias.copy_(torch.from_numpy(op.bias))
    return "linear", {}, linear


def _add(op: Add, taken: Shape) -> _Made:
    return "add", {}, None


def _concat(op: Concat, taken: Shape) -> _Made:
    return "concat", {}, None


def _max_pool(op: MaxPool, taken: Shape) -> _Made:
    return "max_pool", {"kernel": op.kernel, "stride": op.stride, "pad": op.pad}, None


def _avg_pool(op: AvgPool, taken: Shape) -> _Made:
    return "avg_pool", {"kernel": op.kernel, "stride": op.stride}, None


def _upsample(op: Upsample, taken: Shape) -> _Made:
    return "upsample", {"factor": op.factor}, None


def _argmax(op: Argmax, taken: Shape) -> _Made:
    return "argmax", {}, None


def _flatten(op: Flatten, taken: Shape) -> _Made:
    raise UserError(f"flattens {list(taken)}, allowed is before a linear map, or frames of one pixel")


def _round(op: Round, taken: Shape) -> _Made:
    raise UserError(f"rounds to whole numbers ({op.rounding}), allowed is before a Quant of scale 1")


#: What makes a step of each op: the step's op, its options and its module.
STEPS: Mapping[type[Op], Callable[[Any, Shape], _Made]] = {
    Conv: _conv,
    Dynamic: _dynamic,
    Affine: _affine,
    Relu: _relu,
    Linear: _linear,
    Add: _add,
    Concat: _concat,
    MaxPool: _max_pool,
    AvgPool: _avg_pool,
    Upsample: _upsample,
    Argmax: _argmax,
    Flatten: _flatten,
    Round: _round,
}


def _layer(
    channels: int,
    outputs: int,
    weight: np.ndarray,
    bias: np.ndarray,
    kernel: int,
    stride: int,
    padding: str,
    groups: int,
) -> DynamicConv2d:
    conv = DynamicConv2d(
        channels,
        outputs,
        kernel_size=kernel,
        stride=stride,
        padding=padding,
        groups=groups,
        attn_offsets=(),
        dtype=torch.float64,
    )
    return filled(conv, conv_weight=torch.from_numpy(weight), bias=torch.from_numpy(bias))
