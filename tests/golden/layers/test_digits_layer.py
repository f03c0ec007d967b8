"""The layers of digits: their checked-in files, their training, and their accuracy from model and Verilog."""

from __future__ import annotations

import dataclasses
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from golden.contract.ranges import Range
from golden.contract.streams import to_beats
from golden.layers import FOLDER, load_layer
from golden.layers.digits_layer import LAYER_NAMES, file_names, read_digits, write_digits
from golden.model import integer
from golden.support.cli import UserError
from hw.export.verilog import Core
from scripts import accuracy_digits, train_digits
from sim.bulk.result import SimulationResult
from sim.simulator.simulators import MissingTool, find_simulator
from tests.support.places import ROOT
from tests.support.tiers import nightly

FILES = file_names("digits_layer")
both_layers = pytest.mark.parametrize("name", LAYER_NAMES.values())


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=300)


@both_layers
def test_the_checked_in_layer_reaches_its_accuracy(name: str) -> None:
    digits = read_digits(layer_name=name)
    prediction = digits.logits(integer.run(digits.layer, digits.frames)).argmax(axis=1)
    assert len(digits.labels) == 360 and set(digits.labels) == set(range(10))
    assert (digits.correct(digits.float_prediction), digits.correct(prediction)) == (359, 359)


@pytest.mark.parametrize(("name", "most"), [("digits_layer", 300), ("digits_dynamic", 320)])
def test_the_checked_in_layer_needs_its_attention(name: str, most: int) -> None:
    digits = read_digits(layer_name=name)
    deaf = dataclasses.replace(digits.layer, attn_weight=np.zeros_like(digits.layer.attn_weight))
    assert digits.correct(digits.logits(integer.run(deaf, digits.frames)).argmax(axis=1)) < most


@pytest.mark.parametrize("product", LAYER_NAMES)
def test_the_checked_in_files_are_what_they_are_meant_to_be(product: str) -> None:
    name = LAYER_NAMES[product]
    digits = read_digits(layer_name=name)
    c = digits.layer.config
    assert c.product == product and c.heads == (1 if product == "dynamic" else None)
    assert (c.in_channels, c.out_channels, c.height, c.width, c.kernel, c.padding) == (16, 16, 8, 8, 3, "same")
    assert len(c.attn_offsets) == 8
    assert (c.in_range, c.weight_bits, c.out_range, c.relu) == (Range(0, 255), 8, Range(0, 255), True)
    assert load_layer(name).config == c
    # Real activations: most of the range is used, and a ReLU left many zeros.
    assert digits.frames.max() >= 200 and 0.2 < (digits.frames == 0).mean() < 0.9
    assert (FOLDER / file_names(name)[1]).stat().st_size < 500_000


def test_logits_are_what_torch_computes() -> None:
    digits = read_digits().first(7)
    y = np.random.default_rng(1).integers(0, 256, (7, 16, 8, 8), dtype=np.int32)
    assert digits.layer.config.out_scale is not None
    values = torch.from_numpy(y).double() * digits.layer.config.out_scale
    pooled = functional.avg_pool2d(values, 2).flatten(1)
    weight, bias = torch.from_numpy(digits.head_weight).double(), torch.from_numpy(digits.head_bias).double()
    np.testing.assert_allclose(digits.logits(y), functional.linear(pooled, weight, bias).numpy(), rtol=1e-12)


def test_logits_do_not_depend_on_the_memory_layout() -> None:
    digits = read_digits().first(50)
    y = np.random.default_rng(2).integers(0, 256, (50, 16, 8, 8))
    channels_last = np.ascontiguousarray(y.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(digits.logits(channels_last), digits.logits(y))


@both_layers
def test_files_written_are_the_files_read(name: str, tmp_path: Path) -> None:
    write_digits(tmp_path, read_digits(layer_name=name), name)
    for file in file_names(name):
        assert (tmp_path / file).read_bytes() == (FOLDER / file).read_bytes(), file
    write_digits(tmp_path, read_digits().first(3))
    few = read_digits(tmp_path)
    assert few.frames.shape == (3, 16, 8, 8) and few.labels.tolist() == read_digits().labels[:3].tolist()


@pytest.mark.parametrize("name", FILES)
def test_a_missing_or_broken_file_is_refused_by_name(tmp_path: Path, name: str) -> None:
    write_digits(tmp_path, read_digits().first(2))
    (tmp_path / name).write_bytes(b"no array")
    with pytest.raises(UserError, match=name):
        read_digits(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(UserError, match=name):
        read_digits(tmp_path)


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    digits = read_digits()
    write_digits(tmp_path, dataclasses.replace(digits, frames=digits.frames[:5]))
    with pytest.raises(UserError, match=r"digits_layer_network.npz: labels has shape \[360\], .* need \[5\]"):
        read_digits(tmp_path)
    np.savez(tmp_path / "digits_layer_network.npz", labels=digits.labels)
    with pytest.raises(UserError, match=r"digits_layer_network.npz: array 'float_prediction' is missing"):
        read_digits(tmp_path)


def train(out: Path, product: str, *options: str) -> str:
    done = python("-m", "scripts.train_digits", LAYER_NAMES[product], *options, "--out", str(out))
    assert done.returncode == 0, done.stderr
    return done.stdout


@nightly
@pytest.mark.parametrize("product", ["dynamic", "hadamard"])
def test_training_learns(product: str, tmp_path: Path) -> None:
    """With another seed than that of the checked-in layer, which holds out other images."""
    said = train(tmp_path, product, "--epochs", "2", "--seed", "1")
    digits = read_digits(tmp_path, LAYER_NAMES[product])
    assert digits.layer.config.product == product
    assert digits.labels.tolist() != read_digits(layer_name=LAYER_NAMES[product]).labels.tolist()
    prediction = digits.logits(integer.run(digits.layer, digits.frames)).argmax(axis=1)
    for kind, right in (("float", digits.correct(digits.float_prediction)), ("8-bit", digits.correct(prediction))):
        assert right > 0.8 * 360
        assert any(line.startswith(kind) and f"{right} of 360" in line for line in said.splitlines())


@nightly
@pytest.mark.parametrize("product", LAYER_NAMES)
def test_training_is_deterministic(product: str, tmp_path: Path) -> None:
    for name, seed in (("first", "0"), ("second", "0"), ("other", "1")):
        train(tmp_path / name, product, "--epochs", "1", "--seed", seed)
    for file in file_names(LAYER_NAMES[product]):
        first, second, other = ((tmp_path / name / file).read_bytes() for name in ("first", "second", "other"))
        assert first == second != other, file


@pytest.mark.parametrize(
    "arguments", [["--epochs", "0"], ["--seed", "-1"], ["digits_layer", "tiny"], ["tiny"], ["--out", __file__]]
)
def test_wrong_training_options_are_refused(arguments: list[str]) -> None:
    with pytest.raises(UserError, match=re.escape(arguments[-1])):
        train_digits.main(arguments)


@nightly
def test_model_and_verilog_agree(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        find_simulator("verilator").check()
    except MissingTool as missing:
        pytest.skip(str(missing))
    assert accuracy_digits.main(["--images", "10"]) == 0
    assert "All 10,240 outputs and all 100 scores are equal." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("fault", "lost", "wrong"), [(False, 0, 1), (True, 0, 0), (False, 4, 0)], ids=["wrong", "fault", "lost"]
)
def test_a_unit_that_differs_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fault: bool, lost: int, wrong: int
) -> None:
    def simulate(core: Core, frames: Any, **options: Any) -> SimulationResult:
        layer = core.config.layer
        expected = to_beats(integer.run(layer, frames), core.config.folding.pe)
        beats = expected[: len(expected) - lost].astype(np.int64)
        beats[40, 0] += wrong
        faults = ["m_axis_tlast is missing"] if fault else []
        return SimulationResult(
            shape=(layer.config.out_channels, layer.config.out_height, layer.config.out_width),
            beats=beats,
            expected=expected,
            first_output_latency=1,
            frame_cycles=[None],
            input_cycles=np.arange(0),
            predicted_input_cycles=None,
            faults=faults,
            cycles=1,
            seconds=1.0,
        )

    monkeypatch.setattr(accuracy_digits, "simulate", simulate)
    monkeypatch.setattr(accuracy_digits, "generate", lambda config: Core(config=config, verilog="", manifest={}))
    assert accuracy_digits.main(["--images", "2"]) == 1
    text = " ".join(capsys.readouterr().out.split())
    assert f"{wrong + 4 * lost} of 2,048 outputs are wrong or missing." in text
    assert ("Fault: m_axis_tlast is missing." in text) == fault
    assert ("10 of 20 scores differ." in text) == bool(wrong)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tiny"], "invalid choice: 'tiny'"),
        (["--images", "361"], "images 361 is too many, there are 360 held-out images"),
        (["--simd", "3"], "simd 3 does not divide in_channels 16"),
        (["--folder", "nowhere"], "nowhere"),
    ],
)
def test_wrong_accuracy_options_are_refused(arguments: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        accuracy_digits.main(arguments)


def test_accuracy_needs_no_torch() -> None:
    done = python("-c", "import sys, scripts.accuracy_digits; sys.exit('torch' in sys.modules)")
    assert done.returncode == 0, done.stderr
