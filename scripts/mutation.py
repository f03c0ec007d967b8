"""Faults planted in the generated netlist, one at a time, and how many the regression notices.

Examples:
    python -m scripts.mutation
    python -m scripts.mutation --kind network
    python -m scripts.mutation --unit fold_sequential --count 20
    python -m scripts.mutation --json mutation.json

Yosys draws the mutants. All mutants of a unit or network are in one program, which is simulated for each of them
(``sim/evidence/mutation.py``). Some survivors are proven to do what the unit does. Some are argued one
by one to do so (``sim/evidence/argued.py``). The others are listed.

Exit status: 0 if enough of the mutants that are not equivalent are killed, 1 if not, 2 for wrong input.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

from rich.table import Table

from golden.support import cli
from golden.support.progress import progress
from golden.support.tables import show, table_of
from golden.support.terminal import say
from hw.synth.stages import STAGES
from sim.evidence.cores import NETWORKS
from sim.evidence.mutation import EQUIVALENT, GOAL, SUITE, Fate, campaign
from sim.evidence.node_kinds import EDGES, NODES
from sim.simulator.simulators import SIMULATORS, find_simulator

#: Names of `SUITE`, by kind.
KINDS = {"unit": tuple(name for name in SUITE if name not in NETWORKS), "network": NETWORKS}


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    find_simulator(options.simulator)
    names = dict.fromkeys(options.unit or KINDS.get(options.kind, SUITE))
    suite = {name: options.count or SUITE[name] for name in names}
    fates: list[Fate] = []
    with (
        cli.json_report(options.json) as write,
        progress("killing mutants", sum(suite.values())) as advance,
    ):
        for name, count in suite.items():
            fates += campaign(
                name, count, seed=options.seed, simulator=options.simulator, jobs=options.jobs, advance=advance
            )
        figures = _figures(fates, options)
        write(figures)
    show(_table(figures))
    for survivor in figures["survivors"]:
        say(f"survived {survivor['unit']}: {survivor['mutant']}")
    return 0 if figures["killed_percent"] >= GOAL else 1


def _figures(fates: list[Fate], options: Any) -> dict[str, Any]:
    totals = _counts(fates)
    candidates = totals["mutants"] - totals["equivalent"]
    units = dict.fromkeys(fate.unit for fate in fates)
    drawn = {fate.mutant.stage for fate in fates}
    stages = [stage for stage in dict.fromkeys((*STAGES, *NODES, *EDGES)) if stage in drawn]
    return {
        **totals,
        "killed_percent": 100 * totals["killed"] / candidates if candidates else 100.0,
        "units": {name: _counts([fate for fate in fates if fate.unit == name]) for name in units},
        "stages": {stage: _counts([fate for fate in fates if fate.mutant.stage == stage]) for stage in stages},
        "killed_by": _killers(fates),
        "kills": {name: _killers([fate for fate in fates if fate.unit == name]) for name in units},
        "argued": [{**_place(fate), "reason": fate.argument} for fate in fates if fate.argument],
        "survivors": [_place(fate) for fate in fates if fate.survived],
        "seed": options.seed,
        "simulator": options.simulator,
    }


def _killers(fates: list[Fate]) -> dict[str, int]:
    """Number of mutants that each test kills. A mutant counts for the first test that kills it."""
    return dict(Counter(fate.verdict.split(":")[0] for fate in fates if fate.killed).most_common())


def _place(fate: Fate) -> dict[str, str]:
    return {"unit": fate.unit, "stage": fate.mutant.stage, "mutant": str(fate.mutant)}


def _counts(fates: list[Fate]) -> dict[str, int]:
    return {
        "mutants": len(fates),
        "equivalent": sum(fate.verdict == EQUIVALENT or fate.argument is not None for fate in fates),
        "killed": sum(fate.killed for fate in fates),
        "survived": sum(fate.survived for fate in fates),
    }


def _table(figures: dict[str, Any]) -> Table:
    columns = ("mutants", "equivalent", "killed", "survived")
    table = table_of(
        "stage", *columns, title=f"mutants of {', '.join(figures['units'])}", caption=f"seed {figures['seed']}"
    )
    for stage, counts in figures["stages"].items():
        table.add_row(stage, *(f"{counts[column]:,}" for column in columns))
    table.add_section()
    table.add_row("all", *(f"{figures[column]:,}" for column in columns))
    table.add_row("killed of those not equivalent", "", "", f"{figures['killed_percent']:.2f} %", "")
    return table


def _parser() -> cli.Parser:
    parser = cli.Parser(prog="python -m scripts.mutation", description=__doc__)
    add = parser.add_argument
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--kind", choices=("all", *KINDS), default="all", help="of gateware (default: all)")
    which.add_argument(
        "--unit", action="append", choices=list(SUITE), metavar="NAME", help=f"one of {', '.join(SUITE)}"
    )
    add(
        "--count",
        type=cli.bounded(int, 1, 10_000),
        help="mutants of each unit (default: as sim/evidence/mutation.py says)",
    )
    add("--seed", type=cli.bounded(int, 0, 2**31 - 1), default=0, help="of the draw and of stimulus (default: 0)")
    add("--simulator", choices=list(SIMULATORS), default="verilator", help="(default: verilator)")
    add("--jobs", type=cli.bounded(int, 1, 64), default=os.cpu_count(), help="simulations at a time (default: cores)")
    add("--json", type=cli.file_path, metavar="FILE", help="where to write the figures and the survivors")
    return parser


if __name__ == "__main__":
    cli.run(main)
