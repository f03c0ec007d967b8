"""The fewest co-simulated units that keep most kills of the recorded mutants: those that ``make test`` simulates.

Examples:
    python -m scripts.quick_units
    python -m scripts.quick_units --keep 80
    python -m scripts.quick_units --record mutation.json

Each recorded mutant is a fault in one unit, and was killed by one test of that unit. ``make test``
runs the regression of `sim.evidence.mutation` on the units that are chosen. The units with the most
kills are chosen first, until enough kills are kept. Kills by longer tests are not kept by any unit.

Exit status: 0 if enough kills can be kept, 1 if not, 2 for wrong input.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from rich.table import Table

from golden.support import cli
from golden.support.cli import UserError
from golden.support.tables import show, table_of
from scripts.checkout import in_checkout
from sim.cases.reloadable import PREFIX
from sim.evidence.mutation import LONG_PAUSES
from sim.reloadable.exercise import ESSENTIAL

RECORD = "docs/evidence/mutation.json"
#: Share of the kills to keep, in percent.
KEEP = 95.0

#: For each unit, the number of mutants that each test killed.
Kills = Mapping[str, Mapping[str, int]]


def main(argv: list[str]) -> int:
    options = _parser().parse_args(argv)
    kills = read_kills(options.record or in_checkout(RECORD, "--record FILE"))
    units = choose(kills, options.keep)
    show(_table(kills, units))
    return 0 if kept(kills, units) >= options.keep else 1


def read_kills(path: Path) -> Kills:
    """The kills that ``scripts.mutation --json`` wrote. Raises `UserError` where ``path`` has none."""
    try:
        kills = json.loads(path.read_text())["kills"]
        return {unit: {test: int(count) for test, count in tests.items()} for unit, tests in kills.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"record {path} is not what scripts.mutation --json writes") from None


def choose(kills: Kills, keep: float) -> list[str]:
    """The units with the most kills, until ``keep`` percent of all kills are kept or no unit is left."""
    chosen: list[str] = []
    for unit in sorted(kills, key=lambda unit: -_quick(unit, kills[unit])):
        if kept(kills, chosen) >= keep:
            break
        chosen.append(unit)
    return chosen


def kept(kills: Kills, units: list[str]) -> float:
    """Share of all kills that the regression keeps on ``units``, in percent."""
    total = sum(sum(tests.values()) for tests in kills.values())
    return 100 * sum(_quick(unit, kills[unit]) for unit in units) / total if total else 0.0


def _quick(unit: str, tests: Mapping[str, int]) -> int:
    """Number of kills of one unit by tests of the regression."""
    return sum(count for test, count in tests.items() if _in_regression(unit, test))


def _in_regression(unit: str, test: str) -> bool:
    if unit.startswith(PREFIX):
        return re.search(ESSENTIAL, test) is not None
    return test != LONG_PAUSES


def _table(kills: Kills, units: list[str]) -> Table:
    table = table_of("unit", "kills", "kept by the regression", "chosen", "kept so far", title="units of make test")
    for unit in [*units, *(unit for unit in kills if unit not in units)]:
        chosen = unit in units
        share = f"{kept(kills, units[: units.index(unit) + 1]):.1f} %" if chosen else "-"
        table.add_row(
            unit, str(sum(kills[unit].values())), str(_quick(unit, kills[unit])), "yes" if chosen else "no", share
        )
    return table


def _parser() -> cli.Parser:
    parser = cli.Parser(prog="python -m scripts.quick_units", description=__doc__)
    add = parser.add_argument
    add("--keep", type=cli.bounded(float, 0, 100), default=KEEP, help=f"kills to keep, in percent (default: {KEEP:g})")
    add(
        "--record",
        type=cli.file_path,
        metavar="FILE",
        help="verdicts (default: those of docs/evidence)",
    )
    return parser


if __name__ == "__main__":
    cli.run(main)
