"""``python -m golden.run``: right outputs, and one line for each wrong input."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from golden import run
from golden.contract.layer_file import write_layer
from golden.contract.network.network_file import write_network
from golden.layers import activations, labels, load_layer, load_network
from golden.layers.random_layer import random_layer
from golden.layers.random_network import random_network
from golden.model import integer
from golden.model.network import plain
from golden.support import progress
from golden.support.arrays import read_array, write_array
from golden.support.cli import UserError
from sim.cases.stimulus import random_frames
from tests.support.networks import extreme_frames
from tests.support.refusals import Refuse, refusal

TINY = load_layer("tiny")


def tiny_frames(count: int = 3) -> np.ndarray:
    return random_frames(np.random.default_rng(5), TINY.config, count)


def npy(path: Path, array: np.ndarray) -> str:
    np.save(path, array)
    return str(path)


@pytest.fixture
def refuse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Refuse:
    """Run with arguments that must fail: exit code 2, one line, no file made. Returns the line."""
    return refusal(run.main, lambda: sorted(tmp_path.rglob("*")), monkeypatch, capsys)


# --- what works ---


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, ">u2"])
def test_batch_in_batch_out(dtype: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x = tiny_frames()
    output = tmp_path / "y.npy"
    assert run.main(["tiny", "--input", npy(tmp_path / "x.npy", x.astype(dtype)), "--output", str(output)]) == 0
    y = np.load(output)
    assert y.dtype == np.int32
    np.testing.assert_array_equal(y, integer.run(TINY, x))
    assert "3 frames" in capsys.readouterr().out


def test_frame_in_frame_out(tmp_path: Path) -> None:
    [x] = tiny_frames(1)
    run.main(["tiny", "--input", npy(tmp_path / "x.npy", x), "--output", str(tmp_path / "y.npy")])
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), integer.run(TINY, x)[0])


def test_layer_from_a_path(tmp_path: Path) -> None:
    layer = random_layer(np.random.default_rng(6), in_channels=2, out_channels=3, height=4, width=5, stride=2)
    write_layer(tmp_path / "mine.npz", layer)
    x = np.random.default_rng(7).integers(0, 256, (2, 2, 4, 5))
    source = npy(tmp_path / "x.npy", x)
    run.main([str(tmp_path / "mine.npz"), "--input", source, "--output", str(tmp_path / "y.npy")])
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), integer.run(layer, x))


def test_network(tmp_path: Path) -> None:
    network = random_network(np.random.default_rng(8))
    write_network(tmp_path / "n.npz", network)
    x = extreme_frames(network, 3, 8)
    wanted = plain.run(network, x)
    for frames, outputs in ((x, wanted), (x[1], wanted[1])):
        run.main(
            [str(tmp_path / "n.npz"), "--input", npy(tmp_path / "x.npy", frames), "--output", str(tmp_path / "y.npy")]
        )
        y = np.load(tmp_path / "y.npy")
        assert y.dtype == np.int64
        np.testing.assert_array_equal(y, outputs)


def test_defaults_are_digits_and_its_recorded_activations(tmp_path: Path) -> None:
    recorded = activations("digits")
    assert recorded is not None
    run.main(["--output", str(tmp_path / "y.npy")])
    y = np.load(tmp_path / "y.npy")
    np.testing.assert_array_equal(y[:5], plain.run(load_network("digits"), np.load(recorded)[:5]))
    right = labels("digits")
    assert right is not None and y.shape == (360, 1, 1, 1)
    np.testing.assert_array_equal(y.ravel(), np.load(right))


def test_input_goes_before_recorded_activations(tmp_path: Path) -> None:
    recorded = activations("digits_layer")
    assert recorded is not None
    x = np.load(recorded)[:2, ::-1]
    run.main(["digits_layer", "--input", npy(tmp_path / "x.npy", x), "--output", str(tmp_path / "y.npy")])
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), integer.run(load_layer("digits_layer"), x))


def test_output_replaces_a_file_but_no_input(tmp_path: Path) -> None:
    x = tiny_frames()
    path = npy(tmp_path / "x.npy", x)
    write_layer(tmp_path / "layer.npz", TINY)
    before = (tmp_path / "layer.npz").read_bytes()
    for output in (path, str(tmp_path / "layer.npz")):
        with pytest.raises(UserError, match=f"output {output} is an input, too, another file is needed"):
            run.main([str(tmp_path / "layer.npz"), "--input", path, "--output", output])
    np.testing.assert_array_equal(np.load(path), x)
    assert (tmp_path / "layer.npz").read_bytes() == before
    (tmp_path / "y.npy").write_text("old")
    run.main(["tiny", "--input", path, "--output", str(tmp_path / "y.npy")])
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), integer.run(TINY, x))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["layer.npz", "x.npy", "y.npy"]


def test_as_a_program(tmp_path: Path) -> None:
    """Through the interpreter: the module's own last lines, the exit codes and both streams."""
    command = [sys.executable, "-m", "golden.run", "tiny"]
    source = npy(tmp_path / "x.npy", tiny_frames())
    good = subprocess.run(
        [*command, "--input", source, "--output", str(tmp_path / "y.npy")], capture_output=True, text=True, check=False
    )
    assert (good.returncode, good.stderr) == (0, "")
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), integer.run(TINY, tiny_frames()))

    bad = subprocess.run([*command, "--output", str(tmp_path / "z.npy")], capture_output=True, text=True, check=False)
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr == "error: layer tiny has no recorded activations, --input is needed\n"

    text = subprocess.run([*command, "--help"], capture_output=True, text=True, check=True).stdout
    assert "python -m golden.run tiny --input x.npy --output y.npy" in text


def test_torch_is_not_needed() -> None:
    script = "import sys, golden.run, golden.vectors, golden.model.fixed_point; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], check=True)


# --- what is refused ---


def test_wrong_options(refuse: Refuse, tmp_path: Path) -> None:
    x, y = npy(tmp_path / "x.npy", tiny_frames()), str(tmp_path / "y.npy")
    assert "--output" in refuse("tiny", "--input", x)
    assert "--frobnicate" in refuse("tiny", "--input", x, "--output", y, "--frobnicate")
    assert "surplus" in refuse("tiny", "surplus", "--input", x, "--output", y)
    assert "--out" in refuse("tiny", "--input", x, "--out", y), "an abbreviated option"
    assert "--input" in refuse("tiny", "--output", y)


def test_wrong_network(refuse: Refuse, tmp_path: Path) -> None:
    y = str(tmp_path / "y.npy")
    network = random_network(np.random.default_rng(8))
    write_network(tmp_path / "n.npz", network)
    assert "network " in refuse(str(tmp_path / "n.npz"), "--output", y)
    frames = np.full((1, *network.image.shape), 99999)
    line = refuse(str(tmp_path / "n.npz"), "--input", npy(tmp_path / "x.npy", frames), "--output", y)
    assert "input has a value 99999" in line
    np.savez(tmp_path / "m.npz", config='{"format": 1, "kind": "graph"}')
    assert "network file" in refuse(str(tmp_path / "m.npz"), "--output", y)


def test_wrong_layer(refuse: Refuse, tmp_path: Path) -> None:
    y = str(tmp_path / "y.npy")
    assert "'nosuch'" in refuse("nosuch", "--output", y)
    assert "layer file" in refuse(npy(tmp_path / "x.npy", tiny_frames()), "--output", y)
    assert "Is a directory" in refuse(str(tmp_path), "--output", y)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "not a .npy"),
        (b"\x93NUMPY", "not a .npy"),
        (b"1 2 3\n4 5 6\n", "not a .npy"),
        (b"PK\x05\x06" + bytes(18), "not a .npy"),
    ],
)
def test_input_that_is_no_array(content: bytes, words: str, refuse: Refuse, tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(content)
    error = refuse("tiny", "--input", str(path), "--output", str(tmp_path / "y.npy"))
    assert str(path) in error and words in error


def test_input_that_is_not_there_or_a_directory(refuse: Refuse, tmp_path: Path) -> None:
    y = str(tmp_path / "y.npy")
    assert "none.npy cannot be read: No such file" in refuse(
        "tiny", "--input", str(tmp_path / "none.npy"), "--output", y
    )
    assert "cannot be read: Is a directory" in refuse("tiny", "--input", str(tmp_path), "--output", y)


def test_input_truncated_at_any_place_or_too_long(refuse: Refuse, tmp_path: Path) -> None:
    path = tmp_path / "x.npy"
    content = Path(npy(path, tiny_frames(1).astype(np.uint8))).read_bytes()
    for size in (1, 7, 9, 20, 127, 128, 129, len(content) - 1):
        path.write_bytes(content[:size])
        assert str(path) in refuse("tiny", "--input", str(path), "--output", str(tmp_path / "y.npy"))
    path.write_bytes(content + b"\0")
    assert "goes on after its array" in refuse("tiny", "--input", str(path), "--output", str(tmp_path / "y.npy"))


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.array([{}, None]), "not a .npy of plain numbers"),
        (tiny_frames().astype(float), "dtype float64"),
        (tiny_frames() > 5, "dtype bool"),
        (tiny_frames()[0, 0], "shape [5, 6]"),
        (tiny_frames()[:, :3], "shape [3, 3, 5, 6]"),
        (tiny_frames()[:0], "shape [0, 4, 5, 6]"),
        (tiny_frames().transpose(0, 2, 3, 1), "shape [3, 5, 6, 4]"),
        (tiny_frames() - 256, "allowed are 0 to 255"),
        (tiny_frames() + 256, "allowed are 0 to 255"),
    ],
)
def test_input_that_is_not_the_layers(array: np.ndarray, words: str, refuse: Refuse, tmp_path: Path) -> None:
    error = refuse("tiny", "--input", npy(tmp_path / "x.npy", array), "--output", str(tmp_path / "y.npy"))
    assert words in error


def test_output_that_cannot_be_written(refuse: Refuse, tmp_path: Path) -> None:
    x = npy(tmp_path / "x.npy", tiny_frames())
    assert "is a directory" in refuse("tiny", "--input", x, "--output", str(tmp_path))
    assert "cannot be written" in refuse("tiny", "--input", x, "--output", str(tmp_path / "none" / "y.npy"))
    assert "cannot be written" in refuse("tiny", "--input", x, "--output", f"{x}/y.npy")


# --- the progress bar ---


@pytest.mark.parametrize(("terminal", "patience", "seen"), [(True, 0.0, True), (True, 9.0, False), (False, 0.0, False)])
def test_bar_is_for_terminals_and_long_waits(
    terminal: bool, patience: float, seen: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1" if terminal else "0")
    monkeypatch.setattr(progress, "PATIENCE", patience)
    with progress.progress("7 frames", 7) as advance:
        advance(3)
        advance(4)
    out, err = capsys.readouterr()
    assert out == ""
    assert ("7 frames" in err) == seen == bool(err)


# --- the arrays ---


def test_array_round_trip(tmp_path: Path) -> None:
    for array in (np.arange(6, dtype=np.int32).reshape(2, 3), np.array(5), np.zeros((0, 3), np.uint8)):
        write_array(tmp_path / "name.without.suffix", array)
        read = read_array(tmp_path / "name.without.suffix")
        assert read.dtype == array.dtype
        np.testing.assert_array_equal(read, array)
    assert len(list(tmp_path.iterdir())) == 1


def test_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    write_array(tmp_path / "a.npy", np.arange(3))
    with pytest.raises(ValueError, match="allow_pickle"):
        write_array(tmp_path / "a.npy", np.array([None]))
    assert read_array(tmp_path / "a.npy").tolist() == [0, 1, 2]
    assert len(list(tmp_path.iterdir())) == 1
