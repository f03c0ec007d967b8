"""What identifies a result: the function, its settings, and the code that computes it.

The code is that of every module in `COUNTED` that the function's module imports, directly or through others.
Comments, docstrings and annotations do not count: they change no figure. The modules in `NEUTRAL` do not
count: they only speak to the user. The versions of the libraries do not count: they are recorded beside a
result.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from scripts.studies.functions import Function, Settings

ROOT = Path(__file__).parents[2]
#: Modules that do not count, as they have no part in any figure.
NEUTRAL = frozenset({"golden.support.cli", "golden.support.progress", "golden.support.cache"})
#: Packages whose modules count. A function's own module counts even if it is in none of them.
COUNTED = ("golden", "hw", "sim")


def content_key(function_name: str, settings: Settings) -> str:
    """The hash of a run's function and settings, 32 hexadecimal digits. The order of settings does not matter."""
    return _hash(json.dumps([function_name, settings], sort_keys=True, allow_nan=False))


def code_version(function: Function) -> str:
    """The hash of the code behind ``function``, 12 hexadecimal digits."""
    return _module_version(function.module)


@cache
def _module_version(module: str) -> str:
    texts = {name: _meaning(path) for name, path in sorted(_reached(module).items())}
    return _hash(json.dumps(texts))[:12]


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _reached(module: str) -> dict[str, Path]:
    """The counted modules that ``module`` imports, itself included, with their files."""
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        path = _source(name)
        if path is None or name in found or name in NEUTRAL:
            continue
        found[name] = path
        waiting += [name for name in _imports(path) if name.split(".")[0] in COUNTED]
    return found


def _source(name: str) -> Path | None:
    """The file of the module ``name``; None where that is something inside a module."""
    if name.split(".")[0] not in COUNTED:
        # `find_spec` imports the packages around a module, so it is asked only for the function's own module.
        spec = importlib.util.find_spec(name)
        return None if spec is None or spec.origin is None else Path(spec.origin)
    place = ROOT.joinpath(*name.split("."))
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _meaning(path: Path) -> str:
    """The text of a module without the parts that change no figure."""
    tree = _Bare().visit(ast.parse(path.read_text()))
    return ast.dump(tree)


class _Bare(ast.NodeTransformer):
    """Drops docstrings and other texts that stand alone, and annotations of functions."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        return None if isinstance(node.value, ast.Constant) else self.generic_visit(node)

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)


def forget() -> None:
    """Drop all versions, so that the sources are read again."""
    _module_version.cache_clear()
