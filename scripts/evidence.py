"""What was checked and how, as one page: coverage, mutants, random cases, proofs.

Examples:
    python -m scripts.evidence
    python -m scripts.evidence --part coverage --part fuzz
    python -m scripts.evidence --list
    python -m scripts.evidence --page

Each part is a command of its own, which takes from minutes to two hours on two cores. Its findings are
kept in ``evidence/NAME.json``. The page ``evidence.md`` shows all findings that are kept, of which commit they
are, how much of the hardware has changed since, and how to repeat them. ``evidence.json`` has the main figures.
``--part`` runs only the parts named. ``--page`` runs nothing, and only writes the page.

Exit status: 0 if every part that ran meets its goal, 1 if one does not, 2 for wrong input.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from golden.support import cli
from golden.support.cli import UserError
from golden.support.terminal import say
from scripts.checkout import ROOT, in_checkout
from scripts.prove import PROOFS
from sim.evidence.coverage import GOALS, KINDS
from sim.evidence.mutation import GOAL

Figures = Mapping[str, Any]
#: Names of the files that say what all parts have found.
PAGES = ("evidence.md", "evidence.json")
#: Number of missed lines, and of missed branches, that are named.
SHOWN = 50
#: Parts whose coverage counts together.
COVERAGE = ("coverage", "coverage_reloadable", "coverage_networks")
#: Behind a commit that the working tree differs from.
DIRTY = "-dirty"
#: What the Verilog is made of, as Git names files: the generator, and the contract of what it takes.
HARDWARE = ("hw", "golden/contract", ":!hw/estimate", ":!hw/synth")
#: What no unit is made of.
OF_NETWORKS = (":!hw/network", ":!golden/contract/network")


@dataclass(frozen=True, kw_only=True)
class Part:
    """A command that finds something out.

    Attributes:
        arguments: arguments behind ``python -m``, without ``--json FILE``.
        title: title of its section of the page.
        describe: makes the lines of its section from its figures.
        keys: names of the figures that ``evidence.json`` has, each the sum over all parts that have it.
        hardware: files that were looked at, as Git names them.
    """

    arguments: Sequence[str]
    title: str
    describe: Callable[[Figures], Iterator[str]]
    keys: Sequence[str] = ()
    hardware: Sequence[str] = HARDWARE

    @property
    def command(self) -> str:
        return " ".join(("python -m", *self.arguments))


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    if options.list:
        for name, part in PARTS.items():
            say(f"{name}: {part.command}")
        return 0
    names: Sequence[str] = [] if options.page else options.part or list(PARTS)
    if "proofs" in names:
        in_checkout(PROOFS)
    out = cli.output_directory(options.out)
    kept = cli.output_directory(out / "evidence")
    cli.check_folder(out, PAGES, inputs=[_file(kept, name) for name in PARTS])
    status = 0
    for name in names:
        say(f"{name}: {PARTS[name].command}")
        status |= _run(name, kept)
    found = {name: _read(_file(kept, name)) for name in PARTS if _file(kept, name).exists()}
    contents = (render(found, ages(found)), json.dumps(figures(found), indent=2) + "\n")
    cli.write_files(out, dict(zip(PAGES, contents, strict=True)))
    say(f"wrote {' and '.join(str(out / name) for name in PAGES)}")
    return status


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"


def _read(path: Path) -> Figures:
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise UserError(f"{path} is not JSON ({error}); run its part again: --part {path.stem}") from None


def _run(name: str, kept: Path) -> int:
    """Run a part, and keep its figures. Returns its exit status, 0 or 1."""
    commit = _commit()  # asked before the run, during which someone may commit
    with tempfile.TemporaryDirectory() as scratch:
        path = _file(Path(scratch), name)
        status = subprocess.run([sys.executable, "-m", *PARTS[name].arguments, "--json", str(path)]).returncode
        if status not in (0, 1):
            raise UserError(f"part {name} ended with status {status}: {PARTS[name].command}")
        found = {"commit": commit, **shortened(_read(path))}
    with cli.replacing(_file(kept, name)) as stream:
        stream.write(json.dumps(found, indent=1) + "\n")
    return status


def _commit() -> str | None:
    """The commit that runs, with `DIRTY` where files outside ``docs`` differ from it; None where not known."""
    head, changed = _git("rev-parse", "--short", "HEAD"), _git("status", "--porcelain", "--", ".", ":!docs")
    return head + DIRTY * bool(changed) if head else None


def _git(*command: str) -> str | None:
    """What Git says of the checkout; None where it fails, or is not there."""
    try:
        done = subprocess.run(["git", *command], cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        return None
    return None if done.returncode else done.stdout.strip()


def ages(found: Mapping[str, Figures]) -> dict[str, str]:
    """By part, how many of the hardware's files changed behind its commit. What is not known is missing."""
    now, told = _commit(), {}
    for name, part in found.items():
        commit = part.get("commit")
        if now is None or commit is None or commit.endswith(DIRTY):
            continue
        changed = _git("diff", "--name-only", commit, "--", *PARTS[name].hardware)
        if changed is not None:
            count = f"{len(changed.splitlines()):,}" if changed else "none"
            told[name] = f"From there to {now}, where this page was written, {count} of the hardware's files changed."
    return told


def shortened(found: Figures) -> Figures:
    """A part's figures with fewer names of missed points.

    The names of toggles, which are thousands, are dropped. Of lines and branches, `SHOWN` names each are kept.
    """
    if "places" not in found:
        return found
    return {**found, "places": {kind: names[:SHOWN] for kind, names in found["places"].items() if kind != "toggle"}}


def figures(found: Mapping[str, Figures]) -> dict[str, Any]:
    """The figures of ``evidence.json``; None for those that were not measured."""
    measured = [found[name] for name in COVERAGE if name in found]
    coverage = {kind: _covered(measured, kind) if measured else None for kind in KINDS}
    keys = dict.fromkeys(key for part in PARTS.values() for key in part.keys)
    return coverage | {key: _total(found, key) for key in keys}


def _total(found: Mapping[str, Figures], key: str) -> int | None:
    """The sum of a figure over the parts that were measured; None where none was."""
    measured = [found[name][key] for name, part in PARTS.items() if key in part.keys and name in found]
    return sum(measured) if measured else None


def _covered(measured: Sequence[Figures], kind: str) -> float:
    """Coverage of all units and networks together: of the points that are not excluded, the percentage that was hit."""
    hit, missed = (sum(part[what][kind] for part in measured) for what in ("hit", "missed"))
    return 100 * hit / (hit + missed)


def render(found: Mapping[str, Figures], ages: Mapping[str, str]) -> str:
    """The page in Markdown, with the findings of all parts, and what `ages` says of them."""
    lines = [
        "# Evidence",
        "",
        "What was checked beyond the test suite, and the command that repeats each figure. All of it:",
        "`python -m scripts.evidence`, which writes this page. The hardware's files are `golden/contract` and `hw`",
        "without `hw/estimate` and `hw/synth`; of units also without what only networks are made of.",
    ]
    for name, part in PARTS.items():
        commit = found.get(name, {}).get("commit")
        where = f", at commit {commit}" if commit else ""
        lines += ["", f"## {part.title}", "", f"`{part.command}`{where}", ""]
        lines += [ages[name], ""] if name in ages else []
        lines += part.describe(found[name]) if name in found else ["Not measured."]
    return "\n".join(lines) + "\n"


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """A Markdown table; all columns but the first hold numbers."""
    yield f"| {' | '.join(columns)} |"
    yield f"|---|{'---:|' * (len(columns) - 1)}"
    for row in rows:
        yield f"| {' | '.join(f'{cell:,}' if isinstance(cell, int) else str(cell) for cell in row)} |"


def _coverage(part: Figures, what: str = "units") -> Iterator[str]:
    yield f"Of the Verilog of {part['units']} {what} under the regression, counted by Verilator (seed {part['seed']})."
    yield "A branch is an `if` or a `?:`, a toggle one direction of one bit of any signal, however wide or named."
    yield ""
    rows: list[Sequence[object]] = [
        ["points", *part["points"].values()],
        ["hit", *part["hit"].values()],
        *(["excluded: " + reason, *counts.values()] for reason, counts in part["excluded"].items()),
        ["missed", *part["missed"].values()],
        ["**covered**", *(f"**{part[kind]:.3f} %**" for kind in KINDS)],
        ["goal", *(f"{GOALS[kind]:g} %" for kind in KINDS)],
    ]
    yield from _table(["", *KINDS], rows)
    if missed := sum((Counter(part["modules"][kind]) for kind in KINDS), Counter()):
        yield from ("", "Missed, by module:", "")
        rows = [
            [f"`{name}`", *(part["modules"][kind].get(name, 0) for kind in KINDS)] for name, _ in missed.most_common()
        ]
        yield from _table(["module", *KINDS], rows)
    if named := [f"- {kind}: `{place}`" for kind, places in part["places"].items() for place in places]:
        yield from ("", "Lines and branches, by unit, place and what:", "", *named)


def _mutation(part: Figures, what: str = "units") -> Iterator[str]:
    yield f"Faults drawn by Yosys over the netlists of {len(part['units'])} {what}, each planted and simulated in"
    yield f"{part['simulator'].capitalize()} (seed {part['seed']}). Of those that are not proven to change nothing, the"
    yield f"regression kills **{part['killed_percent']:.2f} %**; the goal is {GOAL:g} %."
    columns = ("mutants", "equivalent", "killed", "survived")
    for label, of in (("stages", "stage" if what == "units" else "node or edge"), ("units", what.removesuffix("s"))):
        yield ""
        rows = [[name, *(counts[column] for column in columns)] for name, counts in part[label].items()]
        yield from _table([of, *columns], [*rows, ["all", *(part[column] for column in columns)]])
    yield ""
    yield from _table(["killed by", "mutants"], list(part["killed_by"].items()))
    proven = part["equivalent"] - len(part["argued"])
    yield ""
    how = "(`sim/evidence/equivalence.py`)"
    if not part["argued"]:
        yield f"All {proven} equivalent ones are proven to be {how}."
    else:
        yield from (f"Of the equivalent ones {proven} are proven to be {how}, the others argued one by one:", "")
    for argued in part["argued"]:
        yield f"- {argued['unit']}, {argued['stage']}: `{argued['mutant']}`: {argued['reason']}"
    yield from ("", "Survivors:" if part["survivors"] else "None survives.", "")
    for survivor in part["survivors"]:
        yield f"- {survivor['unit']}, {survivor['stage']}: `{survivor['mutant']}`"


def _fuzz(part: Figures) -> Iterator[str]:
    yield f"{part['fuzz_cases']:,} cases in {part['fuzz_builds']:,} different units (seed {part['seed']}), each a"
    yield "random layer, folding and target. Half of the units are frozen, a case each: frames at full rate, then with"
    yield "pauses. The others are reloadable, a case for each random scenario of loads, changed settings, frames,"
    yield "malformed frames and images, bad accesses, resets and pauses. Every bit and predicted cycle is compared:"
    yield f"{part['fuzz_mismatches']} mismatches, {part['fuzz_hangs']} hangs."


def _fuzz_networks(part: Figures) -> Iterator[str]:
    limits = part["limits"]
    yield f"{part['fuzz_cases']:,} cases, each a random network ({part['fuzz_builds']:,} different ones, seed"
    yield f"{part['seed']}) of any ops, folding and target, within limits: {limits['steps']} steps before open ends are"
    yield f"joined, {limits['frame_cycles']:,} cycles of a frame, {limits['products']} multipliers."
    yield "Frames go through each at full rate, where every predicted cycle is compared, then with pauses."
    yield f"Every bit is compared: {part['fuzz_mismatches']} mismatches, {part['fuzz_hangs']} hangs."


def _prove(part: Figures) -> Iterator[str]:
    yield f"{part['proofs']} properties proven; of {part['planted_bugs']} planted bugs, {part['planted_bugs_found']}"
    yield "are found by the property that must fail. `tests/proofs` says what each claims, and assumes."
    yield ""
    names = dict.fromkeys(case["proof"] for case in part["cases"])
    rows: list[Sequence[object]] = []
    for name in names:
        cases = [case for case in part["cases"] if case["proof"] == name]
        bugs = [case for case in cases if case["bug"]]
        holds = all(case["passed"] for case in cases if not case["bug"])
        rows.append([f"`{name}`", "yes" if holds else "**no**", len(bugs), sum(case["passed"] for case in bugs)])
    yield from _table(["proof", "holds", "planted bugs", "found"], rows)


_UNITS = (*HARDWARE, *OF_NETWORKS)
_FUZZ = ("fuzz_cases", "fuzz_mismatches", "fuzz_hangs")
_MUTANTS = ("mutants", "equivalent", "killed")
#: All parts, in the order of the page.
PARTS: Mapping[str, Part] = {
    "coverage": Part(
        arguments=["scripts.coverage", "--kind", "frozen"],
        title="Coverage of frozen units",
        describe=_coverage,
        hardware=_UNITS,
    ),
    "coverage_reloadable": Part(
        arguments=["scripts.coverage", "--kind", "reloadable"],
        title="Coverage of reloadable units",
        describe=_coverage,
        hardware=_UNITS,
    ),
    "coverage_networks": Part(
        arguments=["scripts.coverage", "--kind", "network"],
        title="Coverage of networks",
        describe=partial(_coverage, what="networks"),
    ),
    "mutation": Part(
        arguments=["scripts.mutation", "--kind", "unit"],
        title="Mutation of units",
        describe=_mutation,
        keys=_MUTANTS,
        hardware=_UNITS,
    ),
    "mutation_networks": Part(
        arguments=["scripts.mutation", "--kind", "network"],
        title="Mutation of networks",
        describe=partial(_mutation, what="networks"),
        keys=_MUTANTS,
    ),
    "fuzz": Part(
        arguments=["scripts.fuzz", "--kind", "unit", "--count", "210", "--stimuli", "20", "--seed", "2611"],
        title="Random units",
        describe=_fuzz,
        keys=_FUZZ,
        hardware=_UNITS,
    ),
    "fuzz_networks": Part(
        arguments=[
            *("scripts.fuzz", "--kind", "network", "--count", "500", "--seed", "2611"),
            *("--steps", "5", "--frame-cycles", "100", "--products", "40"),
        ],
        title="Random networks",
        describe=_fuzz_networks,
        keys=_FUZZ,
    ),
    "proofs": Part(
        arguments=["scripts.prove"],
        title="Proofs",
        describe=_prove,
        keys=["proofs", "planted_bugs", "planted_bugs_found"],
    ),
}


def _parser() -> cli.Parser:
    parser = cli.Parser(prog="python -m scripts.evidence", description=__doc__)
    which = parser.add_mutually_exclusive_group()
    text = f"run this one of {', '.join(PARTS)}, and no other"
    which.add_argument("--part", action="append", choices=list(PARTS), metavar="NAME", help=text)
    which.add_argument("--page", action="store_true", help="run nothing, write the page of what is kept")
    which.add_argument("--list", action="store_true", help="only say what the parts run")
    parser.add_argument(
        "--out", type=cli.file_path, default=Path("docs"), metavar="DIR", help="where to write (default: docs)"
    )
    return parser


if __name__ == "__main__":
    cli.run(main)
