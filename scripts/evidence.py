"""What was checked and how, as one page: coverage, mutants, random cases, proofs.

Examples:
    python -m scripts.evidence
    python -m scripts.evidence --part coverage --part fuzz
    python -m scripts.evidence --list

Each part is a command of its own, which takes from minutes to an hour; what it found is kept in ``build/evidence/``.
Without ``--part`` only parts are run that have nothing there yet; ``--part`` runs just those named. The page
``evidence.md`` and its figures ``evidence.json`` say what there is then, and how to repeat it.

Exit status: 0 if every part that ran meets its goal, 1 if one does not, 2 for wrong input.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from golden import cli
from golden.cli import UserError
from sim.coverage import GOALS, KINDS
from sim.mutation import GOAL

Figures = Mapping[str, Any]
#: Missed points that the page names; the others are in the part's own file.
SHOWN = 50


@dataclass(frozen=True, kw_only=True)
class Part:
    """A command that finds something out.

    Attributes:
        arguments: behind ``python -m``, without ``--json FILE``.
        keys: of its figures, those that ``evidence.json`` takes over.
        describe: its lines of the page.
    """

    arguments: Sequence[str]
    keys: Sequence[str]
    describe: Callable[[Figures], Iterator[str]]

    @property
    def command(self) -> str:
        return " ".join(("python -m", *self.arguments))


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    if options.list:
        for name, part in PARTS.items():
            print(f"{name}: {part.command}")
        return 0
    kept, out = cli.output_directory(options.kept), cli.output_directory(options.out)
    status = 0
    for name in options.part or [name for name in PARTS if not _file(kept, name).exists()]:
        print(f"{name}: {PARTS[name].command}", flush=True)
        status |= _run(name, _file(kept, name))
    found = {name: _read(_file(kept, name)) for name in PARTS if _file(kept, name).exists()}
    with cli.replacing(out / "evidence.md") as page:
        page.write(render(found))
    with cli.replacing(out / "evidence.json") as stream:
        stream.write(json.dumps(figures(found), indent=2) + "\n")
    print(f"wrote {out / 'evidence.md'} and {out / 'evidence.json'}")
    return status


def _file(folder: Path, name: str) -> Path:
    return folder / f"{name}.json"


def _read(path: Path) -> Figures:
    try:
        return json.loads(path.read_text())
    except ValueError as error:
        raise UserError(f"{path} is not JSON ({error}); remove it, and the part runs again") from None


def _run(name: str, path: Path) -> int:
    """Run a part, whose figures go to ``path``; its exit status, 0 or 1."""
    status = subprocess.run([sys.executable, "-m", *PARTS[name].arguments, "--json", str(path)]).returncode
    if status not in (0, 1):
        raise UserError(f"part {name} ended with status {status}: {PARTS[name].command}")
    return status


def figures(found: Mapping[str, Figures]) -> dict[str, Any]:
    """What ``evidence.json`` holds, None for what was not measured."""
    return {key: found[name][key] if name in found else None for name, part in PARTS.items() for key in part.keys}


def render(found: Mapping[str, Figures]) -> str:
    """The page for what the parts found, in Markdown."""
    lines = [
        "# Evidence",
        "",
        "What was checked beyond the test suite, and the command that repeats each figure. All of it:",
        "`python -m scripts.evidence`, which writes this page.",
    ]
    for name, part in PARTS.items():
        lines += ["", f"## {name.capitalize()}", "", f"`{part.command}`", ""]
        lines += part.describe(found[name]) if name in found else ["Not measured."]
    return "\n".join(lines) + "\n"


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """A Markdown table; all columns but the first hold numbers."""
    yield f"| {' | '.join(columns)} |"
    yield f"|---|{'---:|' * (len(columns) - 1)}"
    for row in rows:
        yield f"| {' | '.join(f'{cell:,}' if isinstance(cell, int) else str(cell) for cell in row)} |"


def _coverage(part: Figures) -> Iterator[str]:
    yield f"Of the Verilog of {part['units']} units under the regression, counted by Verilator (seed {part['seed']})."
    yield "A branch is an `if` or a `?:`, a toggle one direction of one bit of any signal, however wide or named."
    yield ""
    rows: list[Sequence[object]] = [
        ["points", *part["points"].values()],
        ["hit", *part["hit"].values()],
        *(["excluded: " + reason, *counts.values()] for reason, counts in part["excluded"].items()),
        ["missed", *map(len, part["missed"].values())],
        ["**covered**", *(f"**{part[kind]:.3f} %**" for kind in KINDS)],
        ["goal", *(f"{GOALS[kind]:g} %" for kind in KINDS)],
    ]
    yield from _table(["", *KINDS], rows)
    missed = [f"- {kind}: `{place}`" for kind in KINDS for place in part["missed"][kind]]
    if missed:
        yield from ("", "Missed, unit, place and what:", "", *missed[:SHOWN])
    if len(missed) > SHOWN:
        yield f"- and {len(missed) - SHOWN} more"


def _mutation(part: Figures) -> Iterator[str]:
    yield f"Faults drawn by Yosys over the netlists of {len(part['units'])} units, each planted and simulated in"
    yield f"{part['simulator'].capitalize()} (seed {part['seed']}). Of those that are not proven to change nothing, the"
    yield f"regression kills **{part['killed_percent']:.2f} %**; the goal is {GOAL:g} %."
    columns = ("mutants", "equivalent", "killed", "survived")
    for label in ("stages", "units"):
        yield ""
        rows = [[name, *(counts[column] for column in columns)] for name, counts in part[label].items()]
        yield from _table([label.removesuffix("s"), *columns], [*rows, ["all", *(part[column] for column in columns)]])
    yield ""
    yield from _table(["killed by", "mutants"], list(part["killed_by"].items()))
    proven = part["equivalent"] - len(part["argued"])
    yield ""
    yield f"Of the equivalent ones {proven} are proven to be (`sim/equivalence.py`), the others argued one by one:"
    yield ""
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


#: All parts, in the order of the page.
PARTS: Mapping[str, Part] = {
    "coverage": Part(arguments=["scripts.coverage"], keys=KINDS, describe=_coverage),
    "mutation": Part(arguments=["scripts.mutation"], keys=["mutants", "equivalent", "killed"], describe=_mutation),
    "fuzz": Part(
        arguments=["scripts.fuzz", "--count", "210", "--stimuli", "20", "--seed", "2611"],
        keys=["fuzz_cases", "fuzz_mismatches", "fuzz_hangs"],
        describe=_fuzz,
    ),
    "proofs": Part(arguments=["scripts.prove"], keys=["proofs", "planted_bugs", "planted_bugs_found"], describe=_prove),
}


def _parser() -> cli.Parser:
    parser = cli.Parser(prog="python -m scripts.evidence", description=__doc__)
    add = parser.add_argument
    add("--part", action="append", choices=list(PARTS), help="run this part again, and no other than those named")
    add("--list", action="store_true", help="only say what the parts run")
    add(
        "--kept",
        type=cli.file_path,
        default=Path("build/evidence"),
        metavar="DIR",
        help="where the parts' figures are kept (default: build/evidence)",
    )
    add(
        "--out", type=cli.file_path, default=Path("docs"), metavar="DIR", help="where to write the page (default: docs)"
    )
    return parser


if __name__ == "__main__":
    cli.run(main)
