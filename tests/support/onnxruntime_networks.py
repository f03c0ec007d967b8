"""Networks as ONNX Runtime's static quantiser writes them."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper
from onnxruntime import quantization as q
from onnxruntime.quantization import QuantType

from tests.support.onnx_models import model, node

#: Options of the quantiser, by what activations are.
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "symmetric": {"per_channel": True, "extra_options": {"ActivationSymmetric": True}},
    "restricted": {
        "per_channel": True,
        "activation_type": QuantType.QUInt8,
        "extra_options": {"ActivationRestrictedAsymmetric": True},
    },
    "asymmetric": {"per_channel": True},
    "own_pairs": {
        "activation_type": QuantType.QUInt8,
        "extra_options": {"ActivationRestrictedAsymmetric": True, "DedicatedQDQPair": True, "AddQDQPairToWeight": True},
    },
    "unsigned": {"activation_type": QuantType.QUInt8, "reduce_range": True},
}


def residual(padding: int = 1, *, image: tuple[int, int, int] = (2, 8, 8), pooled: bool = True) -> onnx.ModelProto:
    """A float network of every kind of step that ONNX Runtime quantises. ``padding`` is of all convolutions."""
    rng = np.random.default_rng(3)
    side, pads = 3 if padding else 1, [padding] * 4
    constants: dict[str, np.ndarray] = {"low": np.float32(0), "high": np.float32(6), "shape": np.array([0, -1])}

    def conv(x: str, name: str, outputs: int, inputs: int, **attributes: Any) -> onnx.NodeProto:
        weight = rng.standard_normal((outputs, inputs, side, side)) / side
        constants[f"{name}_w"] = weight.astype(np.float32)
        constants[f"{name}_b"] = rng.standard_normal(outputs).astype(np.float32)
        return node("Conv", [x, f"{name}_w", f"{name}_b"], name, pads=pads, **attributes)

    nodes = [
        conv("x", "stem", 4, image[0]),
        node("Relu", ["stem"], "stem_r"),
        conv("stem_r", "wide", 4, 1, group=4),
        node("Clip", ["wide", "low", "high"], "wide_r"),
        conv("wide_r", "deep", 4, 4),
        node("Add", ["deep", "stem_r"], "sum"),
        node("Relu", ["sum"], "sum_r"),
        node("MaxPool", ["sum_r"], "max", kernel_shape=[2, 2], strides=[2, 2]),
        conv("max", "side", 3, 4),
        node("Relu", ["side"], "side_r"),
        node("Concat", ["max", "side_r"], "joined", axis=1),
    ]
    last = "joined"
    if pooled:
        nodes += [
            node("AveragePool", ["joined"], "mean", kernel_shape=[2, 2], strides=[2, 2]),
            node("GlobalAveragePool", ["mean"], "all"),
        ]
        last = "all"
    features = 7 * (1 if pooled else (image[1] // 2) * (image[2] // 2))
    constants |= {
        "w": rng.standard_normal((5, features)).astype(np.float32),
        "b": rng.standard_normal(5).astype(np.float32),
    }
    nodes += [node("Reshape", [last, "shape"], "flat"), node("Gemm", ["flat", "w", "b"], "y", transB=1)]
    made = model(nodes, constants, shape=("n", *image))
    made.graph.output[0].type.tensor_type.shape.dim.add()
    made.graph.output[0].type.tensor_type.shape.dim.add()
    return onnx.shape_inference.infer_shapes(made)


def quantised(source: onnx.ModelProto, images: np.ndarray, *, qdq: bool = True, **options: Any) -> onnx.ModelProto:
    """``source`` as ``onnxruntime.quantization.quantize_static`` writes it, calibrated on ``images``."""

    class Reader(q.CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self._parts: Iterator[dict[str, np.ndarray]] = iter([{"x": images.astype(np.float32)}])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self._parts, None)

    kind = q.QuantFormat.QDQ if qdq else q.QuantFormat.QOperator
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "quantised.onnx"
        logging.disable(logging.WARNING)  # that it was not preprocessed
        try:
            q.quantize_static(source, path, Reader(), quant_format=kind, **options)
        finally:
            logging.disable(logging.NOTSET)
        return onnx.load(path)


def with_powers_of_two(source: onnx.ModelProto) -> onnx.ModelProto:
    """``source`` with each scale rounded to a power of two, and biases in steps of their products."""
    made = onnx.ModelProto()
    made.CopyFrom(source)
    scales = {
        tensor.name: 2.0 ** np.rint(np.log2(numpy_helper.to_array(tensor)))
        for tensor in made.graph.initializer
        if tensor.name.endswith("_scale")
    }
    by_result = {own.output[0]: own for own in made.graph.node}
    for own in made.graph.node:
        if own.op_type in ("Conv", "Gemm") and len(own.input) > 2:
            x, weight, bias = (by_result[name].input[1] for name in own.input[:3])
            scales[bias] = scales[x] * scales[weight]
    for tensor in made.graph.initializer:
        if tensor.name in scales:
            shape = numpy_helper.to_array(tensor).shape
            values = np.broadcast_to(scales[tensor.name], shape).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return made
