"""Hypothesis strategies for files and arguments, right ones and wrong ones of every kind."""

from __future__ import annotations

import copy
import dataclasses
import io
import json
import pickle
import struct
import warnings
import zipfile
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from golden.contract.layer import Layer
from golden.contract.network import network_file
from golden.contract.network.network import IntegerNetwork
from golden.layers.random_layer import random_layer
from golden.layers.random_network import random_network

Draw = st.DrawFn

#: Members of an archive: name and bytes of each, in any order. A name may be there twice.
Members = list[tuple[str, bytes]]

#: Texts that some part of a program may take for more than a text.
ODD_TEXTS = ("", " ", "-", "--", "-1", "[/]", "[bold]", "%s", "{0}", "a\nb", "Ω\u0301", "\u2028", "\udcff", "x" * 300)


def texts() -> st.SearchStrategy[str]:
    """Texts that a shell may pass as an argument: anything but NUL. Bytes that are no UTF-8 are surrogates."""
    characters = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
    return st.sampled_from(ODD_TEXTS) | st.integers().map(str) | st.text(characters, max_size=12)


@cache
def small_layer(**fields: Any) -> Layer:
    """A random layer of 2 -> 4 channels and 3x4 pixels."""
    shape = {"in_channels": 2, "out_channels": 4, "height": 3, "width": 4}
    return random_layer(np.random.default_rng(1), **(shape | fields))


# --- .npy files ---


def npy(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy warns of field names that its old versions cannot read
        np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def any_array() -> st.SearchStrategy[np.ndarray]:
    """Arrays of any dtype and shape, and frames of `small_layer` in any number format and both memory orders."""
    dtypes = (
        npst.scalar_dtypes() | npst.array_dtypes(max_size=2) | npst.byte_string_dtypes() | npst.unicode_string_dtypes()
    )
    shapes = npst.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=5)
    frames = st.sampled_from([(2, 3, 4), (1, 2, 3, 4), (3, 2, 3, 4)])
    free = npst.arrays(dtypes, shapes | frames)
    near = npst.arrays(npst.integer_dtypes() | npst.unsigned_integer_dtypes(), frames)
    objects = st.just(np.array([{}, None, 3], object))
    return st.one_of(free, near, near.map(np.asfortranarray), objects)


@st.composite
def npy_with_header(draw: Draw) -> bytes:
    """An .npy file whose header need not fit its content."""
    side = st.integers(-1, 5) | st.sampled_from([2**20, 2**31, 2**40, 2**63, 2**64, True, 1.5, "2", None])
    kinds = [
        "|u1",
        "<i8",
        ">i2",
        "|O",
        "|V0",
        "<U0",
        "|S0",
        "<U99999999",
        "<f2",
        "<M8[ns]",
        "nonsense",
        [("a", "<i4")],
        None,
    ]
    header = {
        "descr": draw(st.sampled_from(kinds)),
        "fortran_order": draw(st.booleans() | st.sampled_from([0, "no", None])),
        "shape": tuple(draw(st.lists(side, max_size=5))),
    }
    if draw(st.booleans()):
        header.pop(draw(st.sampled_from(sorted(header))))
    text = draw(
        st.just(repr(header)) | st.sampled_from(["{" * 300, "'" * 50, "(" * 5000, "__import__('os')", ""])
    ).encode()
    version = draw(st.sampled_from([(1, 0), (2, 0), (3, 0), (9, 9)]))
    length = struct.pack("<H" if version == (1, 0) else "<I", len(text))
    return b"\x93NUMPY" + bytes(version) + length + text + draw(st.binary(max_size=64))


@st.composite
def damaged(draw: Draw, whole: bytes) -> bytes:
    """``whole`` damaged: cut off, with a byte changed, or with bytes behind its end."""
    kind = draw(st.sampled_from(["cut", "change", "go on"]))
    if kind == "cut":
        return whole[: draw(st.integers(0, len(whole) - 1))]
    if kind == "go on":
        return whole + draw(st.binary(min_size=1, max_size=20))
    place, value = draw(st.integers(0, len(whole) - 1)), draw(st.integers(0, 255))
    return whole[:place] + bytes([value]) + whole[place + 1 :]


def npy_files() -> st.SearchStrategy[bytes]:
    """Bytes of an array file, valid or not."""
    whole = any_array().map(npy)
    pickled = st.just(pickle.dumps([1, 2, 3]))
    return st.one_of(whole, npy_with_header(), whole.flatmap(damaged), pickled, st.binary(max_size=80))


# --- .npz files ---


def archive(members: Members, compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile warns of names that are there twice, which are meant
        for name, content in members:
            file.writestr(name, content)
    return buffer.getvalue()


def layer_members(layer: Layer) -> Members:
    """The members that `golden.contract.layer_file.write_layer` puts in a file, but in wider integers."""
    names = ("conv_weight", "attn_weight", "bias", "multiplier")
    return [("config.npy", npy(np.array(layer.config.to_json())))] + [
        (f"{name}.npy", npy(getattr(layer, name))) for name in names
    ]


@cache
def small_network() -> IntegerNetwork:
    """A network of few steps, one of them a layer."""
    return random_network(np.random.default_rng(7), steps=3)


def network_members(network: IntegerNetwork) -> Members:
    """The members that `golden.contract.network.network_file.write_network` puts in a file, in wider integers."""
    return [("config.npy", npy(np.array(network_file.config_text(network))))] + [
        (f"{step.name}.{name}.npy", npy(array.astype(np.int64)))
        for step in network.steps
        for name, array in step.arrays().items()
    ]


#: What a field of a config may be, and what none may be.
FIELD_VALUES = st.one_of(
    st.sampled_from([-1, 0, 1, 2, 3, 7, 40, 4097, 2**31, 2**63, 10**400, 1.0, 2.5, 1e308, float("nan"), float("inf")]),
    st.sampled_from(
        [None, True, "", "same", "dynamic", "hadamard", [], {}, [[]], [[0, 0], [0, 0]], [[9, 9]], [[1.0, 0]]]
    ),
    st.recursive(st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3)),
)


def layer_text() -> st.SearchStrategy[str]:
    """The config of `small_layer`, changed."""
    return config_text(json.loads(small_layer().config.to_json()), ("heads", "sim_bits", "in_scale", "surplus"))


def network_text() -> st.SearchStrategy[str]:
    """The config of `small_network`, changed."""
    return config_text(json.loads(network_file.config_text(small_network())), ("scale", "surplus", "kernel"))


@st.composite
def config_text(draw: Draw, fields: dict[str, Any], made_up: tuple[str, ...]) -> str:
    """A config with fields of one of its objects changed, left out or ``made_up``, or a text that is no config."""
    fields = copy.deepcopy(fields)
    own = draw(st.sampled_from(list(objects(fields))))
    for name in draw(st.lists(st.sampled_from([*own, *made_up]), max_size=3)):
        own[name] = draw(FIELD_VALUES)
    if draw(st.booleans()):
        own.pop(draw(st.sampled_from(sorted(own))))
    text = json.dumps(fields)
    others = [
        "",
        "null",
        "[]",
        "{",
        "[" * 5000,
        '{"a":' * 5000,
        text[:-1],
        text[:-1] + ', "format": 1}',
        f"{text} {text}",
    ]
    others += [text.replace(": 2", ": " + "9" * 5000), text.replace(": 2", ": 1e999"), text.replace('"', "'")]
    return draw(st.just(text) | st.sampled_from(others))


def objects(value: Any) -> Iterator[dict[str, Any]]:
    """All JSON objects in ``value``, itself included."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects(inner)


def bomb(shape: str, descr: str, size: int) -> bytes:
    """An .npy member of ``size`` zero bytes, which a zip file packs a thousandfold."""
    header = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}}}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(size)


def layer_files() -> st.SearchStrategy[bytes]:
    """Bytes of a layer file, valid or not."""
    return model_files(layer_members(small_layer()), layer_text())


def network_files() -> st.SearchStrategy[bytes]:
    """Bytes of a network file, valid or not."""
    return model_files(network_members(small_network()), network_text())


@st.composite
def model_files(draw: Draw, valid: Members, texts: st.SearchStrategy[str]) -> bytes:
    """Bytes of a file with the members ``valid``, or with something about them wrong."""
    members = list(valid)
    kind = draw(st.sampled_from(["valid", "config", "array", "names", "bomb", "damaged", "bytes", "single"]))
    if kind == "config":
        text = draw(texts)
        members[0] = (members[0][0], npy(np.array(text)))
    elif kind == "array":
        index = draw(st.integers(0, len(members) - 1))
        members[index] = (members[index][0], draw(npy_files()))
    elif kind == "names":
        members += draw(
            st.lists(st.sampled_from([*members, ("surplus.npy", npy(np.array(1))), ("../../up.npy", b"x")]))
        )
        for name in draw(st.lists(st.sampled_from(members), max_size=2)):
            members = [member for member in members if member is not name]
    elif kind == "bomb":
        index = draw(st.integers(0, len(members) - 1))
        name, size = members[index][0], 2**24
        content = draw(st.sampled_from([bomb(f"({size},)", "|u1", size), bomb("()", f"<U{size // 4}", size)]))
        members[index] = (name, content)
    elif kind == "bytes":
        return draw(st.binary(max_size=100) | st.just(pickle.dumps({"config": 1})))
    elif kind == "single":
        return draw(npy_files())
    whole = archive(members, draw(st.sampled_from([zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])))
    return draw(damaged(whole)) if kind == "damaged" else whole


def dynamic_layer() -> Layer:
    """`small_layer` with the product ``dynamic``."""
    layer = small_layer()
    return dataclasses.replace(
        layer, config=dataclasses.replace(layer.config, product="dynamic", heads=1, sim_bits=4, sim_shift=9)
    )
