"""Training while quantised: the forward pass is the integer network, to the bit."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from golden.contract.ranges import Range
from golden.contract.rounding import HALF_EVEN
from golden.experiments.experiment import integer_metric, same_integers
from golden.networks.resnet import resnet
from golden.networks.variants import Variant
from golden.quantise.fake import FakeQuantised, _Requantise
from golden.quantise.network import quantise_network
from golden.quantise.precision import Precision
from golden.quantise.qat import train_quantised
from golden.support.cli import UserError
from golden.training import Examples, load_task
from golden.training.train import Schedule, reproducible, train
from tests.support.quantised import images, random_network
from tests.support.tiers import thorough


def as_examples(x: Tensor) -> Examples:
    return Examples((255 * x).round().to(torch.uint8), torch.zeros(len(x)))


CASES: list[tuple[int, str, str, dict[str, Any]]] = [
    (8, "post", "minmax", {}),
    (6, "pre", "minmax", {"features": "signed"}),
    (4, "post", "mse", {"product": "inner", "heads": 8, "features": "normed"}),
    (4, "pre", "minmax", {"product": "dynamic", "heads": 8, "shift": 2}),
    (8, "post", "minmax", {"product": "dynamic", "heads": 1, "features": "signed"}),
    (3, "post", "minmax", {"kind": "linear_shift", "shift": 3}),
    (2, "pre", "minmax", {"kind": "conv"}),
]


@pytest.mark.parametrize("bits, block, method, fields", CASES, ids=str)
def test_the_forward_pass_is_the_integer_network(bits: int, block: str, method: Any, fields: dict[str, Any]) -> None:
    network = random_network(bits, block=block, **fields)
    fake = FakeQuantised(network, quantise_network(network, images(bits), Precision(bits=bits), method))
    # Other weights than those the scales were made for, and images beyond the calibrated range.
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(parameter.abs().mean() * torch.randn_like(parameter) / 3)
    integers = fake.quantised()
    x = images(99, 12) * torch.linspace(0.2, 1, 12)[:, None, None, None]
    assert same_integers(fake, integers, as_examples(x))
    # The comparison sees a single weight.
    with torch.no_grad():
        network.parts["stage2_block1_first"].conv_weight[0, 0] += 5
    assert not same_integers(fake, integers, as_examples(x))


@thorough
def test_after_training_it_is_still_and_better_than_before() -> None:
    task = load_task("digits", train_images=500, validation_images=200)
    precision = Precision(bits=2)
    calibration = task.train.images(slice(32))
    with reproducible(1):
        variant = Variant(kind="xvolution", stages=frozenset((3,)))
        trained = resnet(8, in_channels=1, outputs=10, variant=variant)
        train(trained, task, Schedule(epochs=4, batch=32))
        network = trained.merged()
        before = integer_metric(quantise_network(network, calibration, precision, "minmax"), task, task.validation)
        schedule = Schedule(epochs=2, batch=32, learning_rate=0.002, weight_decay=0.0)
        fake, curve = train_quantised(network, task, schedule, precision, calibration, method="minmax")
    integers = fake.quantised()
    print(before, curve)
    assert len(curve) == 2 and curve[1]["validation"] > before + 10
    assert same_integers(fake, integers, task.test.subset(slice(50)))
    assert integer_metric(integers, task, task.validation) == curve[1]["validation"]


def test_the_gradient_passes_roundings_and_stops_at_saturation() -> None:
    acc = torch.tensor([-100.0, 5, 6, 10, 40], dtype=torch.float64, requires_grad=True)
    multiplier = torch.tensor([3.0], dtype=torch.float64)
    y = _Requantise.apply(acc, multiplier, 2, Range(-8, 20), HALF_EVEN)
    # 3.75, 4.5 and 7.5: ties go to even.
    assert y.tolist() == [-8, 4, 4, 8, 20]
    y.sum().backward()
    assert acc.grad is not None
    assert acc.grad.tolist() == [0, 0.75, 0.75, 0.75, 0]


def test_a_small_step_changes_the_loss_as_the_gradient_says() -> None:
    """Between the roundings the network is a smooth one, whose gradient at 8 bits is near that of floats."""
    network = random_network(5, features="normed")
    fake = FakeQuantised(network, quantise_network(network, images(5), Precision(bits=8), "minmax"))
    x = images(5)

    def gradients(module: torch.nn.Module) -> Tensor:
        network.zero_grad()
        (module(x).double() * torch.linspace(-1, 1, 10)).sum().backward()
        return torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])

    ours, theirs = gradients(fake), gradients(network)
    assert torch.nn.functional.cosine_similarity(ours, theirs, dim=0) > 0.9
    assert float(ours.norm() / theirs.norm()) == pytest.approx(1, abs=0.2)


def test_a_bound_that_floats_cannot_keep_is_refused_by_name() -> None:
    network = random_network(6)
    integers = quantise_network(network, images(6), Precision(bits=8), "minmax")
    name = "stage3_block1_second"
    layer = integers.layers[name]
    with torch.no_grad():
        for parameter in network.parts[name].parameters():
            parameter.fill_(1e9)  # saturates
    object.__setattr__(layer.config, "attn_shift", 15)
    object.__setattr__(layer, "multiplier", layer.multiplier * 0 + 65_535)
    with pytest.raises(UserError, match=rf"layer '{name}' has a proven bound on \|acc\| multiplier of"):
        FakeQuantised(network, integers)(images(6))


def test_pruning_of_the_older_kind_is_refused_by_name() -> None:
    """It sets a weight when its part is called, and no part is."""
    network = random_network(7)
    integers = quantise_network(network, images(7), Precision(bits=8), "minmax")
    torch.nn.utils.prune.random_unstructured(network.parts["stem"], "conv_weight", 0.5)
    with pytest.raises(UserError, match=r"^network\.parts\.stem has the forward pre hook 'RandomUnstructured'"):
        FakeQuantised(network, integers)
