"""Float files: a trained network, merged, with the settings of the experiment that trained it, as one ``.npz``."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from golden.contract.fields import FORMAT, LayerError, check_integer, check_names, parse_object, take_format
from golden.contract.layer_file import archive_bytes, opened, read_config
from golden.contract.network.result import MOST
from golden.experiments.settings import build_network, check_settings
from golden.operators.network import Network
from golden.support.arrays import Archive

KIND = "float"
#: Most characters that a config may have.
MAX_CONFIG = 100_000
_FIELDS = ("in_channels", "outputs", "settings")


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """A trained network in floats.

    Attributes:
        network: merged (`Network.merged`), in eval mode.
        settings: checked settings of the experiment that trained it.
        in_channels: channels of its images.
        outputs: numbers that it gives for an image.
    """

    network: Network
    settings: Mapping[str, Any]
    in_channels: int
    outputs: int


def read_float(path: str | os.PathLike[str]) -> Trained:
    """The network in a float file. Raises `LayerError` that names file and field."""
    with opened("float", path) as archive:
        return _parsed(archive)


def parse_float(content: bytes) -> Trained:
    """The network in the bytes of a float file. Raises `UserError` that names the field."""
    return _parsed(Archive(io.BytesIO(content)))


def float_bytes(trained: Trained) -> bytes:
    """The bytes of a float file."""
    fields = {name: getattr(trained, name) for name in _FIELDS}
    arrays = {name: value.numpy() for name, value in trained.network.state_dict().items()}
    return archive_bytes(json.dumps({"format": FORMAT, "kind": KIND, **fields}), arrays)


def _parsed(archive: Archive) -> Trained:
    fields = parse_object(read_config(archive, MAX_CONFIG))
    take_format(fields)
    check_names(fields, ("kind", *_FIELDS), beside="format")
    if fields.pop("kind") != KIND:
        raise LayerError(f"kind is not {KIND!r}")
    for name in ("in_channels", "outputs"):
        check_integer(name, fields[name], (1, MOST))
    if not isinstance(fields["settings"], dict):
        raise LayerError("settings are not a JSON object")
    fields["settings"] = check_settings(fields["settings"])
    network = build_network(fields["settings"], fields["in_channels"], fields["outputs"]).eval().merged()
    wanted = network.state_dict()
    archive.require(("config", *wanted))
    network.load_state_dict({name: _tensor(archive, name, value) for name, value in wanted.items()})
    return Trained(network=network, **fields)


def _tensor(archive: Archive, name: str, wanted: torch.Tensor) -> torch.Tensor:
    shape, dtype = archive.header(name)
    if shape != tuple(wanted.shape) or dtype != np.float32:
        needed = f"{list(wanted.shape)} and float32"
        raise LayerError(f"{name} has shape {list(shape)} and dtype {dtype}, the settings need {needed}")
    array = archive.read(name)
    if not np.isfinite(array).all():
        raise LayerError(f"{name} has a value that is NaN or infinite, allowed are finite numbers")
    return torch.from_numpy(array)
