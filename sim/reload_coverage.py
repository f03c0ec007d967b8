"""What the regression exercises of a reloadable unit's Verilog: `sim.coverage` for the tests of another bench."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path

from golden.cache import cached
from hw.verilog import Core, generate
from sim.coverage import Point, UnitCoverage, exclusions, read_points, summary
from sim.reload_cases import reloadable_case
from sim.reloadable import RELOADABLE_BENCH, SCENARIOS, exercise_reloadable
from sim.simulators import COVERAGE_FILE, HERE, find_simulator

#: Random scenarios that follow where the named tests leave something open.
MORE_SCENARIOS = 40
#: Modules that have no part in it.
OF_MUTANTS = ("equivalence", "mutants", "mutation")


def measure_reloadable(name: str, *, seed: int = 0) -> UnitCoverage:
    """Coverage of the named case under the tests of ``sim/test_reloadable.py``, from the cache if it is there.

    Where they leave a point open that is not excluded, random scenarios as those of ``scripts.fuzz`` follow.
    """
    case = reloadable_case(name)
    core = generate(case.layer, case.folding, case.target, pack=case.pack, reload=case.reload)

    def make(folder: Path) -> None:
        unit = _measure(core, seed)
        (folder / "coverage.json").write_text(json.dumps(dataclasses.asdict(unit)))

    # What the two benches depend on is spread over many files.
    sources = (path.read_text() for path in sorted(HERE.glob("*.py")) if path.stem not in OF_MUTANTS)
    key = ["reload_coverage", find_simulator("verilator").version(), core.verilog, str(seed), *sources]
    return UnitCoverage(**json.loads((cached(key, make) / "coverage.json").read_text()))


def _measure(core: Core, seed: int) -> UnitCoverage:
    simulator = find_simulator("verilator")
    with tempfile.TemporaryDirectory() as scratch:
        counts, failures = read_points(""), []
        reasons: dict[Point, str] | None = None
        for bench, stimuli in ((RELOADABLE_BENCH, 1), (SCENARIOS, MORE_SCENARIOS)):
            folder = Path(scratch) / bench.module
            folder.mkdir()
            verdicts = exercise_reloadable(
                core, simulator, folder, bench=bench, seed=seed, stimuli=stimuli, coverage=True
            )
            failures += [message for message in verdicts.values() if message]
            counts.update(read_points((folder / COVERAGE_FILE).read_text()))
            left = {point for point, count in counts.items() if not count}
            if reasons is None:
                reasons = exclusions(core.verilog, left)
            reasons = {point: why for point, why in reasons.items() if point in left}
            if reasons.keys() == left:
                break
    if failures:
        raise RuntimeError(f"coverage of a unit that fails: {failures[0]}")
    return summary(counts, reasons or {})
