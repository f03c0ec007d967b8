"""A whole network quantised after training: formats, scales and how close it comes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from golden.contract.network.add import Add
from golden.contract.network.layer import LayerStep
from golden.contract.network.linear import Linear
from golden.contract.ranges import Range
from golden.experiments.experiment import same_integers
from golden.networks.resnet import resnet
from golden.networks.variants import plain_unit
from golden.operators.network import Network
from golden.operators.step import Step
from golden.quantise.fake import FakeQuantised
from golden.quantise.formats import Format
from golden.quantise.network import quantise_add, quantise_network, quantise_scores
from golden.quantise.precision import Precision
from golden.quantise.quantised import QuantisedNetwork
from golden.support.cli import UserError
from golden.training import Examples
from tests.support.quantised import images, random_network


@pytest.fixture(scope="module")
def network() -> Network:
    return random_network(1)


def head_of(network: QuantisedNetwork) -> Linear:
    head = network.integers.steps[-1]
    assert isinstance(head, Linear)
    return head


def error(network: Network, integers: QuantisedNetwork) -> float:
    """Of the scores, in parts of their spread, on images that were not calibrated on."""
    x = images(9)
    with torch.no_grad():
        scores = network(x).numpy()
    head = head_of(integers)
    assert head.scale is not None
    found = integers.scores(integers.quantise_images(x.numpy())) * head.scale
    return float(np.abs(found - scores).mean() / scores.std())


@pytest.mark.parametrize("block", ["post", "pre"])
@pytest.mark.parametrize("fields", [{"kind": "conv"}, {"product": "inner", "heads": 4}], ids=str)
def test_more_bits_come_closer(block: str, fields: dict[str, object]) -> None:
    network = random_network(2, block=block, **fields)
    errors = [
        error(network, quantise_network(network, images(2), Precision(bits=bits), "minmax")) for bits in (8, 5, 3)
    ]
    print(errors)
    assert errors[0] < errors[1] < errors[2]
    # Products of random features amplify an error more than convolutions do.
    assert errors[0] < (0.1 if "kind" in fields else 0.4)


def test_formats_are_those_asked_for(network: Network) -> None:
    precision = Precision(bits=5, layers={"stage2_block1_first": 7, "stage1_block1_second": 3})
    integers = quantise_network(network, images(1), precision, "minmax")
    layers = integers.layers

    def bits(name: str) -> tuple[int, int, int]:
        c = layers[name].config
        return c.in_bits, c.weight_bits, c.out_bits

    # Images have 8 bits, and edge_bits are those of the first layer's weights.
    assert bits("stem") == (8, 8, 5)
    assert bits("stage1_block1_first") == (5, 5, 3)
    # What is only added has four bits more.
    assert bits("stage1_block1_second") == (3, 3, 9)
    # Both layers take the same result, in the more bits of the two.
    assert bits("stage2_block1_first") == (7, 7, 5)
    assert bits("stage2_block1_shortcut") == (7, 5, 9)
    assert bits("stage3_block1_second") == (5, 5, 9)
    for name, layer in layers.items():
        step = next(step for step in network.steps if step.name == name)
        assert layer.config.relu == step.relu and layer.config.out_signed != step.relu
    head = head_of(integers)
    assert head.weight_bits == 8 and np.abs(head.weight).max() == 127
    even = quantise_network(network, images(1), Precision(bits=5, edge_bits=None), "minmax")
    assert even.layers["stem"].config.weight_bits == 5
    assert head_of(even).weight_bits == 5


def test_scales_fit_together(network: Network) -> None:
    integers = quantise_network(network, images(1), Precision(bits=6), "minmax")
    scales = {"input": integers.integers.image.scale}
    for step in integers.integers.steps:
        scales[step.name] = step.scale
        if isinstance(step, LayerStep):
            assert step.layer.config.in_scale == scales[step.inputs[0]]
            assert step.layer.config.out_scale == step.scale
        elif isinstance(step, Add):
            for name, multiplier in zip(step.inputs, step.multipliers, strict=True):
                operand = scales[name]
                assert operand is not None and step.scale is not None
                assert abs(multiplier * 2.0**-step.shift * step.scale / operand - 1) < 2**-10
    assert scales["input"] == 1 / 255


def test_a_stream_of_batch_norms_has_eight_bits() -> None:
    network = random_network(3, block="pre", kind="conv")
    integers = quantise_network(network, images(3), Precision(bits=3), "minmax")
    norms = {name: layer.config for name, layer in integers.layers.items() if name.endswith("norm")}
    assert set(norms) == {"stage1_block1_norm", "stage2_block1_norm", "stage3_block1_norm", "norm"}
    for config in norms.values():
        assert (config.in_bits, config.in_signed, config.weight_bits, config.out_bits) == (8, True, 8, 3)
        assert config.depthwise and config.kernel == 1


def test_a_pool_passes_format_and_scale_on() -> None:
    torch.manual_seed(7)
    steps = (
        Step(name="stem", op="layer", inputs=("input",)),
        Step(name="pool", op="max_pool", inputs=("stem",), options={"kernel": 3, "stride": 2, "pad": 1}),
        Step(name="next", op="layer", inputs=("pool",), relu=True),
        Step(name="head", op="linear", inputs=("next",)),
    )
    parts = {"stem": plain_unit(1, 4, 7, stride=2), "next": plain_unit(4, 4, 3), "head": nn.Linear(4, 10)}
    network = Network(steps, parts).eval().merged()
    precision = Precision(bits=8, layers={"next": 5})
    integers = quantise_network(network, images(7), precision, "minmax")
    stem, following = (integers.layers[name].config for name in ("stem", "next"))
    assert (stem.out_bits, stem.out_signed, stem.out_scale) == (5, True, following.in_scale)
    assert (following.in_bits, following.height, following.width) == (5, 2, 2)
    assert error(network, integers) < 0.4
    assert same_integers(
        FakeQuantised(network, integers), integers, Examples((255 * images(8)).byte(), torch.zeros(16))
    )


def test_an_addition_uses_its_sixteen_bits() -> None:
    result = Format(bits=6, signed=True, scale=0.5)
    step = Step(name="sum", op="add", inputs=("a", "b"))
    add = quantise_add(step, 0.3, 0.001, result)
    assert 2**15 <= max(add.multipliers) < 2**16
    assert add.multipliers[0] * 2.0**-add.shift == pytest.approx(0.6, rel=1e-4)
    assert add.multipliers[1] * 2.0**-add.shift == pytest.approx(0.002, rel=1e-2)
    assert add.limits == Range(-32, 31)
    assert quantise_add(dataclasses.replace(step, relu=True), 0.3, 0.001, result).limits == Range(0, 31)
    # What is far below a step counts for nothing, what is far above is refused.
    assert quantise_add(step, 0.3, 1e-9, result).multipliers[1] == 0
    with pytest.raises(UserError, match="steps of 200000 of the result's, allowed are 65535"):
        quantise_add(step, 1e5, 1.0, result)


def test_a_head_without_weights() -> None:
    linear = nn.Linear(2, 3)
    nn.init.zeros_(linear.weight)
    step, source = Step(name="head", op="linear", inputs=("x",)), Format(bits=8, signed=False, scale=0.5)
    head, _ = quantise_scores(step, linear, source, torch.Size((2, 2, 2)), 8)
    assert not head.weight.any() and head.scale is not None
    assert head.bias * head.scale == pytest.approx(linear.bias.detach().numpy(), abs=head.scale)


def test_a_network_that_is_not_merged_is_refused() -> None:
    with pytest.raises(UserError, match="network is not merged"):
        quantise_network(resnet(8, in_channels=1, outputs=2), images(0), Precision(bits=8))


def test_refusals_name_the_layer() -> None:
    network = random_network(8, kind="conv")
    with pytest.raises(UserError, match="layer 'stem': weight_bits 9 is not an integer from 2 to 8"):
        quantise_network(network, images(8), Precision(bits=8, layers={"stem": 9}), "minmax")
    with torch.no_grad():
        network.parts["stage2_block1_first"].bias[3] = float("inf")
    with pytest.raises(UserError, match="step 'stage2_block1_first' gives a value that is NaN or infinite"):
        quantise_network(network, images(8), Precision(bits=8), "minmax")


def test_calibration_images_as_an_array(network: Network) -> None:
    precision = Precision(bits=6)
    as_tensor, as_array = (
        quantise_network(network, calibration, precision, "minmax") for calibration in (images(1), images(1).numpy())
    )
    for name, layer in as_tensor.layers.items():
        assert as_array.layers[name].config == layer.config
        np.testing.assert_array_equal(as_array.layers[name].conv_weight, layer.conv_weight)
    with pytest.raises(UserError, match=r"^calibration has dtype uint8, allowed are floating-point dtypes"):
        quantise_network(network, np.zeros((1, 1, 8, 8), np.uint8), precision)


def test_hooks_are_refused_by_name() -> None:
    network = random_network(4)
    network.parts["head"].register_forward_hook(lambda module, given, result: 2 * result)
    with pytest.raises(
        UserError, match=r"^network\.parts\.head has the forward hook '.*<lambda>', which would be lost"
    ):
        quantise_network(network, images(4), Precision(bits=8))
