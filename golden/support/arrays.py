"""Arrays and numbers as users bring them, and integer arrays in ``.npy`` and ``.npz`` files.

Files are read without trust and written whole.
"""

from __future__ import annotations

import contextlib
import io
import os
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from golden.support.cli import UserError, replacing

_MAGIC = b"\x93NUMPY"
#: Names that a message lists at most.
_SHOWN = 8
_HEADERS: dict[tuple[int, int], Any] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def plain(value: Any) -> Any:
    """A scalar of numpy or PyTorch as the number of Python that it holds; anything else as it is."""
    return value.item() if getattr(value, "shape", None) == () else value


def as_array(name: str, value: Any) -> np.ndarray:
    """``value`` as an array of numbers: it is one, a PyTorch tensor on any device, or nested lists.

    Raises `UserError` that begins with ``name`` for anything else.
    """
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if value.is_floating_point():
            value = value.double()  # numpy lacks some floats of PyTorch, and float64 holds them all
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise UserError(f"{name} is no array: {error}") from None
    if array.dtype.kind not in "biuf":
        raise UserError(f"{name} has dtype {array.dtype}, allowed are real numbers")
    return array


def read_array(path: str | os.PathLike[str]) -> np.ndarray:
    """The array in an ``.npy`` file, of whatever dtype and shape.

    Raises `UserError` that names the file, where it is missing, a directory, unreadable, no
    ``.npy``, truncated, made of pickled objects, or goes on after the array.
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
        stream.write(array_bytes(array))


def array_bytes(array: np.ndarray) -> bytes:
    """The bytes of an ``.npy`` file that holds ``array``."""
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    return buffer.getvalue()


class Archive:
    """The arrays of an open ``.npz`` file.

    A few kilobytes of an ``.npz`` file can stand for gigabytes of zeros. So `header` says what
    `read` would bring, and the caller can refuse it before.

    The constructor and all methods raise `UserError`, which names the array, but not the file.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        if stream.read(len(_MAGIC)) == _MAGIC:
            raise UserError("is a single array, allowed is an .npz archive")
        try:
            self._zip = zipfile.ZipFile(stream)
        except Exception as error:  # zipfile raises several types for bytes that are no archive
            raise UserError(f"is not an .npz archive of plain arrays ({type(error).__name__}: {error})") from None
        self._members: dict[str, str] = {}
        for member in self._zip.namelist():
            name = member.removesuffix(".npy")
            if name in self._members:
                raise UserError(f"array {name!r} is there twice")
            self._members[name] = member

    def require(self, names: Sequence[str]) -> None:
        """Raise `UserError` unless the file holds the arrays ``names``, and no others."""
        for name in sorted(self._members.keys() ^ set(names)):
            state = "is missing" if name in names else f"is unknown, allowed are {_some(sorted(names))}"
            raise UserError(f"array {name!r} {state}")

    def header(self, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
        """Shape and dtype of the array ``name``, without its elements."""
        with self._open(name) as stream:
            shape, _, dtype = _HEADERS[np.lib.format.read_magic(stream)](stream)
        return shape, dtype

    def read(self, name: str) -> np.ndarray:
        """The array ``name``."""
        with self._open(name) as stream:
            array = np.lib.format.read_array(stream, allow_pickle=False)
            if stream.read(1):
                raise UserError(f"array {name!r} goes on after its end")
        return array

    @contextlib.contextmanager
    def _open(self, name: str) -> Iterator[IO[bytes]]:
        if name not in self._members:
            raise UserError(f"array {name!r} is missing")
        try:
            with self._zip.open(self._members[name]) as stream:
                yield stream
        except UserError:
            raise
        except Exception as error:  # numpy and zipfile raise a dozen types: truncated, pickled, encrypted, bad header
            cause = f"{type(error).__name__}: {error}"
            raise UserError(f"array {name!r} is corrupt, pickled or not an array ({cause})") from None


def _some(names: Sequence[str]) -> str:
    """The first of ``names``, as many as a line of a message holds."""
    return ", ".join([*names[:_SHOWN], *["..."] * (len(names) > _SHOWN)])
