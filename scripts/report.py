"""Write what a study has found: a page that needs nothing but itself, its figures as CSV, its plots as SVG.

The page has means with 95 % intervals, differences to the study's baseline paired by seed, plots, what the
hardware takes, exact settings and seeds, and the command that repeats it all. This command trains and
synthesises nothing. Runs that the store lacks are named as missing. What networks take of an FPGA is estimated
where the store does not have it: seconds for each.

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
from golden.support.progress import progress
from golden.support.tables import show
from golden.support.terminal import say, terminal
from hw.targets.families import TARGETS
from scripts.studies import store as stores
from scripts.studies.catalogue import STUDIES, find_study
from scripts.studies.costs import ESTIMATE, cost_runs
from scripts.studies.functions import Json
from scripts.studies.grid import Study
from scripts.studies.page import Table as MeanTable
from scripts.studies.page import mean_table, page
from scripts.studies.plan import content_of, plan
from scripts.studies.plots import plots
from scripts.studies.report import csv_files, make_report
from scripts.studies.rows import Row, rows_of
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
    command = repeat(study.name, assignments)
    with Store(options.store) as store:
        results = {run.job.content: run.result for run in plan(runs, store, any_code=options.any_code)}
        found = [(run, results[content_of(run)]) for run in runs]
        if not any(result for _, result in found):
            raise UserError(f"store {options.store} has no result of {study.name}, run: {command}")
        costs = _costs(study, rows_of(study, found), store, any_code=options.any_code)
    report = make_report(study, command, found, costs)
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


def _costs(study: Study, rows: Sequence[Row], store: Store, *, any_code: bool) -> dict[str, Json]:
    """What networks of ``rows`` take of an FPGA, by content. Estimates that the store lacks are made now."""
    planned = plan(cost_runs(study, rows), store, any_code=any_code)
    costs = {run.job.content: run.result.figures for run in planned if run.done and run.result}
    left = [run for run in planned if not run.done and run.run.function_name == ESTIMATE]
    with progress("estimating networks", len(left)) as advance:
        for run in left:
            costs[run.job.content] = run.run.function.call(run.run.settings, advance)
    return costs


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
