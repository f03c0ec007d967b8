"""Run a study: a grid of trainings, quantisations and measurements, on this machine or on a cluster.

Results are kept in a store, by what was run and by the version of the code. A run that the store has is
not repeated. So an interrupted study goes on where it was, and studies share the runs that they have in
common. If a worker is killed, the run that it was at is tried again. python -m scripts.report writes the
report. --dry-run runs nothing, and says which data are missing. A study of what hardware pays goes on with
its networks, once they are trained: it estimates them, and synthesises some.

Examples:
    python -m scripts.study --list
    python -m scripts.study digits --dry-run
    python -m scripts.study digits --set seed=0,1,2 --set variant=conv,inner --workers 2
    python -m scripts.study digits --set operator=inner --set seed=0 --set bits=[8] --rtl
    python -m scripts.study fashion --scheduler tcp://10.0.0.7:8786 --store postgresql://team@host/studies

--set takes values in JSON, or texts as they stand. Several values, separated by commas, make the setting an
axis of the grid. --scheduler takes the address of a Dask scheduler. Start it with: dask scheduler. Start a
worker on each machine, with this project installed: dask worker ADDRESS --nthreads 1. Store URLs are those of
SQLAlchemy. Databases other than SQLite need their driver.

Exit status: 0 if all runs are there, 1 if one failed or the Verilog differs from the integer model, 2 for
wrong input.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from golden.support import cli
from golden.support.cli import UserError, bounded
from golden.support.tables import show
from golden.support.terminal import say, terminal
from scripts.studies.catalogue import STUDIES, find_study
from scripts.studies.costs import TOLD, cost_runs
from scripts.studies.engine import local_client, remote_client, run_jobs
from scripts.studies.grid import SEED, Run, Study
from scripts.studies.live import duration, live
from scripts.studies.places import CORES, add_places
from scripts.studies.plan import Forecast, Planned, forecast, plan
from scripts.studies.result import Result
from scripts.studies.rows import rows_of
from scripts.studies.store import Store

#: Name of the function that simulates, `scripts.studies.rtl.NAME`.
SIMULATION = "rtl"


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    options.workers = options.workers or CORES
    console = terminal()
    if options.list:
        for study in STUDIES.values():
            say(f"{study.name}: {study.size} runs. {study.description}")
        return 0
    if options.name is None:
        raise UserError(f"no study is named, allowed are {', '.join(STUDIES)}")
    if options.rtl_images is not None and not options.rtl:
        raise UserError(f"--rtl-images {options.rtl_images} needs --rtl")
    study = find_study(options.name).replaced(options.set or ())
    with Store(options.store) as store:
        planned = plan(_runs(study, options), store, any_code=options.any_code)
        if options.dry_run:
            planned += _of_costs(study, planned, store, options)
            forecasts = forecast(planned, store)
            show(_table(study, planned, forecasts))
            say(_cost(planned, forecasts, options))
            if options.scheduler is None:
                for text in _lacking(planned):
                    say(f"cannot run here: {text}")
            return 0
        status = _run(study.name, study, planned, store, options, console)
        planned = plan([run.run for run in planned], store, any_code=options.any_code)
        if costs := _of_costs(study, planned, store, options):
            status = max(status, _run(f"{study.name}, hardware", study, costs, store, options, console))
        return status


def _runs(study: Study, options: argparse.Namespace) -> list[Run]:
    """All runs that must have a result in the end."""
    runs = study.runs()
    if not options.rtl:
        return runs
    # This import takes a second, and only --rtl needs it.
    from scripts.studies.rtl import simulations

    return runs + simulations(runs, options.rtl_images)


def _of_costs(study: Study, planned: Sequence[Planned], store: Store, options: argparse.Namespace) -> list[Planned]:
    """The runs that tell what the networks take of an FPGA, as far as these are trained."""
    rows = rows_of(study, [(run.run, run.result) for run in planned if run.run.function_name == study.function])
    return plan(cost_runs(study, rows), store, any_code=options.any_code)


def _label(study: Study, run: Run) -> str:
    label = run.label([*study.varied, SEED, *TOLD])
    return label if run.function_name == study.function else f"{run.function_name}: {label}"


def _run(
    name: str,
    study: Study,
    planned: Sequence[Planned],
    store: Store,
    options: argparse.Namespace,
    console: Console,
) -> int:
    """Do the runs that are not stored yet, and say what came of them under this name. Returns the exit status."""
    left = [run for run in planned if not run.done]
    results = {run.job.content: run.result for run in planned if run.result is not None and run.done}
    if left:
        labels = {run.job.content: _label(study, run.run) for run in left}
        jobs = [run.job for run in left]
        if options.scheduler is None:
            for job in jobs:
                job.function.look(job.settings)
        client = local_client(options.workers) if options.scheduler is None else remote_client(options.scheduler, jobs)
        with client as cluster:
            store.prepare()
            say(_cost(planned, forecast(planned, store), options))
            with live(console, labels) as watch:
                results |= {result.content: result for result in run_jobs(jobs, cluster, keep=store.put, watch=watch)}
    failed = [run for run in planned if not results[run.job.content].done]
    say(f"{name}: {len(planned)} runs, {len(planned) - len(left)} of them stored before, {len(failed)} failed")
    for run in failed:
        say(f"failed: {_label(study, run.run)}: {results[run.job.content].complaint}")
    wrong = compared(study, [(run.run, results[run.job.content]) for run in planned], console)
    return 1 if failed or wrong else 0


def compared(study: Study, results: Sequence[tuple[Run, Result]], console: Console) -> bool:
    """Say what simulations found. Returns whether any unit's Verilog differs from the integer model."""
    found = [(run, result) for run, result in results if run.function_name == SIMULATION and result.done]
    if not found:
        return False
    from scripts.studies.rtl import complaints, elements

    lines = [f"differs: {_label(study, run)}: {text}" for run, result in found for text in complaints(result.figures)]
    for line in lines:
        say(line, console)
    if not lines:
        count = sum(elements(result.figures) for _, result in found)
        say(f"all {count:,} output elements of the simulated units agree with the integer model", console)
    return bool(lines)


def _lacking(planned: Sequence[Planned]) -> list[str]:
    """What this machine lacks for the runs that are left, each thing once."""
    found: dict[str, None] = {}
    for run in planned:
        try:
            if not run.done:
                run.job.function.look(run.job.settings)
        except UserError as error:
            found[str(error)] = None
    return list(found)


def _table(study: Study, planned: Sequence[Planned], forecasts: Sequence[Forecast]) -> Table:
    told = [name for name in TOLD if any(name in run.run.point for run in planned)]
    axes = list(dict.fromkeys([*study.varied, SEED, *told]))
    table = Table(*axes, "stored", "seconds", "by", title=f"{study.name}: {study.description}")
    for run, guess in zip(planned, forecasts, strict=True):
        point = (run.run.label([axis]).removeprefix(f"{axis} ") for axis in axes)
        stored = run.result.status if run.result else ""
        seconds = "" if guess.seconds is None else f"{guess.seconds:.1f}"
        if run.done and run.result:
            table.add_row(*point, stored, f"{run.result.seconds:.1f}", run.result.host)
        else:
            table.add_row(*point, stored, seconds, guess.basis)
    return table


def _cost(planned: Sequence[Planned], forecasts: Sequence[Forecast], options: argparse.Namespace) -> str:
    left = [guess for run, guess in zip(planned, forecasts, strict=True) if not run.done]
    known = [guess.seconds for guess in left if guess.seconds is not None]
    text = f"{len(planned)} runs, {len(planned) - len(left)} stored, {len(left)} to do"
    if len(known) < len(left):
        return f"{text}, which take nobody knows how long"
    where = f"on {options.workers} workers" if options.scheduler is None else "divided by the cluster's workers"
    share = sum(known) / (options.workers if options.scheduler is None else 1)
    return f"{text}: about {duration(share)} {where}"


def _parser() -> cli.Parser:
    parser = cli.Parser(prog="python -m scripts.study", description=__doc__)
    add = parser.add_argument
    add("name", nargs="?", metavar="NAME", help=f"one of {', '.join(STUDIES)}")
    add("--set", action="append", metavar="KEY=VALUE", help="change a setting, or the values of an axis")
    add_places(parser)
    add(
        "--rtl",
        action="store_true",
        help="simulate all X-volution layers in Verilator, too, on the images of the split",
    )
    add("--rtl-images", type=bounded(int, 1, 10**9), metavar="N", help="of them only the first N")
    add("--any-code", action="store_true", help="take what other versions of the code have stored, too")
    add(
        "--dry-run",
        action="store_true",
        help="only say what would run, what is stored, what is missing, and how long it takes",
    )
    add("--list", action="store_true", help="say which studies there are")
    return parser


if __name__ == "__main__":
    cli.run(main)
