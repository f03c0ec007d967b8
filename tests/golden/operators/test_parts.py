"""Merging parts whose weights are made from others, and parts that do more than their weights say."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize, prune, spectral_norm, weight_norm

from golden.contract.network.network import IMAGE
from golden.operators.dynamic_conv import DynamicConv2d
from golden.operators.linear_shift import LinearShift
from golden.operators.merge import merged_form
from golden.operators.network import Network
from golden.operators.replace import merge_all
from golden.operators.step import Step
from golden.operators.xvolution import XVolution
from golden.support.cli import UserError

CHANNELS = 4


class Doubled(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return 2 * weight


def pruned_twice(part: nn.Module) -> None:
    prune.random_unstructured(part, "weight", 0.3)
    prune.random_unstructured(part, "weight", 0.3)


def weight_norm_then_pruned(part: nn.Module) -> None:
    weight_norm(part)
    prune.random_unstructured(part, "weight_v", 0.5)


#: What makes a part's weight from others.
MADE: dict[str, Callable[[nn.Module], object]] = {
    "weight norm": parametrizations.weight_norm,
    "older weight norm": weight_norm,
    "spectral norm": parametrizations.spectral_norm,
    "older spectral norm": spectral_norm,
    "pruned": lambda part: prune.random_unstructured(part, "weight", 0.5),
    "pruned twice": pruned_twice,
    "parametrised": lambda part: parametrize.register_parametrization(part, "weight", Doubled()),
    "parametrised and pruned": lambda part: (
        prune.random_unstructured(part, "weight", 0.5),
        parametrize.register_parametrization(part, "weight_orig", Doubled()),
    ),
}

# PyTorch warns that the older weight norm is old.
pytestmark = pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")


def moved(module: nn.Module) -> None:
    """All parameters, as an optimiser moves them: a weight that is made from them is then stale."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter) * parameter.std().nan_to_num(1.0))


def layers() -> dict[str, tuple[nn.Module, nn.Module]]:
    """Layers by the name of the part that is changed in them, and that part."""
    xvolution, shift = XVolution(CHANNELS, CHANNELS), LinearShift(CHANNELS, CHANNELS)
    return {
        "conv": (xvolution, xvolution.conv),
        "attention": (xvolution, xvolution.attention),
        "shift": (shift, shift),
        "shift conv": (shift, shift.conv),
    }


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize("where", layers())
@pytest.mark.parametrize("how", MADE)
def test_weights_that_are_made_from_others_are_baked_in(how: str, where: str) -> None:
    layer, part = layers()[where]
    MADE[how](part)
    x = torch.randn(2, CHANNELS, 6, 5)
    layer(x)
    layer.eval()
    moved(layer)
    before = copy.deepcopy(layer.state_dict())
    merged = layer.merge()
    torch.testing.assert_close(dict(layer.state_dict()), dict(before), rtol=0, atol=0)
    assert {type(module) for module in merged.modules()} == {DynamicConv2d}
    with torch.no_grad():
        torch.testing.assert_close(merged(x), layer(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("how", ["spectral norm", "older spectral norm"])
def test_merging_in_training_mode_takes_no_step(how: str) -> None:
    """In training mode a spectral norm moves its estimate whenever the weight is made."""
    layer = XVolution(CHANNELS, CHANNELS)
    MADE[how](layer.conv)
    layer.conv_norm.eval()
    layer.attn_norm.eval()
    before = copy.deepcopy(layer.state_dict())
    merged = layer.merge()
    torch.testing.assert_close(dict(layer.state_dict()), dict(before), rtol=0, atol=0)
    x = torch.randn(2, CHANNELS, 6, 5)
    with torch.no_grad():
        torch.testing.assert_close(merged(x), layer.eval()(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("how", MADE)
def test_a_network_with_such_parts_is_copied(how: str) -> None:
    """A pruned weight is no leaf of autograd, which a deep copy refuses; here one is outside the X-volution."""
    net = nn.Sequential(XVolution(CHANNELS, CHANNELS), nn.Conv2d(CHANNELS, CHANNELS, 1))
    MADE[how](net[0].conv)
    MADE[how](net[1])
    x = torch.randn(2, CHANNELS, 6, 5)
    net(x).sum().backward()
    net.eval()
    moved(net)
    merged = merge_all(net)
    with torch.no_grad():
        torch.testing.assert_close(merged(x), net(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("how", MADE)
def test_the_head_of_a_network_has_the_weights_that_it_uses(how: str) -> None:
    steps = [
        Step(name="stem", op="layer", inputs=(IMAGE,)),
        Step(name="head", op="linear", inputs=("stem",)),
    ]
    network = Network(steps, {"stem": XVolution(3, CHANNELS), "head": nn.Linear(CHANNELS, CHANNELS)})
    MADE[how](network.parts["head"])
    x = torch.randn(2, 3, 6, 5)
    network(x)
    moved(network.eval())
    merged = network.merged()
    assert type(merged.parts["head"]) is nn.Linear and len(list(merged.parts["head"].parameters())) == 2
    with torch.no_grad():
        torch.testing.assert_close(merged(x), network(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("how", MADE)
@pytest.mark.parametrize("kind", ["conv", "dynamic"])
def test_a_convolution_of_its_own_is_merged_with_the_weights_that_it_uses(kind: str, how: str) -> None:
    if kind == "conv":
        layer: nn.Module = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1)
        MADE[how](layer)
    else:
        layer = DynamicConv2d(CHANNELS, CHANNELS)
        nn.init.normal_(layer.attn_weight)
        prune.random_unstructured(layer, "attn_weight", 0.5)
    x = torch.randn(2, CHANNELS, 6, 5)
    layer(x)
    moved(layer.eval())
    with torch.no_grad():
        torch.testing.assert_close(merged_form(layer)(x), layer(x), rtol=1e-4, atol=1e-4)


def hook(*_: object) -> None:
    """One that does nothing; nobody can know that."""


KINDS = ("forward_pre_hook", "forward_hook", "full_backward_pre_hook", "full_backward_hook", "backward_hook")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", ["", "conv", "conv_norm", "attention", "attn_norm", "feature_norm", "attn_norm.0"])
def test_hooks_are_refused_by_the_names_of_module_and_hook(part: str, kind: str) -> None:
    layer = XVolution(CHANNELS, CHANNELS, feature_norm=True)
    if "." in part:
        layer.attn_norm = nn.Sequential(layer.attn_norm)
    getattr(layer.eval().get_submodule(part), f"register_{kind}")(hook)
    words = f"{part or 'the layer'} has the {kind.replace('_', ' ')} 'hook', which would be lost, remove it first"
    with pytest.raises(UserError, match=f"^{words}$"):
        layer.merge()
    with pytest.raises(UserError, match=f"^module '1': {words}$"):
        merge_all(nn.Sequential(nn.ReLU(), layer))


def test_looking_for_hooks_leaves_none_behind() -> None:
    layer = XVolution(CHANNELS, CHANNELS).eval()
    layer.merge()
    layer.conv.register_backward_hook(hook)  # PyTorch refuses it beside one of the newer kind
    layer.conv_norm.register_full_backward_hook(hook)


def test_what_stands_in_a_part_s_place_is_refused_by_name() -> None:
    class Scaled(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * super().forward(x)

    class Rectified(XVolution):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x).relu()

    for conv, message in (
        (Scaled(CHANNELS, CHANNELS, 3, padding=1), "conv is a Scaled, allowed is Conv2d itself"),
        (nn.Sequential(nn.Conv2d(CHANNELS, CHANNELS, 3)), "conv is a Sequential, allowed is Conv2d itself"),
        (nn.Conv2d(CHANNELS, CHANNELS, 3, padding=2, dilation=2), r"conv has padding \(2, 2\), allowed is \(1, 1\)"),
        (nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, padding_mode="circular"), "conv has padding_mode circular"),
    ):
        layer = XVolution(CHANNELS, CHANNELS).eval()
        layer.conv = conv
        with pytest.raises(UserError, match=f"^{message}"):
            layer.merge()
    with pytest.raises(UserError, match=r"^Rectified has a forward of its own, allowed is that of XVolution$"):
        Rectified(CHANNELS, CHANNELS).eval().merge()

    class Adapter(nn.Conv2d):
        def merge(self) -> None:
            raise AssertionError("a method of somebody else's")

    with pytest.raises(UserError, match=r"^is a Adapter, allowed is Conv2d itself, not a subclass$"):
        merged_form(Adapter(CHANNELS, CHANNELS, 1))
    layer = XVolution(CHANNELS, CHANNELS).eval()
    layer.conv.forward = lambda x: x  # type: ignore[method-assign]
    with pytest.raises(UserError, match=r"^conv has a forward that was set on the object, which would be lost"):
        layer.merge()
