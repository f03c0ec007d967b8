"""Networks of the field, from their published structures, an eighth as wide: all of each is read, or is refused."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import pytest
import torch
from torch import Tensor, nn

from golden.convert.convert import Conversion, convert
from golden.networks.published import FIELD, MLPERF_TINY, basic, head, settled, stages, unit
from golden.support.cli import UserError
from tests.support.tiers import nightly, thorough

#: The steps that each network becomes, by op.
BECOMES: Mapping[str, Mapping[str, int]] = {
    "resnet18": {"layer": 20, "max_pool": 1, "add": 8, "linear": 1},
    "vgg11_bn": {"layer": 8, "max_pool": 5, "linear": 3},
    "mobilenet_v1": {"layer": 27, "linear": 1},
    "squeezenet1_1": {"layer": 26, "max_pool": 3, "concat": 8, "avg_pool": 1},
    "repvgg_a0": {"layer": 61, "add": 39, "linear": 1},
    "resnet34": {"layer": 36, "max_pool": 1, "add": 16, "linear": 1},
    "resnet50": {"layer": 53, "max_pool": 1, "add": 16, "linear": 1},
    "mobilenet_v2": {"layer": 52, "add": 10, "linear": 1},
    "mnasnet1_0": {"layer": 52, "add": 10, "linear": 1},
    "densenet121": {"layer": 182, "max_pool": 1, "concat": 104, "avg_pool": 3, "linear": 1},
}
#: Why a network is none of ours.
REFUSED: Mapping[str, str] = {
    "alexnet": "Conv2d '0': kernel_size 11 is not one of 1, 3, 5, 7",
    "resnext50_32x4d": "Conv2d '2.body.1.0': groups 4 is neither 1 nor the number of channels, 16",
}
#: By day, those that have something that no other has.
BY_DAY = ("resnet18", "vgg11_bn", "mobilenet_v1", "squeezenet1_1", "repvgg_a0")


def images(count: int, side: int) -> Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(1))


def conversion(module: nn.Module, batch: Tensor) -> Conversion:
    """The float network is the source's, or the conversion would refuse it. Minmax is quick, and loses least here."""
    return convert(settled(module, batch), batch.double(), method="minmax")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=thorough if name in BY_DAY else nightly) for name in BECOMES]
)
def test_networks_of_the_field(name: str) -> None:
    torch.manual_seed(0)
    found = conversion(FIELD[name](1 / 8), images(3, 64))
    assert Counter(step.op for step in found.network.steps) == BECOMES[name]
    assert found.changed == 0 and found.differences[found.network.output].part < 0.1


@pytest.mark.parametrize("name", [pytest.param(name, marks=nightly if i else ()) for i, name in enumerate(REFUSED)])
def test_networks_that_are_refused(name: str) -> None:
    batch = images(2, 64)
    with pytest.raises(UserError) as refusal:
        convert(settled(FIELD[name](1 / 8), batch), batch.double())
    assert str(refusal.value) == REFUSED[name]


def test_every_network_is_here() -> None:
    assert {*BECOMES, *REFUSED} == set(FIELD)


@thorough
@pytest.mark.parametrize(
    ("name", "macs", "weights"),
    [("image classification", 12_501_632, 77_360), ("visual wake words", 7_489_664, 208_112)],
)
def test_networks_of_mlperf_tiny(name: str, macs: int, weights: int) -> None:
    """As many multiplications and weights as the structures that were published have."""
    made, side = MLPERF_TINY[name]
    network = conversion(made(), images(3, side)).network
    assert sum(step.macs for step in network.steps) == macs
    assert sum(step.weights for step in network.steps) == weights


def test_both_ways_of_a_residual_block_count() -> None:
    """One way much larger than the other, or as large as it: the answers are the source's, and no image's own."""
    torch.manual_seed(2)
    layers = [unit(3, 8, 3), *stages(basic, 8, (8, 8, 12), (1, 1, 1)), *head(12, 6)]
    norms = [part for part in nn.Sequential(*layers).modules() if isinstance(part, nn.BatchNorm2d)]
    with torch.no_grad():
        norms[2].weight *= 20
        norms[4].weight /= 20
    batch = images(24, 16)
    module = settled(nn.Sequential(*layers), batch)
    found = conversion(module, batch)
    with torch.no_grad():
        answers = module(batch).argmax(1)
    assert len(set(answers.tolist())) > 2 and found.changed is not None and found.changed < 0.1
    for step in found.network.steps:
        assert found.differences[step.name].part < 0.05, step.name
