"""Write what a study has found: a page that needs nothing but itself, its figures as CSV, its plots as SVG.

The page has means with 95 % intervals, differences to the study's baseline paired by seed, plots, what the
hardware takes, exact settings and seeds, and the command that repeats it all. This command runs nothing.
Runs that the store lacks are named as missing.

Examples:
    python -m scripts.report digits
    python -m scripts.report digits --set seed=0,1,2 --out build/first_three
    python -m scripts.report bits --target ecp5
    python -m scripts.report fashion --store results.sqlite --any-code

Give the same --set as to python -m scripts.study. Without --out, files are written to build/report/NAME.

Exit status: 0, or 2 for wrong input. A store that has nothing of the study is wrong input.
"""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Sequence
from pathlib import Path

from rich.table import Column, Table

from golden.support import cli
from golden.support.cli import UserError
from golden.support.tables import show
from golden.support.terminal import say, terminal
from hw.targets.families import TARGETS
from scripts.studies import store as stores
from scripts.studies.catalogue import STUDIES, find_study
from scripts.studies.page import Table as MeanTable
from scripts.studies.page import mean_table, page
from scripts.studies.plan import job_of, plan
from scripts.studies.plots import plots
from scripts.studies.report import csv_files, make_report
from scripts.studies.store import Store

#: Characters of the longest name of a line that are not wrapped, and those between columns.
LONGEST_NAME, BETWEEN = 36, 3


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    assignments = options.set or ()
    study = find_study(options.name).replaced(assignments)
    if options.target is not None:
        study = dataclasses.replace(study, target=options.target)
    runs = study.runs()
    with Store(options.store) as store:
        results = {run.job.content: run.result for run in plan(runs, store, any_code=options.any_code)}
    found = [(run, results[job_of(run).content]) for run in runs]
    report = make_report(study, repeat(study.name, assignments), found)
    if report.missing == len(runs):
        raise UserError(f"store {options.store} has no result of {study.name}, run: {report.command}")
    folder = options.out or Path("build/report") / study.name
    pictures = plots(report)
    files: dict[str, str | bytes] = {
        f"{study.name}.html": page(report, pictures),
        **csv_files(report),
        **{f"{picture.name}.svg": picture.svg for picture in pictures},
    }
    cli.check_folder(folder, files, inputs=[store.path])
    cli.write_files(folder, files)
    say(f"{study.name}: {study.title}")
    say(study.description)
    whole = mean_table(report)
    for part in whole.parts(_fitting(whole, terminal().width)):
        table = Table("", *(Column(name, justify="right") for name in part.columns))
        for line, cells in part.lines:
            table.add_row(line, *cells)
        show(table)
    if report.missing or report.failed:
        say(f"{report.missing} runs are missing, {len(report.failed)} failed: {report.command}")
    say(f"files in {folder}: {', '.join(files)}")
    return 0


def repeat(name: str, assignments: Sequence[str]) -> str:
    """The command that runs a study with ``assignments``."""
    return shlex.join(["python", "-m", "scripts.study", name, *(w for text in assignments for w in ("--set", text))])


def _fitting(table: MeanTable, width: int) -> int:
    """The most columns of ``table`` that fit beside each other into ``width`` characters."""
    names = min(LONGEST_NAME, max((len(name) for name, _ in table.lines), default=0))
    cells = max((len(cell) for _, cells in table.lines for cell in cells), default=0)
    return max(1, (width - names - 2 * BETWEEN) // (cells + BETWEEN))


def _parser() -> cli.Parser:
    parser = cli.Parser(prog="python -m scripts.report", description=__doc__)
    add = parser.add_argument
    add("name", metavar="NAME", help=f"one of {', '.join(STUDIES)}")
    add("--set", action="append", metavar="KEY=VALUE", help="as given to the study")
    add("--target", choices=list(TARGETS), help="say what the integer networks take of this FPGA family")
    add("--store", default=stores.DEFAULT, metavar="PATH_OR_URL", help=f"default: {stores.DEFAULT}")
    add("--any-code", action="store_true", help="take what other versions of the code have stored, too")
    add("--out", type=cli.file_path, metavar="DIR", help="where to write (default: build/report/NAME)")
    return parser


if __name__ == "__main__":
    cli.run(main)
