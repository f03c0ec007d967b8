"""The ``dynamic`` product in integers: both models and the bounds against the contract, written as plain loops."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden import run, vectors
from golden.contract.bounds import accumulator_ranges, combined_ranges, similarity_ranges, stage_ranges
from golden.contract.layer import Layer
from golden.contract.layer_config import NEIGHBOURS, LayerError
from golden.contract.layer_file import write_layer
from golden.contract.ranges import Range
from golden.layers.random_layer import at_limits, random_layer
from golden.model import fixed_point, integer
from sim.cases.stimulus import random_frames
from tests.support.rounding import rounded
from tests.support.tiers import in_turn, seeds

#: What each layer has of its own; 4 -> 2 channels, 4x5 pixels, 2 heads where not said.
LAYERS: dict[str, dict[str, Any]] = {
    "eight_directions": {},
    "one_head": {"heads": 1},
    "a_head_a_channel": {"heads": 4},
    "three_channels_a_head": {"in_channels": 6},
    "signed": {"in_signed": True, "out_signed": True, "relu": False},
    "stride_2": {"stride": 2, "height": 6, "width": 5},
    "valid": {"padding": "valid"},
    "valid_stride_2": {"padding": "valid", "stride": 2, "kernel": 5, "height": 8, "width": 7},
    "around_1x1": {"kernel": 1},
    "outside_the_kernel": {"attn_offsets": ((-3, 3), (3, -3), (0, -2)), "height": 5},
    "lopsided": {"attn_offsets": ((2, -1), (0, 0), (-3, 1)), "stride": 2, "kernel": 5},
    "centre_only": {"attn_offsets": ((0, 0),), "in_signed": True},
    "plain": {"attn_offsets": ()},
    "one_pixel": {"height": 1, "width": 1},
    "one_row": {"height": 1, "width": 7},
    "sim_shift_0": {"sim_shift": 0, "in_bits": 2, "in_signed": True},
    "sim_shift_1": {"sim_shift": 1, "in_bits": 3, "in_signed": True, "sim_bits": 4},
    "sim_shift_31": {"sim_shift": 31, "in_signed": True},
    "all_saturated": {"sim_shift": 0},
    "sim_2_bits": {"sim_bits": 2, "in_signed": True},
    "narrow": {"in_bits": 2, "weight_bits": 2, "out_bits": 2, "in_signed": True, "out_signed": True, "relu": False},
    "attn_shift_15": {"attn_shift": 15, "out_bits": 16},
    # Similarities are rounded half to even whatever results are. These ones meet ties.
    "rounding_half_up": {"rounding": "half_up", "sim_shift": 1, "in_bits": 3, "in_signed": True, "sim_bits": 4},
    "rounding_floor": {"rounding": "floor", "sim_shift": 1, "in_bits": 3, "in_signed": True, "sim_bits": 4},
}


def make_layer(seed: int, **fields: Any) -> Layer:
    defaults = {"product": "dynamic", "heads": 2, "in_channels": 4, "out_channels": 2, "height": 4, "width": 5}
    return random_layer(np.random.default_rng(seed), **(defaults | fields))


def random_dynamic_layer(seed: int) -> Layer:
    rng = np.random.default_rng(seed)

    def pick(*choices: Any) -> Any:
        return choices[rng.integers(len(choices))]

    kernel, padding, heads = pick(1, 3, 5, 7), pick("same", "valid"), int(rng.integers(1, 4))
    least = kernel if padding == "valid" else 1
    places = list(itertools.product(range(-3, 4), repeat=2))
    shift = {"sim_shift": int(rng.integers(0, 32))} if rng.random() < 0.3 else {}
    return make_layer(
        seed,
        heads=heads,
        in_channels=heads * int(rng.integers(1, 4)),
        out_channels=int(rng.integers(1, 4)),
        height=int(rng.integers(least, least + 5)),
        width=int(rng.integers(least, least + 5)),
        kernel=kernel,
        stride=pick(1, 2),
        padding=padding,
        attn_offsets=tuple(places[i] for i in rng.permutation(49)[: rng.integers(0, 6)]),
        in_bits=int(rng.integers(2, 9)),
        in_signed=pick(True, False),
        weight_bits=int(rng.integers(2, 9)),
        sim_bits=int(rng.integers(2, 9)),
        out_bits=int(rng.integers(2, 17)),
        out_signed=pick(True, False),
        relu=pick(True, False),
        attn_shift=int(rng.integers(0, 16)),
        **shift,
    )


def contract(layer: Layer, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``sim`` ``[T, heads, Ho, Wo]``, ``acc`` and ``y`` ``[O, Ho, Wo]``, word for word, in Python's integers."""
    c = layer.config
    assert c.heads is not None and c.sim_bits is not None and c.sim_shift is not None
    pad = c.kernel // 2 if c.padding == "same" else 0
    out_height = (c.height + 2 * pad - c.kernel) // c.stride + 1
    out_width = (c.width + 2 * pad - c.kernel) // c.stride + 1
    size, half = c.in_channels // c.heads, c.kernel // 2
    sims = np.empty((len(c.attn_offsets), c.heads, out_height, out_width), object)
    accs = np.empty((c.out_channels, out_height, out_width), object)
    ys = np.empty_like(accs)

    def x(channel: int, row: int, column: int) -> int:
        return int(frame[channel, row, column]) if 0 <= row < c.height and 0 <= column < c.width else 0

    for qy, qx in np.ndindex(out_height, out_width):
        py, px = c.stride * qy - pad + half, c.stride * qx - pad + half
        for t, (dy, dx) in enumerate(c.attn_offsets):
            for h in range(c.heads):
                total = 0
                for channel in range(h * size, (h + 1) * size):
                    total += x(channel, py, px) * x(channel, py + dy, px + dx)
                sim = round(Fraction(total, 2**c.sim_shift))
                sims[t, h, qy, qx] = max(-(2 ** (c.sim_bits - 1)), min(2 ** (c.sim_bits - 1) - 1, sim))
        for o in range(c.out_channels):
            acc = int(layer.bias[o])
            for channel in range(c.in_channels):
                for i, j in np.ndindex(c.kernel, c.kernel):
                    weight = int(layer.conv_weight[o, channel, i, j])
                    acc += 2**c.attn_shift * weight * x(channel, py + i - half, px + j - half)
                for t, (dy, dx) in enumerate(c.attn_offsets):
                    weight = int(layer.attn_weight[o, channel, t])
                    acc += weight * sims[t, channel // size, qy, qx] * x(channel, py + dy, px + dx)
            accs[o, qy, qx] = acc
            scaled = Fraction(acc * int(layer.multiplier[o]), 2**c.out_shift)
            low = 0 if c.relu or not c.out_signed else -(2 ** (c.out_bits - 1))
            high = 2 ** (c.out_bits - 1) - 1 if c.out_signed else 2**c.out_bits - 1
            ys[o, qy, qx] = max(low, min(high, rounded(scaled, c.rounding)))
    return sims, accs, ys


def assert_same(got: np.ndarray, wanted: np.ndarray, what: str) -> None:
    """Equal in shape and, as exact integers, in every element."""
    assert got.shape == wanted.shape, what
    np.testing.assert_array_equal(got.astype(object), wanted.astype(object), what)


def assert_models_keep_the_contract(layer: Layer, x: np.ndarray, what: str = "") -> None:
    for number, frame in enumerate(x):
        sims, acc, y = contract(layer, frame)
        where = f"{what} frame {number}"
        fixed = fixed_point.similarity(layer, fixed_point.window(layer, frame))
        if layer.config.attn_offsets:
            assert fixed is not None
            assert_same(fixed.val, sims, f"{where}: fixed point similarity")
        else:
            assert fixed is None
        assert_same(integer.accumulate(layer, frame)[0], acc, f"{where}: integer accumulate")
        assert_same(integer.run(layer, frame)[0], y, f"{where}: integer run")
        assert_same(fixed_point.run(layer, frame)[0], y, f"{where}: fixed point run")
        assert_inside_the_bounds(layer, sims, acc, where)


def assert_inside_the_bounds(layer: Layer, sims: np.ndarray, acc: np.ndarray, where: str) -> None:
    ranges = similarity_ranges(layer.config)
    assert ranges is not None
    for t, r in enumerate(ranges.sims):
        assert r.low <= sims[t].min() and sims[t].max() <= r.high, where
    low, high = (end[:, None, None] for end in accumulator_ranges(layer))
    assert (low <= acc).all() and (acc <= high).all(), where


# --- the models ---


@pytest.mark.parametrize("name", LAYERS)
def test_models_keep_the_contract(name: str) -> None:
    layer = make_layer(1, **LAYERS[name])
    assert_models_keep_the_contract(layer, random_frames(np.random.default_rng(2), layer.config, 2))


@pytest.mark.parametrize("seed", seeds(40))
def test_models_keep_the_contract_on_random_layers(seed: int) -> None:
    layer = random_dynamic_layer(seed)
    assert_models_keep_the_contract(
        layer, random_frames(np.random.default_rng(1000 + seed), layer.config, 2), f"seed {seed}"
    )


def test_the_named_layers_vary_every_field_of_their_own() -> None:
    varied = {name for layer in LAYERS.values() for name in layer}
    assert {"heads", "sim_bits", "sim_shift", "stride", "padding", "attn_offsets", "in_signed"} <= varied


SIGNS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "positive": np.ones_like,
    "negative": lambda array: -np.ones_like(array),
    "alternating": lambda array: 1 - 2 * (np.indices(array.shape).sum(axis=0) % 2),
}


@in_turn
@pytest.mark.parametrize("signs", SIGNS)
@pytest.mark.parametrize("in_signed", [False, True])
@pytest.mark.parametrize("heads", [1, 20])
def test_weights_and_inputs_at_their_limits(heads: int, in_signed: bool, signs: str) -> None:
    """40 channels are more than a block, so one head is summed in parts."""
    layer = make_layer(3, heads=heads, in_channels=40, in_signed=in_signed, height=3, width=3, out_bits=16)
    layer = at_limits(layer, SIGNS[signs])
    c = layer.config
    assert set(np.abs(layer.attn_weight).flat) == {127} and set(layer.multiplier) == {65535}
    frames = np.random.default_rng(4).choice([c.in_range.low, c.in_range.high], (3, 40, 3, 3))
    frames[0], frames[1] = c.in_range.low, c.in_range.high
    assert_models_keep_the_contract(layer, frames)


@pytest.mark.parametrize("sim_shift", range(6))
@pytest.mark.parametrize("sim_bits", [2, 5, 8])
def test_similarities_round_half_to_even_and_saturate(sim_bits: int, sim_shift: int) -> None:
    """Every product of two 4-bit elements once: all ties, of both signs, and their neighbours."""
    layer = make_layer(
        5, heads=1, in_channels=1, out_channels=1, height=1, width=512, kernel=1, attn_offsets=((0, 1),),
        in_bits=4, in_signed=True, sim_bits=sim_bits, sim_shift=sim_shift, attn_shift=0, out_bits=16,
    )  # fmt: skip
    layer = dataclasses.replace(
        layer, conv_weight=np.zeros_like(layer.conv_weight), bias=np.zeros(1, int), attn_weight=np.ones((1, 1, 1), int)
    )
    pairs = np.array(list(itertools.product(range(-8, 8), repeat=2)))
    frame = pairs.reshape(1, 1, 512)
    acc = integer.accumulate(layer, frame)[0, 0, 0]
    for (a, b), got in zip(pairs.tolist(), acc[::2].tolist(), strict=True):
        limit = 2 ** (sim_bits - 1)
        assert got == b * min(max(round(Fraction(a * b, 2**sim_shift)), -limit), limit - 1), (a, b)
    assert_models_keep_the_contract(layer, frame[None])


def test_a_negative_tie_goes_to_the_even_neighbour() -> None:
    layer = make_layer(
        6, heads=1, in_channels=1, in_signed=True, sim_shift=1, attn_offsets=((0, 1),), height=1, width=2
    )
    for factor, wanted in ((-5, -2), (-3, -2), (-1, 0), (1, 0), (3, 2), (5, 2), (7, 4)):
        sims, _, _ = contract(layer, np.array([[[factor, 1]]]))
        assert sims[0, 0, 0].tolist() == [wanted, 0]
        fixed = fixed_point.similarity(layer, fixed_point.window(layer, np.array([[[factor, 1]]])))
        assert fixed is not None and fixed.val[0, 0, 0].tolist() == [wanted, 0]


@pytest.mark.parametrize("positions", [1, 7, 50])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(("heads", "in_channels"), [(1, 5), (3, 9), (4, 8), (2, 10), (5, 5)])
def test_blocks_and_tiles_do_not_show(
    heads: int, in_channels: int, channels: int, positions: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Heads larger than a block, several in one, and a block that the last heads do not fill."""
    monkeypatch.setattr(integer, "TILE_POSITIONS", positions)
    monkeypatch.setattr(integer, "CHANNEL_BLOCK", channels)
    layer = make_layer(7, heads=heads, in_channels=in_channels, stride=2, height=5)
    x = random_frames(np.random.default_rng(8), layer.config, 3)
    wanted = np.stack([contract(layer, frame)[1] for frame in x])
    assert_same(integer.accumulate(layer, x), wanted, "integer accumulate")


@pytest.mark.parametrize(("quotient", "wanted"), [(62.5, (62, 62, 63)), (61.5, (61, 62, 62))])
def test_a_head_beyond_float32(quotient: float, wanted: tuple[int, int, int]) -> None:
    """4096 channels: ties and their neighbours beyond 2^24, where float32 would lose the last bits."""
    layer = make_layer(
        9, heads=1, in_channels=4096, out_channels=1, sim_shift=22, kernel=1, height=1, width=2,
        attn_offsets=((0, 1),), attn_shift=0,
    )  # fmt: skip
    ones = np.zeros_like(layer.attn_weight)
    ones[0, 4095, 0] = 1
    layer = dataclasses.replace(
        layer, conv_weight=np.zeros_like(layer.conv_weight), attn_weight=ones, bias=np.zeros(1, int)
    )
    full, rest = divmod(int(quotient * 2**22), 255)
    x = np.empty((4096, 1, 2), int)
    x[:, 0, 0] = 255
    x[4095, 0, 0] = 1
    x[:4095, 0, 1] = full // 4095
    x[: full % 4095, 0, 1] += 1
    for step, sim in zip((-1, 0, 1), wanted, strict=True):
        x[4095, 0, 1] = rest + step
        assert integer.accumulate(layer, x)[0, 0, 0, 0] == sim * (rest + step)
        assert contract(layer, x)[0].ravel().tolist() == [sim, 0]


def test_without_offsets_it_is_a_plain_convolution() -> None:
    layer = make_layer(10, attn_offsets=())
    plain = dataclasses.replace(layer.config, product="hadamard", heads=None, sim_bits=None, sim_shift=None)
    x = random_frames(np.random.default_rng(11), layer.config, 2)
    assert_same(integer.run(layer, x), integer.run(dataclasses.replace(layer, config=plain), x), "run")


def test_taps_outside_the_frame_give_nothing() -> None:
    layer = make_layer(12, attn_offsets=((0, 3), (3, 0), (-3, -3)), height=3, width=3)
    deaf = dataclasses.replace(layer, attn_weight=np.zeros_like(layer.attn_weight))
    x = random_frames(np.random.default_rng(13), layer.config, 2)
    assert_same(integer.accumulate(layer, x), integer.accumulate(deaf, x), "accumulate")


# --- bounds ---


def hull(values: np.ndarray) -> Range:
    return Range(int(values.min()), int(values.max()))


@pytest.mark.parametrize("in_signed", [False, True])
@pytest.mark.parametrize("sim_shift", [0, 1, 2, 4])
@pytest.mark.parametrize("head_channels", [1, 2])
def test_similarity_ranges_by_brute_force(head_channels: int, sim_shift: int, in_signed: bool) -> None:
    """Sums and similarities reach both ends of their range; what a weight multiplies stays inside."""
    layer = make_layer(
        14, heads=1, in_channels=head_channels, in_bits=2, in_signed=in_signed, sim_bits=3, sim_shift=sim_shift,
        attn_offsets=((0, 1), (0, 0)),
    )  # fmt: skip
    ranges = similarity_ranges(layer.config)
    assert ranges is not None and ranges == stage_ranges(layer).similarity
    values = range(layer.config.in_range.low, layer.config.in_range.high + 1)
    frames = np.array(list(itertools.product(values, repeat=2 * head_channels)))
    centre, neighbour = frames[:, :head_channels], frames[:, head_channels:]
    for t, other in enumerate((neighbour, centre)):
        sums = (centre * other).sum(axis=1)
        sims = np.array([min(max(round(Fraction(int(s), 2**sim_shift)), -4), 3) for s in sums])
        assert ranges.sums[t] == hull(sums)
        assert ranges.sims[t] == hull(sims)
        elements = hull(sims[:, None] * other)
        assert ranges.elements[t].low <= elements.low and elements.high <= ranges.elements[t].high


def test_an_unsigned_input_has_no_negative_similarity() -> None:
    ranges = similarity_ranges(make_layer(15, sim_shift=0).config)
    assert ranges is not None
    assert set(ranges.sims) == {Range(0, 127)} and set(ranges.sums) == {Range(0, 2 * 255**2)}


def test_a_hadamard_layer_has_no_similarities() -> None:
    layer = random_layer(np.random.default_rng(16), in_channels=2, out_channels=2, height=3, width=3)
    assert similarity_ranges(layer.config) is None and stage_ranges(layer).similarity is None


@pytest.mark.parametrize("sign", [-1, 1])
def test_proven_accumulator_range_is_reached(sign: int) -> None:
    """Unsigned full-scale input under weights of one sign: bound and sum are the same number."""
    layer = at_limits(make_layer(17, height=3, width=3, padding="valid"), lambda array: np.full_like(array, sign))
    layer = dataclasses.replace(layer, bias=np.full(2, sign * 99))
    acc = integer.accumulate(layer, np.full((4, 3, 3), 255))[0, :, 0, 0]
    np.testing.assert_array_equal(acc, accumulator_ranges(layer)[sign > 0])


@pytest.mark.parametrize("seed", seeds(6))
def test_partial_sums_in_any_order_stay_inside(seed: int) -> None:
    """All terms of a channel's sums, and of the accumulator, added one by one in random orders."""
    rng = np.random.default_rng(seed)
    layer = make_layer(
        seed, in_signed=bool(seed % 2), in_bits=3, sim_bits=3, kernel=3, padding="valid", height=3, width=3
    )
    c = layer.config
    low, high = accumulator_ranges(layer)
    channel_low, channel_high = combined_ranges(layer)
    stages = stage_ranges(layer)
    for x in rng.choice([c.in_range.low, c.in_range.high], (200, 4, 3, 3)):
        sims = contract(layer, x)[0][:, :, 0, 0]
        for o in range(c.out_channels):
            everything = [np.array([int(layer.bias[o])])]
            for channel in range(4):
                taps = np.array([x[channel, 1 + dy, 1 + dx] for dy, dx in NEIGHBOURS])
                conv = layer.conv_weight[o, channel] * x[channel]
                attention = layer.attn_weight[o, channel] * sims[:, channel // 2].astype(int) * taps
                assert stages.conv_sum.low <= conv.sum() <= stages.conv_sum.high
                partial = rng.permutation(attention).cumsum()
                assert stages.attn_sum.low <= partial.min() and partial.max() <= stages.attn_sum.high, f"seed {seed}"
                terms = np.concatenate([2**c.attn_shift * conv.ravel(), attention])
                partial = rng.permutation(terms).cumsum()
                assert channel_low[o, channel] <= partial.min() and partial.max() <= channel_high[o, channel]
                everything.append(terms)
            partial = rng.permutation(np.concatenate(everything)).cumsum()
            assert low[o] <= partial.min() and partial.max() <= high[o], f"seed {seed}"
    assert stages.combined == Range(int(channel_low.min()), int(channel_high.max()))


def test_the_accumulator_bound_counts_similarities() -> None:
    """48 taps of 4096 channels: refused with wide similarities and shifted convolutions, accepted without."""
    places = tuple(place for place in itertools.product(range(-3, 4), repeat=2) if place != (0, 0))
    geometry = {"in_channels": 4096, "out_channels": 1, "kernel": 7, "height": 1, "width": 1, "attn_offsets": places}
    base = make_layer(18, heads=1, sim_shift=0, attn_shift=0, **geometry)
    full = dataclasses.replace(
        base, conv_weight=np.full_like(base.conv_weight, 127), attn_weight=np.full_like(base.attn_weight, 127)
    )
    bound = 4096 * 127 * 255 * (49 * 2**14 + 48 * 127) + max(int(full.bias[0]), 0)
    shifted = dataclasses.replace(full.config, attn_shift=14)
    assert accumulator_ranges(dataclasses.replace(full, config=shifted))[1].tolist() == [bound]
    with pytest.raises(LayerError, match=r"the proven bound on \|acc\| is \d+, allowed is less than 2\^47"):
        dataclasses.replace(full, config=dataclasses.replace(full.config, attn_shift=15))


# --- around the models ---


def test_random_layers_are_the_same_each_time_and_use_their_similarities() -> None:
    for signed, heads in itertools.product((False, True), (1, 4)):
        layer = make_layer(19, in_signed=signed, heads=heads, height=8, width=8)
        again = make_layer(19, in_signed=signed, heads=heads, height=8, width=8)
        assert layer.config == again.config and (layer.attn_weight == again.attn_weight).all()
        sims = np.abs(contract(layer, random_frames(np.random.default_rng(20), layer.config, 1)[0])[0].astype(int))
        assert 1 <= (sims == 127).sum() < sims.size / 2 and np.median(sims) > 8
    assert random_layer(np.random.default_rng(0), product="dynamic", in_channels=3, out_channels=1, height=1, width=1)


def test_commands_take_a_dynamic_layer(tmp_path: Path) -> None:
    layer = make_layer(21)
    write_layer(tmp_path / "layer.npz", layer)
    assert vectors.main([str(tmp_path / "layer.npz"), "--out", str(tmp_path / "vectors"), "--frames", "3"]) == 0
    x = np.load(tmp_path / "vectors" / "input.npy")
    wanted = np.stack([contract(layer, frame)[2] for frame in x]).astype(int)
    np.testing.assert_array_equal(np.load(tmp_path / "vectors" / "expected.npy"), wanted)
    source, output = str(tmp_path / "vectors" / "input.npy"), tmp_path / "y.npy"
    assert run.main([str(tmp_path / "layer.npz"), "--input", source, "--output", str(output)]) == 0
    np.testing.assert_array_equal(np.load(output), wanted)
