"""ONNX models as sources: their graph, and what ONNX Runtime makes of it."""

from __future__ import annotations

import dataclasses
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
from golden.convert.qdq_ops import MICROSOFT, QDQ_OPERATIONS, Integers, Made, clip
from golden.convert.qonnx_ops import DOMAIN, QONNX_OPERATIONS
from golden.convert.qoperator_ops import MICROSOFT_OPERATIONS, QLINEAR_OPERATIONS
from golden.convert.reading import INSTALL, GraphReader, Value, batches, first_line, naming
from golden.convert.steps import Steps
from golden.support.cli import UserError

#: What may take integers: each gives some of what it takes.
KEEPERS = ("ArgMax", "Clip", "Concat", "Flatten", "Identity", "MaxPool", "Reshape", "Resize", "Squeeze")
#: What gives the elements of a constant in another order or shape, so that a quantised one stays one.
MOVERS = ("Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze")
#: Stands for the images of a batch where their number is not fixed. No product of it is a size of anything.
ANY_BATCH = 1_000_003


class OnnxSource:
    """A model with one image tensor ``[N, C, H, W]`` as its input, and one output.

    Attributes:
        graph: what it computes.
        quantised: whether it says itself how results are quantised, as QONNX and ONNX Runtime's quantiser do.

    Raises:
        UserError: naming the node, for what no step of ours can be.
    """

    def __init__(self, model: onnx.ModelProto) -> None:
        check(model)
        self._model = model
        self._opset = opset_of(model)
        self._image, self._batch = _image(model.graph)
        self.quantised = False
        self._steps: dict[str, Steps] = {}
        self._floats: dict[str, str] = {}
        self.graph = self._read()

    def values(self, images: np.ndarray) -> Mapping[str, np.ndarray]:
        """The result of every node for ``images``, by its name: float64 ``[N, ...]`` each. Nothing is fused."""
        if any(node.domain == DOMAIN for node in self._model.graph.node):
            return self._qonnx_values(images)
        asked = self._asked()
        names = list(dict.fromkeys(asked.values()))
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
            name: self._real(name, np.concatenate(results)[: len(images)])
            for name, *results in zip(names, *parts, strict=True)
        }
        return {self._image.name: images} | {name: found[own] for name, own in asked.items()}

    def _asked(self) -> dict[str, str]:
        """What ONNX Runtime is asked for instead of each result. NumPy has no integers of less than 8 bits."""
        asked = {}
        for name in (node.name for node in self.graph.nodes if node.origins):
            small = name in self._steps and self._steps[name].bits < 8
            if not small or name in self._floats:
                asked[name] = self._floats[name] if small else name
        return asked

    def _real(self, name: str, result: np.ndarray) -> np.ndarray:
        """What a result stands for, float64."""
        return self._steps[name].values(result) if name in self._steps else result.astype(np.float64)

    def _qonnx_values(self, images: np.ndarray) -> Mapping[str, np.ndarray]:
        """As `values`, by QONNX's executor."""
        try:
            from golden.convert.qonnx_run import run
        except ModuleNotFoundError as error:
            raise UserError(f"to run QONNX needs {error.name}, which is not installed: {INSTALL} brings it") from None
        found = run(self._model, self._image.name, images.astype(np.float32), self._batch)
        names = [self._image.name, *(node.name for node in self.graph.nodes if node.origins)]
        return {name: self._real(name, found[name][: len(images)]) for name in names}

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
        operations = _quantisers(node, given)
        if operations is not None:
            self.quantised = True
            if node.op_type == "DequantizeLinear" and isinstance(given[0], Value):
                self._floats[given[0].name] = node.output[0]
            values[node.output[0]] = self._grown(reader, node, origin, given, self._call(operations, node, given))
        elif node.domain not in STANDARD:
            allowed = f"ONNX's own, {DOMAIN} and {MICROSOFT}"
            raise UserError(f"domain {node.domain!r} is not known, allowed are {allowed}")
        elif node.op_type == "Shape" and isinstance(given[0], Value) and not node.attribute:
            values[node.output[0]] = np.array([self._batch or ANY_BATCH, *given[0].shape])
        elif node.op_type == "Cast" and isinstance(given[0], Levels):
            self._call(OPERATIONS, node, given)  # its refusals
            values[node.output[0]] = given[0]
        elif not any(isinstance(value, Value) for value in given):
            values |= self._constants(node, given)
        else:
            made = _kept(node, given, self._call(OPERATIONS, node, given))
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

    def _grown(self, reader: GraphReader, node: onnx.NodeProto, origin: str, given: list[Given], made: Made) -> Given:
        """What ``node`` gives: a constant, or a result in the graph that is read."""
        if isinstance(made, (Levels, np.ndarray)):
            return made
        taken = [value for value in given if isinstance(value, Value)]
        name, ops = node.output[0], made.ops if isinstance(made, Integers) else made
        value = reader.append(name, node.name or name, origin, taken, ops)
        if not isinstance(made, Integers):
            return value
        self._steps[name] = made.steps
        return dataclasses.replace(value, steps=made.steps)

    def _constants(self, node: onnx.NodeProto, given: list[Given]) -> dict[str, Given]:
        """What a node gives that takes constants alone."""
        if given and isinstance(given[0], Levels) and node.op_type in MOVERS:
            own = given[0].integers, np.broadcast_to(given[0].scale, given[0].integers.shape)
            integers, scale = (self._constants(node, [part, *given[1:]])[node.output[0]] for part in own)
            assert isinstance(integers, np.ndarray) and isinstance(scale, np.ndarray)
            return {node.output[0]: dataclasses.replace(given[0], integers=integers, scale=scale)}
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


def _quantisers(node: onnx.NodeProto, given: list[Given]) -> Mapping[str, Callable[..., Made]] | None:
    """The operations that quantise, ``node`` among them. None: it is not one of these."""
    if node.domain == DOMAIN:
        return QONNX_OPERATIONS
    if node.domain == MICROSOFT:
        return {**QDQ_OPERATIONS, **MICROSOFT_OPERATIONS}
    own = {**QDQ_OPERATIONS, **QLINEAR_OPERATIONS}
    if given and isinstance(given[0], Value) and given[0].steps is not None:
        own["Clip"] = clip
    return own if node.domain in STANDARD and node.op_type in own else None


def _kept(node: onnx.NodeProto, given: list[Given], made: Ops) -> Made:
    """What was ``made`` of ``node``, as integers where it takes integers and gives some of them."""
    kinds = {value.steps for value in given if isinstance(value, Value)}
    if kinds == {None}:
        return made
    if node.op_type not in KEEPERS:
        raise UserError(f"takes integers, allowed is that of {', '.join(KEEPERS)}; others take what they stand for")
    if len(kinds) > 1:
        raise UserError(f"takes integers of {' and '.join(map(str, kinds))}, allowed are those of one kind")
    (steps,) = kinds
    return made if steps is None or node.op_type == "ArgMax" else Integers(ops=made, steps=steps)


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
