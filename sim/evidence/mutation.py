"""Whether the regression notices faults: mutants of some small units, and what becomes of each.

A mutant of a frozen unit goes through these until one kills it:

- bulk runs of random and extreme frames, at full rate with the predicted cycle figures, and with pauses;
- the cycle-by-cycle tests of ``sim/frozen/tests.py``, which include resets;
- bulk runs of many more frames, whose input, or output, mostly waits.

A mutant of a network goes through bulk runs alone, with pauses and resets, first of few frames, then of many.

A mutant of a reloadable unit goes through the tests of `sim.reloadable.tests`, and then through random
scenarios. A mutant that survives is proven to be equivalent (`sim.evidence.equivalence`), or remains a
survivor.
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
from hw.export.network_verilog import NetworkCore
from hw.export.verilog import Core
from sim.bulk.simulate import simulate
from sim.cases.reloadable import PREFIX
from sim.cases.stimulus import extreme_frames, random_frames
from sim.evidence.argued import ARGUED
from sim.evidence.cores import NETWORKS, core_of, network_fault
from sim.evidence.equivalence import equivalent
from sim.evidence.gates import read_gates
from sim.evidence.mutants import INNER, SELECT, Mutant, draw, mutated, mutated_netlist
from sim.evidence.node_ranges import range_claims
from sim.frozen.exercise import exercise
from sim.reloadable.exercise import ESSENTIAL, RELOADABLE_BENCH, SCENARIOS, exercise_reloadable
from sim.simulator.program import Bench, SimulationError
from sim.simulator.simulators import SIM, find_simulator

#: Number of mutants for each unit and network (`sim.evidence.cores`). They are small and together have every stage and
#: every node.
SUITE: Mapping[str, int] = {
    "fold_sequential": 120,
    "stride_2_even": 100,
    "dynamic_head_over_beats": 120,
    "xcup_bits_3_6_signed": 80,
    PREFIX + "stride_2": 80,
    **dict.fromkeys(NETWORKS, 60),
}
#: What the regression must kill of the mutants that are not equivalent, in percent.
GOAL = 97.0
EQUIVALENT = "equivalent"
SURVIVED = "survived"
FRAMES = 5
PAUSE = 0.3
#: Frames for a mutant that the regression does not kill: of 12-bit outputs, only one in 8,192 is rounded up from all
#: ones.
MORE_FRAMES = 600
#: Share of pauses for such a mutant: a unit has to be starved to show how long it waits.
LONG_PAUSE = 0.9
LONG_PAUSES = "long pauses"
FATES = "fates.json"
#: Random scenarios for a mutant of a reloadable unit that its tests do not kill.
MORE_SCENARIOS = 20


@dataclass(frozen=True, kw_only=True)
class Fate:
    """What became of a mutant.

    Attributes:
        unit: name of the unit.
        mutant: the fault.
        verdict: `EQUIVALENT` if that is proven, `SURVIVED`, or the test that killed the mutant and its message.
    """

    unit: str
    mutant: Mutant
    verdict: str

    @property
    def killed(self) -> bool:
        return self.verdict not in (EQUIVALENT, SURVIVED)

    @property
    def argument(self) -> str | None:
        """Why a survivor is equivalent though that is not proven; None for all others."""
        return ARGUED.get((self.unit, str(self.mutant))) if self.verdict == SURVIVED else None

    @property
    def survived(self) -> bool:
        return self.verdict == SURVIVED and self.argument is None


def campaign(
    name: str, count: int, *, seed: int, simulator: str, jobs: int, advance: Callable[[float], object]
) -> list[Fate]:
    """Draw mutants of a named case and try to kill each, or take their fates from the cache.

    Args:
        name: the unit or network, see `sim.evidence.cores`.
        count: number of mutants.
        seed: seed of the draw and of all stimulus.
        simulator: name of the simulator.
        jobs: number of simulations at a time.
        advance: called with the number of mutants that are done since the call before.
    """
    core = core_of(name)
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

    # A verdict depends on many files of the benches, so all count. Arguments come after it, so they do not.
    files = sorted((*SIM.rglob("*.py"), *SIM.rglob("*.v")))
    sources = (path.read_text() for path in files if path.name != "argued.py")
    version = find_simulator(simulator).version()
    folder = cached(["mutation", simulator, version, str(count), str(seed), core.verilog, *sources], make)
    fates = json.loads((folder / FATES).read_text())
    advance(len(fates) - tried)
    return [Fate(unit=name, verdict=fate.pop("verdict"), mutant=Mutant(**fate)) for fate in fates]


def try_all(
    core: Core | NetworkCore,
    mutants: Sequence[Mutant],
    *,
    seed: int = 0,
    simulator: str = "verilator",
    jobs: int = 1,
    advance: Callable[[float], object] = lambda count: None,
) -> list[str]:
    """The verdict on each of ``mutants``, see `Fate`.

    Raises:
        RuntimeError: if the netlist fails without a mutant.
    """
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
        known = range_claims(core.plan.graph, gates) if isinstance(core, NetworkCore) else ()
        for index, alike in zip(left, equivalent(gates, SELECT, range(1, len(left) + 1), known), strict=True):
            if alike:
                verdicts[index] = EQUIVALENT
    return verdicts


def kill(core: Core | NetworkCore, number: int, seed: int, simulator: str) -> str | None:
    """The test that notices a mutant, and its message; None if no test does.

    Args:
        core: a unit with the Verilog of `sim.evidence.mutants.mutated`.
        number: the mutant; 0 is the unit without a fault.
    """
    try:
        plusargs = {SELECT: number}
        if isinstance(core, NetworkCore):
            return network_fault(core, FRAMES, seed=seed, simulator=simulator, plusargs=plusargs) or network_fault(
                core, MORE_FRAMES, seed=seed + 1, simulator=simulator, plusargs=plusargs
            )
        if core.config.reload is None:
            return _frozen_fault(core, plusargs, seed, simulator)
        # The essential tests come first, as few mutants outlive them.
        return (
            regression(core, seed=seed, simulator=simulator, plusargs=plusargs)
            or _reload_fault(core, RELOADABLE_BENCH, None, plusargs, seed, simulator)
            or _reload_fault(core, SCENARIOS, None, plusargs, seed, simulator)
        )
    except SimulationError as error:
        return str(error)


def regression(core: Core, *, seed: int, simulator: str, plusargs: Mapping[str, int] | None = None) -> str | None:
    """Run the tests that every mutant goes through, on any unit.

    Returns:
        The first test that fails, and its message; None if all pass.
    """
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
