"""The installed wheel: all files of the packages are in it, and commands work in any folder or say what they need.

The wheel is installed into an environment of its own. Other packages are those of the environment of the tests.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from golden.layers import load_layer
from tests.support.commands import COMMANDS, furnish
from tests.support.places import ROOT
from tests.support.tiers import nightly, thorough
from tests.support.workplace import Workplace, workplace

pytestmark = thorough

PACKAGES = ("golden", "hw", "sim", "scripts")
TIMEOUT = 600
CHECKOUT = "is not part of an installed package: run this in a checkout of the project"
#: How the names in site-packages begin that a wheel without extras depends on, directly or through others.
CORE = ("numpy", "amaranth", "jschon", "rfc3986", "pyvcd", "vcd", "jinja2", "markupsafe", "wasmtime", "importlib")
CORE += ("rich", "pygments", "markdown_it", "mdurl", "platformdirs", "scipy")
#: Arguments of a short run of each command, where there is one.
WORKS: dict[str, Sequence[Sequence[str]]] = {
    "golden.run": [["tiny", "--input", "x.npy", "--output", "y.npy"], ["--output", "y.npy"]],
    "golden.convert": [
        ["network.onnx", "--calibration", "images.npy", "--out", "net.npz", "--report", "page.html"],
        ["network.npz", "--to", "onnx", "--out", "net.onnx"],
    ],
    "golden.show": [["network.npz"]],
    "golden.vectors": [["digits_dynamic", "--out", "vectors", "--frames", "1"]],
    "hw.build": [
        ["--estimate"],
        ["network.npz", "--target", "xcup"],
        ["tiny", "--reloadable"],
        ["digits_layer", "--device", "ecp5-85f", "--fps", "100", "--estimate"],
        ["network.npz", "--device", "ecp5-45f", "--fastest", "--estimate"],
    ],
    "hw.weights": [["layer.npz", "--manifest", "unit.json"]],
    "hw.synth": [["tiny", "--target", "xcup", "--simd", "1", "--pe", "1"]],
    "sim.run": [["tiny", "--input", "x.npy", "--target", "ecp5", "--simulator", "icarus", "--waves", "waves.fst"]],
    "sim.replay": [["kept", "1", "--simulator", "icarus"]],
    "scripts.train_digits": [["--epochs", "1", "--out", "trained"]],
    "scripts.accuracy": [["--images", "2", "--simulator", "icarus", "--workers", "1"]],
    "scripts.accuracy_digits": [["--images", "2"]],
    "scripts.show_attention": [[]],
    "scripts.registers": [["--out", "registers.md"]],
    "scripts.quick_units": [["--record", "mutation.json"]],
    "scripts.verilog_hashes": [["--unit", "plain", "--kept", "hashes.json"]],
    "scripts.fuzz": [["--count", "1", "--jobs", "1", "--simulator", "icarus", "--stimuli", "1"]],
    "scripts.evidence": [["--list"], ["--page"]],
    "scripts.study": [["digits", "--dry-run"]],
    "scripts.report": [["digits", "--set", "operator=conv", "--store", "studies.sqlite", "--any-code"]],
    "scripts.carry": [["studies.sqlite", "--dry-run"]],
    "scripts.bench_golden": [["--images", "1", "--repeat", "1"]],
}
#: Commands that need no extra.
BARE = ("golden.run", "golden.vectors", "hw.build", "hw.weights", "scripts.registers")
#: Commands that run by day with all packages: one for each extra. That the wheel has all files is tested by day, and so
#: is that those of `BARE` work without the other packages.
BY_DAY = ("golden.convert", "hw.synth", "sim.run", "scripts.study", "scripts.evidence")
#: Arguments that need what only a checkout has, and the place that is named.
NEEDS = {
    "scripts.prove": (["--quick"], "tests/proofs"),
    "scripts.evidence": (["--part", "proofs"], "tests/proofs"),
    "scripts.registers": ([], "docs/registers.md"),
    "scripts.quick_units": ([], "docs/evidence/mutation.json"),
    "scripts.verilog_hashes": ([], "docs/evidence/verilog_hashes.json"),
    "scripts.train_digits": ([], "golden/layers"),
    "scripts.train_imports": ([], "tests/golden/convert/fashion_mnist"),
    "scripts.imports": ([], "tests/golden/convert/fashion_mnist"),
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built of a copy: to build leaves files in the folder of the source."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in (*PACKAGES, "pyproject.toml", "README.md", "LICENSE"):
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source)
    pip("wheel", str(source), "--no-build-isolation", "--wheel-dir", str(folder))
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of an environment where the wheel is installed, and the project is not installed in another way."""
    folder = tmp_path_factory.mktemp("installed")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=TIMEOUT)
    program = folder / "bin" / "python"
    pip("--python", str(program), "install", "--no-index", str(wheel))
    (packages,) = folder.glob("lib/python*/site-packages")
    # A folder that is named in such a file is searched, but its own files of the kind are not read.
    (packages / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    found = call(program, folder, "-c", "import golden, hw, sim, scripts; print(golden, hw, sim, scripts)").stdout
    assert found.count(str(packages)) == len(PACKAGES)
    return program


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Python of an environment without the packages of any extra: links to what the wheel itself depends on."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True, timeout=TIMEOUT)
    pip("--python", str(folder / "bin" / "python"), "install", "--no-index", str(wheel))
    (packages,) = folder.glob("lib/python*/site-packages")
    for path in Path(sysconfig.get_path("purelib")).iterdir():
        if path.name.startswith(CORE):
            (packages / path.name).symlink_to(path)
    return folder / "bin" / "python"


@pytest.fixture
def place() -> Iterator[Workplace]:
    """A folder with what `WORKS` names."""
    with workplace() as place:
        furnish(place)
        config = load_layer("tiny").config
        np.save(place.here / "x.npy", np.ones((1, config.in_channels, config.height, config.width), np.uint8))
        for name in ("mutation.json", "verilog_hashes.json"):
            shutil.copy(ROOT / "docs" / "evidence" / name, place.here / name.replace("verilog_", ""))
        yield place


def pip(*arguments: str) -> None:
    """Run pip on the project alone: what it depends on is there."""
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments, "--no-deps"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT)
    assert done.returncode == 0, done.stderr


def call(python: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [str(python), *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=TIMEOUT)


def test_all_files_are_in_the_wheel(wheel: Path) -> None:
    files = {path for package in PACKAGES for path in (ROOT / package).rglob("*") if path.is_file()}
    wanted = {path.relative_to(ROOT).as_posix() for path in files if "__pycache__" not in path.parts}
    with zipfile.ZipFile(wheel) as archive:
        there = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert there == wanted


@pytest.mark.parametrize("name", [pytest.param(name, marks=[nightly] * (name not in BY_DAY)) for name in COMMANDS])
def test_each_command_works_in_another_folder(python: Path, place: Workplace, name: str) -> None:
    for argv in WORKS.get(name, [["--help"]]):
        done = call(python, place.here, "-m", name, *argv)
        # The unit of the scenario that is kept is as its stand-in in `COMMANDS` wants it: it need not pass.
        assert done.returncode in ((0, 1) if name == "sim.replay" else (0,)), done.stderr
        assert done.stdout and not done.stderr


@pytest.mark.parametrize("name", NEEDS)
def test_what_only_a_checkout_has_is_named(python: Path, place: Workplace, name: str) -> None:
    argv, what = NEEDS[name]
    before = place.contents()
    done = call(python, place.here, "-m", name, *argv)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {what} {CHECKOUT}") and done.stderr.count("\n") == 1
    assert place.contents() == before


@pytest.mark.parametrize("name", COMMANDS)
def test_packages_that_are_missing_are_named(bare: Path, place: Workplace, name: str) -> None:
    """Without extras, a command works or says in one line which package it needs."""
    for argv in WORKS.get(name, [["--help"]]):
        before = place.contents()
        done = call(bare, place.here, "-m", name, *argv)
        if done.returncode == 2:
            assert done.stdout == "" and done.stderr.startswith("error: ") and done.stderr.count("\n") == 1, done.stderr
            assert "which is not installed" in done.stderr and place.contents() == before
        else:
            assert done.returncode == 0, done.stderr
    assert done.returncode == 0 or name not in BARE


def test_bugs_are_not_missing_packages(python: Path, tmp_path: Path) -> None:
    """A module of ours that is not there is a bug, which a traceback places."""
    (packages,) = python.parents[1].glob("lib/python*/site-packages")
    broken = packages / "scripts" / "broken.py"
    broken.write_text("import golden.nosuch\n")
    done = call(python, tmp_path, "-m", "scripts.broken")
    broken.unlink()
    assert done.returncode == 1 and "Traceback" in done.stderr
