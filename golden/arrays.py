"""Integer arrays in ``.npy`` files, read without trust and written whole."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from golden.cli import UserError, replacing


def read_array(path: str | os.PathLike[str]) -> np.ndarray:
    """The array in an ``.npy`` file, of whatever dtype and shape.

    Raises `UserError` that names the file: missing, a directory, unreadable, no ``.npy``,
    truncated, pickled objects, or bytes after the array.
    """
    path = Path(path)
    try:
        with path.open("rb") as stream:
            array = np.lib.format.read_array(stream, allow_pickle=False)
            surplus = stream.read(1)
    except OSError as error:
        raise UserError(f"array file {path} cannot be read: {error.strerror or error}") from None
    except Exception as error:  # numpy raises several types for bytes that are no array
        raise UserError(f"array file {path} is not a .npy of plain numbers: {error}") from None
    if surplus:
        raise UserError(f"array file {path} goes on after its array, allowed is one array")
    return array


def write_array(path: str | os.PathLike[str], array: np.ndarray) -> None:
    """Write ``array`` as ``.npy``, the whole file or none. Raises `UserError` where ``path`` cannot be."""
    with replacing(path, "wb") as stream:
        np.save(stream, array, allow_pickle=False)
