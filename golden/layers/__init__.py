"""Layers with a name: files in this folder, and recipes for layers too large to check in.

In the order of the data flow:

================  ================================================================
`random_layer`    layers with random weights
`random_network`  networks whose graph and steps are random
`residual`        residual networks of random weights
`digits`          the networks around the layers ``digits`` and ``digits_dynamic``
================  ================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from golden.contract.layer import Layer
from golden.contract.layer_config import LayerError
from golden.contract.model_file import read_model
from golden.contract.network.network import IntegerNetwork
from golden.layers.random_layer import random_layer

FOLDER = Path(__file__).parent
DEFAULT = "digits"


def resnet34_stage3() -> Layer:
    """The shape of ResNet-34's third stage, 256 -> 256 at 14x14, 8 bit, random weights (seed 34)."""
    rng = np.random.default_rng(34)
    return random_layer(rng, in_channels=256, out_channels=256, height=14, width=14)


RECIPES: dict[str, Callable[[], Layer]] = {"resnet34_stage3": resnet34_stage3}
FILES = ("digits", "digits_dynamic", "tiny")
NAMES = (*FILES, *RECIPES)


def load_layer(name: str) -> Layer:
    """The layer called ``name``, else the one in the file at path ``name``.

    Raises `LayerError` where there is neither, or the file is outside the contract or a network's.
    """
    model = load_model(name)
    if isinstance(model, IntegerNetwork):
        raise LayerError(f"{name} holds a network, this needs one layer")
    return model


def load_model(name: str) -> Layer | IntegerNetwork:
    """The layer called ``name``, else the layer or network in the file at path ``name``.

    Raises `LayerError` where there is neither, or the file is outside the contract.
    """
    path = layer_path(name)
    if path is None:
        return RECIPES[name]()
    if not path.exists():
        raise LayerError(f"layer {name!r} is neither a file nor one of {', '.join(NAMES)}")
    return read_model(path)


def layer_path(name: str) -> Path | None:
    """The file that `load_layer` reads, whether it is there or not; None for a layer that no file holds."""
    if name in RECIPES:
        return None
    return FOLDER / f"{name}.npz" if name in FILES else Path(name)


def activations(name: str) -> Path | None:
    """Recorded real input frames of a named layer (``.npy``), or None where there are none."""
    path = FOLDER / f"{name}_activations.npy"
    return path if name in FILES and path.exists() else None
