"""Layer files: round trip, and every refusal by the name of what is wrong."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden.contract.folding import Folding
from golden.contract.layer import Layer
from golden.contract.layer_config import DYNAMIC_RANGES, FIELD_RANGES, LayerConfig, LayerError, SimilarityFormat
from golden.contract.layer_file import ARRAYS, read_layer, write_layer
from golden.contract.ranges import Range
from golden.layers import LAYER_RECIPES, LAYERS, activations, load_layer
from golden.layers.random_layer import random_layer
from golden.support.cli import UserError
from tests.support.refusals import file_refused

FIELDS: dict[str, Any] = {
    "format": 1,
    "product": "hadamard",
    "in_channels": 2,
    "out_channels": 3,
    "height": 5,
    "width": 6,
    "kernel": 3,
    "stride": 1,
    "padding": "same",
    "groups": 1,
    "attn_offsets": [[-1, 0], [0, 2]],
    "in_bits": 8,
    "in_signed": False,
    "weight_bits": 8,
    "out_bits": 8,
    "out_signed": False,
    "relu": True,
    "attn_shift": 5,
    "out_shift": 20,
}
DYNAMIC = FIELDS | {"product": "dynamic", "heads": 2, "sim_bits": 4, "sim_shift": 9}
SCALES = ("in_scale", "out_scale")
BOOLEANS = ("in_signed", "out_signed", "relu")


def arrays() -> dict[str, np.ndarray]:
    """Arrays for `FIELDS`."""
    rng = np.random.default_rng(1)
    return {
        "conv_weight": rng.integers(-127, 128, (3, 2, 3, 3)).astype(np.int8),
        "attn_weight": rng.integers(-127, 128, (3, 2, 2)).astype(np.int8),
        "bias": rng.integers(-1000, 1000, 3).astype(np.int32),
        "multiplier": rng.integers(1, 65536, 3).astype(np.uint16),
    }


def config(**changes: Any) -> LayerConfig:
    return LayerConfig.from_json(json.dumps(FIELDS | changes))


def layer(**changes: np.ndarray) -> Layer:
    return Layer(config=config(), **(arrays() | changes))


def save(path: Path, text: Any = None, **changes: Any) -> Path:
    """A layer file with changes; an array changed to None is left out."""
    content = {"config": json.dumps(FIELDS) if text is None else text} | arrays() | changes
    np.savez(path, **{name: value for name, value in content.items() if value is not None})
    return path


refused = partial(file_refused, read_layer, "layer")


# --- what is accepted ---


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"in_scale": 0.0125, "out_scale": 3},
        {"groups": 4, "out_channels": 4, "kernel": 7, "stride": 2, "padding": "valid"},
        {"attn_offsets": (), "in_signed": True, "out_signed": True, "relu": False, "weight_bits": 2},
        {"attn_offsets": ((0, 0), (-3, 3)), "out_shift": 47, "out_bits": 16},
        {"product": "dynamic", "heads": 2, "sim_bits": 3, "sim_shift": 0, "out_scale": 0.5},
        {"rounding": "half_up"},
        {"rounding": "floor"},
        {"product": "dynamic", "heads": 4, "sim_bits": 8, "sim_shift": 31, "attn_offsets": ()},
    ],
)
def test_round_trip(fields: dict[str, Any], tmp_path: Path) -> None:
    written = random_layer(
        np.random.default_rng(2), **({"in_channels": 4, "out_channels": 3, "height": 8, "width": 9} | fields)
    )
    write_layer(tmp_path / "layer.npz", written)
    read = read_layer(tmp_path / "layer.npz")
    assert read.config == written.config
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(read, name), getattr(written, name))
        assert getattr(read, name).dtype == np.int64


def test_written_bytes_depend_on_the_layer_alone(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_layer(tmp_path / name, layer())
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_the_usual_rounding_is_left_out(tmp_path: Path) -> None:
    """A file that says it means the same as one that does not."""
    assert "rounding" not in config().to_json() and config(rounding="half_even") == config()
    assert json.loads(config(rounding="floor").to_json())["rounding"] == "floor"
    write_layer(tmp_path / "usual", layer())
    write_layer(tmp_path / "said", Layer(config=config(rounding="half_even"), **arrays()))
    assert (tmp_path / "usual").read_bytes() == (tmp_path / "said").read_bytes()


def test_a_file_that_says_only_what_it_must(tmp_path: Path) -> None:
    """Handwritten: integer arrays of any width, the config in any order."""
    text = json.dumps(dict(reversed(FIELDS.items())))
    wide = {name: array.astype(">i8") for name, array in arrays().items()}
    read = read_layer(save(tmp_path / "layer.npz", text, **wide))
    assert read.config == config()
    np.testing.assert_array_equal(read.conv_weight, arrays()["conv_weight"])


@pytest.mark.parametrize("name", FIELD_RANGES)
def test_both_ends_of_a_range_are_allowed(name: str) -> None:
    for value in FIELD_RANGES[name]:
        # A frame this large in every direction has no weights here: only the config is made.
        assert getattr(config(**{name: value}), name) == value


def test_array_limits_are_allowed() -> None:
    changed = layer(
        conv_weight=np.full((3, 2, 3, 3), -127),
        attn_weight=np.full((3, 2, 2), 127),
        bias=np.array([-(2**31), 2**31 - 1, 0]),
        multiplier=np.array([1, 65535, 65535], np.uint64),
    )
    assert changed.bias.tolist() == [-(2**31), 2**31 - 1, 0]


def test_arrays_are_frozen_copies() -> None:
    mine = arrays()
    made = layer(**mine)
    mine["bias"][0] += 1
    assert made.bias[0] == mine["bias"][0] - 1
    with pytest.raises(ValueError, match="read-only"):
        made.bias[0] = 0


@pytest.mark.parametrize(
    ("changes", "size", "first_centre", "radius"),
    [
        ({}, (5, 6), 0, 2),
        ({"stride": 2}, (3, 3), 0, 2),
        ({"padding": "valid"}, (3, 4), 1, 2),
        ({"padding": "valid", "stride": 2}, (2, 2), 1, 2),
        ({"kernel": 7, "attn_offsets": []}, (5, 6), 0, 3),
        ({"kernel": 1, "attn_offsets": []}, (5, 6), 0, 0),
        ({"kernel": 5, "padding": "valid", "attn_offsets": [[0, -3]]}, (1, 2), 2, 3),
        ({"kernel": 1, "stride": 2, "height": 1, "width": 2, "attn_offsets": [[1, 0]]}, (1, 1), 0, 1),
    ],
)
def test_geometry(changes: dict[str, Any], size: tuple[int, int], first_centre: int, radius: int) -> None:
    c = config(**changes)
    assert (c.out_height, c.out_width, c.first_centre, c.radius) == (*size, first_centre, radius)


@pytest.mark.parametrize(
    ("signed", "relu", "low", "high"),
    [(True, False, -128, 127), (True, True, 0, 127), (False, False, 0, 255), (False, True, 0, 255)],
)
def test_relu_raises_the_lower_limit_of_a_signed_output(signed: bool, relu: bool, low: int, high: int) -> None:
    assert config(out_signed=signed, relu=relu).out_range == Range(low, high)


def test_kernel_offsets_follow_the_weights() -> None:
    assert config().kernel_offsets == (
        (-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 0), (0, 1), (1, -1), (1, 0), (1, 1)
    )  # fmt: skip


def test_one_channel_is_dense() -> None:
    assert not config(in_channels=1, out_channels=3, groups=1).depthwise
    assert config(in_channels=3, out_channels=3, groups=3).depthwise


# --- the file ---


def test_missing_file(tmp_path: Path) -> None:
    refused(tmp_path / "none.npz", "No such file")


def test_directory(tmp_path: Path) -> None:
    refused(tmp_path, "Is a directory")


@pytest.mark.parametrize("content", [b"", b"PK", b"not a layer at all\n" * 9, bytes(range(256)) * 9])
def test_corrupt_file(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "layer.npz"
    path.write_bytes(content)
    refused(path, "not an .npz archive")


def test_truncated_at_any_place(tmp_path: Path) -> None:
    content = save(tmp_path / "whole.npz").read_bytes()
    path = tmp_path / "layer.npz"
    for size in range(0, len(content), 61):
        path.write_bytes(content[:size])
        refused(path)


def test_flipped_byte_in_an_array(tmp_path: Path) -> None:
    content = bytearray(save(tmp_path / "whole.npz").read_bytes())
    content[content.index(arrays()["conv_weight"].tobytes()) + 5] ^= 1
    path = tmp_path / "layer.npz"
    path.write_bytes(content)
    refused(path, "conv_weight", "corrupt")


def test_pickled_array(tmp_path: Path) -> None:
    refused(save(tmp_path / "layer.npz", bias=np.array([1, None, 2], object)), "bias", "pickled")


def test_pickle_instead_of_archive(tmp_path: Path) -> None:
    path = tmp_path / "layer.npz"
    with path.open("wb") as stream:
        np.save(stream, np.array([{}], object), allow_pickle=True)
    refused(path, "is a single array")


def test_single_array(tmp_path: Path) -> None:
    path = tmp_path / "layer.npz"
    with path.open("wb") as stream:
        np.save(stream, np.zeros(3))
    refused(path, "single array")


@pytest.mark.parametrize("name", ["config", *ARRAYS])
def test_missing_array(name: str, tmp_path: Path) -> None:
    path = save(tmp_path / "layer.npz")
    with np.load(path) as whole:
        np.savez(path, **{key: whole[key] for key in whole.files if key != name})
    refused(path, name, "is missing")


def test_unknown_array(tmp_path: Path) -> None:
    refused(save(tmp_path / "layer.npz", gamma=np.zeros(3)), "gamma", "unknown")


def test_array_there_twice(tmp_path: Path) -> None:
    path = save(tmp_path / "layer.npz")
    with zipfile.ZipFile(path, "a") as archive:
        buffer = io.BytesIO()
        np.save(buffer, np.zeros(3, np.int8))
        archive.writestr("bias", buffer.getvalue())  # beside bias.npy
    refused(path, "bias", "twice")


def test_foreign_member(tmp_path: Path) -> None:
    path = save(tmp_path / "layer.npz", bias=None)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("bias", b"1 2 3")
    refused(path, "bias", "not an array")


@pytest.mark.parametrize("value", [np.array([json.dumps(FIELDS)]), np.array(json.dumps(FIELDS).encode()), np.array(1)])
def test_config_that_is_no_text(value: np.ndarray, tmp_path: Path) -> None:
    refused(save(tmp_path / "layer.npz", value), "config", "allowed is one JSON text")


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"format": 1} x', "{'format': 1}", "10" * 9000])
def test_config_that_is_no_json(text: str, tmp_path: Path) -> None:
    refused(save(tmp_path / "layer.npz", text), "config is not JSON text")


@pytest.mark.parametrize("text", ["[]", "null", "1", '"format"'])
def test_config_that_is_no_object(text: str, tmp_path: Path) -> None:
    refused(save(tmp_path / "layer.npz", text), "config is a JSON", "allowed is an object")


def test_field_there_twice(tmp_path: Path) -> None:
    text = json.dumps(FIELDS).replace('"stride": 1', '"stride": 1, "stride": 2')
    refused(save(tmp_path / "layer.npz", text), "config field 'stride' is there twice")
    config_refused(text, "config field 'stride' is there twice", without="JSON")


# --- the config's fields ---


def config_refused(text: str, *words: str, without: str | None = None) -> None:
    with pytest.raises(LayerError) as caught:
        LayerConfig.from_json(text)
    for word in words:
        assert word in str(caught.value)
    assert without is None or without not in str(caught.value)


@pytest.mark.parametrize("name", FIELDS)
def test_missing_field(name: str) -> None:
    config_refused(json.dumps({k: v for k, v in FIELDS.items() if k != name}), f"config field {name} is missing")


@pytest.mark.parametrize("name", ["sim_width", "dilation", "Kernel", ""])
def test_unknown_field(name: str) -> None:
    config_refused(json.dumps(FIELDS | {name: 1}), f"config field {name!r} is unknown")


@pytest.mark.parametrize("version", [0, 2, 1.0, True, "1", None, [1]])
def test_wrong_format_number(version: Any) -> None:
    config_refused(json.dumps(FIELDS | {"format": version}), "format", "is not 1")


@pytest.mark.parametrize("name", DYNAMIC_RANGES)
def test_fields_of_a_dynamic_layer_alone(name: str) -> None:
    for value in (1, "no", True):
        config_refused(
            json.dumps(FIELDS | {name: value}), f"{name} {value!r} is only for product 'dynamic'", "hadamard"
        )
    config_refused(json.dumps({k: v for k, v in DYNAMIC.items() if k != name}), f"{name} is missing", "'dynamic'")
    config_refused(json.dumps(DYNAMIC | {name: None}), f"{name} null is not allowed")
    with pytest.raises(LayerError, match="heads is missing, product 'dynamic' needs it"):
        dataclasses.replace(config(), product="dynamic")


@pytest.mark.parametrize("name", DYNAMIC_RANGES)
def test_dynamic_field_out_of_range_at_either_end(name: str) -> None:
    low, high = DYNAMIC_RANGES[name]
    for value in (low - 1, high + 1, -(10**30), 10**400):
        config_refused(json.dumps(DYNAMIC | {name: value}), name, f"is not an integer from {low} to {high}")
    for value in (low, high):
        made = LayerConfig.from_json(json.dumps(DYNAMIC | {"in_channels": 4096, name: value}))
        assert getattr(made, name) == value


@pytest.mark.parametrize("name", DYNAMIC_RANGES)
def test_dynamic_field_of_a_wrong_type(name: str) -> None:
    for value in ODD:
        if type(json.loads(value)) is not int:
            config_refused(json.dumps(DYNAMIC | {name: "VALUE"}).replace('"VALUE"', value), name)


def test_heads_divide_the_input_channels() -> None:
    for heads in (1, 2, 3, 6):
        form = LayerConfig.from_json(json.dumps(DYNAMIC | {"in_channels": 6, "heads": heads})).similarity
        assert form == SimilarityFormat(heads=heads, head_channels=6 // heads, shift=9, limits=Range(-8, 7))
    for heads in (4, 5, 12):
        config_refused(json.dumps(DYNAMIC | {"in_channels": 6, "heads": heads}), f"heads {heads} does not divide")
    assert config().similarity is None


def test_a_dynamic_layer_is_dense() -> None:
    depthwise = {"groups": 2, "out_channels": 2}
    config(**depthwise)
    config_refused(json.dumps(DYNAMIC | depthwise), "groups 2 (depthwise) is not for product 'dynamic', allowed is 1")


@pytest.mark.parametrize("name", FIELD_RANGES)
def test_field_out_of_range_at_either_end(name: str) -> None:
    low, high = FIELD_RANGES[name]
    for value in (low - 1, high + 1, -(10**30), 10**400):
        config_refused(json.dumps(FIELDS | {name: value}), name, f"is not an integer from {low} to {high}")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("product", "inner"), ("product", "Hadamard"), ("product", ""),
        ("kernel", 0), ("kernel", 2), ("kernel", 9), ("kernel", -3),
        ("stride", 0), ("stride", 3), ("padding", "full"), ("padding", "SAME"),
    ],
)  # fmt: skip
def test_value_outside_the_choices(name: str, value: Any) -> None:
    config_refused(json.dumps(FIELDS | {name: value}), f"{name} {value!r} is not one of")


#: One JSON text of every type; each field gets all but those of its own type.
ODD = ["true", "1", "1.0", "NaN", "-Infinity", "1e999", '"1"', '""', "[]", "[1]", "[[1, 1]]", "{}", '{"a": [1]}']
OWN = {
    "product": ("str",), "padding": ("str",), "attn_offsets": ("list",),
    **dict.fromkeys(BOOLEANS, ("bool",)), **dict.fromkeys(SCALES, ("int", "float")),
}  # fmt: skip


@pytest.mark.parametrize("name", [*list(FIELDS)[1:], *SCALES])
def test_wrong_type(name: str) -> None:
    for value in ODD:
        if type(json.loads(value)).__name__ not in OWN.get(name, ("int",)):
            text = json.dumps(FIELDS | {name: "VALUE"}).replace('"VALUE"', value)
            config_refused(text, name)


@pytest.mark.parametrize("name", [*list(FIELDS)[1:], *SCALES])
def test_null_is_no_value(name: str) -> None:
    config_refused(json.dumps(FIELDS | {name: None}), f"{name} null is not allowed")


@pytest.mark.parametrize("name", SCALES)
@pytest.mark.parametrize("value", ["NaN", "Infinity", "0", "0.0", "-0.5", "1e999", '"1"', "1" + "0" * 400, "[1.0]"])
def test_scale_that_is_no_positive_number(name: str, value: str) -> None:
    text = json.dumps(FIELDS | {name: "VALUE"}).replace('"VALUE"', value)
    config_refused(text, name, "is not a positive finite number")


@pytest.mark.parametrize("groups", [0, -1, 3, 4, 10**30])
def test_groups_that_are_neither_dense_nor_depthwise(groups: int) -> None:
    config_refused(json.dumps(FIELDS | {"groups": groups}), f"groups {groups}", "neither 1 nor in_channels (2)")


def test_depthwise_needs_as_many_outputs() -> None:
    config_refused(json.dumps(FIELDS | {"groups": 2}), "out_channels 3 differs from in_channels 2")


@pytest.mark.parametrize(
    "entry",
    [[0, 4], [-4, 0], [0], [], [0, 0, 0], [0.0, 1], [True, 1], ["0", 1], [None, 1], [[0], 1], 5, "01", None, {}],
)
def test_offset_that_is_no_pair_in_range(entry: Any) -> None:
    text = json.dumps(FIELDS | {"attn_offsets": [[1, 1], entry]})
    config_refused(text, "attn_offsets entry", "is not a pair of integers from -3 to 3")


@pytest.mark.parametrize("offsets", [5, "[[0, 1]]", {"0": 1}, True])
def test_offsets_that_are_no_list(offsets: Any) -> None:
    config_refused(json.dumps(FIELDS | {"attn_offsets": offsets}), "attn_offsets", "is not a list of [dy, dx]")


def test_offset_there_twice() -> None:
    text = json.dumps(FIELDS | {"attn_offsets": [[0, 1], [1, 0], [0, 1]]})
    config_refused(text, "attn_offsets entry (0, 1) is there twice")


def test_offsets_from_python_are_a_tuple_of_tuples() -> None:
    for offsets in ([(0, 1)], None, "01"):
        with pytest.raises(LayerError, match="attn_offsets"):
            dataclasses.replace(config(), attn_offsets=offsets)
    with pytest.raises(LayerError, match="attn_offsets entry"):
        dataclasses.replace(config(), attn_offsets=([0, 1],))


@pytest.mark.parametrize("name", ["height", "width"])
def test_valid_needs_a_frame_as_large_as_the_kernel(name: str) -> None:
    size = {"height": 7, "width": 7, "kernel": 7, "padding": "valid"}
    config(**size)
    config_refused(json.dumps(FIELDS | size | {name: 6}), f"{name} 6", "kernel 7", "'valid'")
    config(**(size | {name: 6, "padding": "same"}))


def test_a_long_value_is_cut_short_in_the_message() -> None:
    for name in ("kernel", "product", "in_scale", "attn_offsets", "relu", "groups"):
        with pytest.raises(LayerError) as caught:
            config(**{name: "x" * 10_000})
        assert len(str(caught.value)) < 200


# --- the arrays ---


def array_refused(make: Callable[[], Any], *words: str) -> None:
    with pytest.raises(LayerError) as caught:
        make()
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("name", ARRAYS)
@pytest.mark.parametrize("dtype", [np.float64, np.float16, bool, np.complex128, "U3", "S3", object, "M8[s]", "i4,i4"])
def test_wrong_dtype(name: str, dtype: Any) -> None:
    array_refused(lambda: layer(**{name: np.zeros(arrays()[name].shape, dtype)}), f"{name} has dtype")


@pytest.mark.parametrize("name", ARRAYS)
def test_wrong_shape(name: str) -> None:
    right = arrays()[name]
    for wrong in (right[:-1], right[..., None], right[None], right.reshape(-1)[:0], right.ravel()[0], right[..., :-1]):
        array_refused(
            lambda wrong=wrong: layer(**{name: wrong}), name, f"has shape {list(wrong.shape)}", str(list(right.shape))
        )


@pytest.mark.parametrize(
    ("name", "values", "allowed"),
    [
        ("conv_weight", (-128, 128, 2**40), "-127 to 127"),
        ("attn_weight", (-128, 128, -(2**63)), "-127 to 127"),
        ("bias", (-(2**31) - 1, 2**31), "-2147483648 to 2147483647"),
        ("multiplier", (0, -1, 65536), "1 to 65535"),
    ],
)
def test_value_out_of_range(name: str, values: tuple[int, ...], allowed: str) -> None:
    for value in values:
        array = arrays()[name].astype(np.int64)
        array.flat[-1] = value
        array_refused(lambda array=array: layer(**{name: array}), f"{name} has a value {value}, allowed are {allowed}")


def test_unsigned_value_beyond_int64() -> None:
    bias = np.array([1, 2, 2**64 - 1], np.uint64)
    array_refused(lambda: layer(bias=bias), f"bias has a value {2**64 - 1}")


@pytest.mark.parametrize("bits", range(2, 9))
def test_weights_are_symmetric_in_their_own_width(bits: int) -> None:
    limit = 2 ** (bits - 1) - 1
    narrow = dataclasses.replace(config(), weight_bits=bits)
    small = {
        name: np.clip(array.astype(np.int64), -limit, limit) for name, array in arrays().items() if "weight" in name
    }
    Layer(config=narrow, **(arrays() | small))
    small["conv_weight"][0, 0, 0, 0] = -limit - 1
    array_refused(lambda: Layer(config=narrow, **(arrays() | small)), f"allowed are {-limit} to {limit}")


def test_accumulator_of_48_bits(tmp_path: Path) -> None:
    """The accepted bound is 2^47 - 1 itself; see test_integer for a layer that reaches it."""
    fields = {"in_channels": 4096, "out_channels": 1, "kernel": 7, "attn_shift": 15, "attn_offsets": []}
    wide = {
        "conv_weight": np.full((1, 4096, 7, 7), 127),
        "attn_weight": np.zeros((1, 4096, 0), int),
        "bias": np.zeros(1, int),
        "multiplier": np.ones(1, int),
    }
    bound = 4096 * 49 * 127 * 255 * 2**15
    refused(save(tmp_path / "layer.npz", json.dumps(FIELDS | fields), **wide), f"|acc| is {bound}", "less than 2^47")


# --- input frames ---


def test_input_of_either_rank() -> None:
    one = np.arange(60, dtype=np.uint8).reshape(2, 5, 6)
    for x in (one, one[None]):
        checked = layer().check_input(x)
        assert checked.dtype == np.int64
        np.testing.assert_array_equal(checked, one[None])


@pytest.mark.parametrize("shape", [(2, 5), (2, 6, 5), (3, 5, 6), (0, 2, 5, 6), (1, 1, 2, 5, 6), (60,), ()])
def test_input_of_wrong_shape(shape: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match=re.escape(f"input has shape {list(shape)}, allowed are [2, 5, 6]")):
        layer().check_input(np.zeros(shape, int))


@pytest.mark.parametrize("dtype", [float, np.float32, bool, complex, object, "U1", "i4,i4"])
def test_input_of_wrong_dtype(dtype: Any) -> None:
    with pytest.raises(UserError, match="input has dtype"):
        layer().check_input(np.zeros((2, 5, 6), dtype))


@pytest.mark.parametrize(
    ("bits", "signed", "low", "high"), [(8, False, 0, 255), (8, True, -128, 127), (2, True, -2, 1), (2, False, 0, 3)]
)
def test_input_out_of_range(bits: int, signed: bool, low: int, high: int) -> None:
    made = dataclasses.replace(layer(), config=dataclasses.replace(config(), in_bits=bits, in_signed=signed))
    x = np.full((2, 5, 6), low)
    x[1, 4, 5] = high
    made.check_input(x)
    for value in (low - 1, high + 1):
        x[1, 4, 5] = value
        with pytest.raises(UserError, match=f"input has a value {value}, allowed are {low} to {high}"):
            made.check_input(x)


def test_input_beyond_int64() -> None:
    with pytest.raises(UserError, match=f"input has a value {2**64 - 1}"):
        layer().check_input(np.full((2, 5, 6), 2**64 - 1, np.uint64))


# --- layers by name ---


@pytest.mark.parametrize("name", LAYERS)
def test_named_layers_load(name: str) -> None:
    loaded = load_layer(name)
    assert loaded.config.depthwise is False
    if (recorded := activations(name)) is not None:
        loaded.check_input(np.load(recorded))


def test_recipes_are_the_same_each_time() -> None:
    for recipe in LAYER_RECIPES.values():
        np.testing.assert_array_equal(recipe().conv_weight, recipe().conv_weight)


def test_a_path_is_a_layer_too(tmp_path: Path) -> None:
    path = save(tmp_path / "layer.npz")
    assert load_layer(str(path)).config == config()
    assert activations(str(path)) is None


def test_neither_name_nor_file() -> None:
    with pytest.raises(LayerError, match=r"layer 'nosuch' is neither a file nor one of .*tiny"):
        load_layer("nosuch")


def test_a_layer_is_printed_in_one_line() -> None:
    def line(**fields: Any) -> str:
        sizes = {"in_channels": 4, "out_channels": 4, "height": 8, "width": 9}
        layer = random_layer(np.random.default_rng(0), **sizes | fields)
        assert str(layer) == repr(layer)
        return repr(layer)

    formats = "input 8 bit unsigned, weights 8 bit, output 8 bit unsigned after ReLU)"
    assert line() == f"Layer(hadamard, 4 -> 4 channels, frames 8x9, kernel 3x3, attention at 8 offsets, {formats}"
    assert line(product="dynamic", heads=2, stride=2, padding="valid") == (
        "Layer(dynamic, 4 -> 4 channels, frames 8x9, kernel 3x3, stride 2, padding valid, "
        f"attention at 8 offsets, 2 heads, {formats}"
    )
    assert line(groups=4, attn_offsets=(), in_bits=2, in_signed=True, out_signed=True, out_bits=16, relu=False) == (
        "Layer(convolution, 4 -> 4 channels, frames 8x9, kernel 3x3, depthwise, "
        "input 2 bit signed, weights 8 bit, output 16 bit signed)"
    )
    assert line(rounding="floor").endswith("output 8 bit unsigned after ReLU, rounding floor)")


def test_scalars_of_numpy_in_a_config_and_a_folding() -> None:
    sizes = {"in_channels": 4, "out_channels": 4, "height": 8, "width": 9}
    fields = dataclasses.asdict(random_layer(np.random.default_rng(0), **sizes).config) | {"in_scale": 0.5}
    numpy = {name: None if value is None else np.asarray(value)[()] for name, value in fields.items()}
    numpy["attn_offsets"] = tuple(tuple(np.array(offset)) for offset in fields["attn_offsets"])
    config = LayerConfig(**numpy)
    assert config == LayerConfig(**fields)
    assert LayerConfig.from_json(config.to_json()) == config
    folding = Folding.choose(config, np.int64(1), np.int32(1))
    assert (type(folding.simd), type(folding.pe)) == (int, int)
