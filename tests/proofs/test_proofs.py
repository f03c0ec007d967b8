"""Every proof holds, and fails with each bug that is planted to make it fail."""

from __future__ import annotations

from typing import Any

import pytest

from tests.proofs.catalogue import PROOFS
from tests.proofs.proof import Bug, Proof
from tests.proofs.solve import by_day, find, prove, slow
from tests.support.places import ROOT

pytestmark = pytest.mark.thorough


slow_proof = pytest.mark.slow_proof


def _parts() -> list[Any]:
    """The quick builds of each proof as one case, and each slow build as a case of its own."""
    parts = []
    for proof in PROOFS.values():
        quick = [build for build in proof.builds if build not in proof.slow]
        parts += [pytest.param(proof, quick, id=f"{proof.name}: quick builds")] if quick else []
        rest = [build for build in proof.builds if build in proof.slow]
        parts += [pytest.param(proof, [build], id=f"{proof.name}: {build}", marks=slow_proof) for build in rest]
    return parts


def _bugs() -> list[Any]:
    return [
        pytest.param(proof, bug, id=f"{proof.name}: {bug.name}", marks=_marks(proof, bug))
        for proof in PROOFS.values()
        for bug in proof.bugs
    ]


def _marks(proof: Proof, bug: Bug) -> list[pytest.MarkDecorator]:
    if slow(proof, bug):
        return [slow_proof]
    return [] if by_day(proof, bug) else [pytest.mark.nightly]


@pytest.mark.parametrize(("proof", "builds"), _parts())
def test_holds(proof: Proof, builds: list[str]) -> None:
    wrong = [verdict for verdict in prove(proof, builds) if verdict.verdict != "proven"]
    assert not wrong, "\n".join(f"{v.build}: {v.verdict}, {v.where}" for v in wrong)


@pytest.mark.parametrize(("proof", "bug"), _bugs())
def test_finds_planted_bug(proof: Proof, bug: Bug) -> None:
    verdict = find(proof, bug)
    assert verdict.verdict == "refuted", f"{verdict.build}: {verdict.verdict}"


@pytest.mark.parametrize("proof", PROOFS.values(), ids=list(PROOFS))
def test_each_bug_can_be_planted(proof: Proof) -> None:
    """The text that a bug changes is still in its module, also where the bug is looked for at night."""
    for bug in proof.bugs:
        bug.apply((ROOT / f"{bug.module.replace('.', '/')}.py").read_text())


@pytest.mark.parametrize("old", ["not there", "a"])
def test_a_bug_is_planted_once_or_not_at_all(old: str) -> None:
    bug = Bug(name="any", module="hw.none", old=old, new="b", build="none")
    with pytest.raises(ValueError, match=r"occurs (0|2) times in hw.none, 1 is needed"):
        bug.apply("a a")
