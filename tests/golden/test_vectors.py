"""``python -m golden.vectors``: files that say the same in every form, written all or none."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden import vectors
from golden.contract.layer import Layer
from golden.contract.layer_file import write_layer
from golden.contract.network.builder import NetworkBuilder
from golden.contract.network.linear import Linear
from golden.contract.network.network import IMAGE, IntegerNetwork
from golden.contract.network.network_file import config_text, write_network
from golden.contract.network.result import Result
from golden.layers import activations, load_layer
from golden.layers.random_layer import random_layer
from golden.model import integer
from golden.model.network import plain
from tests.support.refusals import Refuse, refusal

NAMES = ["expected.hex", "expected.npy", "input.hex", "input.npy", "manifest.json", "testbench.v"]


def odd_layer() -> Layer:
    """Widths that fill no byte, signs on both sides, outputs of another size than inputs."""
    return random_layer(
        np.random.default_rng(1), in_channels=6, out_channels=3, height=5, width=4, stride=2, in_bits=5, in_signed=True,
        out_bits=11, out_signed=True, relu=False,
    )  # fmt: skip


@pytest.fixture
def odd(tmp_path: Path) -> str:
    path = tmp_path / "odd.npz"
    write_layer(path, odd_layer())
    return str(path)


def write(out: Path, *arguments: str) -> dict[str, Any]:
    assert vectors.main([*arguments, "--out", str(out)]) == 0
    assert sorted(path.name for path in out.iterdir()) == NAMES
    return json.loads((out / "manifest.json").read_text())


def frames_in(out: Path) -> np.ndarray:
    return np.load(out / "input.npy")


def elements(line: str, stream: dict[str, Any]) -> list[int]:
    """A line of a .hex file by the manifest's words, not by `golden.contract.streams`."""
    bits, word = stream["element_bits"], int(line, 16)
    values = [(word >> (j * bits)) % 2**bits for j in range(stream["lanes"])]
    assert word >> (stream["lanes"] * bits) == 0, "padding"
    return [v - 2**bits if stream["signed"] and v >= 2 ** (bits - 1) else v for v in values]


# --- what is written ---


@pytest.mark.parametrize(("simd", "pe"), [(1, 1), (2, 3), (6, 1), (None, None)])
def test_files_agree_with_each_other(simd: int | None, pe: int | None, odd: str, tmp_path: Path) -> None:
    chosen = [*(["--simd", str(simd)] if simd else []), *(["--pe", str(pe)] if pe else [])]
    manifest = write(tmp_path / "out", odd, *chosen)
    layer = odd_layer()
    assert (manifest["simd"], manifest["pe"]) == (simd or 3, pe or 3)
    assert manifest["config"] == json.loads(layer.config.to_json())
    x, y = frames_in(tmp_path / "out"), np.load(tmp_path / "out" / "expected.npy")
    assert x.dtype == y.dtype == np.int32
    np.testing.assert_array_equal(y, integer.run(layer, x))
    for name, array, lanes, bits in (("input", x, manifest["simd"], 5), ("expected", y, manifest["pe"], 11)):
        stream = manifest["streams"][name]
        count, channels, height, width = array.shape
        lines = (tmp_path / "out" / f"{name}.hex").read_text().splitlines()
        assert (stream["lanes"], stream["element_bits"], stream["signed"]) == (lanes, bits, True)
        assert stream["shape"] == list(array.shape)
        assert stream["beats"] == len(lines) == array.size // lanes
        assert stream["beats_per_frame"] == height * width * channels // lanes
        assert stream["tdata_bits"] == 8 * -(-lanes * bits // 8)
        assert {len(line) for line in lines} == {stream["tdata_bits"] // 4}
        read = [v for line in lines for v in elements(line, stream)]
        wanted = [
            array[n, c, i, j]
            for n in range(count)
            for i in range(height)
            for j in range(width)
            for c in range(channels)
        ]
        assert read == wanted
    assert manifest["streams"]["expected"]["tlast_every"] == manifest["streams"]["expected"]["beats_per_frame"]


@pytest.mark.parametrize(("simd", "pe"), [(1, 1), (3, 5), (None, None)])
def test_files_of_a_network(simd: int | None, pe: int | None, tmp_path: Path) -> None:
    """Its output is raw, and does not fit 32 bits."""
    network = wide_network()
    write_network(tmp_path / "wide.npz", network)
    chosen = [*(["--simd", str(simd)] if simd else []), *(["--pe", str(pe)] if pe else [])]
    out = tmp_path / "out"
    manifest = write(out, str(tmp_path / "wide.npz"), *chosen)
    assert manifest["network"] == str(tmp_path / "wide.npz") and "layer" not in manifest
    assert manifest["config"] == json.loads(config_text(network))
    assert (manifest["simd"], manifest["pe"]) == (simd or 3, pe or 2)
    x, y = frames_in(out), np.load(out / "expected.npy")
    assert (x.dtype, y.dtype, x.shape, y.shape) == (np.int32, np.int64, (4, 6, 1, 2), (4, 10, 1, 1))
    assert set(np.unique(x[0])) == {-8, 7} and (x[1] == -8).all() and (x[2] == 7).all()
    np.testing.assert_array_equal(y, plain.run(network, x))
    assert np.abs(y).max() > 2**31
    for name, array in (("input", x), ("expected", y)):
        stream = manifest["streams"][name]
        lines = (out / f"{name}.hex").read_text().splitlines()
        assert stream["beats"] == len(lines) == array.size // stream["lanes"]
        assert stream["signed"] is True
        read = [v for line in lines for v in elements(line, stream)]
        assert read == array.transpose(0, 2, 3, 1).ravel().tolist()


def wide_network() -> IntegerNetwork:
    """A linear map whose biases are at the limits of 32 bits."""
    rng = np.random.default_rng(2)
    builder = NetworkBuilder(Result(channels=6, height=1, width=2, bits=4, signed=True))
    head = Linear(
        name="head",
        inputs=(IMAGE,),
        weight_bits=8,
        out_bits=40,
        out_signed=True,
        weight=rng.integers(-127, 127, (10, 6, 1, 2), endpoint=True),
        bias=rng.choice([-(2**31), 2**31 - 1], 10),
    )
    return builder.network(builder.append(head))


def test_checksums_are_of_the_files(tmp_path: Path) -> None:
    manifest = write(tmp_path, "tiny")
    assert sorted([*manifest["sha256"], "manifest.json"]) == NAMES
    for name, digest in manifest["sha256"].items():
        assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == digest


def test_manifest_says_where_frames_come_from(odd: str, tmp_path: Path) -> None:
    assert write(tmp_path / "a", odd, "--seed", "7")["source"] == "random, seed 7"
    assert write(tmp_path / "b", odd, "--input", str(tmp_path / "a" / "input.npy"))["source"] == "input.npy"
    assert write(tmp_path / "c")["source"] == "digits_activations.npy"


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="iverilog is not installed")
def test_readmemh_reads_every_beat(odd: str, tmp_path: Path) -> None:
    manifest = write(tmp_path / "out", odd, "--simd", "6")
    stream = manifest["streams"]["input"]
    source = tmp_path / "read.v"
    source.write_text(
        f"""module read;
          reg [{stream["tdata_bits"] - 1}:0] beats [0:{stream["beats"] - 1}];
          integer i;
          initial begin
            $readmemh("{tmp_path / "out" / "input.hex"}", beats);
            for (i = 0; i < {stream["beats"]}; i = i + 1) $display("%h", beats[i]);
          end
        endmodule
        """
    )
    subprocess.run(["iverilog", "-o", str(tmp_path / "read"), str(source)], check=True)
    shown = subprocess.run([str(tmp_path / "read")], check=True, capture_output=True, text=True).stdout
    assert shown == (tmp_path / "out" / "input.hex").read_text()


# --- which frames ---


def test_random_frames_visit_the_limits(odd: str, tmp_path: Path) -> None:
    write(tmp_path / "out", odd, "--frames", "6")
    x = frames_in(tmp_path / "out")
    assert len(x) == 6
    assert set(np.unique(x[0])) == {-16, 15}
    assert (x[1] == -16).all() and (x[2] == 15).all()
    for frame in x[3:]:
        assert frame.min() >= -16 and frame.max() <= 15 and len(np.unique(frame)) > 10
    assert not np.array_equal(x[3], x[4])


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_random_frames(count: int, odd: str, tmp_path: Path) -> None:
    write(tmp_path / "few", odd, "--frames", str(count))
    x = frames_in(tmp_path / "few")
    assert x.shape == (count, 6, 5, 4)
    assert [len(np.unique(frame)) for frame in x] == [2, 1, 1][:count]


def test_seed_decides_the_random_frames(odd: str, tmp_path: Path) -> None:
    for name, seed in (("a", []), ("b", ["--seed", "0"]), ("c", ["--seed", "1"])):
        write(tmp_path / name, odd, *seed)
    content = [(tmp_path / name / "input.hex").read_bytes() for name in "abc"]
    assert content[0] == content[1] != content[2]
    assert len(frames_in(tmp_path / "a")) == 4


def test_recorded_activations_unless_a_seed_asks_otherwise(tmp_path: Path) -> None:
    recorded = activations("digits_layer")
    assert recorded is not None
    write(tmp_path / "all", "digits_layer", "--frames", "5")
    np.testing.assert_array_equal(frames_in(tmp_path / "all"), np.load(recorded)[:5])
    write(tmp_path / "random", "digits_layer", "--seed", "0")
    wanted = vectors.random_frames(load_layer("digits_layer"), 4, 0)
    np.testing.assert_array_equal(frames_in(tmp_path / "random"), wanted)


def test_frames_from_a_file(odd: str, tmp_path: Path) -> None:
    x = np.random.default_rng(3).integers(-16, 16, (3, 6, 5, 4))
    np.save(tmp_path / "x.npy", x)
    write(tmp_path / "all", odd, "--input", str(tmp_path / "x.npy"))
    np.testing.assert_array_equal(frames_in(tmp_path / "all"), x)
    write(tmp_path / "two", odd, "--input", str(tmp_path / "x.npy"), "--frames", "2")
    np.testing.assert_array_equal(frames_in(tmp_path / "two"), x[:2])
    np.save(tmp_path / "x.npy", x[1])
    write(tmp_path / "one", odd, "--input", str(tmp_path / "x.npy"))
    np.testing.assert_array_equal(frames_in(tmp_path / "one"), x[1:2])


def test_a_second_run_replaces_the_first(odd: str, tmp_path: Path) -> None:
    write(tmp_path / "out", odd, "--seed", "1")
    manifest = write(tmp_path / "out", "tiny")
    assert manifest["layer"] == "tiny"
    assert frames_in(tmp_path / "out").shape == (4, 4, 5, 6)


def test_same_command_same_bytes(odd: str, tmp_path: Path) -> None:
    for name in "ab":
        write(tmp_path / name, odd)
    for name in NAMES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_as_a_program(odd: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "golden.vectors"]
    good = subprocess.run([*command, odd, "--out", str(tmp_path / "out")], capture_output=True, text=True, check=False)
    assert (good.returncode, good.stderr) == (0, "")
    bad = subprocess.run([*command, odd], capture_output=True, text=True, check=False)
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr.startswith("error: ") and bad.stderr.count("\n") == 1 and "--out" in bad.stderr
    text = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True).stdout
    assert "python -m golden.vectors tiny --out vectors" in text


# --- what is refused ---


@pytest.fixture
def refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refuse:
    """Run with arguments that must fail: exit code 2, one line, no file made. Returns the line."""
    return refusal(vectors.main, lambda: sorted(tmp_path.rglob("*")), monkeypatch, capsys)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--simd", "4"], "simd 4 does not divide in_channels 6, allowed are 1, 2, 3, 6"),
        (["--pe", "2"], "pe 2 does not divide out_channels 3, allowed are 1, 3"),
        (["--simd", "0"], "simd 0 does not divide in_channels"),
        (["--pe", "x"], "'x' is not an integer"),
        (["--frames", "0"], "'0' is not an integer from 1 up"),
        (["--frames", "2.5"], "'2.5' is not an integer"),
        (["--frames", "5000"], "--frames 5000"),
        (["--seed", "-1"], "'-1' is not an integer from 0"),
        (["--seed", "4294967296"], "is not an integer from 0 to 4294967295"),
        (["--name", "3x"], "name '3x' is no Verilog identifier"),
        (["--name", "testbench"], "name 'testbench' is that of a file of the vectors"),
        (["--name", "end"], "name 'end' is a word of Verilog's own"),
        (["--bogus"], "--bogus"),
        (["extra"], "extra"),
    ],
)
def test_wrong_options(arguments: list[str], words: str, refuse: Refuse, odd: str, tmp_path: Path) -> None:
    assert words in refuse(odd, "--out", str(tmp_path / "out"), *arguments)


def test_wrong_lanes_of_a_network(refuse: Refuse, tmp_path: Path) -> None:
    write_network(tmp_path / "wide.npz", wide_network())
    arguments = [str(tmp_path / "wide.npz"), "--out", str(tmp_path / "out")]
    assert "simd 4 does not divide the input's channels 6, allowed are 1, 2, 3, 6" in refuse(*arguments, "--simd", "4")
    assert "pe 0 does not divide the output's channels 10, allowed are 1, 2, 5, 10" in refuse(*arguments, "--pe", "0")


def test_wrong_layer(refuse: Refuse, tmp_path: Path) -> None:
    assert "nosuch" in refuse("nosuch", "--out", str(tmp_path / "out"))


def test_contradictions(refuse: Refuse, odd: str, tmp_path: Path) -> None:
    path = str(tmp_path / "x.npy")
    np.save(path, np.zeros((3, 6, 5, 4), int))
    out = str(tmp_path / "out")
    assert "--seed is for random frames" in refuse(odd, "--out", out, "--input", path, "--seed", "0")
    error = refuse(odd, "--out", out, "--input", path, "--frames", "4")
    assert "--frames 4 is more than" in error and "allowed are 1 to 3" in error
    recorded = activations("digits_layer")
    assert recorded is not None
    assert f"allowed are 1 to {len(np.load(recorded))}" in refuse("digits_layer", "--out", out, "--frames", "99999")


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((6, 5, 4)), "dtype float64"),
        (np.zeros((5, 6, 4), int), "shape [5, 6, 4]"),
        (np.full((6, 5, 4), 16), "allowed are -16 to 15"),
        (np.full((6, 5, 4), -17), "allowed are -16 to 15"),
        (np.array([None]), "not a .npy of plain numbers"),
    ],
)
def test_wrong_input(array: np.ndarray, words: str, refuse: Refuse, odd: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", array)
    assert words in refuse(odd, "--out", str(tmp_path / "out"), "--input", str(tmp_path / "x.npy"))


def test_input_that_is_missing(refuse: Refuse, odd: str, tmp_path: Path) -> None:
    assert "none.npy" in refuse(odd, "--out", str(tmp_path / "out"), "--input", str(tmp_path / "none.npy"))


def test_folder_that_cannot_be_made(refuse: Refuse, odd: str, tmp_path: Path) -> None:
    assert "output directory" in refuse(odd, "--out", odd)
    assert "output directory" in refuse(odd, "--out", f"{odd}/below")


@pytest.mark.parametrize("name", NAMES)
def test_nothing_is_written_if_one_file_cannot_be(name: str, refuse: Refuse, odd: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (out / name).mkdir(parents=True)
    assert f"{name} is a directory" in refuse(odd, "--out", str(out))


def test_nothing_is_written_if_writing_breaks_off(odd: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vectors, "vector_files", lambda *_: {"input.npy": b"whole", "input.hex": 3})
    with pytest.raises(TypeError):
        vectors.main([odd, "--out", str(tmp_path / "out")])
    assert list((tmp_path / "out").iterdir()) == []
