"""Fields of the JSON texts in layer and network files: how they are read, and refusals by name."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Mapping
from reprlib import repr as brief
from typing import Any

import numpy as np

from golden.support.cli import UserError

FORMAT = 1


class LayerError(UserError):
    """A layer or network outside the contract. The message names the field, its value and what is allowed."""


def parse_object(text: str) -> dict[str, Any]:
    """The JSON object in ``text``. No object in it, nor in what it holds, may have a field twice."""
    try:
        fields = json.loads(text, object_pairs_hook=_unique_fields)
    except (ValueError, RecursionError) as error:
        if isinstance(error, LayerError):
            raise
        raise LayerError(f"config is not JSON text: {error}") from None
    if not isinstance(fields, dict):
        raise LayerError(f"config is a JSON {type(fields).__name__}, allowed is an object")
    return fields


def take_format(fields: dict[str, Any]) -> None:
    """Take the version of the file format out of ``fields``. Raises `LayerError` where it is not `FORMAT`."""
    if "format" not in fields:
        raise LayerError(f"config field format is missing, allowed is {FORMAT}")
    version = fields.pop("format")
    if type(version) is not int or version != FORMAT:
        raise LayerError(f"format {brief(version)} is not {FORMAT}")


def check_names(
    fields: Mapping[str, Any], required: Collection[str], optional: Collection[str] = (), *, beside: str = ""
) -> None:
    """Raise `LayerError` for a field that is unknown, missing or null.

    ``beside`` names allowed fields that were taken out before.
    """
    for name in fields:
        if name not in required and name not in optional:
            allowed = ", ".join([*filter(None, [beside]), *required, *optional])
            raise LayerError(f"config field {brief(name)} is unknown, allowed are {allowed}")
    for name in (*required, *optional):
        if name in required and name not in fields:
            raise LayerError(f"config field {name} is missing")
        if name in fields and fields[name] is None:
            raise LayerError(f"{name} null is not allowed, leave the field out or give it a value")


def check_integer(name: str, value: Any, limits: tuple[int, int]) -> None:
    """Raise `LayerError` unless ``value`` is an integer within ``limits``, both included."""
    low, high = limits
    if type(value) is not int or not low <= value <= high:
        raise LayerError(f"{name} {brief(value)} is not an integer from {low} to {high}")


def check_boolean(name: str, value: Any) -> None:
    """Raise `LayerError` unless ``value`` is a boolean."""
    if type(value) is not bool:
        raise LayerError(f"{name} {brief(value)} is not true or false")


def check_scale(name: str, value: Any) -> None:
    """Raise `LayerError` unless ``value`` is None or the value of one step: a positive finite number."""
    if value is not None and not (type(value) in (int, float) and 0 < value <= sys.float_info.max):
        raise LayerError(f"{name} {brief(value)} is not a positive finite number")


def check_header(name: str, shape: tuple[int, ...], dtype: np.dtype[Any], wanted: tuple[int, ...]) -> None:
    """Raise `LayerError` unless array ``name`` holds integers in the shape ``wanted``."""
    if dtype.kind not in "iu":
        raise LayerError(f"{name} has dtype {dtype}, allowed are integer dtypes")
    if shape != wanted:
        raise LayerError(f"{name} has shape {list(shape)}, the config needs {list(wanted)}")


def checked_array(name: str, array: Any, wanted: tuple[int, ...], low: int, high: int) -> np.ndarray:
    """``array`` as int64 that cannot be written to.

    Raises `LayerError` unless it holds integers from ``low`` to ``high`` in the shape ``wanted``.
    """
    array = np.asarray(array)
    check_header(name, array.shape, array.dtype, wanted)
    if array.size and (array.min() < low or array.max() > high):
        worst = int(array.min() if array.min() < low else array.max())
        raise LayerError(f"{name} has a value {worst}, allowed are {low} to {high}")
    frozen = array.astype(np.int64)
    frozen.flags.writeable = False
    return frozen


def _unique_fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, value in pairs:
        if name in fields:
            raise LayerError(f"config field {brief(name)} is there twice")
        fields[name] = value
    return fields
