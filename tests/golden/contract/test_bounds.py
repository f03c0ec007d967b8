"""Proven ranges: sound for every input and every order of adding, and no wider than they must be."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest

from golden.contract.bounds import accumulator_ranges, combined_ranges, stage_ranges
from golden.contract.layer import Layer
from golden.contract.ranges import Range, weighted_sum
from golden.layers.random_layer import random_layer
from golden.model import integer
from tests.support.tiers import seeds

#: A 1x1 kernel at the centre of a 3x3 frame, and the attention places that it has besides.
PLACES = ((0, 0), (0, 1), (1, -1), (-1, -1))


def tiny_layer(seed: int, **fields: Any) -> Layer:
    """One channel, 2-bit elements: few enough inputs to try them all."""
    rng = np.random.default_rng(seed)
    defaults = {
        "in_channels": 1, "out_channels": 3, "height": 3, "width": 3, "in_bits": 2, "weight_bits": 3, "attn_shift": 1,
        "kernel": 3, "padding": "valid", "attn_offsets": PLACES, "out_shift": 3,
    }  # fmt: skip
    layer = random_layer(rng, **(defaults | fields))
    return dataclasses.replace(layer, bias=rng.integers(-9, 9, layer.config.out_channels))


def every_frame(layer: Layer) -> np.ndarray:
    """All ``4^9`` frames ``[9, n]`` of 2-bit elements, flattened 3x3."""
    values = np.arange(layer.config.in_range.low, layer.config.in_range.high + 1)
    return np.stack([axis.ravel() for axis in np.meshgrid(*[values] * 9, indexing="ij")])


# --- Range ---


@pytest.mark.parametrize(
    ("bits", "signed", "low", "high"),
    [(1, False, 0, 1), (1, True, -1, 0), (8, False, 0, 255), (8, True, -128, 127), (48, True, -(2**47), 2**47 - 1)],
)
def test_range_of_a_format(bits: int, signed: bool, low: int, high: int) -> None:
    assert Range.of_format(bits, signed) == Range(low, high)


def test_signed_bits_is_the_narrowest_format() -> None:
    for low, high in itertools.combinations_with_replacement(range(-20, 21), 2):
        fits = [n for n in range(1, 8) if -(2 ** (n - 1)) <= low and high <= 2 ** (n - 1) - 1]
        assert Range(low, high).signed_bits == fits[0], (low, high)
    assert Range(-(2**62), 2**62).signed_bits == 64


def test_a_product_holds_exactly_what_it_must() -> None:
    ranges = [Range(low, high) for low, high in itertools.combinations_with_replacement(range(-3, 4), 2)]
    for a, b in itertools.product(ranges, ranges):
        products = [x * y for x in range(a.low, a.high + 1) for y in range(b.low, b.high + 1)]
        assert a.product(b) == Range(min(products), max(products)), (a, b)


# --- sums ---


@pytest.mark.parametrize("seed", seeds(5))
@pytest.mark.parametrize("element", [Range(0, 3), Range(-2, 1), Range(-4, 9)])
def test_weighted_sum_is_tight_and_holds_every_partial_sum(element: Range, seed: int) -> None:
    weight = np.random.default_rng(seed).integers(-7, 8, (2, 4))
    low, high = weighted_sum(weight, element)
    ends = np.array(list(itertools.product((element.low, 0, element.high), repeat=4)))
    sums = weight @ ends.T  # 0 in a place leaves its term out: these are the partial sums too
    np.testing.assert_array_equal(low, sums.min(axis=1))
    np.testing.assert_array_equal(high, sums.max(axis=1))


@pytest.mark.parametrize("seed", seeds(5))
def test_weighted_sum_of_elements_with_ranges_of_their_own(seed: int) -> None:
    ranges = [Range(0, 3), Range(-2, 1), Range(-4, 9), Range(0, 0)]
    weight = np.random.default_rng(seed).integers(-7, 8, (2, 4))
    low, high = weighted_sum(weight, ranges)
    ends = np.array(list(itertools.product(*((r.low, 0, r.high) for r in ranges))))
    sums = weight @ ends.T
    np.testing.assert_array_equal(low, sums.min(axis=1))
    np.testing.assert_array_equal(high, sums.max(axis=1))


def test_a_square_holds_exactly_what_it_must() -> None:
    for low, high in itertools.product(range(-3, 1), range(4)):
        squares = [x * x for x in range(low, high + 1)]
        assert Range(low, high).square() == Range(min(squares), max(squares)), (low, high)


def test_sum_of_nothing_is_zero() -> None:
    low, high = weighted_sum(np.zeros((3, 2, 0), np.int64), Range(-5, 5))
    assert low.tolist() == high.tolist() == [[0, 0]] * 3


@pytest.mark.parametrize("seed", seeds(4))
@pytest.mark.parametrize("in_signed", [False, True])
def test_stage_ranges_by_brute_force(in_signed: bool, seed: int) -> None:
    """Sums over taps reach their range. Where x0 occurs twice the range is sound, perhaps wider."""
    layer = tiny_layer(seed, in_signed=in_signed)
    ranges = stage_ranges(layer)
    frames = every_frame(layer)
    conv = layer.conv_weight.reshape(3, 9) @ frames
    attn = sum(
        w[:, None] * frames[3 * (1 + dy) + 1 + dx]
        for w, (dy, dx) in zip(layer.attn_weight[:, 0].T, PLACES, strict=True)
    )
    combined = 2 * conv + frames[4] * attn
    assert ranges.conv_sum == Range(int(conv.min()), int(conv.max()))
    assert ranges.attn_sum == Range(int(attn.min()), int(attn.max()))

    low, high = (extreme[:, 0] for extreme in combined_ranges(layer))
    assert (low <= combined.min(axis=1)).all() and (combined.max(axis=1) <= high).all()
    assert ranges.combined == Range(int(low.min()), int(high.max()))

    acc = combined + layer.bias[:, None]
    low, high = accumulator_ranges(layer)
    assert (low <= acc.min(axis=1)).all() and (acc.max(axis=1) <= high).all()
    assert ranges.accumulator == Range(int(low.min()), int(high.max()))

    scaled = acc * layer.multiplier[:, None]
    assert ranges.scaled.low <= scaled.min() and scaled.max() <= ranges.scaled.high
    assert ranges.scaled == Range(int((low * layer.multiplier).min()), int((high * layer.multiplier).max()))


@pytest.mark.parametrize("seed", seeds(4))
@pytest.mark.parametrize("in_signed", [False, True])
def test_accumulator_range_is_tight_without_a_shared_element(in_signed: bool, seed: int) -> None:
    """A convolution alone, several channels and a bias: the extremes occur, one output at a time."""
    layer = tiny_layer(seed, in_signed=in_signed, attn_offsets=(), in_channels=2)
    c = layer.config
    low, high = accumulator_ranges(layer)
    for o in range(c.out_channels):
        positive = layer.conv_weight[o] > 0
        top = integer.accumulate(layer, np.where(positive, c.in_range.high, c.in_range.low))[0, o].item()
        bottom = integer.accumulate(layer, np.where(positive, c.in_range.low, c.in_range.high))[0, o].item()
        # Without its bias the sum is a partial sum, so the range holds that one too.
        bias = int(layer.bias[o])
        assert (bottom - max(bias, 0), top - min(bias, 0)) == (low[o], high[o])


@pytest.mark.parametrize("seed", seeds(4))
@pytest.mark.parametrize("in_signed", [False, True])
def test_partial_sums_in_any_order_stay_inside(in_signed: bool, seed: int) -> None:
    """All terms of the accumulator, bias among them, added one by one in random orders."""
    layer = tiny_layer(seed, in_signed=in_signed)
    c = layer.config
    rng = np.random.default_rng(100 + seed)
    x = rng.choice([c.in_range.low, c.in_range.high], (9, 2000))
    low, high = accumulator_ranges(layer)
    for o in range(c.out_channels):
        conv = 2 * layer.conv_weight[o].reshape(9, 1) * x
        attn = [
            w * x[4] * x[3 * (1 + dy) + 1 + dx] for w, (dy, dx) in zip(layer.attn_weight[o, 0], PLACES, strict=True)
        ]
        terms = np.vstack([conv, *attn, np.full((1, 2000), layer.bias[o])])
        partial = rng.permuted(terms, axis=0).cumsum(axis=0)
        assert low[o] <= partial.min() and partial.max() <= high[o]


@pytest.mark.parametrize("depthwise", [False, True])
def test_every_range_holds_zero(depthwise: bool) -> None:
    """Elements outside the frame are 0: without that, a border could leave the range."""
    layer = tiny_layer(1, in_channels=3, groups=3 if depthwise else 1)
    layer = dataclasses.replace(layer, conv_weight=np.full_like(layer.conv_weight, 3), bias=np.full(3, 50))
    for name, r in dataclasses.asdict(stage_ranges(layer)).items():
        assert name == "similarity" or r["low"] <= 0 <= r["high"], name


def test_ranges_come_from_the_weights_not_from_their_format() -> None:
    layer = tiny_layer(2, weight_bits=8)
    small = dataclasses.replace(
        layer, conv_weight=np.sign(layer.conv_weight), attn_weight=np.zeros_like(layer.attn_weight)
    )
    assert stage_ranges(small).conv_sum.high <= 9 * 3
    assert stage_ranges(small).attn_sum == Range(0, 0)
