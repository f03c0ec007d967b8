"""Run the formal proofs of the hardware, and the bugs planted to see each of them fail.

Examples:
    python -m scripts.prove
    python -m scripts.prove --only row_store --jobs 2
    python -m scripts.prove --quick --json build/proofs.json

A proof is a property of real gateware, in several builds of it. The modules of ``tests/proofs`` say what
each proof claims, what it assumes, and whether it holds for ever or for a number of cycles. Results are
cached until something changes that they depend on (XVOLUTION_CACHE).

Exit status: 0 if everything is proven and every bug found, 1 if not, 2 for wrong input.
"""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from golden.support import cli
from golden.support.tables import show
from golden.support.terminal import say, terminal
from scripts.checkout import ROOT, in_checkout

PROOFS = "tests/proofs"
#: Names of the test that proves and of the test that looks for a planted bug.
PROVES, FINDS = "test_holds", "test_finds_planted_bug"
#: Environment variable that holds the path of pytest's report.
REPORT_VARIABLE = "XVOLUTION_REPORT"
#: pytest's exit status where no test is chosen.
NOTHING_CHOSEN = 5


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    in_checkout(PROOFS)
    console = terminal()
    with cli.json_report(options.json) as write, TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        status, output = _run(_arguments(options.quick, options.only, options.jobs), report, console)
        if not report.exists() or status not in (0, 1, NOTHING_CHOSEN):
            raise cli.UserError(f"pytest ends with status {status}: {output.strip().splitlines()[-1]}")
        cases = _cases(report)
        if not cases:
            raise cli.UserError(f"only {options.only!r} names no proof, see tests/proofs")
        result = summary(cases)
        write({**result, "cases": cases})
    _show(console, cases, result)
    return 0 if all(case["passed"] for case in cases) else 1


def summary(cases: list[dict[str, object]]) -> dict[str, int]:
    """Number of proofs and of those that hold, number of planted bugs and of those that are found."""
    proofs = {str(case["proof"]) for case in cases if case["bug"] is None}
    failed = {str(case["proof"]) for case in cases if case["bug"] is None and not case["passed"]}
    bugs = [case for case in cases if case["bug"] is not None]
    return {
        "proofs": len(proofs),
        "proofs_proven": len(proofs - failed),
        "planted_bugs": len(bugs),
        "planted_bugs_found": sum(bool(case["passed"]) for case in bugs),
    }


def _arguments(quick: bool, only: str | None, jobs: int) -> list[str]:
    chosen = ["-m", "not slow_proof and not nightly"] if quick else ["--slow-proofs"]
    return ["-n", str(jobs), *chosen, *(["-k", only] if only else [])]


def _run(arguments: list[str], report: Path, console: Console) -> tuple[int, str]:
    """Run pytest with a progress bar. Returns its exit status and its output."""
    # pytest expands variables in this name, once: a path may hold what looks like one.
    environment = os.environ | {REPORT_VARIABLE: str(report)}
    command = [sys.executable, "-m", "pytest", PROOFS, "-v", f"--junitxml=${REPORT_VARIABLE}", *arguments]
    output = ""
    with (
        subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as run,
        Progress(console=console, transient=True) as bar,
    ):
        task = bar.add_task("proving", total=None)
        assert run.stdout is not None
        for line in run.stdout:
            output += line
            if "%]" in line:
                bar.update(task, total=100, completed=int(line.split("%]")[0].split("[")[-1]))
    return run.returncode, output


def _cases(report: Path) -> list[dict[str, object]]:
    """The verdicts in pytest's report. Each is about some builds of a proof, or about a planted bug."""
    cases: list[dict[str, object]] = []
    for case in ElementTree.parse(report).iter("testcase"):
        test, _, name = case.get("name", "").partition("[")
        if test not in (PROVES, FINDS) or case.find("skipped") is not None:
            continue
        proof, _, rest = name.removesuffix("]").partition(": ")
        cases.append(
            {
                "proof": proof,
                "bug": rest if test == FINDS else None,
                "builds": rest if test == PROVES else None,
                "passed": case.find("failure") is None and case.find("error") is None,
                "seconds": float(case.get("time", 0)),
            }
        )
    return cases


def _show(console: Console, cases: list[dict[str, object]], result: dict[str, int]) -> None:
    table = Table(title="formal proofs")
    for heading in ("proof", "what", "result", "seconds"):
        table.add_column(heading, justify="right" if heading == "seconds" else "left")
    for case in sorted(cases, key=lambda case: (str(case["proof"]), case["bug"] is not None)):
        good, bad = ("found", "NOT FOUND") if case["bug"] else ("proven", "NOT PROVEN")
        what = f"bug: {case['bug']}" if case["bug"] else str(case["builds"])
        table.add_row(str(case["proof"]), what, good if case["passed"] else bad, f"{case['seconds']:.0f}")
    show(table)
    say(
        f"{result['proofs_proven']} of {result['proofs']} proofs hold, "
        f"{result['planted_bugs_found']} of {result['planted_bugs']} planted bugs found"
    )


def _parser() -> cli.Parser:
    parser = cli.Parser(prog="python -m scripts.prove", description=__doc__)
    add = parser.add_argument
    add("--quick", action="store_true", help="only what `make check` runs, too")
    add("--only", metavar="NAME", help="proofs with this in their name, or in that of a build or planted bug")
    add("--jobs", type=cli.bounded(int, 1, 64), default=os.cpu_count(), help="at a time (default: one a core)")
    add("--json", type=cli.file_path, metavar="FILE", help="write counts and results there")
    return parser


if __name__ == "__main__":
    cli.run(main)
