"""Line, branch and toggle coverage of the generated Verilog over the regression, in Verilator.

Examples:
    python -m scripts.coverage
    python -m scripts.coverage --kind frozen --json coverage.json
    python -m scripts.coverage --kind network
    python -m scripts.coverage --unit plain --unit reloadable/hadamard

A frozen unit runs the tests of ``sim/tests/test_units.py``. A reloadable unit runs the tests of
``sim/tests/test_reloadable.py``, and takes some minutes. A network runs random, flat and extreme frames
(``sim/evidence/cores.py``). Where these leave points open, many more frames or random scenarios follow.
Points that cannot be reached are excluded, each for a reason that is checked
(``sim/evidence/coverage.py``). Results are cached: what has not changed is not simulated again.

Exit status: 0 if the goals are met, 1 if not, 2 for wrong input.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import partial
from typing import Any

from rich.table import Table

from golden.support import cli
from golden.support.progress import progress
from golden.support.tables import show, table_of
from golden.support.terminal import say
from sim.cases.frozen import CASES
from sim.cases.reloadable import PREFIX, RELOADABLE
from sim.evidence.cores import NETWORKS
from sim.evidence.coverage import GOALS, KINDS, REASONS, UnitCoverage, percent
from sim.evidence.measure_coverage import measure
from sim.simulator.simulators import find_simulator

#: Names of all units and networks, by kind.
KINDS_OF_UNITS = {
    "frozen": tuple(CASES),
    "reloadable": tuple(PREFIX + name for name in RELOADABLE),
    "network": NETWORKS,
}
UNITS = tuple(name for names in KINDS_OF_UNITS.values() for name in names)
#: Number of missed points that the table shows.
SHOWN = 20


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    find_simulator("verilator")
    names = list(dict.fromkeys(options.unit or KINDS_OF_UNITS.get(options.kind, UNITS)))
    units: dict[str, UnitCoverage] = {}
    with (
        cli.json_report(options.json) as write,
        ProcessPoolExecutor(options.jobs) as pool,
        progress("measuring", len(names)) as advance,
    ):
        runs = {pool.submit(partial(measure, name, seed=options.seed)): name for name in names}
        for run in as_completed(runs):
            units[runs[run]] = run.result()
            advance(1)
        figures = _figures({name: units[name] for name in names}, options.seed)
        write(figures)
    show(_table(figures))
    missed = [f"{kind}: {place}" for kind, places in figures["places"].items() for place in places]
    for place in missed[:SHOWN]:
        say(f"missed {place}")
    if len(missed) > SHOWN:
        say(f"missed {len(missed) - SHOWN} more, --json FILE names them")
    return 0 if all(figures[kind] >= GOALS[kind] for kind in KINDS) else 1


def _figures(units: Mapping[str, UnitCoverage], seed: int) -> dict[str, Any]:
    return {
        **{kind: percent(units.values(), kind) for kind in KINDS},
        "units": len(units),
        "seed": seed,
        "points": {kind: sum(unit.points[kind] for unit in units.values()) for kind in KINDS},
        "hit": {kind: sum(unit.hit[kind] for unit in units.values()) for kind in KINDS},
        "excluded": {
            reason: {kind: sum(unit.excluded[kind][reason] for unit in units.values()) for kind in KINDS}
            for reason in REASONS
        },
        "missed": {kind: sum(len(unit.missed[kind]) for unit in units.values()) for kind in KINDS},
        "modules": {
            kind: dict(Counter(module(place) for unit in units.values() for place in unit.missed[kind]).most_common())
            for kind in KINDS
        },
        "places": {
            kind: [f"{name} {place}" for name, unit in units.items() for place in unit.missed[kind]] for kind in KINDS
        },
    }


def module(place: str) -> str:
    """The module of a missed point; ``top`` is the module around all others. Copies of a module count as one."""
    scope = place.split(":")[0].strip()
    return re.sub(r"_(\d+|\*)(?=\.|$)", "", scope) or "top"


def _table(figures: Mapping[str, Any]) -> Table:
    table = table_of("", *KINDS, title=f"coverage of {figures['units']} units")
    counts = {
        "points": figures["points"],
        "hit": figures["hit"],
        **{f"excluded: {reason}": excluded for reason, excluded in figures["excluded"].items()},
        "missed": figures["missed"],
    }
    for label, of_kind in counts.items():
        table.add_row(label, *(f"{of_kind[kind]:,}" for kind in KINDS))
    table.add_section()
    table.add_row("covered", *(f"{figures[kind]:.3f} %" for kind in KINDS))
    return table


def _parser() -> cli.Parser:
    parser = cli.Parser(prog="python -m scripts.coverage", description=__doc__)
    add = parser.add_argument
    add("--kind", choices=("all", *KINDS_OF_UNITS), default="all", help="of units (default: all)")
    add(
        "--unit",
        action="append",
        choices=UNITS,
        metavar="NAME",
        help="only this one: a case of sim/cases/frozen.py, reloadable/ and one of sim/cases/reloadable.py, or "
        "network/ and one of sim/cases/graphs.py",
    )
    add("--seed", type=cli.bounded(int, 0, 2**31 - 1), default=0, help="of stimulus and pauses (default: 0)")
    add("--jobs", type=cli.bounded(int, 1, 64), default=os.cpu_count(), help="units at a time (default: one a core)")
    add("--json", type=cli.file_path, metavar="FILE", help="where to write the figures and all missed points")
    return parser


if __name__ == "__main__":
    cli.run(main)
