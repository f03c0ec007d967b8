"""Files of trained networks, as PyTorch, ONNX Runtime's quantiser and Brevitas write them, for batches of any size."""

from __future__ import annotations

import contextlib
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from torch import Tensor, nn

from golden.training import Task

#: Validation images that ONNX Runtime's scales follow from.
CALIBRATION = 200
#: What files call images and scores.
INPUT, OUTPUT = "image", "scores"


def onnx_bytes(network: nn.Module, task: Task) -> bytes:
    """What PyTorch writes of ``network``, for batches of any size."""
    with tempfile.TemporaryDirectory() as folder, quiet():
        path = Path(folder) / "network.onnx"
        torch.onnx.export(network, (_sample(task),), path, dynamo=False, **_any_batch())
        return path.read_bytes()


class _Frames:
    """Images one by one, as ONNX Runtime's quantiser asks for them."""

    def __init__(self, images: np.ndarray) -> None:
        self._left = iter(images[:, None])

    def get_next(self) -> dict[str, np.ndarray] | None:
        image = next(self._left, None)
        return None if image is None else {INPUT: image}


def qdq_bytes(network: nn.Module, task: Task) -> bytes:
    """What ONNX Runtime's static quantiser makes of ``network``: weights by channel, zero points at an end or half way.

    Such zero points are those of signed and of unsigned integers. ReLUs are in the formats of what they give.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quant_pre_process, quantize_static

    frames = _Frames(task.validation.subset(slice(CALIBRATION)).images().numpy())
    with tempfile.TemporaryDirectory() as folder:
        floats, ready, quantised = (Path(folder) / f"{name}.onnx" for name in ("floats", "ready", "quantised"))
        floats.write_bytes(onnx_bytes(network, task))
        quant_pre_process(floats, ready, skip_symbolic_shape=True)
        quantize_static(
            ready,
            quantised,
            frames,
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options={"ActivationRestrictedAsymmetric": True, "WeightSymmetric": True},
        )
        return quantised.read_bytes()


def qonnx_bytes(network: nn.Module, task: Task) -> bytes:
    """What Brevitas writes of ``network``, for batches of any size."""
    from brevitas.export import export_qonnx

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        export_qonnx(network, args=_sample(task), export_path=str(path), dynamo=False, **_any_batch())
        return path.read_bytes()


def _sample(task: Task) -> Tensor:
    return torch.zeros(1, *task.input_shape)


def _any_batch() -> dict[str, Any]:
    names = {"input_names": [INPUT], "output_names": [OUTPUT]}
    return names | {"dynamic_axes": {INPUT: {0: "n"}, OUTPUT: {0: "n"}}}


class Session(nn.Module):
    """An ONNX file in ONNX Runtime, operation by operation."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        self._session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def forward(self, x: Tensor) -> Tensor:
        (scores,) = self._session.run([OUTPUT], {INPUT: x.numpy()})
        return torch.from_numpy(scores)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Brevitas and PyTorch's exporter warn of what they themselves do."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
