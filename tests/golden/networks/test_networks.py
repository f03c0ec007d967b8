"""Residual networks, and what takes the place of their convolutions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from golden.networks.resnet import ARCHITECTURES, resnet
from golden.networks.variants import Variant
from golden.operators.dynamic_conv import DynamicConv2d
from golden.operators.linear_shift import LinearShift
from golden.operators.network import Network, parameter_count
from golden.operators.xvolution import XVolution
from golden.support.cli import UserError

CROSS = ((-1, 0), (0, -1), (0, 1), (1, 0))


def variant(kind: str, stages: tuple[int, ...] = (3,), **fields: Any) -> Variant:
    names = {"place", "zero_init", "features"}
    own = {name: value for name, value in fields.items() if name in names}
    options = {name: value for name, value in fields.items() if name not in names}
    return Variant(kind=kind, stages=frozenset(stages), options=options, **own)


def build(depth: int = 8, **options: Any) -> Network:
    return resnet(depth, in_channels=1, outputs=10, **options)


def settled(network: Network, seed: int = 0) -> Network:
    """In eval mode, with batch norms that do something."""
    torch.manual_seed(seed)
    print("seed", seed)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean = torch.randn_like(part.running_mean) / 4
            part.running_var = torch.rand_like(part.running_var) + 0.5
            if part.affine:
                nn.init.uniform_(part.weight, 0.5, 1.5)
                nn.init.normal_(part.bias)
    return network.eval()


@pytest.mark.parametrize("depth, parameters, channels", [(34, 21_797_672, 512), (50, 25_557_032, 2048)])
def test_large_networks_have_the_published_size(depth: int, parameters: int, channels: int) -> None:
    network = resnet(depth, in_channels=3, outputs=1000).eval()
    assert parameter_count(network) == parameters
    with torch.no_grad():
        values = network.values(torch.rand(1, 3, 64, 64))
    assert values["pool"].shape == (1, 64, 16, 16)
    assert values["stage1_block1_add"].shape == (1, channels // 8, 16, 16)
    assert values["stage4_block3_add"].shape == (1, channels, 2, 2)
    main = [name for name in network.parts if not name.endswith("shortcut")]
    assert len(main) == depth


@pytest.mark.parametrize("depth", [8, 14, 20])
def test_depth_counts_the_layers_with_weights(depth: int) -> None:
    network = build(depth)
    main = [name for name in network.parts if not name.endswith("shortcut")]
    assert len(main) == depth
    widths = [16, 32, 64]
    assert network.parts["head"].in_features == 64
    assert network(torch.rand(2, 1, 8, 8)).shape == (2, 10)
    values = network.values(torch.rand(1, 1, 28, 28))
    shapes = [tuple(values[f"stage{s}_block1_add"].shape[1:]) for s in (1, 2, 3)]
    assert shapes == [(w, side, side) for w, side in zip(widths, (28, 14, 7), strict=True)]


def test_only_the_chosen_convolutions_are_replaced() -> None:
    for place, names in (
        ("both", ["stage3_block1_first", "stage3_block1_second"]),
        ("first", ["stage3_block1_first"]),
        ("second", ["stage3_block1_second"]),
    ):
        network = build(variant=variant("xvolution", place=place))
        attending = [name for name, part in network.parts.items() if getattr(part, "has_attention", False)]
        assert attending == names == list(network.attended)
    network = build(np.int64(14), variant=variant("xvolution", stages=tuple(np.array([1, 3]))))
    assert {name.split("_")[0] for name in network.attended} == {"stage1", "stage3"} and len(network.attended) == 8
    network = resnet(50, in_channels=3, outputs=2, variant=variant("xvolution", stages=(4,)))
    assert network.attended == tuple(f"stage4_block{i}_middle" for i in (1, 2, 3))


@pytest.mark.parametrize("options", [{}, {"product": "inner", "heads": 8}, {"product": "dynamic", "directions": CROSS}])
def test_the_controls_have_as_many_parameters(options: dict[str, Any]) -> None:
    for depth, place in ((8, "both"), (14, "second"), (50, "both")):
        counts = {
            kind: parameter_count(build(depth, variant=variant(kind, place=place, **options)))
            for kind in ("conv", "xvolution", "linear_shift", "wide")
        }
        assert counts["linear_shift"] == counts["xvolution"] > counts["conv"] == parameter_count(build(depth))
        # Whole channels only: some hundred numbers each, in every block.
        assert abs(counts["wide"] / counts["xvolution"] - 1) < 0.005


def test_a_wide_network_is_wider_inside_blocks_only() -> None:
    network = build(variant=variant("wide"))
    first, second = (network.parts[f"stage3_block1_{name}"] for name in ("first", "second"))
    assert (first.in_channels, second.out_channels) == (32, 64)
    assert first.out_channels == second.in_channels > 64
    assert network.parts["stage2_block1_first"].out_channels == 32


@pytest.mark.parametrize("block", ["post", "pre"])
@pytest.mark.parametrize(
    "what",
    [
        variant("conv"),
        variant("wide"),
        variant("linear_shift", stages=(1, 2, 3), product="inner", heads=4, shift=2),
        variant("xvolution", stages=(1, 2, 3), features="signed"),
        variant("xvolution", stages=(2, 3), features="normed", product="inner", heads=4),
        variant("xvolution", stages=(2,), product="dynamic", heads=8, shift=2),
    ],
    ids=lambda what: f"{what.kind}-{what.features}",
)
def test_a_merged_network_computes_the_same(block: str, what: Variant) -> None:
    network = settled(build(variant=what, block=block)).double()
    merged = network.merged()
    assert all(isinstance(part, (DynamicConv2d, nn.Linear)) for part in merged.parts.values())
    assert (merged.steps, merged.attended) == (network.steps, network.attended)
    x = torch.rand(3, 1, 9, 8, dtype=torch.float64)
    expected = network.values(x)
    for name, value in merged.double().values(x).items():
        assert torch.allclose(value, expected[name], rtol=1e-5, atol=1e-5), name
    before = network.parts["head"].weight.clone()
    nn.init.zeros_(merged.parts["head"].weight)
    assert torch.equal(network.parts["head"].weight, before)


def least_input(network: Network, name: str) -> float:
    source = next(step.inputs[0] for step in network.steps if step.name == name)
    return float(network.values(torch.rand(4, 1, 8, 8))[source].detach().min())


@pytest.mark.parametrize("kind", ["xvolution", "linear_shift"])
def test_signed_features_are_negative_too(kind: str) -> None:
    for features, block, place, below in (
        ("relu", "post", "second", False),
        ("signed", "post", "second", True),
        ("signed", "post", "first", False),  # another block's ReLU comes before
        ("relu", "pre", "first", False),
        ("signed", "pre", "first", True),
    ):
        network = settled(build(block=block, variant=variant(kind, features=features)))
        assert (least_input(network, f"stage3_block1_{place}") < 0) == below
        assert least_input(network, f"stage2_block1_{place}") >= 0


def test_shortcuts_come_from_where_the_papers_say() -> None:
    def sources(block: str) -> dict[str, tuple[str, ...]]:
        return {step.name: step.inputs for step in build(14, block=block).steps}

    post, pre = sources("post"), sources("pre")
    # The identity is of what came in, before the norm; a projection is of what came out of it.
    assert pre["stage1_block1_add"] == ("stage1_block1_second", "stem") == post["stage1_block1_add"]
    assert pre["stage2_block1_shortcut"] == ("stage2_block1_norm",)
    assert post["stage2_block1_shortcut"] == ("stage1_block2_add",)
    assert pre["stage2_block2_add"] == ("stage2_block2_second", "stage2_block1_add")


def test_zero_init_starts_as_the_plain_network() -> None:
    for kind in ("xvolution", "linear_shift"):
        network = build(variant=variant(kind, zero_init=True))
        plain = build()
        state = network.state_dict()
        shared = {name: state.get(name, own) for name, own in plain.state_dict().items() if own.numel()}
        plain.load_state_dict(shared, strict=False)
        x = torch.rand(2, 1, 8, 8)
        assert torch.equal(network(x), plain(x))


def expected_shifts(layer: LinearShift, x: Tensor) -> Tensor:
    """The branch pixel by pixel, as its docstring writes it."""
    size = layer.in_channels // layer.weight.shape[1]
    n, _, height, width = x.shape
    y = torch.zeros(n, layer.out_channels, -(-height // layer.stride), -(-width // layer.stride), dtype=x.dtype)
    for row in range(y.shape[2]):
        for column in range(y.shape[3]):
            for t, (dy, dx) in enumerate(layer.offsets):
                r, c = layer.stride * row + dy, layer.stride * column + dx
                if 0 <= r < height and 0 <= c < width:
                    features = x[:, :, r, c].unflatten(1, (-1, size)).sum(2)
                    y[:, :, row, column] += features @ layer.weight[:, :, t].T
    return y


@pytest.mark.parametrize("product, heads", [("hadamard", None), ("inner", 2)])
def test_linear_shift_is_a_weighted_sum_of_shifted_features(product: str, heads: int | None) -> None:
    torch.manual_seed(2)
    layer = LinearShift(4, 3, stride=2, product=product, heads=heads, shift=2).double().eval()
    with torch.no_grad():
        layer.conv.weight.zero_()
        x = torch.randn(2, 4, 5, 6, dtype=torch.float64)
        shifts = expected_shifts(layer, x) / (1 + layer.attn_norm.eps) ** 0.5
        assert torch.allclose(layer(x), shifts)
    assert layer.merge().attn_offsets == ()


def test_refusals_by_name() -> None:
    for options, text in (
        ({"depth": 9}, "depth 9 is not one of 8, 14, 20, 34, 50"),
        ({"block": "mid"}, "block 'mid' is not one of"),
        ({"variant": variant("xvolution", stages=(4,))}, "stages has 4, allowed with depth 8 are 1 to 3"),
        ({"depth": 50, "block": "pre"}, "depth 50 has bottlenecks"),
        ({"variant": variant("xvolution", product="inner", heads=5)}, "heads 5 does not divide in_channels 32"),
        ({"variant": variant("linear_shift", product="softmax")}, "product 'softmax' is not one of"),
    ):
        with pytest.raises(UserError, match=text):
            build(**{"depth": 8} | options)  # type: ignore[arg-type]
    for fields, text in (
        ({"kind": "convolution"}, "variant 'convolution' is not one of"),
        ({"kind": "linear_shift", "features": "normed"}, "'normed' is not for variant 'linear_shift'"),
        ({"kind": "linear_shift", "options": {"stack": 2}}, "stack 2 is not for variant 'linear_shift'"),
        ({"place": "third"}, "place 'third' is not one of"),
    ):
        with pytest.raises(UserError, match=text):
            Variant(**fields)  # type: ignore[arg-type]
    with pytest.raises(UserError, match="training mode"):
        build().merged()
    softmax = build(variant=variant("xvolution", product="softmax"))
    assert softmax(torch.rand(2, 1, 8, 8)).shape == (2, 10)
    with pytest.raises(UserError, match="product 'softmax' has no merged form"):
        softmax.eval().merged()
    assert set(ARCHITECTURES) == {8, 14, 20, 34, 50}
    assert isinstance(build(variant=variant("xvolution")).parts["stage3_block1_first"], XVolution)


def test_linear_shift_needs_a_shift() -> None:
    with pytest.raises(UserError, match=r"^directions \(\) has no shift, allowed is at least one$"):
        LinearShift(4, 3, directions=())
