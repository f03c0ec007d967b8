"""An ONNX graph that is written node by node, with the shape and the type of every result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from golden.support.cli import UserError

#: The version of ONNX's own operations that is written, and that of the file's form.
OPSET, IR_VERSION = 17, 8
#: Bytes that a protobuf may have.
MOST_BYTES = 2**31 - 1

FLOAT, DOUBLE, INT64, BOOL = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64, TensorProto.BOOL


@dataclass(frozen=True)
class Tensor:
    """A result of a node, or the image.

    Attributes:
        name: in the graph.
        shape: with the batch.
        type: one of `onnx.TensorProto.DataType`.
    """

    name: str
    shape: tuple[int, ...]
    type: int


#: What a node takes: a result, a constant, or nothing.
Given = Tensor | np.ndarray | None


class GraphWriter:
    """Collects nodes and constants.

    Args:
        image: what goes in.

    Attributes:
        scope: what names of results begin with that are not said.
    """

    def __init__(self, image: Tensor) -> None:
        self.scope = ""
        self._image = image
        self._tensors: list[Tensor] = []
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, np.ndarray] = {}
        self._counts: Counter[str] = Counter()

    def add(
        self,
        op: str,
        inputs: Sequence[Given],
        *,
        shape: Sequence[int] | None = None,
        type: int | None = None,
        result: str | None = None,
        node: str | None = None,
        domain: str = "",
        **attributes: Any,
    ) -> Tensor:
        """Append a node and return its result.

        Args:
            op: the operation.
            inputs: results, constants, or None for what is left out. The first is a result, or a constant of a `Quant`.
            shape, type: of the result; None: those of the first input.
            result, node: names of result and node; None: one of the scope, and that of the result.
            domain: of the operation.
            attributes: of the node.
        """
        names = [self._named(given) for given in inputs]
        first = inputs[0]
        if isinstance(first, Tensor):
            shape, type = first.shape if shape is None else shape, first.type if type is None else type
        assert shape is not None and type is not None
        made = Tensor(result or self._fresh(op), tuple(shape), type)
        attributes = {"domain": domain, **attributes}
        self._nodes.append(helper.make_node(op, names, [made.name], name=node or made.name, **attributes))
        self._tensors.append(made)
        return made

    def cast(self, x: Tensor, kind: int) -> Tensor:
        """``x`` as numbers of ``kind``."""
        return x if x.type == kind else self.add("Cast", [x], type=kind, to=kind)

    def times(self, x: Tensor, factor: np.ndarray | float) -> Tensor:
        """``x`` times a number, or one for each channel."""
        factors = numbers(factor, x.type)
        if (factors == 1).all():
            return x
        return self.add("Mul", [x, factors.reshape(-1, *[1] * (len(x.shape) - 2)) if factors.ndim else factors])

    def reshaped(self, x: Tensor, shape: Sequence[int]) -> Tensor:
        """``x`` in another ``shape``."""
        return self.add("Reshape", [x, numbers(shape, INT64)], shape=shape)

    def model(self, output: Tensor, domains: Mapping[str, int], text: str) -> onnx.ModelProto:
        """The graph as a model with versions of ``domains``, described by ``text``.

        Raises `UserError` where it has more bytes than a file may have.
        """
        size = sum(array.nbytes for array in self._constants.values())
        if size > MOST_BYTES:
            raise UserError(f"the constants have {size} bytes, an ONNX file has at most {MOST_BYTES}")
        graph = helper.make_graph(
            self._nodes,
            "network",
            [_info(self._image)],
            [_info(output)],
            [numpy_helper.from_array(array, name) for name, array in self._constants.items()],
            doc_string=text,
            value_info=[_info(tensor) for tensor in self._tensors if tensor != output],
        )
        imports = [helper.make_opsetid("", OPSET), *(helper.make_opsetid(*entry) for entry in domains.items())]
        return helper.make_model(graph, opset_imports=imports, ir_version=IR_VERSION, producer_name="xvolution")

    def _named(self, given: Given) -> str:
        """The name of an input."""
        if given is None:
            return ""
        if isinstance(given, Tensor):
            return given.name
        name = self._fresh("constant")
        self._constants[name] = given
        return name

    def _fresh(self, what: str) -> str:
        """A name that was not there. No step of a network has a ``/`` in its name."""
        stem = f"{self.scope}/{what}"
        self._counts[stem] += 1
        return f"{stem}_{self._counts[stem]}"


def numbers(values: Any, kind: int) -> np.ndarray:
    """``values`` as an array of numbers of ``kind``."""
    return np.asarray(values, helper.tensor_dtype_to_np_dtype(kind))


def _info(tensor: Tensor) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(tensor.name, tensor.type, list(tensor.shape))
