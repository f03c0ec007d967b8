"""Write the RTLIL of a proof's harnesses: ``python -m tests.proofs.generate OUT PROOF CASES``.

CASES is a list in JSON. Each case is the name of a build, and that of a bug or ``null``.

With bugs this is a process of its own, because a planted bug changes modules. The bug is put into a module's text
when the module is first imported. Everything else then imports the changed module. For the next case the proof and
all modules of the project that it imports are imported anew.
"""

from __future__ import annotations

import gc
import importlib
import json
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING

from tests.support.places import ROOT

if TYPE_CHECKING:
    from tests.proofs.proof import Bug, Proof


#: Packages and modules of the project that a harness may import.
PROJECT = ("golden", "hw", "tests")


class _Planted(SourceFileLoader):
    """Loads a module with a bug in it."""

    def __init__(self, name: str, path: str, bug: Bug) -> None:
        super().__init__(name, path)
        self._bug = bug

    def get_code(self, fullname: str) -> CodeType:
        text = self._bug.apply(Path(self.path).read_text())
        return self.source_to_code(text.encode(), self.path)


class _Planter:
    """Finds the module of the bug, and no other."""

    def __init__(self, bug: Bug) -> None:
        self._bug = bug
        self.planted = False

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != self._bug.module:
            return None
        spec = PathFinder.find_spec(name, path, target)
        assert spec is not None and spec.origin is not None
        spec.loader = _Planted(name, spec.origin, self._bug)
        self.planted = True
        return spec


def home(name: str) -> tuple[str, str]:
    """The module that makes the proof called ``name``, and what the proof is called there."""
    catalogue = importlib.import_module("tests.proofs.catalogue")
    proof = catalogue.PROOFS[name]
    for module in vars(catalogue).values():
        if isinstance(module, ModuleType):
            for attribute, value in vars(module).items():
                if value is proof:
                    return module.__name__, attribute
    raise LookupError(name)


def plant(bug: Bug, module: str) -> None:
    """Forget the project's modules, and import ``module`` anew with the bug, and with no other."""
    for name in [name for name in sys.modules if name.split(".")[0] in PROJECT]:
        del sys.modules[name]
    planter = _Planter(bug)
    sys.meta_path.insert(0, planter)
    try:
        importlib.import_module(module)
    finally:
        sys.meta_path.remove(planter)
    assert planter.planted, f"bug {bug.name}: {module} does not import {bug.module}"


def main(out: str, proof: str, cases: str) -> None:
    from amaranth.back import rtlil
    from amaranth.hdl import Fragment

    module, attribute = home(proof)
    bugs = {bug.name: bug for bug in getattr(importlib.import_module(module), attribute).bugs}
    for number, (build, bug) in enumerate(json.loads(cases)):
        if bug:
            plant(bugs[bug], module)
        inside = importlib.import_module("tests.proofs.inside")
        made: Proof = getattr(importlib.import_module(module), attribute)
        harness = made.builds[build]()
        harness.lemmas = not bug
        # The place of a claim in the results does not depend on the folder of the project.
        fragment = Fragment.get(harness, None)
        text = rtlil.convert(fragment, ports=harness.ports).replace(f"{ROOT}/", "")
        (Path(out) / f"{number}.il").write_text(inside.expose(text, harness.probes))


if __name__ == "__main__":
    gc.disable()  # the process ends before there is much garbage
    main(*sys.argv[1:])
