"""Carry the results of studies over to code that computes the same. Some runs are repeated and compared.

Examples:
    python -m scripts.carry docs/studies/store.sqlite
    python -m scripts.carry docs/studies/store.sqlite --function experiment --sample 5
    python -m scripts.carry docs/studies/store.sqlite --before ../before --dry-run

A result is found by a hash of the code behind it. Code that is moved or renamed has another hash, and
still computes the same. This command repeats the shortest stored runs of each function. Runs that differ
only in their seed count as one. Where every figure is equal to the last digit, all results of the function
become results of today's code. Where a figure differs, all results stay as they are.

Processors of different kinds round differently. Where the stored runs were made on another kind, name a
checkout of their code with --before. That code then runs the sample on this machine, too, and its figures
are compared instead of the stored ones.

Exit status: 0 if all results are carried over, 1 if a figure differs, 2 for wrong input.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from golden.support import cli
from golden.support.cli import UserError
from golden.support.progress import progress
from golden.support.terminal import say
from scripts.studies.content import code_version
from scripts.studies.functions import FUNCTIONS, Json
from scripts.studies.grid import SEED
from scripts.studies.result import Result
from scripts.studies.store import Store

#: The program of a separate process in the folder of the code. It reads function and settings, and prints the code's
#: version and the figures.
PROGRAM = """
import json, sys
from scripts.studies.content import code_version
from scripts.studies.functions import find_function
name, settings = json.load(sys.stdin)
function = find_function(name)
figures = function.call(settings, lambda share: None) if settings is not None else None
print("\\n" + json.dumps([code_version(function), figures]))
"""
HERE = Path(__file__).parents[1]


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    if "://" not in options.store and not os.path.exists(options.store):
        raise UserError(f"store {options.store} is not there")
    status = 0
    with Store(options.store) as store:
        for name in options.function or FUNCTIONS:
            code = code_version(FUNCTIONS[name])
            found = store.of_function(name)
            others = [result for result in found if result.code != code]
            if not others:
                say(f"{name}: all {len(found)} results are of today's code")
            for old in dict.fromkeys(result.code for result in others):
                results = [result for result in others if result.code == old]
                chosen = sample(results, options.sample)
                say(f"{name}: {len(results)} results of code {old}, {len(chosen)} of them are run again")
                if options.dry_run:
                    continue
                if different := _different(name, chosen, options.before, old):
                    status = 1
                    say(f"{name}: {different}; all results of code {old} stay as they are")
                else:
                    count = store.carry(name, old, code)
                    say(f"{name}: every figure is the same; {count} results are now of code {code}")
    return status


def sample(results: Sequence[Result], count: int) -> list[Result]:
    """The ``count`` shortest of ``results``. No two of them differ only in their seed."""
    shortest: dict[str, Result] = {}
    for result in sorted(results, key=lambda result: result.seconds):
        settings = {key: value for key, value in result.settings.items() if key != SEED}
        shortest.setdefault(json.dumps(settings, sort_keys=True), result)
    return list(shortest.values())[:count]


def differences(old: Json, new: Json, place: str = "figures") -> Iterator[str]:
    """The figures in which two results differ, as texts ``place: old, now new``."""
    if isinstance(old, dict) and isinstance(new, dict) and old.keys() == new.keys():
        for key in old:
            yield from differences(old[key], new[key], f"{place}.{key}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for index, pair in enumerate(zip(old, new, strict=True)):
            yield from differences(*pair, f"{place}[{index}]")
    # NaN differs from itself, but its text does not.
    elif json.dumps(old) != json.dumps(new):
        yield f"{place}: {json.dumps(old)[:60]}, now {json.dumps(new)[:60]}"


def _different(name: str, chosen: Sequence[Result], before: Path | None, old: str) -> str | None:
    """The first figure of the sample that differs now, in words; None if all are the same."""
    if before is not None:
        code, _ = _run(before, name, None)
        if code != old:
            raise UserError(f"before {before} has code {code} of {name}, the store has {old}")
    with progress(name, len(chosen)) as advance:
        for result in chosen:
            expected = result.figures if before is None else _run(before, name, result.settings)[1]
            _, figures = _run(HERE, name, result.settings)
            advance(1)
            for difference in differences(expected, figures):
                return f"run {result.content} differs in {difference}"
    return None


def _run(folder: Path, name: str, settings: Json) -> tuple[str, Json]:
    """The version of the code in ``folder``, and the figures of its run; None instead of figures without settings."""
    environment = os.environ | {"PYTHONPATH": str(folder.resolve())}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(
        command, cwd=folder, env=environment, input=json.dumps([name, settings]), capture_output=True, text=True
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
        raise UserError(f"a run of {name} in {folder} ended with status {done.returncode}: {last}")
    code, figures = json.loads(done.stdout.splitlines()[-1])
    return code, figures


def _parser() -> cli.Parser:
    parser = cli.Parser(prog="python -m scripts.carry", description=__doc__)
    add = parser.add_argument
    add("store", help="an SQLite file, or a database URL")
    functions = ", ".join(FUNCTIONS)
    text = f"only results of this one of {functions} (default: all)"
    add("--function", action="append", choices=list(FUNCTIONS), metavar="NAME", help=text)
    add("--sample", type=cli.bounded(int, 1, 1000), default=3, metavar="N", help="runs of each (default: 3)")
    add("--before", type=cli.file_path, metavar="DIR", help="a checkout of the code that the results were made with")
    add("--dry-run", action="store_true", help="say what would be run again, change nothing")
    return parser


if __name__ == "__main__":
    cli.run(main)
