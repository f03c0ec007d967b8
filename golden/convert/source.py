"""Any source: its graph, and the values that it computes."""

from __future__ import annotations

import importlib
import operator
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from reprlib import repr as brief
from typing import Any, Protocol

import numpy as np
from torch import nn
from torch.export import ExportedProgram

from golden.convert.graph import Graph
from golden.convert.module import ModuleSource, exported, read_program
from golden.convert.reading import INSTALL
from golden.support.cli import UserError

#: Suffixes of files, and what they hold.
PROGRAM, ONNX = ".pt2", ".onnx"


#: What a source is given as. An ONNX model is a `onnx.ModelProto`, of a package that need not be installed.
Given = str | os.PathLike[str] | nn.Module | ExportedProgram | Any


class Source(Protocol):
    """What a network is converted from."""

    @property
    def graph(self) -> Graph:
        """What it computes, in our words."""

    @property
    def quantised(self) -> bool:
        """Whether it says itself how its results are quantised."""

    def values(self, images: np.ndarray) -> Mapping[str, np.ndarray]:
        """All its results for ``images``, by its own names: float64 ``[N, ...]``."""


def open_source(given: Given, images: np.ndarray | None) -> Source:
    """The source that ``given`` is or names, for ``images``.

    Args:
        given: a module; an exported program; a file of one, ``.pt2``; an ONNX model; a file of one, ``.onnx``; or
            ``package.module:name`` of a module, or of a callable that takes nothing and returns one.
        images: ``[N, C, H, W]``. A module takes frames of their size from now on. None: there are none, as only a
            quantised source allows.

    Raises:
        UserError: for anything else, and for what no step of ours can be.
    """
    if isinstance(given, nn.Module):
        return ModuleSource(exported(given, needed(images)))
    if isinstance(given, ExportedProgram):
        return ModuleSource(given)
    if not isinstance(given, (str, os.PathLike)):
        return _onnx_source(given)
    text = os.fspath(given)
    suffix = Path(text).suffix.lower()
    if suffix == PROGRAM:
        return ModuleSource(read_program(Path(text)))
    if suffix == ONNX:
        return _onnx_source(Path(text))
    return ModuleSource(exported(_named_module(text), needed(images)))


def needed(images: np.ndarray | None) -> np.ndarray:
    """``images``. Raises `UserError` where there are none."""
    if images is None:
        raise UserError("calibration is missing, a float network needs images from which its scales follow")
    return images


def source_file(text: str) -> Path | None:
    """The file that a source's text names, or None where it names a module."""
    return Path(text) if Path(text).suffix.lower() in (PROGRAM, ONNX) else None


def _onnx_source(given: Path | Any) -> Source:
    try:
        from golden.convert.onnx_file import read_onnx
        from golden.convert.onnx_graph import OnnxSource, is_model
    except ModuleNotFoundError as error:
        raise UserError(f"ONNX files need {error.name}, which is not installed: {INSTALL} brings it") from None
    model = read_onnx(given) if isinstance(given, Path) else given
    if not is_model(model):
        raise UserError(f"source {brief(given)} is no module, program or ONNX model")
    return OnnxSource(model)


def _named_module(text: str) -> nn.Module:
    place, colon, name = text.partition(":")
    if not colon or not all(part.isidentifier() for part in (*place.split("."), *name.split("."))):
        allowed = f"a file {ONNX} or {PROGRAM}, or package.module:name"
        raise UserError(f"source {text[:80]!r} is not {allowed}")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found: Any = operator.attrgetter(name)(importlib.import_module(place))
        made = found() if callable(found) and not isinstance(found, nn.Module) else found
    except Exception as error:  # somebody's own code raises what it likes
        raise UserError(f"source {text!r} cannot be made: {type(error).__name__}: {error}") from None
    if not isinstance(made, nn.Module):
        raise UserError(f"source {text!r} is {brief(made)}, allowed is a torch.nn.Module, or what returns one")
    return made
