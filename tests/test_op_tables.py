"""Tables by op: whatever module has one, it lacks no op of the contract."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping

import pytest

from golden.contract.network.ops import STEPS
from tests.support.places import ROOT

#: What every op has: a step of files, floats, its quantisation, its fake-quantised form, the fast and the readable
#: integer model, and a colour.
KNOWN = {
    "golden.contract.network.ops.STEPS",
    "golden.operators.network.RESULT",
    "golden.quantise.network.QUANTISE",
    "golden.quantise.fake.RESULT",
    "golden.model.network.steps.RUN",
    "golden.model.network.plain.RUN",
    "golden.show.COLOURS",
}


#: A module that names neither has no table by op. It is not imported, which saves seconds.
POOLS = re.compile(r"max_pool|avg_pool|MaxPool|AvgPool")


def tables() -> Iterator[tuple[str, set[str]]]:
    """Every mapping of a module whose keys are ops, by the name it is written under, and its keys."""
    paths = [path for package in ("golden", "hw") for path in sorted((ROOT / package).rglob("*.py"))]
    for path in paths:
        if not POOLS.search(path.read_text()):
            continue
        dotted = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        module = importlib.import_module(dotted.removesuffix(".__init__"))
        for name in getattr(module, "__annotations__", {}):
            value = getattr(module, name, None)
            if isinstance(value, Mapping) and len(value) > 1 and set(value) <= set(STEPS):
                yield f"{dotted}.{name}", set(value)


def test_no_table_lacks_an_op() -> None:
    found = dict(tables())
    assert set(found) >= KNOWN
    for name, ops in found.items():
        assert ops == set(STEPS), name


@pytest.mark.parametrize("name", sorted(KNOWN))
def test_a_table_that_lacks_one_would_be_found(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, _, table = name.rpartition(".")
    lacking = {op: None for op in STEPS if op != "concat"}
    monkeypatch.setattr(importlib.import_module(module), table, lacking)
    assert dict(tables())[name] == set(lacking)
