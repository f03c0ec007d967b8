"""Fused kernel: applied to its window it is the integer model's accumulator, for both products."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden.contract.layer import Layer
from golden.contract.layer_file import write_layer
from golden.layers.random_layer import random_layer
from golden.model import integer
from golden.model.fused import fused_kernel
from scripts import show_attention
from tests.support.refusals import Refuse, refusal

LAYERS: dict[str, dict[str, Any]] = {
    "hadamard": {},
    "depthwise": {"groups": 6, "out_channels": 6},
    "stride_2_valid": {"stride": 2, "padding": "valid", "kernel": 5},
    "offsets": {"kernel": 1, "attn_offsets": ((0, 0), (-3, 1), (2, 2))},
    "dynamic": {"product": "dynamic", "heads": 3},
    "dynamic_signed": {"product": "dynamic", "heads": 2, "in_signed": True, "sim_bits": 3},
    "dynamic_stride_2": {"product": "dynamic", "heads": 1, "stride": 2, "attn_offsets": ((0, 0), (1, -2))},
}


@pytest.mark.parametrize("name", LAYERS)
def test_sums_to_the_accumulator(name: str) -> None:
    rng = np.random.default_rng(31)
    fields = {"in_channels": 6, "out_channels": 4, "height": 7, "width": 8} | LAYERS[name]
    layer = random_layer(rng, **fields)
    c = layer.config
    frame = rng.integers(c.in_range.low, c.in_range.high, (6, 7, 8), endpoint=True)
    acc = integer.accumulate(layer, frame)[0]
    padded = np.pad(frame, ((0, 0), (4, 4), (4, 4)))
    for y, x in np.ndindex(c.out_height, c.out_width):
        kernel = fused_kernel(layer, frame, y, x)
        row, column = (4 + c.first_centre + c.stride * q for q in (y, x))
        window = np.stack([padded[:, row + dy, column + dx] for dy, dx in kernel.offsets], axis=-1)
        own = window[:, None] if c.depthwise else window
        assert ((kernel.total * own).sum(axis=(1, 2)) + layer.bias).tolist() == acc[:, y, x].tolist()
        assert (kernel.total == kernel.static + kernel.dynamic).all()


def test_draws(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "kernel.png"
    assert show_attention.main(["--image", "3", "--pixel", "0,7", "--out", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    said = capsys.readouterr().out
    assert "hadamard: output channel" in said and "dynamic: output channel" in said


def test_draws_a_layer_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All weights are 1, and all elements 3: a dynamic weight is three times one that is static."""
    c = random_layer(np.random.default_rng(0), in_channels=2, out_channels=3, height=7, width=9, stride=2).config
    ones = {name: np.ones(shape, int) for name, shape in c.array_shapes.items()}
    write_layer(tmp_path / "own.npz", Layer(config=dataclasses.replace(c, attn_shift=0), **ones))
    np.save(tmp_path / "$x$.npy", np.stack([np.zeros((2, 7, 9), int), np.full((2, 7, 9), 3)]))
    arguments = [str(tmp_path / "own.npz"), "--input", str(tmp_path / "$x$.npy"), "--out", str(tmp_path / "own.png")]
    for image, output, share in (("0", "0", 0), ("1", "2", 8 * 3 / (8 * 3 + 9))):
        assert show_attention.main([*arguments, "--image", image, "--output", output]) == 0
        said = capsys.readouterr().out
        assert f"hadamard: output channel {output}, dynamic weights are {share:.0%} of the magnitude" in said
        assert (tmp_path / "own.png").read_bytes().startswith(b"\x89PNG")


@pytest.fixture
def refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refuse:
    return refusal(show_attention.main, lambda: list(tmp_path.iterdir()), monkeypatch, capsys)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--pixel", "8,0"], "row 8 is not in the layer's output, allowed are 0 to 7"),
        (["--pixel", "0,9"], "column 9 is not in the layer's output, allowed are 0 to 7"),
        (["--pixel", "centre"], "pixel 'centre' is not ROW,COLUMN"),
        (["--image", "360"], "images 361 is too many, there are 360 held-out images"),
        (["--output", "16"], "output 16 is not an output channel, allowed are 0 to 15"),
    ],
)
def test_refused(refuse: Refuse, options: list[str], said: str, tmp_path: Path) -> None:
    assert said in refuse(*options, "--out", str(tmp_path / "kernel.png"))


def test_refused_of_a_layer_of_ones_own(refuse: Refuse, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 4, 5, 6), int))
    path, out = str(tmp_path / "x.npy"), ["--out", str(tmp_path / "own.png")]
    assert "--input is needed" in refuse("tiny", *out)
    assert f"--input {path} needs LAYER" in refuse("--input", path, *out)
    assert f"--image 2 is not in {path}, allowed are 0 to 1" in refuse("tiny", "--input", path, "--image", "2", *out)
    assert "shape" in refuse("digits_layer", "--input", path, *out)
    assert "is an input, too" in refuse("tiny", "--input", path, "--out", path)
