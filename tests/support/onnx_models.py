"""ONNX models, node by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

#: Weights and biases of a convolution of two channels.
RNG = np.random.default_rng(0)
WEIGHT = RNG.standard_normal((4, 2, 3, 3)).astype(np.float32)
BIAS = RNG.standard_normal(4).astype(np.float32)


def model(
    nodes: Sequence[onnx.NodeProto],
    constants: Mapping[str, np.ndarray],
    *,
    shape: Sequence[int | str] = (1, 2, 6, 6),
    opset: int = 17,
    output: str = "y",
    domains: Mapping[str, int] = {},
    elem: int = TensorProto.FLOAT,
) -> onnx.ModelProto:
    """A model of one input ``x`` of ``shape`` and one ``output``."""
    graph = helper.make_graph(
        list(nodes),
        "graph",
        [helper.make_tensor_value_info("x", elem, list(shape))],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, [])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(*entry) for entry in domains.items())]
    return helper.make_model(graph, opset_imports=imports, ir_version=8)


def node(op: str, inputs: Sequence[str], output: str = "y", **attributes: Any) -> onnx.NodeProto:
    """A node called as its result is."""
    return helper.make_node(op, list(inputs), [output], name=f"{output}_node", **attributes)


def classifier(batch: int | str = 1, opset: int = 17) -> onnx.ModelProto:
    """A network of most kinds of nodes: residual, with a ReLU6, a maximum, a mean and a linear map."""
    nodes = [
        node("Conv", ["x", "w", "b"], "c", pads=[1, 1, 1, 1], kernel_shape=[3, 3]),
        node("BatchNormalization", ["c", "scale", "shift", "mean", "var"], "n", epsilon=0.01),
        node("Relu", ["n"], "r"),
        node("Conv", ["r", "w2"], "d", pads=[1, 1, 1, 1], group=4),
        node("Clip", ["d", "zero", "six"], "s"),
        node("Add", ["r", "s"], "a"),
        node("MaxPool", ["a"], "m", kernel_shape=[2, 2], strides=[2, 2]),
        node("Mul", ["m", "factor"], "f"),
        node("GlobalAveragePool", ["f"], "g"),
        node("Flatten", ["g"], "flat"),
        node("Gemm", ["flat", "w3", "b3"], "y", transB=1, alpha=0.5),
    ]
    rng = np.random.default_rng(1)

    def floats(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape).astype(np.float32)

    constants = {
        "w": WEIGHT,
        "b": BIAS,
        "scale": floats(4),
        "shift": floats(4),
        "mean": floats(4),
        "var": np.square(floats(4)) + 0.1,
        "w2": floats(4, 1, 3, 3),
        "zero": np.float32(0),
        "six": np.float32(6),
        "factor": floats(4, 1, 1),
        "w3": floats(5, 4),
        "b3": floats(5),
    }
    return model(nodes, constants, shape=(batch, 2, 6, 6), opset=opset)


def tiny() -> onnx.ModelProto:
    """A convolution of frames of 2 channels and 3x4 pixels."""
    return model([node("Conv", ["x", "w"], pads=[1] * 4)], {"w": WEIGHT}, shape=("n", 2, 3, 4))


def images(count: int = 3, shape: Sequence[int] = (2, 6, 6)) -> np.ndarray:
    """Random images of both signs."""
    return np.random.default_rng(2).standard_normal((count, *shape)).astype(np.float32)
