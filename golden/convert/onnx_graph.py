"""ONNX models as sources: their graph, and what ONNX Runtime makes of it."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx.reference import ReferenceEvaluator

from golden.convert.graph import Graph
from golden.convert.levels import Levels
from golden.convert.onnx_file import STANDARD, as_array, check, opset_of
from golden.convert.onnx_ops import OPERATIONS, Call, Given
from golden.convert.ops import Ops
from golden.convert.qonnx_ops import DOMAIN, QONNX_OPERATIONS
from golden.convert.reading import INSTALL, GraphReader, Value, batches, first_line, naming
from golden.support.cli import UserError

#: Stands for the images of a batch where their number is not fixed. No product of it is a size of anything.
ANY_BATCH = 1_000_003


class OnnxSource:
    """A model with one image tensor ``[N, C, H, W]`` as its input, and one output.

    Attributes:
        graph: what it computes.
        quantised: whether it says itself how results are quantised, as QONNX does.

    Raises:
        UserError: naming the node, for what no step of ours can be.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        check(model)
        self._model = model
        self._opset = opset_of(model)
        self._image, self._batch = _image(model.graph)
        self.quantised = False
        self.graph = self._read()

    def values(self, images: np.ndarray) -> Mapping[str, np.ndarray]:
        """The result of every node for ``images``, by its name: float64 ``[N, ...]`` each. Nothing is fused."""
        if self.quantised:
            return self._qonnx_values(images)
        names = [node.name for node in self.graph.nodes if node.origins]
        model = onnx.ModelProto()
        model.CopyFrom(self._model)
        del model.graph.output[:]
        model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.log_severity_level = 4
        try:
            session = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
            parts = [
                session.run(names, {self._image.name: part}) for part in batches(images.astype(np.float32), self._batch)
            ]
        except Exception as error:  # ONNX Runtime has a type for each of its states
            raise UserError(f"ONNX Runtime does not run the model: {first_line(error)}") from None
        found = {
            name: np.concatenate(results)[: len(images)].astype(np.float64)
            for name, *results in zip(names, *parts, strict=True)
        }
        return {self._image.name: images} | found

    def _qonnx_values(self, images: np.ndarray) -> Mapping[str, np.ndarray]:
        """As `values`, by QONNX's executor."""
        try:
            from golden.convert.qonnx_run import run
        except ModuleNotFoundError as error:
            raise UserError(f"to run QONNX needs {error.name}, which is not installed: {INSTALL} brings it") from None
        found = run(self._model, self._image.name, images.astype(np.float32), self._batch)
        names = [self._image.name, *(node.name for node in self.graph.nodes if node.origins)]
        return {name: found[name][: len(images)].astype(np.float64) for name in names}

    def _read(self) -> Graph:
        graph = self._model.graph
        values: dict[str, Given] = {"": None}
        values |= {tensor.name: as_array(tensor) for tensor in graph.initializer}
        reader = GraphReader(self._image.name, self._image.shape)
        values[self._image.name] = reader.image
        for node in graph.node:
            origin = f"{node.op_type} {node.name or (node.output[0] if node.output else '')!r}"
            with naming(origin):
                self._append(reader, node, origin, values)
        if len(graph.output) != 1:
            raise UserError(f"gives {len(graph.output)} results, allowed is one")
        output = values.get(graph.output[0].name)
        if not isinstance(output, Value):
            raise UserError(f"output {graph.output[0].name!r} does not depend on the image")
        return reader.graph(output)

    def _append(self, reader: GraphReader, node: onnx.NodeProto, origin: str, values: dict[str, Given]) -> None:
        """Read ``node`` and add what it gives to ``values``."""
        for name in node.input:
            if name not in values:
                raise UserError(f"input {name!r} is no initialiser and no result of a node before")
        given = [values[name] for name in node.input]
        if not node.output:
            raise UserError("gives no result, allowed is one")
        if node.domain == DOMAIN:
            made = self._call(QONNX_OPERATIONS, node, given)
            self.quantised = True
            grown = made if isinstance(made, Levels) else self._grown(reader, node, origin, given, made)
            values[node.output[0]] = grown
        elif node.domain not in STANDARD:
            raise UserError(f"domain {node.domain!r} is not known, allowed are ONNX's own and {DOMAIN}")
        elif node.op_type == "Shape" and isinstance(given[0], Value) and not node.attribute:
            values[node.output[0]] = np.array([self._batch or ANY_BATCH, *given[0].shape])
        elif node.op_type == "Cast" and isinstance(given[0], Levels):
            self._call(OPERATIONS, node, given)  # its refusals
            values[node.output[0]] = given[0]
        elif not any(isinstance(value, Value) for value in given):
            values |= self._constants(node, given)
        else:
            made = self._call(OPERATIONS, node, given)
            values[node.output[0]] = self._grown(reader, node, origin, given, made)

    def _call(self, operations: Mapping[str, Callable[..., Any]], node: onnx.NodeProto, given: list[Given]) -> Any:
        """What ``operations`` make of ``node``."""
        if node.op_type not in operations:
            raise UserError(f"operation {node.op_type} is not one of {', '.join(operations)}")
        attributes = {attribute.name: _attribute(attribute) for attribute in node.attribute}
        outputs = len([name for name in node.output if name])
        call = Call(opset=self._opset, batch=self._batch or ANY_BATCH, outputs=outputs, attributes=attributes)
        # ONNX's own operations take as many as the checker allows. It does not know the others.
        operation = operations[node.op_type]
        try:
            inspect.signature(operation).bind(call, *given)
        except TypeError:
            raise UserError(f"takes {len(given)} inputs, which {node.op_type} does not allow") from None
        made = operation(call, *given)
        for name, value in attributes.items():
            raise UserError(f"attribute {name!r} {value!r} is not known, allowed is none of that name")
        return made

    def _grown(self, reader: GraphReader, node: onnx.NodeProto, origin: str, given: list[Given], made: Ops) -> Value:
        """The result of ``node`` in the graph that is read."""
        taken = [value for value in given if isinstance(value, Value)]
        label = node.name or node.output[0]
        return reader.append(node.output[0], label, origin, taken, made)

    def _constants(self, node: onnx.NodeProto, given: list[Given]) -> dict[str, Given]:
        """What a node gives that takes constants alone."""
        if any(isinstance(value, Levels) for value in given):
            raise UserError("takes a quantised constant, allowed is a result")
        inputs = {name: value for name, value in zip(node.input, given, strict=True) if name}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                results = ReferenceEvaluator(node, opsets={"": self._opset}).run(None, inputs)
        except Exception as error:  # ONNX's own evaluator raises what numpy and it have
            raise UserError(f"cannot be computed: {first_line(error)}") from None
        return {name: np.asarray(result) for name, result in zip(node.output, results, strict=False)}


def is_model(given: object) -> bool:
    """Whether ``given`` is an ONNX model."""
    return isinstance(given, onnx.ModelProto)


def _image(graph: onnx.GraphProto) -> tuple[Value, int | None]:
    """The input, and how many images its batch has; None where any number is allowed."""
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    if len(inputs) != 1:
        raise UserError(f"takes {len(inputs)} inputs, allowed is one image tensor")
    (value,) = inputs
    kind = value.type.tensor_type
    if kind.elem_type != onnx.TensorProto.FLOAT:
        name = onnx.TensorProto.DataType.Name(kind.elem_type)
        raise UserError(f"input {value.name!r} is of type {name}, allowed is FLOAT")
    sizes: list[Any] = [d.dim_value if d.HasField("dim_value") else d.dim_param or "?" for d in kind.shape.dim]
    if len(sizes) != 4 or not all(isinstance(size, int) and size > 0 for size in sizes[1:]):
        raise UserError(f"input {value.name!r} has shape {sizes}, allowed is [N, C, H, W] with C, H and W fixed")
    batch = sizes[0] if isinstance(sizes[0], int) and sizes[0] > 0 else None
    return Value(value.name, tuple(sizes[1:])), batch


def _attribute(attribute: onnx.AttributeProto) -> Any:
    value = onnx.helper.get_attribute_value(attribute)
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else value
