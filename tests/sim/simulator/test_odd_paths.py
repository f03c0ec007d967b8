"""A checkout, its cache, temporary files, inputs and outputs may lie in folders that make and shells trip over.

Waveforms are written there, too. They count in nanoseconds, although neither the unit nor the bench says so.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from golden.layers import load_layer
from golden.model import integer
from golden.support.cache import CACHE_VARIABLE
from sim.simulator.simulators import SIMULATORS, UserError, Verilator
from sim.tests.support import installed
from tests.support.compilers import unoptimised
from tests.support.places import ROOT
from tests.support.tiers import nightly, thorough

#: What a user's folder may be called.
ODD = 'it\'s a $HOME #1: 100%\n("ü") \\; `a` & b,'
TIMEOUT = 600
#: Place of the exponent of the time unit in an FST file: a block's type and length, and eight numbers, come before.
EXPONENT = 1 + 8 + 8 * 8


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An odd folder with a copy of the packages."""
    folder = tmp_path_factory.mktemp("odd") / ODD
    for package in ("golden", "hw", "sim"):
        shutil.copytree(ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    bench = folder / "sim" / "bulk" / "bench.py"
    bench.write_text(bench.read_text() + f"\n\nopen({str(folder / 'mark')!r}, 'w').close()\n")
    (folder / "temporary").mkdir()
    layer = load_layer("tiny")
    shape = (2, layer.config.in_channels, layer.config.height, layer.config.width)
    np.save(folder / "x.npy", np.arange(np.prod(shape)).reshape(shape) % 256)
    return folder


@thorough
@pytest.mark.parametrize(
    "simulator", [pytest.param(name, marks=[nightly] if name == "verilator" else []) for name in SIMULATORS]
)
def test_simulation(place: Path, simulator: str, tmp_path: Path) -> None:
    waves = place / f"waves{installed(simulator).wave_suffix}"
    argv = ["tiny", "--input", "x.npy", "--output", "y.npy", "--waves", str(waves), "--simulator", simulator]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {CACHE_VARIABLE: str(place / "cache"), "TMPDIR": str(place / "temporary")}
    environment["PATH"] = unoptimised(tmp_path / "compiler")
    call = [sys.executable, "-m", "sim.run", *argv]
    done = subprocess.run(call, cwd=place, env=environment, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 0, done.stderr + done.stdout
    x, y = np.load(place / "x.npy"), np.load(place / "y.npy")
    assert (y == integer.run(load_layer("tiny"), x)).all()
    assert waves.stat().st_size > 1000
    content = waves.read_bytes()
    if simulator == "verilator":
        assert b"$timescale 1ns $end" in b" ".join(content[:500].split())
    else:
        assert content[EXPONENT] == 256 - 9
    # Icarus needs no bench in Python.
    assert (place / "mark").exists() == (simulator == "verilator"), "the bench is not that of this checkout"
    (place / "mark").unlink(missing_ok=True)
    assert not list((place / "temporary").iterdir())


def test_a_failing_tool_s_own_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make names a missing file without the word error."""
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    for name, text in (("perl", "exit 0"), ("make", "echo 'make: *** No rule to make target x.  Stop.' >&2; exit 2")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    folder = tmp_path / "folder"
    folder.mkdir()
    options = {"parameters": {}, "waves": False, "coverage": False, "optimise": False}
    with pytest.raises(UserError, match=r"make failed with status 2: make: .* No rule to make target x"):
        Verilator().compile(["unit.v"], top="unit", unit="unit", folder=folder, **options)
