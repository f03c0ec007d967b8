"""QONNX models as QONNX's own executor runs them, operation by operation."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Mapping

import numpy as np
import onnx
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes

from golden.convert.reading import batches, first_line
from golden.support.cli import UserError


def run(model: onnx.ModelProto, image: str, images: np.ndarray, batch: int | None) -> Mapping[str, np.ndarray]:
    """Every tensor of ``model`` for float32 ``images``, by name.

    Args:
        model: of one input.
        image: its name.
        images: ``[N, C, H, W]``.
        batch: images that the model takes at once; None for any number. Results are of whole batches.
    """
    fixed = copy.deepcopy(model)
    (given,) = (value for value in fixed.graph.input if value.name == image)
    given.type.tensor_type.shape.dim[0].dim_value = batch or len(images)
    if batch is None:
        # What is known of the shapes of results is of another batch.
        del fixed.graph.value_info[:]
        for value in fixed.graph.output:
            value.type.tensor_type.ClearField("shape")
    collected: dict[str, list[np.ndarray]] = {}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wrapped = ModelWrapper(fixed).transform(InferShapes())
            for part in batches(images, batch):
                context = execute_onnx(wrapped, {image: part}, return_full_exec_context=True)
                for name, value in context.items():
                    collected.setdefault(name, []).append(np.asarray(value))
    except Exception as error:  # QONNX raises what its parts do
        raise UserError(f"QONNX does not run the model: {first_line(error)}") from None
    return {name: np.concatenate(parts) for name, parts in collected.items() if parts[0].ndim}
