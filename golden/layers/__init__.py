"""Layers and networks with a name: files in this folder, and recipes for those too large to check in.

In the order of the data flow:

================  ================================================================
`random_layer`    layers with random weights
`random_network`  networks whose graph and steps are random
`residual`        residual networks of random weights
`digits_layer`    what is around the layers ``digits_layer`` and ``digits_dynamic``
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
from golden.contract.network.network_file import read_network
from golden.layers.random_layer import random_layer
from golden.layers.residual import (
    resnet8,
    resnet8_po2,
    resnet8_xvolution,
    resnet20,
    resnet20_po2,
    resnet20_xvolution,
    resnet34,
)

FOLDER = Path(__file__).parent


def resnet34_stage3() -> Layer:
    """The shape of ResNet-34's third stage, 256 -> 256 at 14x14, 8 bit, random weights (seed 34)."""
    rng = np.random.default_rng(34)
    return random_layer(rng, in_channels=256, out_channels=256, height=14, width=14)


LAYER_FILES = ("digits_layer", "digits_dynamic", "tiny")
LAYER_RECIPES: dict[str, Callable[[], Layer]] = {"resnet34_stage3": resnet34_stage3}
NETWORK_FILES = ("digits", "fashion_mnist_ptq8", "fashion_mnist_qat4")
#: The float file of each network that has one, in the same folder.
FLOAT_FILES = dict.fromkeys(("fashion_mnist_ptq8", "fashion_mnist_qat4"), "fashion_mnist_float.npz")
NETWORK_RECIPES: dict[str, Callable[[], IntegerNetwork]] = {
    recipe.__name__: recipe
    for recipe in (
        resnet8,
        resnet8_po2,
        resnet8_xvolution,
        resnet20,
        resnet20_po2,
        resnet20_xvolution,
        resnet34,
    )
}
FILES = (*NETWORK_FILES, *LAYER_FILES)
RECIPES: dict[str, Callable[[], Layer | IntegerNetwork]] = {**NETWORK_RECIPES, **LAYER_RECIPES}
#: What `load_layer`, `load_network` and `load_model` know by name.
LAYERS = (*LAYER_FILES, *LAYER_RECIPES)
NETWORKS = (*NETWORK_FILES, *NETWORK_RECIPES)
NAMES = (*NETWORKS, *LAYERS)
#: What commands take if nothing else is said: those that take networks, and those that take only layers.
DEFAULT = "digits"
DEFAULT_LAYER = "digits_layer"


def load_layer(name: str) -> Layer:
    """The layer called ``name``, else the one in the file at path ``name``.

    Raises `LayerError` where there is neither, or the file is outside the contract or a network's.
    """
    _check_there("layer", name, LAYERS)
    model = load_model(name)
    if isinstance(model, IntegerNetwork):
        raise LayerError(f"{name} holds a network, this needs one layer")
    return model


def load_network(name: str) -> IntegerNetwork:
    """The network called ``name``, else the one in the file at path ``name``.

    Raises `LayerError` where there is neither, or the file is outside the contract or a layer's.
    """
    _check_there("network", name, NETWORKS)
    if name in LAYERS:
        raise LayerError(f"{name} is a layer, this needs a network, one of {', '.join(NETWORKS)} or a file")
    path = layer_path(name)
    return NETWORK_RECIPES[name]() if path is None else read_network(path)


def load_model(name: str) -> Layer | IntegerNetwork:
    """The layer or network called ``name``, else the one in the file at path ``name``.

    Raises `LayerError` where there is neither, or the file is outside the contract.
    """
    _check_there("layer or network", name, NAMES)
    path = layer_path(name)
    return RECIPES[name]() if path is None else read_model(path)


def layer_path(name: str) -> Path | None:
    """The file that `load_model` reads, whether it is there or not; None for what no file holds."""
    if name in RECIPES:
        return None
    return FOLDER / f"{name}.npz" if name in FILES else Path(name)


def activations(name: str) -> Path | None:
    """Recorded real input frames of what is called ``name`` (``.npy``), or None where there are none."""
    return _beside(name, "activations")


def float_path(name: str) -> Path | None:
    """The float file of the network called ``name`` (`golden.experiments.float_file`), or None where there is none."""
    return FOLDER / FLOAT_FILES[name] if name in FLOAT_FILES else None


def labels(name: str) -> Path | None:
    """What is right for each of the `activations` of a network (``.npy``, ``[N]``), or None where there is nothing."""
    return _beside(name, "labels")


def _check_there(kind: str, name: str, names: tuple[str, ...]) -> None:
    path = layer_path(name)
    if path is not None and not path.exists():
        raise LayerError(f"{kind} {name!r} is neither a file nor one of {', '.join(names)}")


def _beside(name: str, what: str) -> Path | None:
    path = FOLDER / f"{name}_{what}.npy"
    return path if name in FILES and path.exists() else None
