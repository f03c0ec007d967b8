"""Coverage of a unit under its part of the regression, and under more stimulus where that leaves points open."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from golden.support.cache import cached
from hw.export.network_verilog import NetworkCore
from hw.export.verilog import Core
from sim.bulk.simulate import simulate
from sim.cases.stimulus import extreme_frames, provoking_frames, random_frames
from sim.evidence.cores import core_of, network_fault
from sim.evidence.coverage import Point, UnitCoverage, exclusions, open_points, read_points, summary
from sim.frozen.exercise import exercise
from sim.reloadable.exercise import RELOADABLE_BENCH, SCENARIOS, exercise_reloadable
from sim.simulator.program import Bench
from sim.simulator.simulators import COVERAGE_FILE, SIM, find_simulator

#: Where the named tests leave points open, a frozen unit gets so many random frames.
MORE_FRAMES = 60
#: Where the named tests leave points open, a reloadable unit gets so many random scenarios.
MORE_SCENARIOS = 40
#: Where a line or branch is open even then, a frozen unit gets so many random frames, and frames that provoke extreme
#: sums. Of 16-bit outputs, only one in 2^17 is rounded up from all ones.
MANY_FRAMES = 5000
#: Where a line or branch is open even then, a reloadable unit gets so many random scenarios.
MANY_SCENARIOS = 120
#: Where a line or branch is open even then, a network gets random frames for so many cycles at full rate.
MANY_CYCLES = 200_000
PAUSE = 0.3
#: Files and folders that no coverage depends on, and those that a frozen unit's does not depend on either.
OF_OTHERS = {"argued.py", "equivalence.py", "mutants.py", "mutation.py", "tests"}
OF_RELOADABLE = {"reloadable", "reloadable.py"}

#: Runs some tests, leaves `COVERAGE_FILE` in a folder, and returns what failed.
Part = Callable[[Path], list[str]]


def measure(name: str, *, seed: int = 0) -> UnitCoverage:
    """Coverage of `sim.evidence.cores.core_of` ``name``, from the cache if it is there.

    A frozen unit runs the tests of ``sim/tests/test_units.py``, a reloadable one those of
    ``sim/tests/test_reloadable.py``, and a network those of `network_fault`. Where these leave a point open that
    is not excluded, many more frames or random scenarios follow.
    """
    core = core_of(name)
    reloadable = isinstance(core, Core) and core.config.reload
    others = OF_OTHERS if reloadable else OF_OTHERS | OF_RELOADABLE
    files = [path for path in sorted((*SIM.rglob("*.py"), *SIM.rglob("*.v"))) if not others & _place(path)]
    parts: list[Part]
    if isinstance(core, NetworkCore):
        many = MANY_CYCLES // core.manifest["timing"]["predicted_frame_cycles"]
        parts = [partial(_frames_of_network, core, seed, count) for count in (MORE_FRAMES, many)]
    elif core.config.reload is None:
        parts = [partial(_tests, core, seed)]
        parts += [partial(_more_frames, core, seed), partial(_many_frames, core, seed)]
    else:
        parts = [partial(_scenarios, core, seed, RELOADABLE_BENCH, 1)]
        parts += [partial(_scenarios, core, seed, SCENARIOS, count) for count in (MORE_SCENARIOS, MANY_SCENARIOS)]

    def make(folder: Path) -> None:
        (folder / "coverage.json").write_text(json.dumps(dataclasses.asdict(_measured(core, parts))))

    sources = (path.read_text() for path in files)
    folder = cached(["coverage", find_simulator("verilator").version(), core.verilog, str(seed), *sources], make)
    return UnitCoverage(**json.loads((folder / "coverage.json").read_text()))


def _place(path: Path) -> set[str]:
    """Names of a file and of the room that it is in, below the package of all that simulates."""
    room, *_ = path.relative_to(SIM).parts
    return {room, path.name}


def _measured(core: Core | NetworkCore, parts: Sequence[Part]) -> UnitCoverage:
    """Coverage by as many of ``parts`` as it takes until all open points are excluded.

    The last part does not run for toggles alone: some toggles always stay open.
    """
    counts: Counter[Point] = Counter()
    reasons: dict[Point, str] | None = None
    for part in parts:
        if part is parts[-1] and all(point.kind == "toggle" for point in open_points(counts) - (reasons or {}).keys()):
            break
        with tempfile.TemporaryDirectory() as scratch:
            failures = part(Path(scratch))
            if failures:
                raise RuntimeError(f"coverage of a unit that fails: {failures[0]}")
            counts.update(read_points((Path(scratch) / COVERAGE_FILE).read_text()))
        left = open_points(counts)
        if reasons is None:
            reasons = exclusions(core.verilog, left)
        reasons = {point: reason for point, reason in reasons.items() if point in left}
        if reasons.keys() == left:
            break
    return summary(counts, reasons or {})


def _tests(core: Core, seed: int, folder: Path) -> list[str]:
    return _failures(exercise(core, find_simulator("verilator"), folder, seed=seed, coverage=True))


def _frames_of_network(core: NetworkCore, seed: int, count: int, folder: Path) -> list[str]:
    found = network_fault(core, count, seed=seed, simulator="verilator", coverage=folder / COVERAGE_FILE)
    return [found] if found else []


def _more_frames(core: Core, seed: int, folder: Path) -> list[str]:
    rng, config = np.random.default_rng(seed), core.config.layer.config
    frames = np.concatenate([random_frames(rng, config, MORE_FRAMES), extreme_frames(config)])
    return _complaints(core, rng.permutation(frames), seed, folder)


def _many_frames(core: Core, seed: int, folder: Path) -> list[str]:
    rng = np.random.default_rng(seed)
    frames = np.concatenate(
        [provoking_frames(rng, core.config.layer), random_frames(rng, core.config.layer.config, MANY_FRAMES)]
    )
    return _complaints(core, frames, seed, folder)


def _complaints(core: Core, frames: np.ndarray, seed: int, folder: Path) -> list[str]:
    file = folder / COVERAGE_FILE
    result = simulate(core, frames, idle=PAUSE, stall=PAUSE, seed=seed, coverage=file)
    return result.complaints()


def _scenarios(core: Core, seed: int, bench: Bench, stimuli: int, folder: Path) -> list[str]:
    verilator = find_simulator("verilator")
    return _failures(
        exercise_reloadable(core, verilator, folder, bench=bench, seed=seed, stimuli=stimuli, coverage=True)
    )


def _failures(verdicts: dict[str, str | None]) -> list[str]:
    return [message for message in verdicts.values() if message]
