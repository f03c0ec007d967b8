"""Quantisation from floats: scales, formats, the choice of attn_shift, and every refusal."""

from __future__ import annotations

import copy
import dataclasses
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from golden.contract.layer import Layer
from golden.contract.layer_config import LayerError
from golden.contract.ranges import Range
from golden.contract.scales import dequantise_output, quantise_input
from golden.model import integer
from golden.operators.dynamic_conv import DynamicConv2d
from golden.operators.xvolution import XVolution
from golden.quantise.calibration import activation_scale, full_sim_shift
from golden.quantise.layer import ZERO_CHANNEL_UNIT, choose_multipliers, quantise
from golden.support.cli import UserError
from tests.support.tiers import in_turn, seeds, thorough_from

FRAMES, CHANNELS, HEIGHT, WIDTH = 6, 6, 9, 7


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Frames this small take many times longer on two threads of a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with threadpool_limits(1):
        yield
    torch.set_num_threads(threads)


def float_layer(seed: int, attention: float = 0.5, **geometry: Any) -> DynamicConv2d:
    """Random weights whose attention half of the sum is about ``attention`` of the convolution's."""
    generator = torch.Generator().manual_seed(seed)
    merged = DynamicConv2d(CHANNELS, geometry.pop("out_channels", CHANNELS), **geometry)
    with torch.no_grad():
        merged.conv_weight.normal_(generator=generator)
        merged.attn_weight.normal_(std=attention, generator=generator)
        merged.bias.normal_(std=2, generator=generator)
        # Channels of unlike size, as batch norms leave them.
        size = torch.rand(merged.out_channels, generator=generator) + 0.2
        merged.conv_weight.mul_(size[:, None, None, None])
        merged.attn_weight.mul_(size[:, None, None])
    return merged


def frames(seed: int, signed: bool = False, outliers: float = 0.0) -> Tensor:
    x = torch.randn(FRAMES, CHANNELS, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1000 + seed))
    x[0, :, 0, 0] *= 1 + outliers
    return x if signed else x.relu()


def float_output(merged: DynamicConv2d, x: Tensor) -> np.ndarray:
    with torch.no_grad():
        return copy.deepcopy(merged).double()(x.double()).numpy()


def integer_output(layer: Layer, x: Tensor) -> np.ndarray:
    return dequantise_output(layer, integer.run(layer, quantise_input(layer, x.numpy())))


def out_step(layer: Layer) -> float:
    assert layer.config.out_scale is not None
    return layer.config.out_scale


def squared_error(layer: Layer, merged: DynamicConv2d, x: Tensor) -> float:
    wanted = float_output(merged, x)
    if layer.config.out_range.low == 0:
        wanted = wanted.clip(0)
    return float(np.square(integer_output(layer, x) - wanted).mean())


def snr(layer: Layer, merged: DynamicConv2d, x: Tensor) -> float:
    """Signal to quantisation noise at the output, decibels."""
    wanted = float_output(merged, x)
    if layer.config.out_range.low == 0:
        wanted = wanted.clip(0)
    return float(10 * np.log10(np.square(wanted).mean() / squared_error(layer, merged, x)))


def dynamic_layer(seed: int, heads: int = 2, attention: float = 0.5, **geometry: Any) -> DynamicConv2d:
    """`float_layer` with the dynamic product."""
    return float_layer(seed, attention, product="dynamic", heads=heads, **geometry)


def saturated(layer: Layer, x: Tensor) -> float:
    """The part of the similarities on ``x`` that saturates, from the contract's formula."""
    c, q = layer.config, quantise_input(layer, x.numpy())
    assert c.heads is not None and c.sim_bits is not None and c.sim_shift is not None and c.padding == "same"
    padded = np.pad(q, ((0, 0), (0, 0), (3, 3), (3, 3)))
    parts = []
    for dy, dx in c.attn_offsets:
        moved = padded[:, :, 3 + dy : 3 + dy + c.height, 3 + dx : 3 + dx + c.width]
        sums = (q * moved).reshape(len(q), c.heads, -1, c.height, c.width).sum(axis=2)
        rounded = np.rint(sums / 2**c.sim_shift)
        parts.append((rounded < -(2 ** (c.sim_bits - 1))) | (rounded > 2 ** (c.sim_bits - 1) - 1))
    return float(np.mean(parts))


def weight_scales(layer: Layer) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Conv scale, tied attention scale and bias scale ``[O]``, from the contract's formulae."""
    c = layer.config
    assert c.in_scale is not None and c.out_scale is not None
    conv = layer.multiplier / 2**c.out_shift * 2**c.attn_shift * c.out_scale / c.in_scale
    attn = conv / 2**c.attn_shift / c.in_scale
    if c.heads is not None and c.sim_shift is not None:
        attn = conv / 2**c.attn_shift / (c.in_scale**2 * 2**c.sim_shift) * (c.in_channels / c.heads)
    return conv, attn, conv * c.in_scale / 2**c.attn_shift


def assert_rounded(layer: Layer, merged: DynamicConv2d) -> None:
    """Each float parameter is within half a step of the integer one, at the tied scales."""
    for codes, scale, parameter in zip(
        (layer.conv_weight, layer.attn_weight, layer.bias),
        weight_scales(layer),
        (merged.conv_weight, merged.attn_weight, merged.bias),
        strict=True,
    ):
        step = scale.reshape(-1, *[1] * (codes.ndim - 1))
        error = np.abs(codes * step - parameter.detach().double().numpy())
        assert (error <= step * 0.5001).all()


GEOMETRIES: dict[str, dict[str, Any]] = {
    "same": {},
    "wide": {"out_channels": 10},
    "valid": {"padding": "valid"},
    "stride2": {"stride": 2},
    "stride2_valid": {"stride": 2, "padding": "valid", "kernel_size": 5},
    "depthwise": {"groups": CHANNELS},
    "pointwise": {"kernel_size": 1},
    "far": {"kernel_size": 5, "attn_offsets": ((-3, 3), (0, 0), (2, -1))},
    "plain": {"attn_offsets": ()},
}


#: Least signal to noise in decibels by (signed input, relu). A bit less in the formats falls
#: below, and a wrong attn_shift or out_shift, or an untied scale, leaves 11 dB at most.
LEAST_SNR = {(False, False): 36.5, (False, True): 40.0, (True, False): 35.0, (True, True): 37.5}
#: Of the dynamic product: 8-bit similarities, and inputs to the third power.
LEAST_DYNAMIC_SNR = 31.0


@in_turn
@pytest.mark.parametrize("method", ["minmax", "mse"])
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_the_integer_layer_is_close_to_the_float_one(name: str, signed: bool, method: Any) -> None:
    merged, x = float_layer(1, **GEOMETRIES[name]), frames(1, signed)
    for relu in (False, True):
        layer = quantise(merged, x, relu=relu, method=method)
        assert (layer.config.in_signed, layer.config.out_signed) == (signed, not relu)
        assert snr(layer, merged, x) > LEAST_SNR[signed, relu]
        if method == "minmax":
            assert_rounded(layer, merged)
            assert (largest_codes(layer) == 127).all()


@in_turn
@pytest.mark.parametrize("method", ["minmax", "mse"])
@pytest.mark.parametrize("signed", [False, True], ids=["unsigned", "signed"])
@pytest.mark.parametrize("heads", [1, 2, 6])
@pytest.mark.parametrize("name", [name for name in GEOMETRIES if name != "depthwise"])
def test_a_dynamic_integer_layer_is_close_to_the_float_one(name: str, heads: int, signed: bool, method: Any) -> None:
    merged, x = dynamic_layer(1, heads, **GEOMETRIES[name]), frames(1, signed)
    layer = quantise(merged, x, method=method)
    c = layer.config
    assert (c.product, c.heads, c.sim_bits) == ("dynamic", heads, 8)
    assert snr(layer, merged, x) > LEAST_DYNAMIC_SNR
    if method == "minmax":
        assert_rounded(layer, merged)
        assert (largest_codes(layer) == 127).all()


@pytest.mark.parametrize("method", ["minmax", "mse"])
@pytest.mark.parametrize("sim_bits", [4, 8])
@pytest.mark.parametrize("seed", thorough_from(range(3), 1, 1))
def test_sim_shift_is_where_a_lower_one_no_longer_helps(seed: int, sim_bits: int, method: Any) -> None:
    merged, x = dynamic_layer(20 + seed), frames(20 + seed)
    formats: dict[str, Any] = {"sim_bits": sim_bits, "method": method}
    chosen = quantise(merged, x, **formats)
    shift = chosen.config.sim_shift
    assert shift is not None
    layers = [quantise(merged, x, sim_shift=s, **formats) for s in range(14)]
    full = next(s for s, layer in enumerate(layers) if saturated(layer, x) == 0)
    errors = [squared_error(layer, merged, x) for layer in layers]
    assert 0 < shift <= full, f"seed {seed}"
    # Each of them searched all attn_shift; the chosen one those near its neighbour's.
    assert squared_error(chosen, merged, x) <= 1.02 * min(errors), f"seed {seed}"


@pytest.mark.parametrize("negative", [False, True])
@pytest.mark.parametrize("sim_bits", [2, 5, 8])
@pytest.mark.parametrize("heads", [1, 3, 6])
def test_full_sim_shift_is_the_smallest_without_saturation(heads: int, sim_bits: int, negative: bool) -> None:
    """Neighbours of opposite sign make negative similarities alone."""
    merged, x = dynamic_layer(22, heads, attn_offsets=((0, 1), (-1, 0))), frames(22)
    if negative:
        x[..., torch.arange(HEIGHT)[:, None] % 2 != torch.arange(WIDTH) % 2] *= -1
    for layer in (quantise(merged, x, sim_bits=sim_bits, sim_shift=s, attn_shift=0) for s in (0, 9)):
        assert layer.config.similarity is not None
        shift = full_sim_shift(layer.config, layer.config.similarity, quantise_input(layer, x.numpy()))
        at = {n: dataclasses.replace(layer, config=dataclasses.replace(layer.config, sim_shift=n)) for n in range(20)}
        assert shift == next(n for n, other in at.items() if saturated(other, x) == 0)


def test_clipping_similarities_pays_where_few_are_large() -> None:
    merged, x = dynamic_layer(23), frames(23, outliers=1.5)
    layer = quantise(merged, x, sim_bits=5)
    assert 0 < saturated(layer, x) < 0.05
    unclipped = next(q for s in range(16) if saturated(q := quantise(merged, x, sim_bits=5, sim_shift=s), x) == 0)
    assert squared_error(layer, merged, x) < squared_error(unclipped, merged, x) / 2


def test_given_shifts_of_a_dynamic_layer_are_kept() -> None:
    merged, x = dynamic_layer(24), frames(24)
    layer = quantise(merged, x, attn_shift=3, sim_shift=12, sim_bits=7)
    assert (layer.config.attn_shift, layer.config.sim_shift, layer.config.sim_bits) == (3, 12, 7)
    assert_rounded(layer, merged)
    assert quantise(merged, x, attn_shift=2).config.attn_shift == 2


def test_a_dynamic_layer_without_offsets_is_quantised_as_a_convolution() -> None:
    merged, x = dynamic_layer(25, attn_offsets=()), frames(25)
    layer, plain = quantise(merged, x), quantise(float_layer(25, attn_offsets=()), x)
    assert (layer.config.sim_shift, layer.config.attn_shift) == (0, 0)
    np.testing.assert_array_equal(layer.conv_weight, plain.conv_weight)
    np.testing.assert_array_equal(layer.multiplier, plain.multiplier)


def test_a_channel_of_huge_attention_gets_a_coarser_unit() -> None:
    merged, x = dynamic_layer(26), frames(26)
    with torch.no_grad():
        merged.attn_weight[2] *= 1e6
    layer = quantise(merged, x)
    assert_rounded(layer, merged)
    assert layer.multiplier.argmax() == 2 and not layer.conv_weight[2].any()
    with torch.no_grad():
        merged.bias[1] = -1e25
    with pytest.raises(LayerError, match=r"^output channel 1 needs an accumulator step"):
        quantise(merged, x, relu=True)


def largest_codes(layer: Layer) -> np.ndarray:
    """Largest magnitude of each output channel's weights ``[O]``."""
    weights = np.concatenate([w.reshape(len(w), -1) for w in (layer.conv_weight, layer.attn_weight)], axis=1)
    return np.abs(weights).max(axis=1)


def test_a_trained_xvolution_becomes_integers() -> None:
    torch.manual_seed(5)
    module = XVolution(CHANNELS, 8)
    for step in range(20):
        module(frames(step) * 3 + 0.1)
    x = frames(99) * 3
    module.eval()
    layer = quantise(module.merge(), x)
    with torch.no_grad():
        wanted = module(x).double().numpy()
    assert np.square(integer_output(layer, x) - wanted).mean() < 1.5e-4 * np.square(wanted).mean()


@pytest.mark.parametrize("method", ["minmax", "mse"])
@pytest.mark.parametrize("seed", range(3))
def test_fewer_bits_mean_more_error(seed: int, method: Any) -> None:
    merged, x = float_layer(seed), frames(seed)
    errors = [
        squared_error(quantise(merged, x, in_bits=b, weight_bits=b, out_bits=b, method=method), merged, x)
        for b in (8, 6, 4, 2)
    ]
    assert errors == sorted(errors), f"seed {seed}"
    for name in ("in_bits", "weight_bits", "out_bits"):
        fewer: dict[str, Any] = {name: 4}
        assert squared_error(quantise(merged, x, method=method, **fewer), merged, x) > 2 * errors[0], f"seed {seed}"


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("tail", [2.0, 4.0, 8.0])
@pytest.mark.parametrize("seed", range(3))
def test_mse_withstands_outliers(seed: int, tail: float, bits: int) -> None:
    merged, x = float_layer(seed), frames(seed, outliers=tail)
    formats: dict[str, Any] = {"in_bits": bits, "weight_bits": bits, "out_bits": bits}
    error = {
        method: squared_error(quantise(merged, x, method=method, **formats), merged, x) for method in ("minmax", "mse")
    }
    assert error["mse"] <= error["minmax"], f"seed {seed}"
    assert bits == 8 or error["mse"] < 0.8 * error["minmax"], f"seed {seed}"


def test_mse_clips_the_input_by_the_output_error() -> None:
    merged, x = float_layer(3), frames(3)
    with torch.no_grad():
        merged.conv_weight[:, 1] = 0
        merged.attn_weight[:, 1] = 0
    x[:, 1] *= 10  # seen by no output
    clipped, full = (quantise(merged, x, in_bits=4, method=method).config for method in ("mse", "minmax"))
    assert clipped.in_scale is not None and full.in_scale is not None
    assert clipped.in_scale < 0.2 * full.in_scale


def test_mse_clips_the_weights_of_a_channel_by_its_output_error() -> None:
    merged, x = float_layer(3, attn_offsets=()), frames(3)
    with torch.no_grad():
        merged.conv_weight[2, 1, 0, 0] = 12.0
        x[:, 1] = 0  # so that the large weight meets nothing, and clipping it is free
    layer = quantise(merged, x, weight_bits=4, method="mse")
    rounded = quantise(merged, x, weight_bits=4, method="minmax")
    assert weight_scales(layer)[0][2] < 0.5 * weight_scales(rounded)[0][2]
    assert layer.conv_weight[2, 1, 0, 0] == 7


@pytest.mark.parametrize("method", ["minmax", "mse"])
@pytest.mark.parametrize("attention", [0.001, 0.5, 30.0])
def test_attn_shift_is_the_one_of_least_output_error(attention: float, method: Any) -> None:
    merged, x = float_layer(4, attention), frames(4)
    formats: dict[str, Any] = {"in_bits": 6, "weight_bits": 4, "method": method}
    errors = [squared_error(quantise(merged, x, attn_shift=n, **formats), merged, x) for n in range(16)]
    assert len(set(errors)) > 4
    assert quantise(merged, x, **formats).config.attn_shift == np.argmin(errors)


def test_the_largest_attn_shift_is_tried() -> None:
    merged, x = float_layer(4), frames(4)
    with torch.no_grad():
        merged.conv_weight.zero_()
        merged.conv_weight[:, 1] = 600  # sets the scale of the convolution
    x[:, 1] = 0  # but meets nothing, so that only the attention's scale matters
    assert quantise(merged, x).config.attn_shift == 15


def test_a_given_attn_shift_is_kept() -> None:
    for shift in (0, 3, 15):
        layer = quantise(float_layer(5), frames(5), attn_shift=shift)
        assert layer.config.attn_shift == shift
        assert_rounded(layer, float_layer(5))


def test_without_offsets_attn_shift_is_0() -> None:
    for seed in range(3):  # though a larger one would round the bias less
        layer = quantise(float_layer(seed, attn_offsets=()), frames(seed), in_bits=2, weight_bits=2, out_bits=16)
        assert layer.config.attn_shift == 0


def test_attn_shift_heeds_the_accumulator_bound() -> None:
    merged = DynamicConv2d(4096, 1, kernel_size=7, attn_offsets=((0, 0),))
    with torch.no_grad():
        merged.conv_weight.fill_(1.0)
        merged.attn_weight.normal_(std=1e-5, generator=torch.Generator().manual_seed(6))
    x = torch.rand(4, 4096, 1, 2, generator=torch.Generator().manual_seed(7))
    with pytest.raises(LayerError, match=re.escape("the proven bound on |acc| is")):
        quantise(merged, x, attn_shift=15)
    assert quantise(merged, x).config.attn_shift <= 14


def test_a_channel_without_weights_keeps_its_bias() -> None:
    merged, x = float_layer(8), frames(8)
    with torch.no_grad():
        merged.conv_weight[3] = 0
        merged.attn_weight[3] = 0
        merged.bias[3] = 1.7
    layer = quantise(merged, x)
    assert layer.multiplier[3] == layer.multiplier.max() >= 2**15
    assert abs(layer.bias[3]) < 2**24  # no wider than the others'
    assert_rounded(layer, merged)
    assert np.abs(integer_output(layer, x)[:, 3] - np.float32(1.7)).max() <= 0.5001 * out_step(layer)


def test_a_channel_without_weights_among_coarse_ones_keeps_its_bias() -> None:
    merged, x = float_layer(8), frames(8)
    with torch.no_grad():
        merged.conv_weight[3] = 0
        merged.attn_weight[3] = 0
        merged.bias[3] = 1.7
    layer = quantise(merged, x, in_bits=2, weight_bits=2, out_bits=12)
    assert layer.multiplier[3] == max(1, np.ceil(ZERO_CHANNEL_UNIT * 2**layer.config.out_shift)) < layer.multiplier[0]
    assert np.abs(integer_output(layer, x)[:, 3] - np.float32(1.7)).max() <= 0.51 * out_step(layer)


@pytest.mark.parametrize("bias", [0.0, -3.0, 5.0])
@pytest.mark.parametrize("relu", [False, True])
def test_a_layer_without_weights(bias: float, relu: bool) -> None:
    merged, x = float_layer(9), frames(9)
    with torch.no_grad():
        merged.conv_weight.zero_()
        merged.attn_weight.zero_()
        merged.bias.fill_(bias)
    layer = quantise(merged, x, relu=relu)
    expected = max(bias, 0.0) if relu else bias
    np.testing.assert_allclose(integer_output(layer, x), expected, rtol=0.005)


def test_a_channel_of_tiny_weights_gets_multiplier_1() -> None:
    merged, x = float_layer(10), frames(10)
    with torch.no_grad():
        merged.conv_weight[1] *= 1e-9
        merged.attn_weight[1] *= 1e-9
        merged.bias[1] = 0.1
    layer = quantise(merged, x)
    assert layer.multiplier[1] == 1 and layer.multiplier.max() >= 2**15
    assert_rounded(layer, merged)
    error = integer_output(layer, x)[:, 1] - float_output(merged, x)[:, 1]
    assert np.abs(error).max() <= 0.51 * out_step(layer)
    assert snr(layer, merged, x) > 36


def test_a_huge_bias_makes_its_channel_coarser() -> None:
    merged, x = float_layer(11), frames(11)
    with torch.no_grad():
        merged.bias[4] = -3e6  # below 0 whatever the input: a ReLU hides it
    layer = quantise(merged, x, relu=True, attn_shift=7)
    assert 2**30 <= -layer.bias[4] < 2**31
    assert_rounded(layer, merged)
    assert largest_codes(layer)[4] < 127
    assert not integer_output(layer, x)[:, 4].any()
    assert snr(layer, merged, x) > 39


def test_a_bias_beyond_any_multiplier_is_refused_by_name() -> None:
    merged = float_layer(11)
    with torch.no_grad():
        merged.bias[4] = -1e15
    with pytest.raises(LayerError, match=r"^output channel 4 needs an accumulator step .* allowed is at most 65535$"):
        quantise(merged, frames(11), relu=True)


@pytest.mark.parametrize("seed", seeds(50))
def test_multipliers_are_the_least_that_suffice(seed: int) -> None:
    rng = np.random.default_rng(seed)
    needed = np.exp(rng.uniform(-40, rng.uniform(-40, 11), 12))
    multiplier, out_shift = choose_multipliers(needed)
    units = multiplier / 2.0**out_shift
    assert multiplier.min() >= 1 and multiplier.max() <= 65535 and 0 <= out_shift <= 47, f"seed {seed}"
    assert (units >= needed).all(), f"seed {seed}"
    assert (((multiplier - 1) / 2.0**out_shift < needed) | (multiplier == 1)).all(), f"seed {seed}"
    assert multiplier.max() >= 2**15 or out_shift == 47, f"seed {seed}"


def test_multipliers_at_the_edges() -> None:
    for needed, expected in ((65535.0, (65535, 0)), (32767.5, (65535, 1)), (1.0, (32768, 15)), (0.0, (1, 47))):
        multiplier, out_shift = choose_multipliers(np.array([needed]))
        assert (int(multiplier[0]), out_shift) == expected
    with pytest.raises(LayerError, match=r"output channel 1 .* allowed is at most 65535"):
        choose_multipliers(np.array([1.0, 65536.0]))


def test_signedness_follows_the_data() -> None:
    merged = float_layer(12)
    assert quantise(merged, frames(12)).config.in_signed is False
    assert quantise(merged, frames(12), in_signed=True).config.in_signed is True
    assert quantise(merged, frames(12, signed=True)).config.in_signed is True
    with torch.no_grad():
        merged.bias.fill_(500.0)
    assert quantise(merged, frames(12)).config.out_signed is False


def test_the_full_range_of_each_format_is_used() -> None:
    merged, x = float_layer(13), frames(13, signed=True)
    for relu, signed, low, high in ((False, True, -128, 127), (True, False, 0, 255), (True, True, 0, 127)):
        layer = quantise(merged, x, relu=relu, out_signed=signed)
        output = integer.run(layer, quantise_input(layer, x.numpy()))
        # Rounding of weights may move the extreme itself by a step or two.
        assert output.min() <= low + 2 or output.max() >= high - 2
        assert output.min() >= low and output.max() <= high
        assert snr(layer, merged, x) > 30
    codes = quantise_input(layer, x.numpy())
    assert codes.min() == -128 or codes.max() == 127


def test_an_unsigned_output_is_a_relu() -> None:
    merged, x = float_layer(14), frames(14)
    formats: dict[str, Any] = {"in_bits": 3, "weight_bits": 3, "method": "mse"}
    layer, with_relu = quantise(merged, x, out_signed=False, **formats), quantise(merged, x, relu=True, **formats)
    assert layer.config == dataclasses.replace(with_relu.config, relu=False)
    np.testing.assert_array_equal(layer.conv_weight, with_relu.conv_weight)


def test_activation_scale_covers_the_extremes() -> None:
    values = np.array([-3.0, 0.0, 5.0])
    assert activation_scale(values, Range(-128, 127), "minmax") == 5 / 127
    assert activation_scale(-values, Range(-128, 127), "minmax") == 5 / 128
    assert activation_scale(values, Range(0, 255), "minmax") == 5 / 255


def test_activation_scale_of_least_squared_error() -> None:
    values = np.append(np.random.default_rng(15).uniform(0, 1, 10_000), 20.0)
    scale = activation_scale(values, Range(0, 15), "mse")

    def error(s: float) -> float:
        return float(np.square(np.clip(np.round(values / s), 0, 15) * s - values).mean())

    assert scale < 20 / 15 / 2
    assert error(scale) <= 1.05 * min(error(s) for s in np.geomspace(0.01, 2, 400))


def test_the_float_layer_is_left_alone() -> None:
    merged = float_layer(16)
    before = copy.deepcopy(merged.state_dict())
    quantise(merged, frames(16))
    for name, parameter in merged.state_dict().items():
        assert parameter.dtype == torch.float32
        assert torch.equal(parameter, before[name])


NAN, INFINITE, NONE_OF_THEM, WHOLE = frames(17), frames(17), frames(17)[:0], frames(17).int()
NAN[0, 0, 0, 0] = torch.nan
INFINITE[0, 0, 0, 0] = torch.inf


@pytest.mark.parametrize(
    ("geometry", "x", "options", "message"),
    [
        ({}, NAN, {}, "calibration has a value that is NaN or infinite"),
        ({}, INFINITE, {}, "calibration has a value that is NaN or infinite"),
        ({}, NONE_OF_THEM, {}, f"calibration has shape [0, 6, 9, 7], allowed is [N, {CHANNELS}, H, W]"),
        ({}, frames(17)[0], {}, "calibration has shape [6, 9, 7], allowed is"),
        ({}, frames(17)[:, :5], {}, "calibration has shape [6, 5, 9, 7], allowed is"),
        ({}, WHOLE, {}, "calibration has dtype torch.int32, allowed are floating-point dtypes"),
        ({}, torch.zeros(1, 6, 9, 7), {}, "calibration is 0 everywhere"),
        ({}, -frames(17) - 1, {"in_signed": False}, "which an unsigned input (in_signed False) does not allow"),
        ({}, frames(17)[..., :1].expand(-1, -1, -1, 5000), {}, "width 5000 is not an integer from 1 to 4096"),
        ({"padding": "valid"}, frames(17)[:, :, :2], {}, "height 2 is "),
        (
            {"attn_offsets": ((0, 4),)},
            frames(17),
            {},
            "is not a pair of integers from -3 to 3",
        ),
        ({}, frames(17), {"method": "max"}, "method 'max' is not one of 'minmax', 'mse'"),
        ({}, frames(17), {"rounding": "up"}, "rounding 'up' is not one of 'half_even', 'half_up', 'floor'"),
        ({}, frames(17), {"in_bits": 9}, "in_bits 9 is not an integer from 2 to 8"),
        ({}, frames(17), {"weight_bits": 1}, "weight_bits 1 is not an integer from 2 to 8"),
        ({}, frames(17), {"out_bits": 17}, "out_bits 17 is not an integer from 2 to 16"),
        ({}, frames(17), {"attn_shift": 16}, "attn_shift 16 is not an integer from 0 to 15"),
        ({}, frames(17), {"sim_bits": 8}, "sim_bits 8 is only for product 'dynamic', product is 'hadamard'"),
        ({}, frames(17), {"sim_shift": 0}, "sim_shift 0 is only for product 'dynamic', product is 'hadamard'"),
        ({"product": "dynamic"}, frames(17), {"sim_bits": 9}, "sim_bits 9 is not an integer from 2 to 8"),
        ({"product": "dynamic"}, frames(17), {"sim_shift": 32}, "sim_shift 32 is not an integer from 0 to 31"),
        ({}, frames(17), {"relu": 1}, "relu 1 is not true or false"),
        ({}, frames(17), {"in_signed": "no"}, "in_signed 'no' is not true or false"),
        ({}, frames(17), {"out_signed": 0}, "out_signed 0 is not true or false"),
    ],
)
def test_refusals_name_what_and_allowed(geometry: Any, x: Tensor, options: Any, message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        quantise(float_layer(17, **geometry), x, **options)


@pytest.mark.parametrize("name", ["conv_weight", "attn_weight", "bias"])
def test_weights_that_are_not_finite_are_refused(name: str) -> None:
    merged = float_layer(18)
    with torch.no_grad():
        merged.get_parameter(name).view(-1)[0] = torch.nan
    with pytest.raises(UserError, match=f"^{name} has a value that is NaN or infinite"):
        quantise(merged, frames(18))


def test_numpy_is_as_good_as_python_and_torch() -> None:
    merged, x = dynamic_layer(19), frames(19, signed=True)
    options: dict[str, Any] = {
        "in_bits": 7,
        "weight_bits": 6,
        "out_bits": 9,
        "in_signed": True,
        "out_signed": True,
        "relu": True,
        "in_scale": 0.03125,
        "out_scale": 0.25,
        "attn_shift": 4,
        "sim_bits": 7,
        "sim_shift": 5,
    }
    plain = quantise(merged, x, **options)
    layer = quantise(merged, x.numpy(), **{name: np.asarray(value)[()] for name, value in options.items()})
    assert layer.config == plain.config and layer.config.to_json() == plain.config.to_json()
    np.testing.assert_array_equal(layer.conv_weight, plain.conv_weight)
    np.testing.assert_array_equal(layer.multiplier, plain.multiplier)
    for frames_of in (np.float16, np.float32, np.longdouble):
        assert quantise(merged, x.numpy().astype(frames_of)).config.in_signed


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (
            frames(17).numpy().astype(int),
            {},
            "calibration has dtype int64, allowed are floating-point dtypes, in a tensor or an array",
        ),
        (frames(17).numpy() * 1j, {}, "calibration has dtype complex64"),
        ([[1.0]], {}, "calibration is [[1.0]], allowed are"),
        (frames(17), {"in_bits": np.float64(8)}, "in_bits 8.0 is not an integer from 2 to 8"),
        (frames(17), {"in_scale": np.float32(0)}, "in_scale 0.0 is not a positive finite number"),
        (frames(17), {"out_scale": np.array([0.5])}, "out_scale array([0.5]) is not a positive finite number"),
        (frames(17), {"relu": np.int64(1)}, "relu 1 is not true or false"),
        (frames(17, signed=True), {"in_signed": np.bool_(False)}, "which an unsigned input (in_signed False) does not"),
    ],
)
def test_numpy_is_refused_by_name(x: Any, options: Any, message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        quantise(float_layer(17), x, **options)
