"""One layer of somebody's float network in integers: what is folded in, and what is left alone."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from golden.contract.scales import dequantise_output, quantise_input
from golden.model import integer
from golden.operators.merge import merged_form
from golden.operators.replace import merge_all, replace_convolutions
from golden.operators.xvolution import XVolution
from golden.quantise.in_network import layer_inputs, quantise_in
from golden.quantise.integer_layer import IntegerLayer
from golden.quantise.layer import quantise
from golden.support.cli import UserError


class Block(nn.Module):
    """A layer, a norm and whatever ``then`` makes of the result and what came in."""

    def __init__(
        self, then: Callable[..., Tensor], layer: nn.Module | None = None, norm: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.layer = nn.Conv2d(4, 4, 3, padding=1, bias=False) if layer is None else layer
        self.norm = nn.BatchNorm2d(4) if norm is None else norm
        self.relu = nn.ReLU()
        self.then = then

    def forward(self, x: Tensor) -> Tensor:
        return self.then(self, self.layer(x), x)


#: What follows the layer, whether norm and ReLU are the layer's, and why a norm stays.
FOLLOWERS: dict[str, tuple[Callable[..., Tensor], bool, bool, str]] = {
    "norm, relu": (lambda b, y, x: b.relu(b.norm(y)), True, True, ""),
    "norm, function relu": (lambda b, y, x: torch.relu(b.norm(y)), True, True, ""),
    "norm, method relu": (lambda b, y, x: b.norm(y).relu(), True, True, ""),
    "norm, functional in place": (lambda b, y, x: F.relu(b.norm(y), inplace=True), True, True, ""),
    "relu": (lambda b, y, x: F.relu(y), False, True, ""),
    "relu, norm": (lambda b, y, x: b.norm(b.relu(y)), False, True, ""),
    "norm, addition, relu": (lambda b, y, x: b.relu(b.norm(y) + x), True, False, ""),
    "addition, relu": (lambda b, y, x: b.relu(y + x), False, False, ""),
    "norm, other activation": (lambda b, y, x: F.relu6(b.norm(y)), True, False, ""),
    "relu and more": (lambda b, y, x: b.relu(y) + y, False, False, ""),
    "norm and more": (lambda b, y, x: b.relu(b.norm(y)) + y, False, False, "more than the norm takes what the layer"),
    "norm, relu and more": (lambda b, y, x: b.relu(z := b.norm(y)) + z, True, False, ""),
    "norm twice": (lambda b, y, x: b.relu(b.norm(b.norm(y))), False, False, "it is not seen to be called once"),
    "nothing": (lambda b, y, x: y, False, False, ""),
    "what nobody can see": (
        lambda b, y, x: b.relu(b.norm(y)) if y.mean() > -9 else y,
        False,
        False,
        "nobody can see what follows the layer",
    ),
}


def expected_warning(reason: str) -> contextlib.AbstractContextManager[Any]:
    """Any other warning is an error."""
    if not reason:
        return contextlib.nullcontext()
    return pytest.warns(UserWarning, match=f"^norm '.*norm' behind module '.*layer' stays in floats: {reason}")


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def settled(network: nn.Module) -> nn.Module:
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.normal_(part.running_mean, std=0.3)
            nn.init.uniform_(part.running_var, 0.5, 2)
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, std=0.3)
    return network.eval()


@pytest.mark.parametrize("kind", ["conv", "xvolution", "merged"])
@pytest.mark.parametrize("followers", FOLLOWERS)
def test_what_follows_at_once_is_folded_in_and_nothing_else(followers: str, kind: str) -> None:
    then, norm, relu, reason = FOLLOWERS[followers]
    layer = None if kind == "conv" else XVolution(4, 4)
    network = settled(nn.Sequential(nn.Conv2d(3, 4, 1), Block(then, layer)))
    if kind == "merged":
        network[1].layer = network[1].layer.merge()
    images = torch.rand(6, 3, 8, 9)
    state = copy.deepcopy(network.state_dict())
    before = list(network.named_modules())
    with expected_warning(reason):
        quantised = quantise_in(network, "1.layer", images)
    assert list(network.named_modules()) == before
    torch.testing.assert_close(dict(network.state_dict()), dict(state), rtol=0, atol=0)

    inside = quantised[1].layer
    assert isinstance(inside, IntegerLayer) and inside.layer.config.relu == relu
    assert isinstance(quantised[1].norm, nn.Identity) == norm
    expected = quantise(
        network[1].layer, network[0](images).detach(), norm=network[1].norm if norm else None, relu=relu
    )
    assert inside.layer.config == expected.config
    np.testing.assert_array_equal(inside.layer.conv_weight, expected.conv_weight)
    with torch.no_grad():
        error = (quantised(images) - network(images)).square().mean() / network(images).square().mean()
    assert error < 5e-3


def test_a_relu_that_is_not_the_layer_s_costs_much() -> None:
    """What a user gets who takes the ReLU behind an addition for the layer's own."""
    network = settled(Block(FOLLOWERS["norm, addition, relu"][0]))
    x = torch.rand(6, 4, 8, 9)
    with torch.no_grad():
        wanted, right = network(x), quantise_in(network, "layer", x)(x)
        wrong = copy.deepcopy(network)
        wrong.layer = IntegerLayer(quantise(network.layer, x, norm=network.norm, relu=True))
        wrong.norm = nn.Identity()
        assert (wrong(x) - wanted).square().mean() > 100 * (right - wanted).square().mean()


def test_a_replaced_and_merged_layer_keeps_its_relu() -> None:
    """Where its norm was there is an identity, and the ReLU behind that."""
    network = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU())
    replace_convolutions(network, "0")
    assert isinstance(network[1], nn.Identity)
    merged = merge_all(settled(network))
    quantised = quantise_in(merged, "0", torch.rand(6, 4, 8, 9))
    assert quantised[0].layer.config.relu


@pytest.mark.parametrize("norm", [nn.GroupNorm(2, 4), nn.InstanceNorm2d(4)])
def test_a_norm_that_cannot_be_folded_stays(norm: nn.Module) -> None:
    network = Block(FOLLOWERS["norm, relu"][0], norm=norm).eval()
    with expected_warning(f"it is a {type(norm).__name__}, allowed are batch norms"):
        quantised = quantise_in(network, "layer", torch.rand(2, 4, 5, 5))
    assert type(quantised.norm) is type(norm) and not quantised.layer.layer.config.relu


def test_one_layer_after_another() -> None:
    network = settled(
        nn.Sequential(
            *(nn.Sequential(nn.Conv2d(c, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()) for c in (3, 4)), nn.Flatten()
        )
    )
    images = torch.rand(6, 3, 8, 8)
    quantised = network
    for name in ("0.0", "1.0"):
        quantised = quantise_in(quantised, name, images, method="mse")
    assert [type(part) for part in (*quantised[0], *quantised[1])] == 2 * [IntegerLayer, nn.Identity, nn.ReLU]
    assert quantised[1][0].layer.config.relu
    with torch.no_grad():
        error = (quantised(images) - network(images)).square().mean() / network(images).square().mean()
    assert error < 1e-3


def test_an_integer_layer_is_the_integer_model_between_two_conversions() -> None:
    x = torch.rand(3, 4, 6, 7, dtype=torch.float64, requires_grad=True)
    layer = quantise(XVolution(4, 5).eval(), x)
    module = IntegerLayer(layer)
    y = module(x)
    expected = dequantise_output(layer, integer.run(layer, quantise_input(layer, x.detach().numpy())))
    assert y.dtype == torch.float64 and not y.requires_grad
    np.testing.assert_array_equal(y.numpy(), expected)
    assert module(x.float()).dtype == torch.float32 and module(x.bfloat16()).dtype == torch.bfloat16
    assert repr(module) == f"IntegerLayer({layer!r})" and "\n" not in repr(module)
    assert list(module.state_dict()) == []
    with pytest.raises(UserError, match=r"^input has shape \[3, 4, 6, 6\], allowed are"):
        module(x[..., :6])
    for name in ("in_scale", "out_scale"):
        without = dataclasses.replace(layer, config=dataclasses.replace(layer.config, **{name: None}))
        with pytest.raises(UserError, match=f"^the layer records no {name}, which a layer inside"):
            IntegerLayer(without)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("conv", {}, "module 'conv' is not in this Sequential"),
        ("1", {}, "module '1': layer is a ReLU, allowed are Conv2d, DynamicConv2d and layers that merge into one"),
        ("3", {}, r"module '3': dilation \(2, 2\) is not one of \(1, 1\)"),
        ("2.0", {}, "module '2.0' is not called"),
        ("0", {"relu": True}, "option 'relu' follows from the network"),
        ("0", {"norm": nn.Identity()}, "option 'norm' follows from the network"),
        ("0", {"in_bits": 9}, "module '0': in_bits 9 is not an integer from 2 to 8"),
    ],
)
def test_refusals_by_name(name: str, options: dict[str, Any], message: str) -> None:
    class Silent(nn.Sequential):
        def forward(self, x: Tensor) -> Tensor:
            return x

    network = nn.Sequential(
        nn.Conv2d(3, 4, 1), nn.ReLU(), Silent(nn.Conv2d(4, 4, 1)), nn.Conv2d(4, 4, 3, padding=2, dilation=2)
    )
    with pytest.raises(UserError, match=f"^{message}"):
        quantise_in(network.eval(), name, torch.rand(2, 3, 5, 5), **options)


class Skipping(nn.Module):
    """Adds what is skipped before its norm, where there is anything."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.norm = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)

    def forward(self, x: Tensor, skipped: Tensor | None = None, *, scale: float = 1.0) -> Tensor:
        y = self.layer(x)
        if skipped is not None:
            y = y + skipped
        return self.norm(y).relu() * scale


def test_what_follows_may_depend_on_the_inputs() -> None:
    network, x = settled(Skipping()), torch.rand(6, 4, 8, 9)
    for inputs, folded in (((x,), True), ((x, x), False)):
        quantised = quantise_in(network, "layer", *inputs)
        assert isinstance(quantised.norm, nn.Identity) == folded == quantised.layer.layer.config.relu
        with torch.no_grad():
            error = (quantised(*inputs) - network(*inputs)).square().mean() / network(*inputs).square().mean()
        assert error < 5e-3


def test_a_norm_whose_weights_others_use_stays() -> None:
    network = Block(lambda b, y, x: b.norm(y) * b.norm.weight.sum()).eval()
    with expected_warning("it is not seen to be called once"):
        quantised = quantise_in(network, "layer", torch.rand(2, 4, 5, 5))
    assert type(quantised.norm) is nn.BatchNorm2d


def test_a_wrapped_network_is_copied_without_its_wrapper_and_a_compiled_one_with_it() -> None:
    network = settled(nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU()))
    x = torch.rand(6, 4, 8, 9)
    quantised = quantise_in(nn.DataParallel(network).eval(), "module.0", x)
    assert [type(part) for part in quantised] == [IntegerLayer, nn.Identity, nn.ReLU]
    assert quantised[0].layer.config == quantise_in(network, "0", x)[0].layer.config
    torch.compiler.reset()
    compiled = torch.compile(network, backend="eager")
    with torch.no_grad():
        torch.testing.assert_close(quantise_in(compiled, "_orig_mod.0", x)(x), quantised(x), rtol=0, atol=0)


def test_what_a_layer_sees() -> None:
    conv = nn.Conv2d(3, 3, 1)
    network = nn.Sequential(nn.Identity(), conv, conv).eval()
    x = torch.rand(2, 3, 5, 5)
    with torch.no_grad():
        torch.testing.assert_close(layer_inputs(network, "1", x), torch.cat([x, conv(x)]))
    assert layer_inputs(network, "0", x) is not x
    with pytest.raises(UserError, match=r"^the network is in training mode, allowed is eval mode"):
        layer_inputs(network.train(), "1", x)
    network.eval()[0].train()
    with pytest.raises(UserError, match=r"^module '0' is in training mode, allowed is eval mode"):
        layer_inputs(network, "1", x)
    several = nn.Sequential(conv, nn.MaxPool2d(2), conv).eval()
    with pytest.raises(
        UserError, match=r"^module '0' gets frames of the sizes \[\(3, 2, 2\), \(3, 5, 5\)\], allowed is"
    ):
        layer_inputs(several, "0", x)


def test_a_plain_convolution_and_its_norm_are_merged() -> None:
    conv = nn.Conv2d(4, 4, 5, stride=2, padding=2, groups=4)
    network = settled(nn.Sequential(conv, nn.BatchNorm2d(4))).double()
    x = torch.randn(2, 4, 9, 8, dtype=torch.float64)
    merged = merged_form(network[0], network[1])
    assert not merged.training and merged.attn_offsets == ()
    with torch.no_grad():
        torch.testing.assert_close(merged(x), network(x))
        alone = merged_form(conv)
        torch.testing.assert_close(alone(x), conv(x))
        assert merged_form(alone) is alone
        layer = settled(XVolution(4, 4, product="dynamic", heads=2).double())
        followed = merged_form(layer, network[1])
        torch.testing.assert_close(followed(x), network[1](layer(x)))
        torch.testing.assert_close(merged_form(layer.merge(), network[1])(x), network[1](layer(x)))
    with pytest.raises(UserError, match=r"^the norm is a GroupNorm, allowed are batch norms"):
        merged_form(conv, nn.GroupNorm(2, 4).eval())
