"""PyTorch's modules and exported programs as sources.

A module goes through `torch.export`, not through `torch.fx`. An exported program has the operations that ran,
whatever Python said them, with the shape of each result; weights that are computed from others are computed
there, too. A graph of `torch.fx` has calls of modules, functions and methods, each in several spellings, and no
shapes.
"""

from __future__ import annotations

import logging
import operator
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from reprlib import repr as brief
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.export import ExportedProgram

from golden.convert.graph import Graph
from golden.convert.leaf import Leaf
from golden.convert.module_ops import OPERATIONS
from golden.convert.reading import GraphReader, Value, batches, first_line, naming
from golden.operators.dynamic_conv import DynamicConv2d
from golden.operators.parts import copy_with
from golden.operators.replace import merge_all
from golden.operators.xvolution import XVolution
from golden.support.cli import UserError

#: A batch of one could be mistaken for a dimension that is to be dropped.
LEAST_BATCH = 2


class ModuleSource:
    """A program that takes one image tensor ``[N, C, H, W]`` and gives one result.

    Attributes:
        graph: what it computes.
        quantised: False, as nothing of it says how results are quantised.

    Raises:
        UserError: naming the operation, for what no step of ours can be.
    """

    quantised = False

    def __init__(self, program: ExportedProgram) -> None:
        with _quiet():
            # In-place operations become others, as no result may change after it was taken.
            self._module = program.run_decompositions({}).module()
        self._program: fx.Graph = self._module.graph
        self.graph = self._read()

    def values(self, images: np.ndarray) -> Mapping[str, np.ndarray]:
        """The result of every operation for ``images``, by the program's names: float64 ``[N, ...]`` each."""
        (image,) = (node for node in self._program.nodes if node.op == "placeholder")
        batch, dtype = image.meta["val"].shape[0], image.meta["val"].dtype
        collected: dict[str, list[np.ndarray]] = {}
        # A program has the batch that it was exported with.
        for part in batches(images, batch):
            recorder = _Recorder(self._module)
            with torch.no_grad():
                recorder.run(torch.from_numpy(part).to(dtype))
            for name, value in recorder.results.items():
                collected.setdefault(name, []).append(value.double().numpy())
        return {name: np.concatenate(parts)[: len(images)] for name, parts in collected.items()}

    def _read(self) -> Graph:
        values: dict[fx.Node, Any] = {}
        batch = 0
        reader: GraphReader | None = None
        for node in self._program.nodes:
            if node.op == "placeholder":
                if reader is not None:
                    raise UserError(f"takes {node.name!r} beside {reader.image.name!r}, allowed is one image tensor")
                batch, *shape = _image_shape(node)
                reader = GraphReader(node.name, tuple(shape))
                values[node] = reader.image
            elif node.op == "get_attr":
                values[node] = operator.attrgetter(str(node.target))(self._module)
            elif node.op == "call_function":
                assert reader is not None
                values[node] = _called(reader, node, values, batch)
            elif node.op == "output":
                assert reader is not None
                return reader.graph(_output(node, values))
        raise UserError("has no output")


class _Recorder(fx.Interpreter):
    """Runs a program and keeps its results."""

    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module)
        self.results: dict[str, Tensor] = {}

    def run_node(self, n: fx.Node) -> Any:
        """The result of ``n``; of several, the first is kept."""
        result = super().run_node(n)
        kept = result[0] if isinstance(result, tuple) and result else result
        if n.op in ("placeholder", "call_function") and isinstance(kept, Tensor) and kept.ndim:
            self.results[n.name] = kept
        return result


def exported(module: nn.Module, images: np.ndarray) -> ExportedProgram:
    """The program of ``module`` for frames like ``images``. Raises `UserError` where it has none."""
    for name, part in module.named_modules():
        if part.training:
            what = f"module {name!r}" if name else "the module"
            raise UserError(f"{what} is in training mode, allowed is eval mode (call eval())")
    merged = _with_leaves(module)
    like = next((t for t in (*merged.parameters(), *merged.buffers()) if t.is_floating_point()), torch.zeros(()))
    example = torch.from_numpy(np.resize(images, (max(len(images), LEAST_BATCH), *images.shape[1:])))
    try:
        with _quiet(), torch.no_grad():
            return torch.export.export(merged, (example.to(like.dtype),), strict=False)
    except UserError:
        raise
    except Exception as error:  # a module of somebody's own raises what it likes
        raise UserError(f"{type(module).__name__} cannot be exported: {first_line(error)}") from None


def read_program(path: Path) -> ExportedProgram:
    """The program in a file of `torch.export.save`. Raises `UserError` for what is none."""
    try:
        whole = zipfile.is_zipfile(path)
    except OSError as error:
        raise UserError(f"program file {path} cannot be read: {error.strerror or error}") from None
    if not whole:
        # PyTorch would make a folder among the temporary files before it saw that.
        raise UserError(f"program file {path} is no exported program: it is no zip archive, or is not there")
    try:
        with _quiet():
            return torch.export.load(path)
    except Exception as error:  # PyTorch raises a dozen types for a file that is not its own
        raise UserError(f"program file {path} is no exported program: {first_line(error)}") from None


@contextmanager
def _quiet() -> Iterator[None]:
    """Drop what PyTorch says of the age of its own parts, and of errors that it raises, too."""
    disabled = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(disabled)


def _with_leaves(module: nn.Module) -> nn.Module:
    """A copy of ``module`` with each X-volution in it merged, as one operation."""
    if isinstance(module, XVolution):
        merged: nn.Module = module.merge()
    else:
        merged = merge_all(module) if any(isinstance(part, XVolution) for part in module.modules()) else module
    return copy_with(
        merged,
        {part: Leaf(part) for part in merged.modules() if isinstance(part, DynamicConv2d) and part.attn_offsets},
    )


def _image_shape(node: fx.Node) -> tuple[int, ...]:
    """The shape of an input, ``(N, C, H, W)``."""
    value = node.meta.get("val")
    shape = list(value.shape) if isinstance(value, Tensor) else None
    if shape is None or len(shape) != 4 or not all(type(size) is int for size in shape):
        raise UserError(f"input {node.name!r} has shape {shape}, allowed is [N, C, H, W] with fixed numbers")
    return tuple(shape)


def _called(reader: GraphReader, node: fx.Node, values: Mapping[fx.Node, Any], batch: int) -> Any:
    """The `Value` of a call, or what it gives where nothing of it depends on the image."""
    taken = [values[argument] for argument in node.all_input_nodes]
    args: Any = fx.map_arg(node.args, lambda n: values[n])
    kwargs: Any = fx.map_arg(node.kwargs, lambda n: values[n])
    if not any(isinstance(value, Value) for value in taken):
        with torch.no_grad():
            return cast(Callable[..., Any], node.target)(*args, **kwargs)
    name = _name(node.target)
    kind, label = _called_by(node)
    origin = f"{kind} {label!r}"
    with naming(origin):
        if name not in OPERATIONS:
            raise UserError(f"operation {name} is not one of {', '.join(sorted(OPERATIONS))}")
        value = reader.append(node.name, label, origin, _values((args, kwargs)), OPERATIONS[name](*args, **kwargs))
        _check_batch(node, batch)
        return value


def _check_batch(node: fx.Node, batch: int) -> None:
    """Raise `UserError` for a result that is not one for each image of a ``batch``."""
    result = node.meta.get("val")
    if isinstance(result, Tensor) and result.shape[:1] != (batch,):
        raise UserError(f"makes shape {list(result.shape)} of {batch} images, allowed is [{batch}, ...]")


def _name(target: Any) -> str:
    return "getitem" if target is operator.getitem else str(target).removeprefix("aten.")


def _called_by(node: fx.Node) -> tuple[str, str]:
    """The kind and the path of PyTorch's own module that makes the call, else the operation's name and the node's."""
    stack = list((node.meta.get("nn_module_stack") or {}).values())
    path, kind = stack[-1] if stack else ("", "")
    text = kind if isinstance(kind, str) else _full_name(kind)
    if path and text.startswith("torch.nn."):
        return text.rpartition(".")[2].removeprefix("Parametrized"), path
    if text == _full_name(Leaf):
        return "XVolution", path
    return _name(node.target).split(".")[0], node.name


def _full_name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _values(given: Any) -> list[Value]:
    """All that depends on the image among arguments, in their order, as often as it is there."""
    if isinstance(given, Value):
        return [given]
    if isinstance(given, Mapping):
        given = list(given.values())
    return [value for part in given for value in _values(part)] if isinstance(given, (list, tuple)) else []


def _output(node: fx.Node, values: Mapping[fx.Node, Any]) -> Value:
    results = list(node.args[0]) if isinstance(node.args[0], (list, tuple)) else [node.args[0]]
    if len(results) != 1 or not isinstance(results[0], fx.Node):
        raise UserError(f"gives {len(results)} results, allowed is one")
    value = values[results[0]]
    if not isinstance(value, Value):
        raise UserError(f"gives {brief(value)}, allowed is a result that depends on the image")
    return value
