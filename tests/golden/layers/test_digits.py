"""The checked-in network ``digits``: image in, digit out. What it gets right, what of it matters, and its training."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np

from golden.contract.network.layer import LayerStep
from golden.contract.network.network import IntegerNetwork
from golden.contract.network.network_file import read_network
from golden.layers import DEFAULT, FOLDER, activations, labels, load_model, load_network
from golden.model.network import network as model
from golden.model.network import plain
from scripts.train_digits import FILES
from tests.support.places import ROOT
from tests.support.tiers import nightly


def images_and_labels() -> tuple[np.ndarray, np.ndarray]:
    images, right = activations(DEFAULT), labels(DEFAULT)
    assert images is not None and right is not None
    return np.load(images), np.load(right)


def xvolution(network: IntegerNetwork) -> LayerStep:
    step = network.steps[1]
    assert isinstance(step, LayerStep)
    return step


def test_it_is_what_it_is_meant_to_be() -> None:
    network = load_network(DEFAULT)
    assert isinstance(load_model(DEFAULT), IntegerNetwork)
    ops = {step.name: step.op for step in network.steps}
    assert ops == {"stem": "layer", "xvolution": "layer", "pool": "max_pool", "head": "linear", "answer": "argmax"}
    assert network.image.shape == (1, 8, 8) and network.results["answer"].shape == (1, 1, 1)
    c = xvolution(network).layer.config
    assert (c.product, c.in_channels, c.out_channels, len(c.attn_offsets)) == ("hadamard", 8, 16, 8)
    assert (c.in_bits, c.in_signed, c.weight_bits, c.out_bits, c.out_signed) == (8, True, 8, 8, False)
    # Scales are recorded: what the integers are worth stays known.
    assert all(step.scale is not None for step in network.steps if step.op != "argmax")


def test_every_held_out_digit_is_right() -> None:
    images, right = images_and_labels()
    assert images.shape == (360, 1, 8, 8) and images.dtype == np.uint8
    assert set(right) == set(range(10))
    y = model.run(load_network(DEFAULT), images).ravel()
    assert (y == right).sum() == 360


def test_readable_model_and_fast_model_agree() -> None:
    images, _ = images_and_labels()
    network = load_network(DEFAULT)
    np.testing.assert_array_equal(model.run(network, images[:6]), plain.run(network, images[:6]))


def test_it_uses_its_formats() -> None:
    images, _ = images_and_labels()
    network = load_network(DEFAULT)
    for name, values in model.results(network, images).items():
        limits = network.results[name].limits
        if name not in ("head", "answer"):
            assert values.max() >= 0.9 * limits.high and values.min() <= 0.9 * limits.low, name


def test_it_needs_its_attention() -> None:
    images, right = images_and_labels()
    network = load_network(DEFAULT)
    step = xvolution(network)
    silent = dataclasses.replace(step.layer, attn_weight=np.zeros_like(step.layer.attn_weight))
    steps = tuple(dataclasses.replace(s, layer=silent) if s is step else s for s in network.steps)
    y = model.run(dataclasses.replace(network, steps=steps), images).ravel()
    assert (y == right).sum() < 300


def train(out: Path, *options: str) -> str:
    command = [sys.executable, "-m", "scripts.train_digits", "--out", str(out), *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


@nightly
def test_training_learns(tmp_path: Path) -> None:
    """Weights differ from machine to machine. Images, their scale and labels are the checked-in ones."""
    said = train(tmp_path, "--epochs", "2")
    for file in FILES[DEFAULT][1:]:
        assert (tmp_path / file).read_bytes() == (FOLDER / file).read_bytes(), file
    network = read_network(tmp_path / "digits.npz")
    images, right = (np.load(tmp_path / file) for file in FILES[DEFAULT][1:])
    correct = int((model.run(network, images).ravel() == right).sum())
    assert correct > 0.8 * 360
    assert f"8-bit integers: {correct} of 360" in said and "float: " in said


@nightly
def test_training_is_deterministic(tmp_path: Path) -> None:
    for name, seed in (("first", "0"), ("second", "0"), ("other", "1")):
        train(tmp_path / name, "--epochs", "1", "--seed", seed)
    for file in FILES[DEFAULT]:
        first, second, other = ((tmp_path / name / file).read_bytes() for name in ("first", "second", "other"))
        assert first == second != other, file
