"""Where in real images the attention of a trained network is at work, as a run of a study.

`golden.experiments.experiment` trains and quantises the network. Then the accumulators of its X-volution layers
are split, in exact integers, into the part of the attention weights and the part of the kernel.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from golden.contract.layer import Layer
from golden.experiments.experiment import check_settings, measured_examples, run_experiment, task_of
from golden.model import integer
from golden.quantise.quantised import QuantisedNetwork
from golden.support.cli import UserError
from scripts.studies.functions import Advance, Settings

#: Number of images that are shown: the default and the largest.
IMAGES, MOST_IMAGES = 6, 32


def check(settings: Settings) -> dict[str, Any]:
    """``settings`` with all defaults: those of an experiment with one number of bits, and ``images``.

    Raises:
        UserError: for a setting that is not allowed.
    """
    images = settings.get("images", IMAGES)
    if type(images) is not int or not 1 <= images <= MOST_IMAGES:
        raise UserError(f"setting images {images!r} is not an integer from 1 to {MOST_IMAGES}")
    rest = {name: value for name, value in settings.items() if name != "images"}
    checked = check_settings({"bits": [8]} | rest)
    if checked["variant"] != "xvolution":
        raise UserError(f"setting variant {checked['variant']!r} has no attention, allowed is 'xvolution'")
    if len(checked["bits"]) != 1 or checked["qat_bits"]:
        raise UserError(f"setting bits {checked['bits']!r} is not one width, with qat_bits []")
    return checked | {"images": images}


def run(settings: Settings, *, advance: Advance) -> dict[str, Any]:
    """The figures of a run with checked ``settings``::

    metric, parameters, float, ptq    those of the experiment
    share       for each layer, the mean of its maps, in percent
    examples    for each image, its label, its pixels [H][W] (the mean of the channels), and its maps
                [Ho][Wo] by layer: the share of attention in all accumulators, in percent
    """
    experiment = {name: value for name, value in settings.items() if name != "images"}
    networks: list[QuantisedNetwork] = []
    figures = run_experiment(experiment, advance=advance, keep=lambda how, bits, integers: networks.append(integers))
    (network,) = networks
    examples = measured_examples(task_of(experiment), experiment).subset(slice(settings["images"]))
    images = examples.images().numpy()
    values = network.values(network.quantise_images(images))
    inputs = {step.name: step.inputs[0] for step in network.integers.steps}
    maps = {name: attention_share(network.layers[name], values[inputs[name]]) for name in network.attended}
    return {
        **{name: figures[name] for name in ("metric", "parameters", "float", "ptq")},
        "share": {name: float(shares.mean()) for name, shares in maps.items()},
        "examples": [
            {
                "label": int(examples.targets[n]),
                "pixels": images[n].mean(axis=0).round(3).tolist(),
                "maps": {name: shares[n].round(1).tolist() for name, shares in maps.items()},
            }
            for n in range(len(examples))
        ],
    }


def attention_share(layer: Layer, frames: np.ndarray) -> np.ndarray:
    """The share of attention in ``sum_o |attention| + |convolution|``, in percent, ``[N, Ho, Wo]``.

    The share is 0 where both are 0. The bias is in neither.
    """
    nothing = np.zeros_like(layer.bias)
    no_conv, no_attn = np.zeros_like(layer.conv_weight), np.zeros_like(layer.attn_weight)
    attention = dataclasses.replace(layer, conv_weight=no_conv, bias=nothing)
    convolution = dataclasses.replace(layer, attn_weight=no_attn, bias=nothing)
    own, other = (np.abs(integer.accumulate(part, frames)).sum(axis=1) for part in (attention, convolution))
    return 100 * own / np.maximum(own + other, 1)
