"""The integer model against two others: fxpmath, stage by stage, and plain Python integers."""

from __future__ import annotations

import dataclasses
import tracemalloc
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from fxpmath import Fxp

from golden.contract.bounds import accumulator_ranges
from golden.contract.layer import Layer
from golden.contract.layer_config import DYNAMIC_RANGES, LayerConfig, LayerError
from golden.layers.random_layer import random_layer
from golden.model import fixed_point, integer
from golden.support.cli import UserError
from sim.cases.stimulus import random_frames
from tests.support.rounding import OTHERS, rounded
from tests.support.tiers import seeds

EIGHT = tuple((dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0))

#: One layer for each thing that can go wrong on its own; channels and size where not said.
LAYERS: dict[str, dict[str, Any]] = {
    "plain_1x1": {"kernel": 1, "attn_offsets": ()},
    "plain_3x3": {"attn_offsets": ()},
    "plain_5x5_valid": {"kernel": 5, "attn_offsets": (), "padding": "valid", "height": 6, "width": 5},
    "plain_7x7": {"kernel": 7, "attn_offsets": (), "in_channels": 1},
    "frame_smaller_than_kernel": {"kernel": 7, "height": 2, "width": 1},
    "one_pixel": {"height": 1, "width": 1},
    "one_row": {"height": 1, "width": 9},
    "one_column": {"height": 9, "width": 1, "stride": 2},
    "eight_directions": {},
    "eight_directions_stride_2": {"stride": 2, "height": 6, "width": 5},
    "eight_directions_valid": {"padding": "valid"},
    "valid_stride_2": {"padding": "valid", "stride": 2, "kernel": 5, "height": 8, "width": 7},
    "centre_only": {"attn_offsets": ((0, 0),)},
    "around_1x1": {"kernel": 1},
    "distance_3": {"attn_offsets": ((-3, 3), (3, -3), (0, -3)), "height": 5},
    "distance_3_valid": {"attn_offsets": ((3, 0), (0, 3)), "padding": "valid", "kernel": 1, "height": 2, "width": 3},
    "lopsided": {"attn_offsets": ((2, -1), (0, 0), (-3, 1)), "stride": 2, "kernel": 5},
    "depthwise": {"groups": 3, "in_channels": 3, "out_channels": 3},
    "depthwise_stride_2": {"groups": 2, "in_channels": 2, "out_channels": 2, "stride": 2, "kernel": 5, "height": 6},
    "depthwise_plain": {"groups": 3, "in_channels": 3, "out_channels": 3, "attn_offsets": ()},
    "one_channel": {"in_channels": 1, "out_channels": 1},
    "signed": {"in_signed": True, "out_signed": True, "relu": False},
    "signed_relu": {"in_signed": True, "out_signed": True},
    "narrow": {"in_bits": 2, "weight_bits": 2, "out_bits": 2, "in_signed": True, "out_signed": True, "relu": False},
    "wide_output": {"out_bits": 16, "out_shift": 14, "attn_shift": 15},
    "half_up": {"rounding": "half_up", "attn_offsets": (), "out_shift": 3, "out_bits": 12},
    "floor": {"rounding": "floor", "out_signed": True, "relu": False},
    "no_shift": {"out_shift": 0, "out_bits": 16, "attn_shift": 0, "out_signed": True, "relu": False},
}


def make_layer(seed: int, **fields: Any) -> Layer:
    defaults = {"in_channels": 3, "out_channels": 2, "height": 4, "width": 5}
    return random_layer(np.random.default_rng(seed), **(defaults | fields))


def random_geometry(seed: int) -> Layer:
    rng = np.random.default_rng(seed)
    pick = lambda *choices: choices[rng.integers(len(choices))]  # noqa: E731
    kernel, padding, depthwise = pick(1, 3, 5, 7), pick("same", "valid"), pick(True, False)
    least = kernel if padding == "valid" else 1
    channels = int(rng.integers(1, 4))
    places = [(dy, dx) for dy in range(-3, 4) for dx in range(-3, 4)]
    return make_layer(
        seed,
        in_channels=channels,
        out_channels=channels if depthwise else int(rng.integers(1, 4)),
        groups=channels if depthwise else 1,
        height=int(rng.integers(least, least + 5)),
        width=int(rng.integers(least, least + 5)),
        kernel=kernel,
        stride=pick(1, 2),
        padding=padding,
        attn_offsets=tuple(places[i] for i in rng.permutation(49)[: rng.integers(0, 6)]),
        in_bits=int(rng.integers(2, 9)),
        in_signed=pick(True, False),
        weight_bits=int(rng.integers(2, 9)),
        out_bits=int(rng.integers(2, 17)),
        out_signed=pick(True, False),
        relu=pick(True, False),
        attn_shift=int(rng.integers(0, 16)),
        rounding=pick("half_even", *OTHERS),
    )


def naive_element(layer: Layer, frame: np.ndarray, channel: int, y: int, x: int) -> int:
    inside = 0 <= y < layer.config.height and 0 <= x < layer.config.width
    return int(frame[channel, y, x]) if inside else 0


def naive_centre(layer: Layer, y: int, x: int) -> tuple[int, int]:
    c = layer.config
    pad = c.kernel // 2 if c.padding == "same" else 0
    return c.stride * y - pad + c.kernel // 2, c.stride * x - pad + c.kernel // 2


def naive_sums(layer: Layer, frame: np.ndarray, o: int, k: int, y: int, x: int) -> tuple[int, int, int]:
    """Sums over taps of convolution and attention, and x0, of weight channel ``k``."""
    c = layer.config
    channel = o if c.groups > 1 else k
    py, px = naive_centre(layer, y, x)
    half = c.kernel // 2
    conv = sum(
        int(layer.conv_weight[o, k, i, j]) * naive_element(layer, frame, channel, py + i - half, px + j - half)
        for i in range(c.kernel)
        for j in range(c.kernel)
    )
    attn = sum(
        int(layer.attn_weight[o, k, t]) * naive_element(layer, frame, channel, py + dy, px + dx)
        for t, (dy, dx) in enumerate(c.attn_offsets)
    )
    return conv, attn, naive_element(layer, frame, channel, py, px)


def naive_acc(layer: Layer, frame: np.ndarray) -> np.ndarray:
    """``[O, Ho, Wo]`` of Python integers."""
    c = layer.config
    acc = np.empty((c.out_channels, c.out_height, c.out_width), object)
    for o, y, x in np.ndindex(acc.shape):
        total = int(layer.bias[o])
        for k in range(c.in_channels // c.groups):
            conv, attn, x0 = naive_sums(layer, frame, o, k, y, x)
            total += 2**c.attn_shift * conv + x0 * attn
        acc[o, y, x] = total
    return acc


def naive_requantise(layer: Layer, acc: np.ndarray) -> np.ndarray:
    c = layer.config
    low = -(2 ** (c.out_bits - 1)) if c.out_signed and not c.relu else 0
    high = 2 ** (c.out_bits - 1) - 1 if c.out_signed else 2**c.out_bits - 1
    y = np.empty(acc.shape, object)
    for index in np.ndindex(acc.shape):
        scaled = Fraction(int(acc[index]) * int(layer.multiplier[index[0]]), 2**c.out_shift)
        y[index] = min(max(rounded(scaled, c.rounding), low), high)
    return y


def assert_same(got: np.ndarray, wanted: np.ndarray, what: str) -> None:
    """Equal in shape and, as exact integers, in every element."""
    assert got.shape == wanted.shape, what
    np.testing.assert_array_equal(got.astype(object), wanted.astype(object), what)


def assert_three_agree(layer: Layer, x: np.ndarray) -> None:
    acc = np.stack([naive_acc(layer, frame) for frame in x])
    y = np.stack([naive_requantise(layer, a) for a in acc])
    assert_same(integer.accumulate(layer, x), acc, "integer accumulate")
    assert_same(integer.run(layer, x), y, "integer run")
    assert_same(fixed_point.run(layer, x), y, "fixed point run")


def one_pixel(accs: list[int], multiplier: int = 1, **fields: Any) -> tuple[Layer, np.ndarray]:
    """A layer to requantise with, and accumulators ``[1, 1, 1, n]``."""
    layer = make_layer(0, in_channels=1, out_channels=1, **({"out_shift": 0, "height": 1, "width": 1} | fields))
    return dataclasses.replace(layer, multiplier=np.array([multiplier])), np.array(accs, np.int64)[None, None, None]


def both_requantised(layer: Layer, acc: np.ndarray) -> list[int]:
    """What integer and fixed-point model make of ``[1, 1, 1, n]``, having compared them."""
    got = integer.requantise(layer, acc.copy())[0, 0, 0].tolist()
    fixed = fixed_point.requantise(layer, Fxp(acc[0], signed=True, n_word=48, n_frac=0)).val[0, 0].tolist()
    assert got == fixed
    return got


# --- the whole layer ---


@pytest.mark.parametrize("name", LAYERS)
def test_three_models_agree(name: str) -> None:
    layer = make_layer(1, **LAYERS[name])
    assert_three_agree(layer, random_frames(np.random.default_rng(2), layer.config, 2))


@pytest.mark.parametrize("seed", seeds(40))
def test_three_models_agree_on_random_layers(seed: int) -> None:
    layer = random_geometry(seed)
    assert_three_agree(layer, random_frames(np.random.default_rng(1000 + seed), layer.config, 2))


@pytest.mark.parametrize("name", ["eight_directions", "lopsided", "depthwise", "signed", "valid_stride_2"])
def test_every_stage_agrees(name: str) -> None:
    layer = make_layer(3, **LAYERS[name])
    c = layer.config
    [frame] = random_frames(np.random.default_rng(4), layer.config, 1)
    radius = c.radius

    elements = fixed_point.window(layer, frame)
    for channel, y, x, dy, dx in np.ndindex(elements.shape):
        py, px = naive_centre(layer, y, x)
        wanted = naive_element(layer, frame, channel, py + dy - radius, px + dx - radius)
        assert elements.val[channel, y, x, dy, dx] == wanted, "window"

    conv, attn = fixed_point.tap_macs(layer, elements)
    combined = fixed_point.attention_combine(layer, elements, conv, attn)
    assert conv.shape == attn.shape == combined.shape == (c.out_channels, c.fan_in_channels, c.out_height, c.out_width)
    for o, k, y, x in np.ndindex(conv.shape):
        wanted_conv, wanted_attn, x0 = naive_sums(layer, frame, o, k, y, x)
        assert conv.val[o, k, y, x] == wanted_conv, "tap_macs, convolution"
        assert attn.val[o, k, y, x] == wanted_attn, "tap_macs, attention"
        assert combined.val[o, k, y, x] == 2**c.attn_shift * wanted_conv + x0 * wanted_attn, "attention_combine"

    acc = fixed_point.channel_accumulate(layer, combined)
    assert_same(acc.val, naive_acc(layer, frame), "channel_accumulate")
    assert_same(acc.val, integer.accumulate(layer, frame)[0], "channel_accumulate of the integer model")
    assert_same(fixed_point.requantise(layer, acc).val, integer.requantise(layer, acc.val[None])[0], "requantise")


# --- at the limits ---


@pytest.mark.parametrize("in_signed", [False, True])
@pytest.mark.parametrize("element", ["low", "high"])
@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_extreme_weights_and_inputs(in_signed: bool, element: str, sign: int, kernel: int) -> None:
    """40 channels are more than a block. One of 3x3 taps fits float32; 5x5 and 7x7 exceed it by 1 bit and 2."""
    geometry = {"in_channels": 40, "out_channels": 1, "height": kernel, "width": kernel, "padding": "valid"}
    layer = make_layer(5, **geometry, kernel=kernel, in_signed=in_signed, attn_shift=0)
    limit = sign * layer.config.weight_limit
    conv = np.full_like(layer.conv_weight, limit)
    conv[0, 0, 0, 0] -= sign  # an odd sum in place of a round one
    attn = np.full_like(layer.attn_weight, limit)
    attn[0, 0, 0] -= sign
    layer = dataclasses.replace(layer, conv_weight=conv, attn_weight=attn)
    x = np.full((1, 40, kernel, kernel), getattr(layer.config.in_range, element))
    assert_three_agree(layer, x)


@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("depthwise", [False, True])
def test_proven_accumulator_range_is_reached(sign: int, depthwise: bool) -> None:
    """Unsigned full-scale input under weights of one sign: bound and sum are the same number."""
    layer = make_layer(6, in_channels=2, out_channels=2, groups=2 if depthwise else 1, height=3, width=3)
    limit = sign * layer.config.weight_limit
    layer = dataclasses.replace(
        layer,
        conv_weight=np.full_like(layer.conv_weight, limit),
        attn_weight=np.full_like(layer.attn_weight, limit),
        bias=np.full_like(layer.bias, sign * (2**31 - 1)),
    )
    acc = integer.accumulate(layer, np.full((2, 3, 3), 255))[0, :, 1, 1]
    np.testing.assert_array_equal(acc, accumulator_ranges(layer)[sign > 0])


@pytest.mark.parametrize("sign", [-1, 1])
def test_accumulator_reaches_its_edge(sign: int) -> None:
    """``acc`` of exactly 2^47 - 1, times 65535: a step from 2^63. One more in the bias is refused."""
    edge, unit = 2**47 - 1, 255 * 2**15
    total = edge // unit  # of the weights; the bias makes up the rest
    channels = -(-total // (49 * 127))
    geometry = {"in_channels": channels, "out_channels": 1, "height": 7, "width": 7, "kernel": 7, "padding": "valid"}
    formats = {"attn_shift": 15, "out_shift": 47, "out_bits": 16, "out_signed": sign < 0, "relu": False}
    layer = make_layer(7, **geometry, **formats, attn_offsets=())
    conv = np.full(layer.conv_weight.size, total // layer.conv_weight.size)
    conv[: total - conv.sum()] += 1
    layer = dataclasses.replace(
        layer,
        conv_weight=sign * conv.reshape(layer.conv_weight.shape),
        bias=np.array([sign * (edge % unit)]),
        multiplier=np.array([65535]),
    )
    x = np.full((1, channels, 7, 7), 255)
    assert integer.accumulate(layer, x).item() == sign * edge
    wanted = max(round(Fraction(sign * edge * 65535, 2**47)), layer.config.out_range.low)
    assert integer.run(layer, x).item() == fixed_point.run(layer, x).item() == wanted
    with pytest.raises(LayerError, match=r"bound on \|acc\| is 140737488355328, allowed is less than 2\^47"):
        dataclasses.replace(layer, bias=layer.bias + sign)


@pytest.mark.parametrize("shift", [0, 1, 30, 46, 47])
@pytest.mark.parametrize("sign", [-1, 1])
def test_requantise_next_to_63_bits(sign: int, shift: int) -> None:
    accs = [sign * (2**47 - step) for step in range(1, 9)]
    layer, acc = one_pixel(accs, 65535, out_shift=shift, out_bits=16, relu=False, out_signed=sign < 0)
    assert both_requantised(layer, acc) == naive_requantise(layer, acc[0])[0, 0].tolist()


def test_fan_in_beyond_float32() -> None:
    """512 channels of 3x3: float32 loses units here, so this layer tells if the model ever used it."""
    channels = 512
    layer = make_layer(10, in_channels=channels, out_channels=2, height=3, width=3, padding="valid", attn_offsets=())
    conv = np.full_like(layer.conv_weight, 127)
    conv[1] = np.random.default_rng(11).integers(120, 127, conv[1].shape, endpoint=True)
    layer = dataclasses.replace(layer, conv_weight=conv)
    x = np.full((1, channels, 3, 3), 255)
    x.flat[7] = 254
    sums = [sum(int(w) * int(e) for w, e in zip(row.flat, x.flat, strict=True)) for row in conv]
    wanted = [s * 2**layer.config.attn_shift + int(b) for s, b in zip(sums, layer.bias, strict=True)]
    assert integer.accumulate(layer, x).ravel().tolist() == wanted
    single = conv.reshape(2, -1).astype(np.float32) @ x.reshape(-1, 1).astype(np.float32)
    assert single.ravel().tolist() != sums, "the layer is too small to tell"
    assert_same(fixed_point.run(layer, x), integer.run(layer, x), "fixed point")


# --- requantisation ---


def test_ties_round_to_even() -> None:
    layer, acc = one_pixel(list(range(-7, 8)), out_shift=1, out_signed=True, relu=False)
    #                             -3.5 -3 -2.5 -2 -1.5 -1 -.5 0 .5 1 1.5 2 2.5 3 3.5
    assert both_requantised(layer, acc) == [-4, -3, -2, -2, -2, -1, 0, 0, 0, 1, 2, 2, 2, 3, 4]


def test_ties_round_up_or_down_where_a_layer_says_so() -> None:
    for rounding, wanted in {
        #              -3.5 -3 -2.5 -2 -1.5 -1 -.5 0 .5 1 1.5 2 2.5 3 3.5
        "half_up": [-3, -3, -2, -2, -1, -1, 0, 0, 1, 1, 2, 2, 3, 3, 4],
        "floor": [-4, -3, -3, -2, -2, -1, -1, 0, 0, 1, 1, 2, 2, 3, 3],
    }.items():
        layer, acc = one_pixel(list(range(-7, 8)), out_shift=1, out_signed=True, relu=False, rounding=rounding)
        assert both_requantised(layer, acc) == wanted, rounding


@pytest.mark.parametrize("rounding", OTHERS)
@pytest.mark.parametrize("shift", [0, 1, 30, 46, 47])
@pytest.mark.parametrize("sign", [-1, 1])
def test_other_roundings_next_to_63_bits(sign: int, shift: int, rounding: str) -> None:
    """Around the limits of 16 bits, at ties beside them, and at the end of 63 bits."""
    edges = [edge * 2**shift // 65535 + step for edge in (-32769, -32768, 32767, 32768) for step in (-1, 0, 1, 2)]
    accs = [*(a for a in edges if abs(a) < 2**47), *(sign * (2**47 - step) for step in range(1, 9))]
    layer, acc = one_pixel(accs, 65535, out_shift=shift, out_bits=16, relu=False, out_signed=True, rounding=rounding)
    assert both_requantised(layer, acc) == naive_requantise(layer, acc[0])[0, 0].tolist()


@pytest.mark.parametrize("rounding", ["half_even", *OTHERS])
@pytest.mark.parametrize("shift", [1, 2, 15, 16, 30, 31, 32, 46, 47])
def test_ties_and_their_neighbours(shift: int, rounding: str) -> None:
    """Odd multiples of a half, and one unit of ``acc * multiplier`` to both sides."""
    halves = [(2 * k + 1) * 2 ** (shift - 1) + step for k in (-3, -2, -1, 0, 1, 2) for step in (-1, 0, 1)]
    accs = [a for a in halves if abs(a) < 2**47]
    layer, acc = one_pixel(accs, out_shift=shift, out_bits=16, out_signed=True, relu=False, rounding=rounding)
    assert both_requantised(layer, acc) == [rounded(Fraction(a, 2**shift), rounding) for a in accs]


def test_ties_of_63_bits() -> None:
    """At shift 47, multiplier 2^15 makes odd multiples of 2^31 ties, far beyond float64's 53 bits."""
    accs = [
        sign * (2 * k + 1) * 2**31 + step
        for k in (0, 1, 2, 16383, 32766, 32767)
        for step in (-1, 0, 1)
        for sign in (-1, 1)
    ]
    layer, acc = one_pixel(accs, 2**15, out_shift=47, out_bits=16, out_signed=True, relu=False)
    assert both_requantised(layer, acc) == naive_requantise(layer, acc[0])[0, 0].tolist()


@pytest.mark.parametrize("seed", seeds(5))
def test_requantise_over_the_whole_range(seed: int) -> None:
    rng = np.random.default_rng(seed)
    shift, multiplier = int(rng.integers(0, 48)), int(rng.integers(1, 65536))
    accs = [int(a) for a in rng.integers(-(2**47) + 1, 2**47, 300)] + [int(a) for a in rng.integers(-99, 99, 100)]
    for fields in ({"out_signed": True, "relu": False}, {"out_signed": True}, {}):
        layer, acc = one_pixel(accs, multiplier, out_shift=shift, out_bits=16, **fields)
        wanted = naive_requantise(layer, acc[0])[0, 0].tolist()
        assert both_requantised(layer, acc) == wanted, f"{shift=}, {multiplier=}, {fields}"


@pytest.mark.parametrize(
    ("fields", "low", "high"),
    [
        ({"out_signed": True, "relu": False, "out_bits": 8}, -128, 127),
        ({"out_signed": True, "relu": True, "out_bits": 8}, 0, 127),
        ({"out_signed": False, "relu": False, "out_bits": 8}, 0, 255),
        ({"out_signed": False, "relu": True, "out_bits": 8}, 0, 255),
        ({"out_signed": True, "relu": False, "out_bits": 2}, -2, 1),
        ({"out_signed": True, "relu": True, "out_bits": 2}, 0, 1),
        ({"out_signed": True, "relu": False, "out_bits": 16}, -32768, 32767),
        ({"out_signed": False, "relu": True, "out_bits": 16}, 0, 65535),
    ],
)
def test_saturation_at_both_ends(fields: dict[str, Any], low: int, high: int) -> None:
    layer, acc = one_pixel([-(2**46), low - 1, low, low + 1, high - 1, high, high + 1, 2**46], **fields)
    assert both_requantised(layer, acc) == [low, low, low, low + 1, high - 1, high, high, high]


def test_each_output_channel_has_its_own_multiplier() -> None:
    layer = make_layer(12, out_channels=3, out_bits=16, out_shift=0, out_signed=True, relu=False)
    layer = dataclasses.replace(layer, multiplier=np.array([1, 10, 100]))
    acc = np.full((1, 3, 4, 5), 7)
    assert integer.requantise(layer, acc)[0, :, 2, 3].tolist() == [7, 70, 700]
    assert (acc == 7).all(), "the caller's accumulators are changed"


# --- tiles and blocks ---


@pytest.mark.parametrize("positions", [1, 5, 13, 50])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("name", ["lopsided", "eight_directions_stride_2", "depthwise", "valid_stride_2", "distance_3"])
def test_tiles_do_not_show(name: str, positions: int, channels: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of one image, several images, a remainder of either; blocks of channels."""
    monkeypatch.setattr(integer, "TILE_POSITIONS", positions)
    monkeypatch.setattr(integer, "CHANNEL_BLOCK", channels)
    layer = make_layer(13, **LAYERS[name])
    x = random_frames(np.random.default_rng(14), layer.config, 5)
    wanted = np.stack([naive_acc(layer, frame) for frame in x])
    assert_same(integer.accumulate(layer, x), wanted, "integer accumulate")


@pytest.mark.parametrize("depthwise", [False, True])
def test_more_channels_and_positions_than_fit_a_tile(depthwise: bool) -> None:
    channels = integer.CHANNEL_BLOCK + 3
    layer = make_layer(
        15, in_channels=channels, out_channels=channels if depthwise else 2, groups=channels if depthwise else 1,
        height=50, width=37,
    )  # fmt: skip
    assert layer.config.height * layer.config.width % integer.TILE_POSITIONS
    x = random_frames(np.random.default_rng(16), layer.config, 2)
    acc = integer.accumulate(layer, x)
    rng = np.random.default_rng(17)
    for n, o, y, xx in zip(*(rng.integers(0, size, 40) for size in acc.shape), strict=True):
        total = int(layer.bias[o])
        for k in range(layer.config.fan_in_channels):
            conv, attn, x0 = naive_sums(layer, x[n], o, k, y, xx)
            total += 2**layer.config.attn_shift * conv + x0 * attn
        assert acc[n, o, y, xx] == total, (n, o, y, xx)


def test_memory_does_not_grow_with_the_sums() -> None:
    """4096 channels times 7x7 taps and 48 products would take gigabytes as one matrix."""
    everywhere = tuple((dy, dx) for dy in range(-3, 4) for dx in range(-3, 4) if (dy, dx) != (0, 0))
    layer = make_layer(
        18, in_channels=4096, out_channels=1, kernel=7, height=24, width=24, attn_offsets=everywhere, attn_shift=0
    )
    x = random_frames(np.random.default_rng(19), layer.config, 1).astype(np.uint8)
    tracemalloc.start()
    try:
        integer.run(layer, x)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100 * 2**20, f"{peak / 2**20:.0f} MiB"


# --- the interface ---


def test_run_returns_int32_and_accumulate_int64() -> None:
    layer = make_layer(20)
    x = random_frames(np.random.default_rng(21), layer.config, 2)
    assert integer.run(layer, x).dtype == np.int32
    assert integer.accumulate(layer, x).dtype == np.int64


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint64, ">i4"])
def test_any_integer_dtype_will_do(dtype: Any) -> None:
    layer = make_layer(22)
    x = random_frames(np.random.default_rng(23), layer.config, 2)
    assert_same(integer.run(layer, x.astype(dtype)), integer.run(layer, x), str(dtype))


def test_one_frame_is_a_batch_of_one() -> None:
    layer = make_layer(24)
    x = random_frames(np.random.default_rng(25), layer.config, 1)
    for model in (integer.run, integer.accumulate, fixed_point.run):
        assert_same(model(layer, x[0]), model(layer, x), model.__module__)


def test_a_view_in_any_memory_order_will_do() -> None:
    layer = make_layer(26)
    x = random_frames(np.random.default_rng(27), layer.config, 2)
    channels_last = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    assert_same(integer.run(layer, channels_last), integer.run(layer, x), "channels last")


@pytest.mark.parametrize("count", [1, 7])
def test_advance_adds_up_to_all_positions(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(integer, "TILE_POSITIONS", 37)
    layer = make_layer(28, stride=2, height=5, width=7)
    steps: list[int] = []
    integer.run(layer, random_frames(np.random.default_rng(29), layer.config, count), steps.append)
    assert sum(steps) == count * 3 * 4


@pytest.mark.parametrize("model", [integer.run, integer.accumulate, fixed_point.run])
def test_input_is_checked(model: Any) -> None:
    layer = make_layer(30)
    with pytest.raises(UserError, match="input has a value 256, allowed are 0 to 255"):
        model(layer, np.full((1, 3, 4, 5), 256))


@pytest.mark.parametrize("sign", [-1, 1])
def test_fixed_point_refuses_to_saturate_a_sum(sign: int) -> None:
    """No real layer gets there; a broken one must not pass for the reference."""
    layer = dataclasses.replace(make_layer(31), bias=np.array([-sign, -sign]))
    combined = Fxp(np.full((2, 3, 4, 5), sign * 2**46), signed=True, n_word=48, n_frac=0)
    with pytest.raises(OverflowError, match="48 bits"):
        fixed_point.channel_accumulate(layer, combined)
    sums = Fxp(np.full((2, 3, 4, 5), sign * 2**45), signed=True, n_word=48, n_frac=0)
    with pytest.raises(OverflowError, match="48 bits"):
        fixed_point.attention_combine(layer, fixed_point.window(layer, np.full((3, 4, 5), 255)), sums, sums)


def test_config_of_these_tests_covers_every_field() -> None:
    """Each field of a hadamard config that can vary does so in the named layers."""
    fields = {f.name for f in dataclasses.fields(LayerConfig)} - {"product", *DYNAMIC_RANGES, "in_scale", "out_scale"}
    varied = {name for layer in LAYERS.values() for name in layer}
    assert fields <= varied
