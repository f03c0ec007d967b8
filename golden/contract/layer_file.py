"""Layer files: one ``.npz`` with a JSON text ``config`` and the four integer arrays of a layer."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from golden.contract.fields import LayerError, check_header
from golden.contract.layer import Layer
from golden.contract.layer_config import LayerConfig
from golden.support.arrays import Archive
from golden.support.cli import UserError, replacing

#: Arrays of a layer file, beside ``config``.
ARRAYS = ("conv_weight", "attn_weight", "bias", "multiplier")
#: Most characters that a config may have. A config with every field at its longest has far fewer.
MAX_CONFIG = 100_000


def read_layer(path: str | os.PathLike[str]) -> Layer:
    """Read and validate a layer file. Raises `LayerError` that names file, field and value."""
    with opened("layer", path) as archive:
        return parse_layer(archive)


@contextmanager
def opened(kind: str, path: str | os.PathLike[str]) -> Iterator[Archive]:
    """The arrays of the file of a ``kind`` at ``path``. Each refusal becomes a `LayerError` that names the file."""
    path = Path(path)
    try:
        with path.open("rb") as stream:
            yield Archive(stream)
    except UserError as error:
        raise LayerError(f"{kind} file {path}: {error}") from None
    except OSError as error:
        raise LayerError(f"{kind} file {path}: cannot be read: {error.strerror or error}") from None


def parse_layer(archive: Archive) -> Layer:
    """The layer in ``archive``. Raises `UserError` that names field and value."""
    archive.require(("config", *ARRAYS))
    config = LayerConfig.from_json(read_config(archive, MAX_CONFIG))
    # All headers are checked before any array is read: a refusal costs no time and no memory.
    for name, wanted in config.array_shapes.items():
        check_header(name, *archive.header(name), wanted)
    return Layer(config=config, **{name: archive.read(name) for name in ARRAYS})


def read_config(archive: Archive, most: int) -> str:
    """The JSON text in ``archive``. Raises `LayerError` where it has more than ``most`` characters, or is none."""
    shape, dtype = archive.header("config")
    if shape or dtype.kind != "U":
        found = f"an array of shape {list(shape)} and dtype {dtype}"
        raise LayerError(f"config is {found}, allowed is one JSON text")
    characters = dtype.itemsize // np.dtype("U1").itemsize
    if characters > most:
        raise LayerError(f"config has {characters} characters, allowed are {most}")
    return str(archive.read("config"))


def write_layer(path: str | os.PathLike[str], layer: Layer) -> None:
    """Write ``layer`` so that `read_layer` returns it, the whole file or none.

    Raises `UserError` where ``path`` cannot be written.
    """
    with replacing(path, "wb") as stream:
        stream.write(layer_bytes(layer))


def layer_bytes(layer: Layer) -> bytes:
    """The bytes of a layer file, its arrays in narrow integer dtypes."""
    return archive_bytes(layer.config.to_json(), narrow_arrays(layer))


def archive_bytes(config: str, arrays: Mapping[str, np.ndarray]) -> bytes:
    """The bytes of an ``.npz`` file with the text ``config`` and ``arrays``."""
    content: dict[str, Any] = {"config": np.array(config), **arrays}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **content)
    return buffer.getvalue()


def narrow_arrays(layer: Layer) -> dict[str, np.ndarray]:
    """The arrays of ``layer`` by name, each in the narrowest dtype that holds every allowed value."""
    return {
        "conv_weight": layer.conv_weight.astype(np.int8),
        "attn_weight": layer.attn_weight.astype(np.int8),
        "bias": layer.bias.astype(np.int32),
        "multiplier": layer.multiplier.astype(np.uint16),
    }
