"""Layer files: one ``.npz`` with a JSON text ``config`` and the four integer arrays of a layer."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from golden.cli import replacing
from golden.layer import Layer, LayerConfig, LayerError

#: Arrays of a layer file, beside ``config``.
ARRAYS = ("conv_weight", "attn_weight", "bias", "multiplier")


def read_layer(path: str | os.PathLike[str]) -> Layer:
    """Read and validate a layer file. Raises `LayerError` that names file, field and value."""
    path = Path(path)
    try:
        content = _read_npz(path)
        expected = {"config", *ARRAYS}
        for name in sorted(content.keys() ^ expected):
            state = "is missing" if name in expected else f"is unknown, allowed are {', '.join(sorted(expected))}"
            raise LayerError(f"array {name!r} {state}")
        text = content["config"]
        if text.ndim != 0 or text.dtype.kind != "U":
            found = f"an array of shape {list(text.shape)} and dtype {text.dtype}"
            raise LayerError(f"config is {found}, allowed is one JSON text")
        return Layer(config=LayerConfig.from_json(str(text)), **{name: content[name] for name in ARRAYS})
    except LayerError as error:
        raise LayerError(f"layer file {path}: {error}") from None


def _read_npz(path: Path) -> Mapping[str, np.ndarray]:
    try:
        stream = path.open("rb")
    except OSError as error:
        raise LayerError(f"cannot be read: {error.strerror}") from None
    content: dict[str, np.ndarray] = {}
    with stream:
        try:
            archive = np.load(stream, allow_pickle=False)
        except Exception as error:  # numpy and zipfile raise a dozen types for bytes that are no archive
            raise LayerError(f"is not an .npz archive of plain arrays ({type(error).__name__}: {error})") from None
        if not isinstance(archive, np.lib.npyio.NpzFile):
            raise LayerError("is a single array, allowed is an .npz archive")
        for name in archive.files:
            if name in content:
                raise LayerError(f"array {name!r} is there twice")
            try:
                content[name] = archive[name]
            except Exception as error:  # ditto, one level down: truncated, pickled, bad header
                raise LayerError(f"array {name!r} is corrupt or pickled ({type(error).__name__}: {error})") from None
            if not isinstance(content[name], np.ndarray):
                raise LayerError(f"{name!r} is not an array")
    return content


def write_layer(path: str | os.PathLike[str], layer: Layer) -> None:
    """Write ``layer`` so that `read_layer` returns it; narrow integer dtypes, whole file or none."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        config=np.array(layer.config.to_json()),
        conv_weight=layer.conv_weight.astype(np.int8),
        attn_weight=layer.attn_weight.astype(np.int8),
        bias=layer.bias.astype(np.int32),
        multiplier=layer.multiplier.astype(np.uint16),
    )
    with replacing(path, "wb") as stream:
        stream.write(buffer.getvalue())
