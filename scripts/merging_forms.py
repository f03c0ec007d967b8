"""Trained X-volutions in several forms, and how far the forms' results are apart.

The layer stands in the network ``digits`` (`scripts.train_digits`): a stem gives its results with their sign, then
comes the X-volution with its ReLU, a pool and a linear map. Of each form there is the whole network in integers, and
the steps of the X-volution alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from golden.contract.network.network import IMAGE, IntegerNetwork
from golden.operators.network import Network
from golden.operators.step import Step
from golden.operators.xvolution import XVolution
from golden.quantise.network import quantise_network
from golden.quantise.precision import Precision
from golden.quantise.quantised import QuantisedNetwork
from golden.training.train import reproducible
from scripts.train_digits import split_digits, train, whole_network

BITS = 8
#: Training images that scales are chosen on.
CALIBRATION = 64
#: The step that the layer takes, and the layer itself.
SOURCE, LAYER = "stem", "xvolution"
MERGED, APART = "merged", "side by side"
#: All other places of a 5x5 kernel, as the eight neighbours are all other places of a 3x3 kernel.
AROUND = tuple((dy, dx) for dy in range(-2, 3) for dx in range(-2, 3) if (dy, dx) != (0, 0))
#: Layers that merge into one: options of `XVolution` by name.
LAYERS: Mapping[str, Mapping[str, Any]] = {
    "hadamard, 3x3": {"product": "hadamard"},
    "hadamard, 5x5": {"product": "hadamard", "kernel_size": 5, "directions": AROUND},
    "dynamic, 3x3": {"product": "dynamic"},
    "dynamic, 5x5": {"product": "dynamic", "kernel_size": 5, "directions": AROUND},
}
#: Layers that merge into several.
STACKS: Mapping[str, Mapping[str, Any]] = {
    "hadamard, 3x3, stack 2": {"product": "hadamard", "stack": 2},
    "hadamard, 3x3, weighting 3": {"product": "hadamard", "weighting": 3},
}


@dataclass(frozen=True, kw_only=True, eq=False)
class Trained:
    """A trained network and its images.

    Attributes:
        network: in floats, in eval mode.
        calibration: training images ``[N, 1, 8, 8]`` that scales are chosen on.
        images: held-out images ``[N, 1, 8, 8]``.
        labels: ``[N]``, the digit in each of these.
    """

    network: Network
    calibration: Tensor
    images: Tensor
    labels: np.ndarray

    @property
    def float_accuracy(self) -> float:
        """Percent of the held-out images that the float network tells right."""
        with torch.no_grad():
            return accuracy(self.network(self.images).argmax(dim=1).numpy(), self.labels)

    def forms(self) -> dict[str, QuantisedNetwork]:
        """The network in integers, by the form of its layer. A layer that merges into several has one form."""
        merged = self.network.merged()
        found = {MERGED: merged}
        if merged.parts.keys() == self.network.parts.keys():
            found[APART] = _apart(self.network, merged)
        return {form: quantise_network(own, self.calibration, Precision(bits=BITS)) for form, own in found.items()}


def trained(options: Mapping[str, Any], *, seed: int, epochs: int) -> Trained:
    """The network with an X-volution of these ``options``, trained on digits."""
    with reproducible(seed):
        training, images, labels, held_out = split_digits(seed)
        network = whole_network(**options)
        train(network, training, labels, epochs)
    return Trained(network=network, calibration=training[:CALIBRATION], images=images, labels=held_out.numpy())


def _apart(network: Network, merged: Network) -> Network:
    """``merged`` with the branches of its X-volution side by side."""
    layer = network.parts[LAYER]
    assert isinstance(layer, XVolution)
    steps: list[Step] = []
    parts = {name: part for name, part in merged.parts.items() if name != LAYER}
    for step in merged.steps:
        if step.name == LAYER:
            branches = layer.side_by_side().in_place_of(step)
            steps += branches.steps
            parts |= branches.parts.items()
        else:
            steps.append(step)
    return Network(steps, parts).eval()


def layer_alone(network: IntegerNetwork) -> IntegerNetwork:
    """The steps of the X-volution: what goes in is the result of the stem, what comes out is the layer's."""
    names = [step.name for step in network.steps]
    own = network.steps[names.index(SOURCE) + 1 : names.index(LAYER) + 1]
    steps = tuple(
        replace(step, inputs=tuple(IMAGE if name == SOURCE else name for name in step.inputs)) for step in own
    )
    return IntegerNetwork(image=network.results[SOURCE], steps=steps, output=LAYER)


@dataclass(frozen=True, kw_only=True)
class Differences:
    """How far results of the two forms of a layer are apart, and from the float layer that takes the same inputs.

    Attributes:
        share: percent of the results that differ.
        largest: the largest difference, in steps.
        errors: by form, the root of the mean squared distance from the float layer's results, in steps.
    """

    share: float
    largest: float
    errors: Mapping[str, float]


def differences(found: Trained, forms: Mapping[str, QuantisedNetwork]) -> Differences:
    """The `Differences` on the held-out images. A step is one of the merged layer's results."""
    values = {form: own.values(own.quantise_images(found.images.numpy())) for form, own in forms.items()}
    results = {form: forms[form].integers.results for form in forms}
    output = results[MERGED][LAYER]
    worth = {form: _scale(results[form][LAYER].scale) / _scale(output.scale) for form in forms}
    steps = {form: values[form][LAYER] * worth[form] for form in forms}
    layer: Callable[[Tensor], Tensor] = found.network.merged().parts[LAYER]
    with torch.no_grad():
        taken = torch.from_numpy(values[MERGED][SOURCE] * _scale(results[MERGED][SOURCE].scale)).float()
        exact = layer(taken).relu().double().numpy() / _scale(output.scale)
    # What saturates does so in both forms, and is no error of either.
    exact = np.minimum(exact, output.limits.high)
    apart = np.abs(steps[APART] - steps[MERGED])
    return Differences(
        share=100 * float((apart > 0.5).mean()),
        largest=float(apart.max()),
        errors={form: float(np.sqrt(np.square(own - exact).mean())) for form, own in steps.items()},
    )


def accuracy(answers: np.ndarray, labels: np.ndarray) -> float:
    """Percent of ``answers`` that are right."""
    return 100 * float((answers == labels).mean())


def _scale(scale: float | None) -> float:
    assert scale is not None
    return scale
