"""Residual networks of random weights: the graphs of `golden.networks.resnet`, and results that use their formats."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from golden import show
from golden.contract.costs import useful_macs
from golden.contract.layer_config import NEIGHBOURS
from golden.contract.network.add import Add
from golden.contract.network.layer import LayerStep
from golden.contract.network.network import IntegerNetwork
from golden.contract.network.network_file import network_bytes
from golden.contract.powers import are_powers
from golden.layers import NETWORK_RECIPES, load_model, load_network
from golden.model.network import network as model
from golden.networks.resnet import resnet
from golden.networks.variants import Variant
from golden.vectors import random_frames
from tests.support.tiers import thorough

#: Depth of each recipe, and the arguments of its float form.
FLOATS: dict[str, tuple[int, dict[str, Any]]] = {
    "resnet8": (8, {"in_channels": 3, "outputs": 10}),
    "resnet8_po2": (8, {"in_channels": 3, "outputs": 10}),
    "resnet8_xvolution": (8, {"in_channels": 1, "outputs": 10, "variant": {3}}),
    "resnet20": (20, {"in_channels": 3, "outputs": 10}),
    "resnet20_po2": (20, {"in_channels": 3, "outputs": 10}),
    "resnet20_xvolution": (20, {"in_channels": 3, "outputs": 10, "variant": {3}}),
    "resnet34": (34, {"in_channels": 3, "outputs": 1000}),
}


def test_every_recipe_is_tested() -> None:
    assert set(FLOATS) == set(NETWORK_RECIPES)


@pytest.mark.parametrize("name", [pytest.param(n, marks=[thorough] * (n == "resnet34")) for n in FLOATS])
def test_the_graph_is_that_of_the_float_network(name: str) -> None:
    depth, options = FLOATS[name]
    if stages := options.get("variant"):
        options = options | {"variant": Variant(kind="xvolution", stages=frozenset(stages))}
    floats = resnet(depth, **options)
    network = load_network(name)
    # The integer network has a step of its own for the mean that a large one's linear map takes, and says the class.
    steps = [step for step in network.steps if step.name not in ("mean", "answer")]
    assert [(step.name, step.op) for step in steps] == [(step.name, step.op) for step in floats.steps]
    for own, other in zip(steps, floats.steps, strict=True):
        assert own.name == "head" or own.inputs == other.inputs
        if isinstance(own, LayerStep):
            c, part = own.layer.config, floats.parts[own.name]
            assert (c.in_channels, c.out_channels) == (part.in_channels, part.out_channels)
            assert (c.kernel, c.stride, c.relu) == (part.kernel_size, part.stride, other.relu)
            assert c.attn_offsets == (NEIGHBOURS if own.name in floats.attended else ())
    assert network.results[network.output].shape == (1, 1, 1)
    assert network.results["head"].channels == options["outputs"]


@thorough
def test_resnet34_is_as_large_as_everybodys() -> None:
    network = load_network("resnet34")
    floats = resnet(34, in_channels=3, outputs=1000)
    weights = sum(p.numel() for m in floats.modules() if isinstance(m, (nn.Conv2d, nn.Linear)) for p in [m.weight])
    assert sum(step.weights for step in network.steps) == weights == 21_779_648
    assert network.image.shape == (3, 224, 224)
    assert network.results["pool"].shape == (64, 56, 56)
    assert network.results["mean"].shape == (512, 1, 1)


@pytest.mark.parametrize("name", [n for n in FLOATS if n != "resnet34"])
def test_the_same_network_each_time(name: str) -> None:
    assert network_bytes(load_network(name)) == network_bytes(load_network(name))
    assert isinstance(load_model(name), IntegerNetwork)


@pytest.mark.parametrize(
    ("name", "images"),
    [
        ("resnet8", 2),
        ("resnet8_po2", 2),
        ("resnet8_xvolution", 4),
        ("resnet20", 2),
        ("resnet20_po2", 2),
        ("resnet20_xvolution", 2),
        pytest.param("resnet34", 1, marks=thorough),
    ],
)
def test_results_neither_vanish_nor_saturate(name: str, images: int) -> None:
    network = load_network(name)
    image = network.image
    frames = np.random.default_rng(0).integers(0, image.limits.high, (images, *image.shape), endpoint=True)
    results = model.results(network, frames)
    for step in network.steps:
        if step.op in ("argmax", "linear"):
            continue
        values, limits = results[step.name].astype(float), network.results[step.name].limits
        saturated = (values == limits.high).mean() + (limits.low < 0) * (values == limits.low).mean()
        assert saturated < 0.1, step.name
        assert np.sqrt(np.square(values).mean()) > limits.high / 16, step.name
        assert (values != 0).mean() > 0.3, step.name
    scores = results["head"].reshape(images, -1)
    assert len(np.unique(scores)) > 0.99 * scores.size


@pytest.mark.parametrize("name", ["resnet8", "resnet8_po2"])
def test_resnet8_is_as_large_as_everybodys(name: str) -> None:
    """The numbers of MLPerf Tiny's image classifier: 77,360 weights, 12.5 million multiply-accumulates."""
    network = load_network(name)
    assert network.image.shape == (3, 32, 32)
    assert sum(step.weights for step in network.steps) == 77_360
    layers = (step.layer.config for step in network.steps if isinstance(step, LayerStep))
    assert sum(map(useful_macs, layers)) + 640 == 12_501_632


@pytest.mark.parametrize("name", ["resnet8", "resnet20"])
def test_power_of_two_scales_change_multipliers_alone(name: str) -> None:
    plain, powers = load_network(name), load_network(f"{name}_po2")
    for own, other in zip(powers.steps, plain.steps, strict=True):
        if isinstance(own, Add):
            assert isinstance(other, Add)
            assert are_powers(own.multipliers) and not are_powers(other.multipliers)
            assert 1 in own.multipliers or own.shift == 0
            exact = np.ldexp(np.array(other.multipliers, float), -other.shift)
            # The step before has another scale, too, by less than a factor of sqrt(2).
            assert (np.abs(np.log2(np.ldexp(np.array(own.multipliers, float), -own.shift) / exact)) < 1).all()
        elif isinstance(own, LayerStep):
            assert isinstance(other, LayerStep)
            assert (own.layer.conv_weight == other.layer.conv_weight).all()
            assert (own.layer.bias == other.layer.bias).all()
            assert are_powers(own.layer.multiplier) and not are_powers(other.layer.multiplier)
            assert own.layer.multiplier.min() == 1


@pytest.mark.parametrize("name", ["resnet20", "resnet20_po2", "resnet20_xvolution"])
def test_the_answer_depends_on_the_image(name: str) -> None:
    network = load_network(name)
    answers = model.run(network, random_frames(network, 8, 0))
    assert len(np.unique(answers)) > 1


def test_shown_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    assert show.main(["resnet8_xvolution"]) == 0
    assert "stage3_block1_second" in capsys.readouterr().out
    assert (tmp_path / "build" / "resnet8_xvolution.svg").exists()
