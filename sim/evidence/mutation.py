"""Whether the regression notices faults: mutants of some small units, and what becomes of each.

Every mutant goes through bulk runs of random and extreme frames, at full rate with the predicted cycle figures and with
pauses, and if these do not kill it through the cycle-by-cycle tests of ``sim/frozen/tests.py``, resets among them, and
then through bulk runs of many more frames whose input, or output, mostly waits. One of a reloadable unit goes through
the tests of `sim.reloadable.tests`, and then through random scenarios. What survives is proven to be equivalent
(`sim.evidence.equivalence`), or remains a survivor.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from golden.support.cache import cached
from hw.export.verilog import Core, generate
from sim.bulk.simulate import simulate
from sim.cases.reloadable import PREFIX, any_case
from sim.cases.stimulus import extreme_frames, random_frames
from sim.evidence.argued import ARGUED
from sim.evidence.equivalence import equivalent
from sim.evidence.gates import read_gates
from sim.evidence.mutants import INNER, SELECT, Mutant, draw, mutated, mutated_netlist
from sim.frozen.exercise import exercise
from sim.reloadable.exercise import ESSENTIAL, RELOADABLE_BENCH, SCENARIOS, exercise_reloadable
from sim.simulator.program import Bench, SimulationError
from sim.simulator.simulators import SIM, find_simulator

#: Units (`sim.cases.reloadable.any_case`), small ones that have every stage, and how many mutants are drawn from each.
SUITE: Mapping[str, int] = {
    "fold_sequential": 120,
    "stride_2_even": 100,
    "dynamic_head_over_beats": 120,
    "xcup_bits_3_6_signed": 80,
    PREFIX + "stride_2": 80,
}
#: What the regression must kill of the mutants that are not equivalent, in percent.
GOAL = 97.0
EQUIVALENT = "equivalent"
SURVIVED = "survived"
FRAMES = 5
PAUSE = 0.3
#: The same for a mutant that these leave. Of 12-bit outputs one in 8,192 is rounded up from all ones, and a unit has to
#: be starved to show how long it waits.
MORE_FRAMES = 600
LONG_PAUSE = 0.9
LONG_PAUSES = "long pauses"
FATES = "fates.json"
#: Random scenarios for a mutant of a reloadable unit that its tests do not kill.
MORE_SCENARIOS = 20


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What became of a mutant.

    Attributes:
        verdict: `EQUIVALENT` (proven), `SURVIVED`, or what killed it: the test and its message.
    """

    unit: str
    mutant: Mutant
    verdict: str

    @property
    def killed(self) -> bool:
        return self.verdict not in (EQUIVALENT, SURVIVED)

    @property
    def argument(self) -> str | None:
        """Why it is equivalent though not proven to be, None for all others."""
        return ARGUED.get((self.unit, str(self.mutant))) if self.verdict == SURVIVED else None

    @property
    def survived(self) -> bool:
        return self.verdict == SURVIVED and self.argument is None


def campaign(
    name: str, count: int, *, seed: int, simulator: str, jobs: int, advance: Callable[[float], object]
) -> list[Fate]:
    """Draw ``count`` mutants of a named case and try to kill each, or take what came of it from the cache.

    Args:
        seed: of the draw and of all stimulus.
        jobs: simulations at a time.
        advance: called with the number of mutants that are done.
    """
    core = generate(any_case(name))
    tried = 0

    def count_up(done: float) -> None:
        nonlocal tried
        tried += 1
        advance(done)

    def make(folder: Path) -> None:
        mutants = draw(core, count, seed=seed)
        verdicts = try_all(core, mutants, seed=seed, simulator=simulator, jobs=jobs, advance=count_up)
        fates = [{**vars(mutant), "verdict": verdict} for mutant, verdict in zip(mutants, verdicts, strict=True)]
        (folder / FATES).write_text(json.dumps(fates))

    # All benches: what a verdict depends on is spread over many files. What is argued about one comes after it.
    files = sorted((*SIM.rglob("*.py"), *SIM.rglob("*.v")))
    sources = (path.read_text() for path in files if path.name != "argued.py")
    version = find_simulator(simulator).version()
    folder = cached(["mutation", simulator, version, str(count), str(seed), core.verilog, *sources], make)
    fates = json.loads((folder / FATES).read_text())
    advance(len(fates) - tried)
    return [Fate(unit=name, verdict=fate.pop("verdict"), mutant=Mutant(**fate)) for fate in fates]


def try_all(
    core: Core,
    mutants: Sequence[Mutant],
    *,
    seed: int = 0,
    simulator: str = "verilator",
    jobs: int = 1,
    advance: Callable[[float], object] = lambda count: None,
) -> list[str]:
    """The verdict on each of ``mutants``, see `Fate`."""
    every = dataclasses.replace(core, verilog=mutated(core, mutants))
    fault = kill(every, 0, seed, simulator)
    if fault is not None:
        raise RuntimeError(f"the netlist without a mutant fails: {fault}")
    verdicts = [SURVIVED] * len(mutants)
    with ProcessPoolExecutor(jobs) as pool:
        runs = {pool.submit(kill, every, index + 1, seed, simulator): index for index in range(len(mutants))}
        for run in as_completed(runs):
            verdicts[runs[run]] = run.result() or SURVIVED
            advance(1)
    left = [index for index, verdict in enumerate(verdicts) if verdict == SURVIVED]
    if left:
        gates = read_gates(mutated_netlist(core, [mutants[index] for index in left]), top=INNER)
        for index, alike in zip(left, equivalent(gates, SELECT, range(1, len(left) + 1)), strict=True):
            if alike:
                verdicts[index] = EQUIVALENT
    return verdicts


def kill(core: Core, number: int, seed: int, simulator: str) -> str | None:
    """What notices mutant ``number`` of the unit of `sim.evidence.mutants.mutated`; None if nothing does."""
    try:
        plusargs = {SELECT: number}
        if core.config.reload is None:
            return _frozen_fault(core, plusargs, seed, simulator)
        # All tests include the essential ones, which most mutants do not outlive.
        return (
            regression(core, seed=seed, simulator=simulator, plusargs=plusargs)
            or _reload_fault(core, RELOADABLE_BENCH, None, plusargs, seed, simulator)
            or _reload_fault(core, SCENARIOS, None, plusargs, seed, simulator)
        )
    except SimulationError as error:
        return str(error)


def regression(core: Core, *, seed: int, simulator: str, plusargs: Mapping[str, int] | None = None) -> str | None:
    """The tests that every mutant goes through, on any unit: what the first that fails says; None if all pass."""
    if core.config.reload is not None:
        return _reload_fault(core, RELOADABLE_BENCH, ESSENTIAL, plusargs, seed, simulator)
    config = core.config.layer.config
    noise = random_frames(np.random.default_rng(seed), config, FRAMES)
    frames = np.stack([noise, extreme_frames(config)], axis=1).reshape(-1, *noise.shape[1:])
    for pause in (0.0, PAUSE):
        if found := _bulk_fault(core, frames, pause, pause, plusargs, seed, simulator):
            return found
    with tempfile.TemporaryDirectory() as folder:
        verdicts = exercise(core, find_simulator(simulator), Path(folder), seed=seed, plusargs=plusargs)
    return _first_failure(verdicts)


def _frozen_fault(core: Core, plusargs: Mapping[str, int], seed: int, simulator: str) -> str | None:
    if found := regression(core, seed=seed, simulator=simulator, plusargs=plusargs):
        return found
    frames = random_frames(np.random.default_rng(seed), core.config.layer.config, MORE_FRAMES)
    for idle, stall in ((LONG_PAUSE, 0.0), (0.0, LONG_PAUSE)):
        if found := _bulk_fault(core, frames, idle, stall, plusargs, seed, simulator):
            return found
    return None


def _bulk_fault(
    core: Core,
    frames: np.ndarray,
    idle: float,
    stall: float,
    plusargs: Mapping[str, int] | None,
    seed: int,
    simulator: str,
) -> str | None:
    result = simulate(core, frames, simulator=simulator, idle=idle, stall=stall, seed=seed, plusargs=plusargs)
    how = {0: "full rate", PAUSE: "pauses", LONG_PAUSE: LONG_PAUSES}[max(idle, stall)]
    found = result.complaints() + ([] if idle or stall else result.timing_complaints(core.manifest["timing"]))
    return f"{how}: {found[0]}" if found else None


def _reload_fault(
    core: Core,
    bench: Bench,
    tests: str | None,
    plusargs: Mapping[str, int] | None,
    seed: int,
    simulator: str,
) -> str | None:
    with tempfile.TemporaryDirectory() as folder:
        verdicts = exercise_reloadable(
            core,
            find_simulator(simulator),
            Path(folder),
            bench=bench,
            tests=tests,
            seed=seed,
            stimuli=MORE_SCENARIOS,
            plusargs=plusargs,
        )
    return _first_failure(verdicts)


def _first_failure(verdicts: Mapping[str, str | None]) -> str | None:
    return next((f"{test}: {message}" for test, message in verdicts.items() if message is not None), None)
