"""Who may import whom, read off the source text, and that each stage has its file everywhere."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from golden.model import fixed_point
from support.places import ROOT
from support.units import STAGES

PACKAGES = ("golden", "hw", "sim", "scripts")
#: Stages that change values; the others only carry them.
ARITHMETIC = STAGES[1:-1]
#: What the hardware may know of the models: the layer, its numbers, its streams; beside them what commands share.
GOLDEN_FOR_HW = {"layer", "layers", "bounds", "extremes", "streams", "random_layer", "cli", "cache", "page"}
#: Entry points and models that must run where PyTorch is not installed.
WITHOUT_TORCH = (
    "golden.run",
    "golden.vectors",
    "golden.model.integer",
    "golden.model.fixed_point",
    "hw.build",
    "hw.control.driver",
    "hw.synth.__main__",
    "hw.unit.unit",
    "hw.export.verilog",
    "sim.run",
)


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def imports(path: Path) -> Iterator[str]:
    """Dotted names that a module imports, wherever in it: ``from a import b`` is ``a.b``."""
    for node in ast.walk(ast.parse(path.read_text(), filename=str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def private_uses(path: Path) -> Iterator[str]:
    """Names with a leading underscore that a module takes out of another module of the project."""
    tree = ast.parse(path.read_text(), filename=str(path))
    imported: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] in PACKAGES:
            imported |= {alias.asname or alias.name for alias in node.names}
            yield from (alias.name for alias in node.names if alias.name.startswith("_"))
        elif isinstance(node, ast.Import):
            imported |= {alias.asname for alias in node.names if alias.asname and alias.name.split(".")[0] in PACKAGES}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__"):
            owner = ast.unparse(node.value)
            if owner.split(".")[0] in imported | set(PACKAGES):
                yield f"{owner}.{node.attr}"


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


every_module = pytest.mark.parametrize("path", [path for p in PACKAGES for path in modules(p)], ids=relative)


def test_there_are_modules_to_look_at() -> None:
    assert all(modules(package) for package in PACKAGES)


@pytest.mark.parametrize("path", modules("golden"), ids=relative)
def test_golden_knows_no_hardware(path: Path) -> None:
    roots = {name.split(".")[0] for name in imports(path)}
    assert not roots & {"hw", "sim", "scripts", "tests", "amaranth"}


@pytest.mark.parametrize("path", modules("hw"), ids=relative)
def test_hardware_knows_of_the_models_only_the_layer(path: Path) -> None:
    names = [name.split(".") for name in imports(path)]
    roots = {parts[0] for parts in names}
    assert not roots & {"sim", "scripts", "tests", "torch"}
    assert {parts[1] for parts in names if parts[0] == "golden"} <= GOLDEN_FOR_HW


@pytest.mark.parametrize("path", [p for p in modules("sim") if not p.name.startswith("test_")], ids=relative)
def test_simulation_knows_no_scripts_and_no_torch(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports(path)} & {"scripts", "tests", "torch"}


@every_module
def test_private_names_stay_in_their_module(path: Path) -> None:
    assert not list(private_uses(path))


def test_imports_without_torch() -> None:
    """Each module in a process where importing PyTorch raises: what they import counts too."""
    program = """
import importlib, sys

class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "torch":
            raise ImportError("torch is not to be imported here")

sys.meta_path.insert(0, NoTorch())
importlib.import_module(sys.argv[1])
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    commands = {name: [sys.executable, "-c", program, name] for name in WITHOUT_TORCH}
    runs = {
        name: subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        for name, command in commands.items()
    }
    errors = {name: run.communicate(timeout=120)[1] for name, run in runs.items()}
    assert {name: errors[name] for name, run in runs.items() if run.returncode} == {}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_has_one_name(stage: str) -> None:
    assert (ROOT / "hw" / f"{stage}.py").is_file()
    assert (ROOT / "tests" / f"test_{stage}.py").is_file()
    top = (ROOT / "hw" / "top.py").read_text() + (ROOT / "hw" / "lane.py").read_text()
    component = "".join(word.capitalize() for word in stage.split("_"))
    assert f"from hw.{stage} import {component}\n" in top
    if stage in ARITHMETIC:
        assert callable(getattr(fixed_point, stage))


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_in_the_readme(stage: str) -> None:
    readme = (ROOT / "README.md").read_text()
    assert f"hw/{stage}.py" in readme
    assert f"tests/test_{stage}.py" in readme
