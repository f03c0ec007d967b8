"""ONNX files, read without trust: what a file may contain before anybody looks at its graph."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from golden.convert.reading import first_line
from golden.support.cli import UserError

#: The versions of ONNX's own operations that are read.
LEAST_OPSET = 13
#: Names of ONNX's own domain.
STANDARD = ("", "ai.onnx")


def read_onnx(path: Path) -> onnx.ModelProto:
    """The model in a file. Raises `UserError` that names the file, for what is no valid model with all its data."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"ONNX file {path} cannot be read: {error.strerror or error}") from None
    try:
        model = onnx.load_model_from_string(content)
    except Exception as error:  # protobuf raises a type of its own for bytes that are none
        raise UserError(f"ONNX file {path} is no protobuf of a model: {first_line(error)}") from None
    try:
        check(model)
    except UserError as error:
        raise UserError(f"ONNX file {path}: {error}") from None
    return model


def check(model: onnx.ModelProto) -> None:
    """Raise `UserError` for a model that is not valid, not whole, or of a version that is not read."""
    for text in _texts(model):
        if not isinstance(text, str):
            raise UserError(f"name {text!r} is no UTF-8 text")
    versions = {entry.domain: entry.version for entry in model.opset_import}
    opset = max((versions[domain] for domain in STANDARD if domain in versions), default=None)
    newest = onnx.defs.onnx_opset_version()
    if opset is None or not LEAST_OPSET <= opset <= newest:
        raise UserError(f"opset {opset} is not read, allowed are {LEAST_OPSET} to {newest}")
    if model.functions:
        raise UserError(f"function {model.functions[0].name!r} is not read, allowed are models without (inline them)")
    if model.graph.sparse_initializer:
        name = model.graph.sparse_initializer[0].values.name
        raise UserError(f"initialiser {name!r} is sparse, allowed are dense ones")
    for tensor in _tensors(model.graph):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise UserError(f"initialiser {tensor.name!r} is in another file, allowed is data in the model's own file")
    try:
        onnx.checker.check_model(model)
    except Exception as error:  # the checker's own type, and those of the library that it is made in
        raise UserError(f"is not valid: {first_line(error)}") from None


def opset_of(model: onnx.ModelProto) -> int:
    """The version of ONNX's own operations."""
    return max(entry.version for entry in model.opset_import if entry.domain in STANDARD)


def as_array(tensor: onnx.TensorProto) -> np.ndarray:
    """The numbers of an initialiser. Raises `UserError` where it does not hold as many as it says."""
    try:
        return np.array(numpy_helper.to_array(tensor))
    except Exception as error:  # numpy and ONNX raise several types
        raise UserError(f"tensor {tensor.name!r} cannot be read: {first_line(error)}") from None


def _texts(model: onnx.ModelProto) -> Iterator[object]:
    """All names. Protobuf gives bytes for those that are no text."""
    graph = model.graph
    yield from (entry.domain for entry in model.opset_import)
    yield from (named.name for named in (*graph.input, *graph.output, *_tensors(graph)))
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
