"""The integer network of an experiment, as far as its hardware depends on it, from settings alone.

The float network is not trained. It is quantised on a random image, which gives each step its format. Then
each layer gets random weights that use its format fully.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from golden.contract.layer_config import MULTIPLIER_BITS
from golden.contract.network.layer import LayerStep
from golden.contract.network.network import IntegerNetwork
from golden.contract.network.step import Step
from golden.contract.powers import nearest_power
from golden.experiments.settings import BITS, OPERATOR, SETTINGS, build_network, check_settings
from golden.layers.random_layer import random_layer
from golden.operators.network import parameter_count
from golden.quantise.calibration import Scales
from golden.quantise.network import quantise_network
from golden.quantise.precision import Precision
from golden.support.cli import UserError
from golden.training.train import reproducible

#: Settings of an experiment that decide the shapes and formats of its integer networks.
SHAPING = ("depth", "block", "variant", "stages", "place", *OPERATOR, "features", "mixed", "edge_bits", "scales")
#: What the data set decides, with the values of digits: shape of an image ``[C, H, W]``, numbers that are told of it.
OF_DATA: Mapping[str, Any] = {"image": [1, 8, 8], "outputs": 10}
#: The most of each of these numbers.
MOST = 4096
#: Seed of weights and image.
SEED = 16


def check(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a structure with all defaults: those in `SHAPING` and `OF_DATA`, and one number of ``bits``.

    Settings that give the same structure become the same.

    Raises:
        UserError: for a setting that is not allowed.
    """
    allowed = (*SHAPING, *OF_DATA, "bits")
    for name in settings:
        if name not in allowed:
            raise UserError(f"setting {name!r} is unknown, allowed are {', '.join(allowed)}")
    bits = settings.get("bits", BITS[1])
    if type(bits) is not int or not BITS[0] <= bits <= BITS[1]:
        raise UserError(f"setting bits {bits!r} is not an integer from {BITS[0]} to {BITS[1]}")
    data = {name: settings.get(name, default) for name, default in OF_DATA.items()}
    image, outputs = data["image"], data["outputs"]
    if not isinstance(image, list) or len(image) != 3 or not all(map(_is_size, image)):
        raise UserError(f"setting image {image!r} is not [C, H, W], each from 1 to {MOST}")
    if not _is_size(outputs):
        raise UserError(f"setting outputs {outputs!r} is not an integer from 1 to {MOST}")
    checked = check_settings({"bits": [bits], **{name: settings[name] for name in SHAPING if name in settings}})
    if checked["product"] == "inner" and checked["stack"] == checked["weighting"] == 1:
        # Merged, it is a `hadamard` layer: heads are in its weights alone.
        checked |= {"product": "hadamard", "heads": None}
    return {**{name: checked[name] for name in SHAPING if name in checked}, **data, "bits": bits}


def structure(settings: Mapping[str, Any]) -> IntegerNetwork:
    """The network of checked ``settings``, from its image to its scores."""
    channels, height, width = settings["image"]
    precision = Precision(
        bits=settings["bits"],
        edge_bits=settings["edge_bits"],
        layers=settings["mixed"],
        scales=settings.get("scales", SETTINGS["scales"].default),
    )
    experiment = check_settings({name: settings[name] for name in SHAPING if name in settings})
    with reproducible(SEED):
        floats = build_network(experiment, channels, settings["outputs"]).eval().merged()
        network = quantise_network(floats, torch.rand(1, channels, height, width), precision, "minmax").integers
    rng = np.random.default_rng(SEED)
    steps = (_weighted(step, rng, precision.scales) for step in network.steps)
    return network.with_steps(tuple(steps))


def outputs_of(settings: Mapping[str, Any], channels: int, parameters: int) -> int:
    """Numbers that the trained network of an experiment tells of an image: each takes as many of its parameters.

    Args:
        settings: of the experiment, checked.
        channels: of the image.
        parameters: trained numbers of the network.
    """
    with torch.device("meta"):
        one, two = (parameter_count(build_network(settings, channels, outputs)) for outputs in (1, 2))
    return 1 + (parameters - one) // (two - one)


def _weighted(step: Step, rng: np.random.Generator, scales: Scales) -> Step:
    """A layer with random weights; any other step as it is."""
    if not isinstance(step, LayerStep):
        return step
    layer = random_layer(rng, **vars(step.layer.config))
    if scales == "po2":
        multiplier = np.minimum(nearest_power(layer.multiplier), 2 ** (MULTIPLIER_BITS - 1))
        layer = replace(layer, multiplier=multiplier.astype(np.int64))
    return replace(step, layer=layer)


def _is_size(value: Any) -> bool:
    return type(value) is int and 1 <= value <= MOST
