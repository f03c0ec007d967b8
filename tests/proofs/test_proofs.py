"""Every proof goes through, and fails with each bug that is planted to make it fail."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from proofs.catalogue import PROOFS
from proofs.proof import Bug, Proof
from proofs.solve import find, prove

slow = pytest.mark.slow_proof


def _parts() -> Iterator[Any]:
    for proof in PROOFS.values():
        quick = [build for build in proof.builds if build not in proof.slow]
        rest = [build for build in proof.builds if build in proof.slow]
        for name, builds, marks in ((proof.name, quick, ()), (f"{proof.name}, slow builds", rest, slow)):
            if builds:
                yield pytest.param(proof, builds, id=name, marks=marks)


def _bugs() -> Iterator[Any]:
    for proof in PROOFS.values():
        for bug in proof.bugs:
            marks = slow if bug.name in proof.slow_bugs else ()
            yield pytest.param(proof, bug, id=f"{proof.name}: {bug.name}", marks=marks)


@pytest.mark.parametrize(("proof", "builds"), [*_parts()])
def test_holds(proof: Proof, builds: list[str]) -> None:
    wrong = [v for v in prove(proof, builds) if v.verdict != "proven"]
    assert not wrong, "\n".join(f"{v.build}: {v.verdict}, {v.where}" for v in wrong)


@pytest.mark.parametrize(("proof", "bug"), [*_bugs()])
def test_finds_planted_bug(proof: Proof, bug: Bug) -> None:
    verdict = find(proof, bug)
    assert verdict.verdict == "refuted", f"{verdict.build}: {verdict.verdict}"
