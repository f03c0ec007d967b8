"""X-volutions that merge into networks: the same function, in floats, and in exact integers."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from golden.contract.layer_config import NEIGHBOURS
from golden.contract.network.concat import Concat
from golden.experiments.experiment import same_integers
from golden.networks.resnet import resnet
from golden.networks.variants import Variant
from golden.operators.dynamic_conv import DynamicConv2d
from golden.operators.network import Network
from golden.operators.replace import merge_all
from golden.operators.xvolution import XVolution
from golden.quantise.fake import FakeQuantised
from golden.quantise.layer import quantise
from golden.quantise.network import quantise_network
from golden.quantise.precision import Precision
from golden.support.cli import UserError
from golden.training import Examples
from tests.support.tiers import seeds

FEW = ((0, 1), (-1, -1), (0, 0))
DYNAMIC = {"stack": 2, "product": "dynamic", "heads": 4}
CASES: dict[str, dict[str, Any]] = {
    "stack": {"stack": 2},
    "stack of four": {"stack": 4, "directions": FEW},
    "weighting": {"weighting": 3},
    "weighting of nine directions": {"weighting": 3, "directions": ((0, 0), *NEIGHBOURS)},
    "one direction": {"weighting": 3, "directions": [(0, 1)], "stack": 2},
    "both": {"weighting": 3, "stack": 3, "shift": 2},
    "stride": {"stack": 2, "stride": 2},
    "weighting and stride": {"weighting": 3, "stride": 2, "kernel_size": 5},
    "valid": {"stack": 2, "padding": "valid"},
    "weighting and valid": {"weighting": 3, "padding": "valid", "kernel_size": 5, "stride": 2},
    "weighting and valid 3x3": {"weighting": 3, "padding": "valid"},
    "pointwise": {"weighting": 3, "stack": 2, "padding": "valid", "kernel_size": 1},
    "depthwise": {"stack": 2, "groups": 4},
    "weighting and depthwise": {"weighting": 3, "groups": 4},
    "inner": {"stack": 3, "product": "inner", "heads": 2},
    "weighting and inner": {"weighting": 3, "product": "inner", "heads": 2},
    "inner of all channels": {"stack": 2, "weighting": 3, "product": "inner"},
    "inner depthwise": {"stack": 2, "product": "inner", "groups": 4},
    "dynamic": {"stack": 2, "product": "dynamic", "heads": 2},
    "weighting and dynamic": {"weighting": 3, "stack": 2, "product": "dynamic", "heads": 4},
    "without a norm": {"stack": 2, "branch_norm": False},
    "with a bias": {"weighting": 3, "bias": True},
}


def trained(seed: int, **options: Any) -> XVolution:
    """An X-volution with 4 input channels, its norms as after training, in float64."""
    torch.manual_seed(seed)
    outputs = 4 if options.get("groups", 1) > 1 else 3
    layer = XVolution(4, outputs, dtype=torch.float64, **options)
    for part in layer.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias)
            nn.init.normal_(part.running_mean)
            nn.init.uniform_(part.running_var, 0.5, 2)
    return layer.eval()


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("seed", seeds(4))
def test_the_network_computes_the_layer(case: str, seed: int) -> None:
    layer = trained(seed, **CASES[case])
    merged = layer.merge()
    assert isinstance(merged, Network) and not merged.training
    assert all(isinstance(part, DynamicConv2d) for part in merged.parts.values())
    for step in merged.steps:
        assert step.op != "concat" or len(step.inputs) <= Concat.takes[1]
    for shape in ((7, 6), (5, 5)):
        x = torch.randn(2, 4, *shape, dtype=torch.float64)
        with torch.no_grad():
            torch.testing.assert_close(merged(x), layer(x), msg=f"seed {seed}, shape {shape}")


def test_without_directions_it_is_a_convolution() -> None:
    assert isinstance(trained(1, stack=2, directions=()).merge(), DynamicConv2d)


APART: dict[str, dict[str, Any]] = {
    "hadamard": {},
    "5x5": {"kernel_size": 5, "shift": 2, "bias": True},
    "inner": {"product": "inner", "heads": 2},
    "dynamic": {"product": "dynamic", "heads": 2},
    "valid and stride": {"padding": "valid", "stride": 2},
    "depthwise": {"groups": 4, "stride": 2},
}


@pytest.mark.parametrize("case", APART)
def test_branches_side_by_side(case: str) -> None:
    """The convolution, the attention and their sum compute what the one merged layer does."""
    layer = trained(6, **APART[case])
    network, merged = layer.side_by_side(), layer.merge()
    assert [(step.name, step.op) for step in network.steps] == [
        ("conv", "layer"),
        ("attention", "layer"),
        ("sum", "add"),
    ]
    x = torch.randn(2, 4, 7, 6, dtype=torch.float64)
    conv, attention = network.parts["conv"], network.parts["attention"]
    assert isinstance(conv, DynamicConv2d) and isinstance(attention, DynamicConv2d)
    assert not conv.attn_offsets and not attention.conv_weight.any()
    with torch.no_grad():
        torch.testing.assert_close(network(x), merged(x))


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_attention_alone_has_the_smallest_kernel(padding: str) -> None:
    """Hardware multiplies with every weight of the kernel, those that are 0, too."""
    attention = trained(7, stack=2, padding=padding).merge().get_submodule("parts.attention")
    assert isinstance(attention, DynamicConv2d)
    assert attention.kernel_size == (1 if padding == "same" else 3)


def test_what_has_no_branches_side_by_side() -> None:
    with pytest.raises(UserError, match=r"directions \[\] leave one branch"):
        trained(8, directions=()).side_by_side()
    with pytest.raises(UserError, match="feature_norm True is not for branches side by side, allowed is False"):
        XVolution(4, 4, feature_norm=True).eval().side_by_side()


def test_inside_any_network() -> None:
    layer = trained(2, stack=2)
    net = nn.Sequential(nn.Conv2d(4, 4, 1, dtype=torch.float64), layer, nn.ReLU()).eval()
    x = torch.randn(1, 4, 6, 6, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(merge_all(net)(x), net(x))


def test_a_single_pixel_keeps_its_shape() -> None:
    layer = trained(3, stack=2)
    x = torch.randn(1, 4, 1, 1, dtype=torch.float64)
    with torch.no_grad():
        assert layer.merge()(x).shape == layer(x).shape == (1, 3, 1, 1)


def test_it_is_no_single_layer() -> None:
    with pytest.raises(UserError, match="layer merges into several, allowed are layers that merge into one"):
        quantise(trained(4, stack=2), torch.rand(1, 4, 4, 4))


@pytest.mark.parametrize(
    "options", [{"stack": 2}, {"weighting": 3}, {"stack": 2, "product": "dynamic", "heads": 4}], ids=str
)
def test_whole_networks_become_integers(options: dict[str, Any]) -> None:
    """Merged, quantised and trained on: the layers stand where the one stood, its ReLU behind their sum."""
    torch.manual_seed(5)
    variant = Variant(kind="xvolution", stages=frozenset({3}), options=options)
    network = resnet(8, in_channels=1, outputs=10, variant=variant)
    images = torch.rand(16, 1, 8, 8)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.momentum = None
    with torch.no_grad():
        network(images)
    network.eval()
    merged = network.merged()
    with torch.no_grad():
        torch.testing.assert_close(merged(images), network(images), rtol=1e-3, atol=1e-4)
    names = [step.name for step in merged.steps]
    assert {"stage3_block1_first_conv", "stage3_block1_first_attention", "stage3_block1_first"} <= set(names)
    sums = {step.name: step for step in merged.steps if step.op == "add"}
    assert sums["stage3_block1_first"].relu and not sums["stage3_block1_second"].relu
    assert merged.attended and set(merged.attended) <= set(merged.parts)
    quantised = quantise_network(merged, images, Precision(bits=8), "minmax")
    examples = Examples((255 * images).round().byte(), torch.zeros(16))
    assert same_integers(FakeQuantised(merged, quantised), quantised, examples)
    scores = quantised.scores(quantised.quantise_images(images.numpy())) * quantised.integers.output_result.scale
    with torch.no_grad():
        wanted = network(images).numpy()
    assert abs(scores - wanted).mean() < 0.15 * wanted.std()
