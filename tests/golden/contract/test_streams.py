"""Stream order and bit positions by examples written by hand, round trips, and foldings."""

from __future__ import annotations

import numpy as np
import pytest

from golden.contract.folding import Folding
from golden.contract.layer_config import LayerConfig
from golden.contract.streams import Payload, from_beats, hex_file, to_beats
from golden.layers.random_layer import random_layer
from golden.support.cli import UserError


def config(in_channels: int, out_channels: int, groups: int = 1, **fields: int | bool) -> LayerConfig:
    size = {"height": 2, "width": 3, "kernel": 1, "attn_offsets": ()}
    rng = np.random.default_rng(0)
    return random_layer(
        rng, in_channels=in_channels, out_channels=out_channels, groups=groups, **(size | fields)
    ).config


# --- order ---


def test_channels_go_innermost_then_x_then_y() -> None:
    """Elements named ``yxc``: 2x3 pixels of 4 channels, two lanes."""
    frame = np.array([[[[100 * y + 10 * x + c for x in range(3)] for y in range(2)] for c in range(4)]])
    assert to_beats(frame, 2).tolist() == [
        [0, 1], [2, 3], [10, 11], [12, 13], [20, 21], [22, 23],
        [100, 101], [102, 103], [110, 111], [112, 113], [120, 121], [122, 123],
    ]  # fmt: skip


def test_frames_follow_each_other() -> None:
    frames = np.arange(2 * 3 * 1 * 2).reshape(2, 3, 1, 2)
    assert to_beats(frames, 3).tolist() == [[0, 2, 4], [1, 3, 5], [6, 8, 10], [7, 9, 11]]


@pytest.mark.parametrize("lanes", [1, 2, 3, 6])
def test_beats_back_to_frames(lanes: int) -> None:
    frames = np.random.default_rng(lanes).integers(-99, 99, (4, 6, 3, 5))
    np.testing.assert_array_equal(from_beats(to_beats(frames, lanes), 6, 3, 5), frames)


# --- bits ---


@pytest.mark.parametrize(
    ("bits", "signed", "elements", "line"),
    [
        (8, False, [0x12, 0x34, 0xFF], "ff3412"),
        (8, True, [-1, -128, 127], "7f80ff"),
        (3, True, [-1, 2, -4], "0117"),  # 100 010 111
        (2, False, [1, 2, 3], "39"),  # 11 10 01
        (5, False, [31, 0, 1, 31], "0f841f"),  # 11111 00001 00000 11111
        (12, False, [0xABC, 0x123], "123abc"),
        (16, True, [-2, 0x1234], "1234fffe"),
        (4, False, [9], "09"),
        (7, True, [-1], "7f"),
    ],
)
def test_element_0_is_lowest_and_the_line_reads_highest_first(
    bits: int, signed: bool, elements: list[int], line: str
) -> None:
    payload = Payload(lanes=len(elements), bits=bits, signed=signed)
    packed = payload.pack(np.array([elements]))
    assert hex_file(packed, 8 * payload.bytes) == f"{line}\n".encode()
    assert packed.shape == (1, payload.bytes) and 2 * payload.bytes == len(line)
    assert payload.unpack(packed).tolist() == [elements]


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("bits", range(2, 17))
def test_round_trip(bits: int, signed: bool) -> None:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    rng = np.random.default_rng(bits)
    for lanes in (1, 2, 3, 5, 8):
        payload = Payload(lanes=lanes, bits=bits, signed=signed)
        beats = rng.integers(low, high, (50, lanes), endpoint=True)
        beats[0], beats[1] = low, high
        packed = payload.pack(beats)
        assert packed.dtype == np.uint8
        np.testing.assert_array_equal(payload.unpack(packed), beats)


@pytest.mark.parametrize("bits", range(2, 17))
def test_padding_bits_are_zero(bits: int) -> None:
    """All ones, so that a sign extended into the padding would show."""
    for lanes in (1, 3, 5):
        payload = Payload(lanes=lanes, bits=bits, signed=True)
        value = int.from_bytes(payload.pack(np.full((1, lanes), -1)).tobytes(), "little")
        assert value == 2 ** (lanes * bits) - 1
        assert payload.bytes == (lanes * bits + 7) // 8


def test_a_beat_has_the_format_of_its_side() -> None:
    c = config(6, 4, in_bits=5, in_signed=True, out_bits=11, out_signed=False)
    folding = Folding(simd=3, pe=2)
    assert Payload.of_input(c, folding) == Payload(lanes=3, bits=5, signed=True)
    assert Payload.of_output(c, folding) == Payload(lanes=2, bits=11, signed=False)


def test_no_beats_no_lines() -> None:
    assert hex_file(np.zeros((0, 2), np.uint8), 16) == b""


@pytest.mark.parametrize("bits", range(1, 18))
def test_a_line_has_no_digits_that_no_bit_needs(bits: int) -> None:
    words = [0, 2**bits - 1, 0x1234 & (2**bits - 1)]
    packed = np.array([list(word.to_bytes(-(-bits // 8), "little")) for word in words], np.uint8)
    digits = (bits + 3) // 4
    assert hex_file(packed, bits).decode() == "".join(f"{word:0{digits}x}\n" for word in words)


@pytest.mark.parametrize("bits", [1, 7, 8, 9, 16, 17, 31, 32, 33, 48])
def test_elements_of_any_width_are_packed(bits: int) -> None:
    """Against arithmetic on Python's integers."""
    rng = np.random.default_rng(bits)
    elements = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (5, 2, 3))
    packed = Payload(lanes=3, bits=bits, signed=True).pack(elements)
    for word, lanes in zip(packed.reshape(10, -1), elements.reshape(10, 3), strict=True):
        expected = sum((int(lane) & (2**bits - 1)) << bits * place for place, lane in enumerate(lanes))
        assert int.from_bytes(word.tobytes(), "little") == expected


# --- folding ---


@pytest.mark.parametrize(
    ("in_channels", "out_channels", "simd", "pe"), [(8, 6, 4, 3), (5, 7, 1, 1), (1, 2, 1, 2), (9, 4, 3, 4)]
)
def test_default_is_the_largest_divisor_up_to_4(in_channels: int, out_channels: int, simd: int, pe: int) -> None:
    assert Folding.choose(config(in_channels, out_channels)) == Folding(simd=simd, pe=pe)


def test_one_may_be_chosen_and_the_other_left() -> None:
    assert Folding.choose(config(6, 8), simd=6) == Folding(simd=6, pe=4)
    assert Folding.choose(config(6, 8), pe=8) == Folding(simd=3, pe=8)
    assert Folding.choose(config(6, 8), simd=2, pe=1) == Folding(simd=2, pe=1)


def test_depthwise_folds_both_alike() -> None:
    c = config(6, 6, groups=6)
    assert Folding.choose(c) == Folding(simd=3, pe=3)
    assert Folding.choose(c, simd=2) == Folding.choose(c, pe=2) == Folding(simd=2, pe=2)
    with pytest.raises(UserError, match="pe 3 differs from simd 2, which a depthwise layer does not allow"):
        Folding.choose(c, simd=2, pe=3)


@pytest.mark.parametrize("value", [0, -1, -2, 4, 5, 7, 12])
def test_lanes_that_divide_nothing(value: int) -> None:
    with pytest.raises(UserError, match=rf"simd {value} does not divide in_channels 6, allowed are 1, 2, 3, 6$"):
        Folding.choose(config(6, 10), simd=value)
    if value != 5:
        with pytest.raises(UserError, match=rf"pe {value} does not divide out_channels 10, allowed are 1, 2, 5, 10$"):
            Folding.choose(config(6, 10), pe=value)
