"""Files that hold a layer or a network: which of the two, their text says."""

from __future__ import annotations

import os
from pathlib import Path

from golden.contract.fields import parse_object
from golden.contract.layer import Layer
from golden.contract.layer_file import read_config, read_layer
from golden.contract.network.network import IntegerNetwork
from golden.contract.network.network_file import MAX_CONFIG, read_network
from golden.support.arrays import Archive
from golden.support.cli import UserError


def read_model(path: str | os.PathLike[str]) -> Layer | IntegerNetwork:
    """Read and validate a layer file or a network file. Raises `LayerError` that names file, field and value."""
    return read_network(path) if is_network_file(path) else read_layer(path)


def is_network_file(path: str | os.PathLike[str]) -> bool:
    """Whether the text of the file has the field ``kind``, which a layer file has not. False for what has no text."""
    try:
        with Path(path).open("rb") as stream:
            return "kind" in parse_object(read_config(Archive(stream), MAX_CONFIG))
    except (UserError, OSError):
        return False
