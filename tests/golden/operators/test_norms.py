"""Which norms are folded into weights, and that every other is refused by name."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from golden.contract.network.network import IMAGE
from golden.operators.linear_shift import LinearShift
from golden.operators.network import Network
from golden.operators.norms import channel_affine
from golden.operators.step import Step
from golden.operators.xvolution import XVolution
from golden.support.cli import UserError

CHANNELS = 4


class Frozen(nn.Module):
    """A batch norm that never learns, as detection networks have it: buffers, and a formula of its own."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.rand(channels) + 0.5)
        self.register_buffer("bias", torch.randn(channels))
        self.register_buffer("running_mean", torch.randn(channels) * 100)
        self.register_buffer("running_var", torch.rand(channels) + 0.1)

    def forward(self, x: Tensor) -> Tensor:
        scale = self.weight * (self.running_var + 1e-5).rsqrt()
        return x * scale[:, None, None] + (self.bias - self.running_mean * scale)[:, None, None]


class Renamed(nn.BatchNorm2d):
    """Somebody's own class that computes what its base does."""


class Activated(nn.BatchNorm2d):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.leaky_relu(super().forward(x), 0.9)


class Recentred(nn.Module):
    """An identity on frames whose pixels are all alike."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * x - x.mean((2, 3), keepdim=True)


class PixelBias(nn.Module):
    """Adds something to the pixels of the second column."""

    def forward(self, x: Tensor) -> Tensor:
        y = x.clone()
        y[..., 1:2] += 1e-3
        return y


class Mixed(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + 1e-4 * x.roll(1, dims=1)


class BatchCentred(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * x - x.mean(0, keepdim=True)


def random_batch_norm(norm: nn.Module | None = None) -> nn.Module:
    norm = nn.BatchNorm2d(CHANNELS) if norm is None else norm
    assert isinstance(norm.running_mean, Tensor) and isinstance(norm.running_var, Tensor)
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    if norm.weight is not None:
        nn.init.uniform_(norm.weight, -1.5, 1.5)
        nn.init.normal_(norm.bias)
    return norm


def parametrised() -> nn.Module:
    norm = random_batch_norm()
    nn.utils.parametrize.register_parametrization(norm, "weight", nn.Softplus())
    return norm


def pruned() -> nn.Module:
    norm = random_batch_norm()
    nn.utils.prune.l1_unstructured(norm, "weight", 2)
    with torch.no_grad():
        norm.weight_orig.mul_(3)  # as a step of an optimiser: the weight itself is stale until the next forward pass
    return norm


FOLDED: dict[str, Callable[[], nn.Module]] = {
    "batch norm": random_batch_norm,
    "without parameters": lambda: random_batch_norm(nn.BatchNorm2d(CHANNELS, affine=False)),
    "converted to SyncBatchNorm": lambda: nn.SyncBatchNorm.convert_sync_batchnorm(random_batch_norm()),
    "parametrised": parametrised,
    "pruned": pruned,
    "identity": nn.Identity,
    "frozen": lambda: Frozen(CHANNELS),
    "subclass": lambda: random_batch_norm(Renamed(CHANNELS)),
    "inside a container": lambda: nn.Sequential(nn.Identity(), random_batch_norm(), nn.Dropout(0.5)),
    "instance norm with statistics": lambda: random_batch_norm(
        nn.InstanceNorm2d(CHANNELS, affine=True, track_running_stats=True)
    ),
}

REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "GroupNorm": (lambda: nn.GroupNorm(2, CHANNELS), "is a GroupNorm, allowed are batch norms, Identity"),
    "GroupNorm of each channel": (lambda: nn.GroupNorm(CHANNELS, CHANNELS), "is a GroupNorm"),
    "InstanceNorm2d": (lambda: nn.InstanceNorm2d(CHANNELS), "is a InstanceNorm2d"),
    "LayerNorm": (lambda: nn.LayerNorm([CHANNELS, 5, 6]), "is a LayerNorm"),
    "LocalResponseNorm": (lambda: nn.LocalResponseNorm(3), "is a LocalResponseNorm"),
    "BatchNorm1d": (lambda: nn.BatchNorm1d(CHANNELS), "is a BatchNorm1d"),
    "activation inside": (lambda: random_batch_norm(Activated(CHANNELS)), "is a Activated"),
    "activation behind": (lambda: nn.Sequential(random_batch_norm(), nn.ReLU()), "is a Sequential"),
    "clips farther out": (lambda: nn.Hardtanh(-1e20, 1e20), "is a Hardtanh"),
    "nothing close to 0": (lambda: nn.Hardshrink(1e-5), "is a Hardshrink"),
    "clips far out": (lambda: nn.Hardtanh(-1e5, 1e5), "is a Hardtanh"),
    "shrinks close to 0": (lambda: nn.Softshrink(1e-5), "is a Softshrink"),
    "spatial mean": (Recentred, "is a Recentred"),
    "mean of the batch": (BatchCentred, "is a BatchCentred"),
    "bias of a pixel": (PixelBias, "is a PixelBias"),
    "mixes channels": (Mixed, "is a Mixed"),
    "other shape": (lambda: nn.Conv2d(CHANNELS, 1, 1), "is a Conv2d"),
    "other channels": (lambda: nn.BatchNorm2d(CHANNELS + 1), "has 5 channels, allowed are the 4 that come in"),
    "no statistics": (lambda: nn.BatchNorm2d(CHANNELS, track_running_stats=False), "keeps no running statistics"),
    "part in training mode": (lambda: nn.Sequential(nn.BatchNorm2d(CHANNELS)), "is in training mode"),
}


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def xvolution(**norms: nn.Module) -> nn.Module:
    layer = XVolution(CHANNELS, CHANNELS)
    random_batch_norm(layer.conv_norm)
    random_batch_norm(layer.attn_norm)
    for name, norm in norms.items():
        setattr(layer, name, norm)
    return layer.double().eval()


def linear_shift(**norms: nn.Module) -> nn.Module:
    layer = LinearShift(CHANNELS, CHANNELS)
    for name, norm in norms.items():
        setattr(layer, name, norm)
    return layer.double().eval()


@pytest.mark.parametrize("part", ["conv_norm", "attn_norm"])
@pytest.mark.parametrize("layer", [xvolution, linear_shift])
@pytest.mark.parametrize("kind", FOLDED)
def test_what_scales_and_shifts_is_folded(kind: str, layer: Callable[..., nn.Module], part: str) -> None:
    made = layer(**{part: FOLDED[kind]()})
    x = torch.randn(2, CHANNELS, 6, 5, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(made.merge()(x), made(x), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("part", ["conv_norm", "attn_norm"])
@pytest.mark.parametrize("layer", [xvolution, linear_shift])
@pytest.mark.parametrize("kind", REFUSED)
def test_what_does_more_is_refused_by_name(kind: str, layer: Callable[..., nn.Module], part: str) -> None:
    build, message = REFUSED[kind]
    made = layer(**{part: build()})
    if "training" in message:
        getattr(made, part)[0].train()
    with pytest.raises(UserError, match=f"^{part} {message}"):
        made.merge()


@pytest.mark.parametrize("kind", FOLDED)
def test_a_norm_that_stands_alone_in_a_network(kind: str) -> None:
    network = single_norm(FOLDED[kind]())
    x = torch.randn(2, 3, 6, 5, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(network.merged()(x), network(x), rtol=1e-10, atol=1e-10)


def test_a_network_names_the_layer_that_it_refuses() -> None:
    with pytest.raises(UserError, match=r"^layer 'norm': the norm is a GroupNorm, allowed are batch norms"):
        single_norm(nn.GroupNorm(2, CHANNELS)).merged()
    with pytest.raises(UserError, match=r"^layer 'stem': attn_norm is a GroupNorm, allowed are batch norms"):
        network = single_norm(nn.Identity())
        network.parts["stem"].attn_norm = nn.GroupNorm(2, CHANNELS)
        network.eval().merged()


def single_norm(norm: nn.Module) -> Network:
    steps = [
        Step(name="stem", op="layer", inputs=(IMAGE,)),
        Step(name="norm", op="layer", inputs=("stem",), relu=True),
        Step(name="head", op="linear", inputs=("norm",)),
    ]
    parts = {"stem": XVolution(3, CHANNELS), "norm": norm, "head": nn.Linear(CHANNELS, 2)}
    return Network(steps, parts).double().eval()


@pytest.mark.parametrize("kind", [*FOLDED, *REFUSED])
def test_looking_at_a_norm_changes_nothing(kind: str) -> None:
    norm = (FOLDED[kind] if kind in FOLDED else REFUSED[kind][0])().eval()
    before, random = copy.deepcopy(norm.state_dict()), torch.get_rng_state()
    modes = [part.training for part in norm.modules()]
    try:
        channel_affine(norm, CHANNELS)
    except UserError:
        assert kind in REFUSED
    torch.testing.assert_close(dict(norm.state_dict()), dict(before), rtol=0, atol=0)
    assert [part.training for part in norm.modules()] == modes
    assert torch.equal(torch.get_rng_state(), random)


@pytest.mark.parametrize("affine", [True, False])
def test_a_batch_norm_is_its_formula_and_what_probes_show(affine: bool) -> None:
    norm = random_batch_norm(nn.BatchNorm2d(CHANNELS, affine=affine)).double().eval()
    probed = nn.Sequential(norm).eval()
    x = torch.randn(2, CHANNELS, 4, 4, dtype=torch.float64)
    for module in (norm, probed):
        scale, shift = channel_affine(module, CHANNELS)
        torch.testing.assert_close(norm(x), x * scale[:, None, None] + shift[:, None, None], rtol=1e-12, atol=1e-12)


def test_the_feature_norm_gives_statistics_only() -> None:
    layer = XVolution(CHANNELS, CHANNELS, feature_norm=True)
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(layer).double().eval()
    random_batch_norm(converted.feature_norm)
    x = torch.randn(2, CHANNELS, 6, 5, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(converted.merge()(x), converted(x), rtol=1e-10, atol=1e-10)
    for norm in (nn.GroupNorm(2, CHANNELS), nn.BatchNorm2d(CHANNELS), Frozen(CHANNELS)):
        layer.feature_norm = norm
        with pytest.raises(UserError, match=f"^feature_norm is a {type(norm).__name__}.*, allowed are batch norms w"):
            layer.eval().merge()
