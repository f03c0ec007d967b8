"""Stacked attention and attention weighted over 3x3 pixels, against pixel loops written from the equations."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from golden.contract.layer_config import LayerConfig, LayerError
from golden.operators.pixel_shift import unweighted_attention
from golden.operators.replace import merge_all, replace_convolutions
from golden.operators.xvolution import XVolution
from golden.quantise.layer import quantise
from golden.support.cli import UserError
from tests.support.foul import small_layer

CHANNELS = 4
#: Neither symmetric nor in raster order, so that a swap of dy and dx, or of a sign, shows.
LOPSIDED = ((1, 0), (0, 0), (-1, 1), (0, -1), (2, 1))
#: Groups, output channels, product, heads.
KINDS = (
    (1, 3, "hadamard", None),
    (1, 3, "inner", 1),
    (1, 3, "inner", 2),
    (4, 4, "hadamard", None),
    (4, 4, "inner", 4),
    (1, 3, "dynamic", 1),
    (1, 3, "dynamic", 2),
)
GEOMETRIES = ((3, 1, "same"), (3, 2, "same"), (1, 2, "valid"), (5, 1, "valid"), (5, 2, "valid"), (7, 2, "same"))

Features = dict[tuple[int, int, int, int], float]  # by feature, tap, row and column

every_kind = pytest.mark.parametrize("kind", KINDS, ids=str)


def make(
    kind: tuple[int, int, str, int | None], geometry: tuple[int, int, str] = (3, 1, "same"), **options: Any
) -> Any:
    """A layer in float64 whose convolution is 0 and whose batch norms change nothing: attention alone."""
    (groups, out_channels, product, heads), (kernel_size, stride, padding) = kind, geometry
    layer = XVolution(
        CHANNELS,
        out_channels,
        kernel_size=kernel_size,
        stride=stride,
        padding=padding,
        groups=groups,
        product=product,
        heads=heads,
        branch_norm=False,
        dtype=torch.float64,
        **options,
    )
    nn.init.zeros_(layer.conv.weight)
    return layer.eval()


def head_of(channel: int, heads: int) -> int:
    return channel // (CHANNELS // heads)


def features(x: np.ndarray, offsets: Any, product: str, heads: int | None) -> Features:
    """What each tap makes of each pixel of a frame [C, H, W]."""
    channels, height, width = x.shape
    found: Features = {}
    for row, column in np.ndindex(height, width):
        for tap, (dy, dx) in enumerate(offsets):
            y, z = row + dy, column + dx
            inside = 0 <= y < height and 0 <= z < width
            pairs = [(x[c, row, column], x[c, y, z] if inside else 0.0) for c in range(channels)]
            if product == "hadamard":
                values = [a * b for a, b in pairs]
            else:
                assert heads is not None
                sums = [sum(a * b for c, (a, b) in enumerate(pairs) if head_of(c, heads) == h) for h in range(heads)]
                values = sums
                if product == "dynamic":
                    values = [sums[head_of(c, heads)] * heads / channels * b for c, (_, b) in enumerate(pairs)]
            for feature, value in enumerate(values):
                found[feature, tap, row, column] = value
    return found


def unweighted(x: np.ndarray, offsets: Any, product: str, heads: int | None) -> np.ndarray:
    found = features(x, offsets, product, heads)
    out = np.zeros_like(x)
    for c, row, column in np.ndindex(*x.shape):
        feature = head_of(c, heads) if product == "inner" and heads is not None else c
        out[c, row, column] = sum(found[feature, tap, row, column] for tap in range(len(offsets))) / len(offsets)
        if product == "inner" and heads is not None:
            out[c, row, column] *= heads / x.shape[0]
    return out


def reference(layer: XVolution, x: np.ndarray) -> np.ndarray:
    """The attention branch on a frame [C, H, W], [O, Ho, Wo]."""
    for _ in range(layer.stack - 1):
        x = unweighted(x, layer.attn_offsets, layer.product, layer.heads)
    found = features(x, layer.attn_offsets, layer.product, layer.heads)
    weight = layer.attention.weight.detach().numpy()
    weight = weight.reshape(*weight.shape[:3], layer.weighting, layer.weighting)
    reach, half = layer.weighting // 2, layer.kernel_size // 2
    sizes = [(size + 2 * layer.pad - layer.kernel_size) // layer.stride + 1 for size in x.shape[1:]]
    out = np.zeros((layer.out_channels, *sizes))
    for o, qy, qx in np.ndindex(*out.shape):
        py, px = (layer.stride * q - layer.pad + half for q in (qy, qx))
        for f, tap, ky, kx in np.ndindex(*weight.shape[1:]):
            feature = o if layer.groups > 1 else f
            value = found.get((feature, tap, py + ky - reach, px + kx - reach), 0.0)
            out[o, qy, qx] += weight[o, f, tap, ky, kx] * value
    return out


@every_kind
@pytest.mark.parametrize("geometry", GEOMETRIES, ids=str)
def test_stack_and_weighting_are_the_equations(geometry: tuple[int, int, str], kind: Any) -> None:
    seed = GEOMETRIES.index(geometry) * len(KINDS) + KINDS.index(kind)
    generator = torch.Generator().manual_seed(seed)
    frames = [(7, 8), (geometry[0], geometry[0] + 1)]
    for number, (stack, weighting) in enumerate(((1, 3), (2, 1), (3, 3))):
        layer = make(kind, geometry, directions=LOPSIDED, shift=1 + number % 2, stack=stack, weighting=weighting)
        nn.init.normal_(layer.attention.weight, generator=generator)
        x = torch.randn(1, CHANNELS, *frames[number % 2], generator=generator, dtype=torch.float64)
        with torch.no_grad():
            y = layer(x)[0].numpy()
        expected = reference(layer, x[0].numpy())
        where = f"seed {seed} {kind} stack {stack} weighting {weighting}"
        np.testing.assert_allclose(y, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max(), err_msg=where)


@every_kind
def test_weighting_3_with_only_its_centre_is_weighting_1(kind: Any) -> None:
    torch.manual_seed(1)
    for geometry in GEOMETRIES:
        one = make(kind, geometry, directions=LOPSIDED, stack=2)
        three = make(kind, geometry, directions=LOPSIDED, stack=2, weighting=3)
        with torch.no_grad():
            three.attention.weight.zero_()[..., 1, 1] = one.attention.weight
        x = torch.randn(2, CHANNELS, 8, 9, dtype=torch.float64)
        torch.testing.assert_close(three(x), one(x), rtol=1e-12, atol=1e-12)


def test_inner_with_a_head_a_channel_is_hadamard_in_a_stack_too() -> None:
    torch.manual_seed(2)
    inner, hadamard = (make((1, 3, p, h), stack=3, weighting=3) for p, h in (("inner", CHANNELS), ("hadamard", None)))
    inner.load_state_dict(hadamard.state_dict())
    x = torch.randn(2, CHANNELS, 6, 7, dtype=torch.float64)
    torch.testing.assert_close(inner(x), hadamard(x), rtol=1e-12, atol=1e-12)


@every_kind
def test_each_layer_of_a_stack_sees_one_shift_further(kind: Any) -> None:
    torch.manual_seed(3)
    for stack, shift, weighting in ((1, 1, 1), (2, 1, 1), (3, 1, 1), (2, 2, 1), (1, 1, 3), (2, 2, 3)):
        layer = make(kind, stack=stack, shift=shift, weighting=weighting)
        x = torch.rand(1, CHANNELS, 15, 15, dtype=torch.float64, requires_grad=True)
        layer(x)[0, :, 7, 7].sum().backward()
        assert x.grad is not None
        rows, columns = np.nonzero(x.grad.abs().sum((0, 1)).numpy())
        reach = stack * shift + weighting // 2
        assert (rows.min(), rows.max(), columns.min(), columns.max()) == (7 - reach, 7 + reach) * 2, (stack, shift)


def test_a_deep_stack_stays_in_the_range_of_floats() -> None:
    for product in ("hadamard", "inner", "dynamic"):
        layer = XVolution(64, 64, product=product, stack=4)
        x = torch.randn(1, 64, 6, 6)
        y = layer(x)
        y.sum().backward()
        assert y.isfinite().all() and all(p.grad is not None and p.grad.isfinite().all() for p in layer.parameters())


def test_unweighted_attention_has_no_gain_on_a_frame_of_ones() -> None:
    for product, heads in (("hadamard", None), ("inner", 2), ("dynamic", 2)):
        x = torch.ones(1, CHANNELS, 5, 5)
        y = unweighted_attention(x, ((0, 0), (0, 1)), product=product, heads=heads)
        expected = torch.ones(5).scatter(0, torch.tensor([4]), 0.5).expand(1, CHANNELS, 5, 5)
        torch.testing.assert_close(y, expected)


@every_kind
def test_gradients_reach_input_and_weight(kind: Any) -> None:
    torch.manual_seed(4)
    layer = make(kind, (3, 2, "same"), stack=2, weighting=3)
    x = torch.randn(2, CHANNELS, 4, 5, dtype=torch.float64, requires_grad=True)
    weight = layer.attention.weight
    assert torch.autograd.gradcheck(lambda x, _: layer(x), (x, weight), fast_mode=True)
    layer(x).square().sum().backward()
    assert weight.grad is not None and weight.grad.abs().min() > 0


def test_state_dicts_carry_everything() -> None:
    torch.manual_seed(5)
    options: dict[str, Any] = {"product": "inner", "heads": 2, "stack": 2, "weighting": 3}
    trained, fresh = XVolution(4, 3, **options), XVolution(4, 3, **options)
    x = torch.randn(3, 4, 5, 5)
    trained(x)
    assert trained.state_dict()["attention.weight"].shape == (3, 2, 8, 3, 3)
    fresh.load_state_dict(trained.state_dict())
    torch.testing.assert_close(fresh.eval()(x), trained.eval()(x), rtol=0, atol=0)
    assert "stack=2" in repr(trained) and "weighting=3" in repr(trained)


# --- what has no hardware ---


SOFTMAX = "product 'softmax' has no merged form and no hardware, allowed: 'hadamard', 'inner', 'dynamic'"


def test_without_a_merged_form_nothing_goes_on() -> None:
    layer = XVolution(2, 2, product="softmax").eval()
    with pytest.raises(UserError, match=f"^{SOFTMAX}$"):
        layer.merge()
    net = replace_convolutions(nn.Sequential(nn.Conv2d(2, 2, 3, padding=1)), "0", product="softmax").eval()
    with pytest.raises(UserError, match=f"^module '0': {SOFTMAX}$"):
        merge_all(net)
    with pytest.raises(UserError, match=f"^{SOFTMAX}$"):
        quantise(layer, torch.rand(1, 2, 4, 4))


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ({"stack": 2}, "config field 'stack' is unknown"),
        ({"weighting": 3}, "config field 'weighting' is unknown"),
        ({"product": "softmax"}, "product 'softmax' is not one of 'hadamard', 'dynamic'"),
    ],
)
def test_no_layer_file_holds_them(field: dict[str, Any], message: str) -> None:
    """What is built comes from a layer file."""
    config = json.loads(small_layer().config.to_json()) | field
    with pytest.raises(LayerError, match=message):
        LayerConfig.from_json(json.dumps(config))
