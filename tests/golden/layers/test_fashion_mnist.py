"""The networks of Fashion-MNIST: their checked-in files, and what they answer."""

from __future__ import annotations

from pathlib import Path

import pytest

from golden.contract.network.layer import LayerStep
from golden.contract.scales import to_steps
from golden.experiments.float_file import read_float
from golden.layers import FLOAT_FILES, FOLDER, float_path, load_network
from golden.model.network import network as model
from golden.support.cli import UserError
from golden.training import Examples, load_task
from golden.training.train import predict, reproducible
from tests.support.tiers import thorough

#: Bits of inner results, and how many of the first 100 test images each network tells.
NETWORKS = {"fashion_mnist_ptq8": (8, 86), "fashion_mnist_qat4": (4, 89)}


@pytest.fixture(scope="module")
def examples() -> Examples:
    """The first 100 test images."""
    try:
        return load_task("fashion_mnist").test.subset(slice(100))
    except UserError as missing:
        pytest.skip(str(missing))


def float_form() -> Path:
    (path,) = {float_path(name) for name in NETWORKS}
    assert path is not None
    return path


@pytest.mark.parametrize("name", NETWORKS)
def test_checked_in_networks_are_what_they_are_meant_to_be(name: str) -> None:
    network, (bits, _) = load_network(name), NETWORKS[name]
    layers = {step.name: step.layer.config for step in network.steps if isinstance(step, LayerStep)}
    attended = {layer: c for layer, c in layers.items() if c.attn_offsets}
    assert list(attended) == ["stage3_block1_first", "stage3_block1_second"] and len(layers) == 9
    for c in attended.values():
        assert (c.product, len(c.attn_offsets), c.weight_bits, c.in_bits) == ("hadamard", 8, bits, bits)
    # No ReLU stands between them.
    assert (attended["stage3_block1_first"].relu, attended["stage3_block1_second"].in_signed) == (False, True)
    assert (layers["stem"].weight_bits, layers["stem"].in_bits) == (8, 8)
    assert network.image.shape == (1, 28, 28) and network.output_result.shape == (10, 1, 1)
    assert (FOLDER / f"{name}.npz").stat().st_size < 1_000_000 > float_form().stat().st_size


def test_float_form_says_how_it_was_trained() -> None:
    assert set(FLOAT_FILES) == set(NETWORKS)
    settings = read_float(float_form()).settings
    chosen = ("task", "variant", "product", "features", "stages", "seed", "train_images", "epochs", "bits", "qat_bits")
    trained = ["fashion_mnist", "xvolution", "hadamard", "signed", [3], 0, 20_000, 3, [8], [4]]
    assert [settings[name] for name in chosen] == trained


@thorough
@pytest.mark.parametrize("name", NETWORKS)
def test_checked_in_networks_reach_their_accuracy(name: str, examples: Examples) -> None:
    network = load_network(name)
    assert network.image.scale is not None
    frames = to_steps(examples.images().double().numpy(), network.image.scale, network.image.limits)
    answers = model.run(network, frames).reshape(100, -1).argmax(axis=1)
    assert (answers == examples.targets.numpy()).sum() == NETWORKS[name][1]
    with reproducible(0):
        floats = predict(read_float(float_form()).network, examples).argmax(dim=1).numpy()
    assert (floats == answers).mean() > 0.9
