"""Networks from settings alone: they have the shapes and formats of trained ones."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import numpy as np
import pytest

from golden.contract.layer_config import LayerConfig
from golden.contract.network.add import Add
from golden.contract.network.layer import LayerStep
from golden.contract.network.network import IntegerNetwork
from golden.contract.powers import are_powers
from golden.experiments.experiment import check_settings, run_experiment
from golden.experiments.settings import build_network
from golden.experiments.structure import SHAPING, check, outputs_of, structure
from golden.operators.network import parameter_count
from golden.support.cli import UserError

SIGNED: dict[str, Any] = {"variant": "xvolution", "product": "dynamic", "heads": 8, "features": "signed"}
#: What training decides in a format: scales, and the shifts that follow from them.
TRAINED = dict.fromkeys(("in_scale", "out_scale", "attn_shift", "out_shift", "sim_shift"))


def formats(network: IntegerNetwork) -> list[Any]:
    """The shape and format of each step, and of what it takes."""

    def config(of: LayerConfig) -> dict[str, Any]:
        return {name: value for name, value in vars(of).items() if name not in TRAINED}

    return [
        (
            step.name,
            dataclasses.replace(network.results[step.name], scale=None),
            step.inputs,
            config(step.layer.config) if isinstance(step, LayerStep) else step.op,
        )
        for step in network.steps
    ]


def test_formats_are_those_of_a_trained_network() -> None:
    settings = {**SIGNED, "task": "digits", "bits": [4], "epochs": 1, "train_images": 64, "mixed": {"stem": 6}}
    settings |= {"validation_images": 20, "test_images": 20, "calibration_images": 16}
    trained: list[IntegerNetwork] = []
    figures = run_experiment(settings, keep=lambda how, bits, network: trained.append(network.integers))
    shaping = {name: value for name, value in check_settings(settings).items() if name in SHAPING}
    drawn = structure(check({**shaping, "image": [1, 8, 8], "outputs": 10, "bits": 4}))
    assert formats(drawn) == formats(trained[0])
    assert outputs_of(check_settings(settings), 1, figures["parameters"]) == 10


def test_weights_use_their_formats_fully() -> None:
    """A branch that starts as nothing has weights, too, and the same settings give the same ones."""
    settings = check({**SIGNED, "bits": 4})
    first, second = (structure(settings) for _ in range(2))
    for one, other in zip(first.steps, second.steps, strict=True):
        for name, array in one.arrays().items():
            assert np.array_equal(array, other.arrays()[name])
        if isinstance(one, LayerStep):
            for weight in (one.layer.conv_weight, one.layer.attn_weight):
                assert not weight.size or weight.max() > 0.9 * one.layer.config.weight_limit


def test_what_merges_into_the_same_is_the_same() -> None:
    inner = {"variant": "xvolution", "product": "inner", "heads": 8}
    assert check(inner) == check({**inner, "heads": 4}) == check({**inner, "product": "hadamard", "heads": None})
    # Where it merges into several, they are not those of a `hadamard` layer.
    assert check({**inner, "stack": 2}) != check({**inner, "stack": 2, "product": "hadamard", "heads": None})
    assert check({**inner, "product": "dynamic"}) != check({**inner, "product": "dynamic", "heads": 4})


def test_powers_of_two() -> None:
    network = structure(check({"bits": 8, "scales": "po2"}))
    for step in network.steps:
        if isinstance(step, LayerStep):
            assert are_powers(step.layer.multiplier)
        elif isinstance(step, Add):
            assert are_powers(step.multipliers)


@pytest.mark.parametrize("outputs", [1, 7])
def test_outputs_follow_from_parameters(outputs: int) -> None:
    settings = check_settings({"variant": "wide", "depth": 14})
    assert outputs_of(settings, 3, parameter_count(build_network(settings, 3, outputs))) == outputs


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"seed": 0}, "setting 'seed' is unknown, allowed are depth, block"),
        ({"bits": 9}, "setting bits 9 is not an integer from 2 to 8"),
        ({"bits": [8]}, "setting bits [8] is not an integer"),
        ({"image": [1, 8]}, "setting image [1, 8] is not [C, H, W], each from 1 to 4096"),
        ({"image": [1, 0, 8]}, "setting image [1, 0, 8] is not"),
        ({"outputs": True}, "setting outputs True is not an integer from 1 to 4096"),
        ({"variant": "xvolution", "product": "softmax"}, "has no integer form"),
    ],
)
def test_settings_that_are_refused(settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(UserError, match=re.escape(complaint)):
        check(settings)
