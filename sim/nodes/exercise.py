"""Runs of a node in a simulator."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hw.network.beat import Beat
from sim.nodes.case import TOP, NodeCase
from sim.simulator.job import JOB_VARIABLE
from sim.simulator.program import Bench, Program
from sim.simulator.simulators import Simulator

BENCH = Bench(modules=["sim.nodes.bench"])
#: The least beats of an input, and the least frames.
BEATS, FRAMES = 40, 3


@dataclass(frozen=True, kw_only=True)
class _Named:
    name: str


@dataclass(frozen=True, kw_only=True)
class _Gateware:
    """A node as `Program` takes it."""

    verilog: str
    config: _Named = _Named(name=TOP)
    memories: Mapping[str, bytes] = field(default_factory=dict)


def exercise_node(case: NodeCase, simulator: Simulator, folder: Path, *, seed: int) -> dict[str, str | None]:
    """Run a node at full rate, twice, and with pauses, twice. Each run begins with a reset amid other beats.

    Args:
        case: the node.
        simulator: the simulator to run it in.
        folder: an empty folder, for the log.
        seed: seed of beats, arrivals and pauses.

    Returns:
        The failure message of each test; None for a test that passed.
    """
    rng = np.random.default_rng(seed)
    frames = max(FRAMES, -(-BEATS // max(case.frame_inputs)))
    counts = [frames * beats for beats in case.frame_inputs]
    together = [np.zeros(count, np.int64) for count in counts]
    runs = [_run(case, rng, counts, arrivals) for arrivals in (together, _arrivals(rng, counts), None, None)]
    job = {"ports": case.ports, "inputs": len(case.inputs), "axi": case.axi, "runs": runs}
    (folder / "node.json").write_text(json.dumps(job))
    program = Program.build(simulator, BENCH, _Gateware(verilog=case.make()))
    return program.run(folder, environment={JOB_VARIABLE: str(folder.resolve())}, seed=seed)


def _run(
    case: NodeCase, rng: np.random.Generator, counts: Sequence[int], arrivals: Sequence[np.ndarray] | None
) -> dict[str, Any]:
    """A run at full rate with these ``arrivals``; with pauses where there are none."""
    beats = [_beats(rng, beat, count) for beat, count in zip(case.inputs, counts, strict=True)]
    times = case.times(arrivals) if arrivals else None
    return {
        "inputs": [_packed(beat, stream) for beat, stream in zip(case.inputs, beats, strict=True)],
        "outputs": [_packed(beat, stream) for beat, stream in zip(case.outputs, case.model(beats), strict=True)],
        "arrivals": arrivals and [cycles.tolist() for cycles in arrivals],
        "times": times and [[cycles.tolist() for cycles in side] for side in (times.taken, times.given)],
        "offer": rng.choice([0.15, 0.5, 0.9], len(case.inputs)).tolist(),
        "ready": rng.choice([0.15, 0.5, 0.9], len(case.outputs)).tolist(),
    }


def _arrivals(rng: np.random.Generator, counts: Sequence[int]) -> list[np.ndarray]:
    """Cycles from which beats are offered: bursts, single beats, several at once, and long gaps."""
    shares = rng.dirichlet([3, 3, 1, 1, 0.2])
    return [np.cumsum(rng.choice([0, 1, 2, 3, 9], count, p=shares)) for count in counts]


def _beats(rng: np.random.Generator, beat: Beat, count: int) -> np.ndarray:
    """Beats of random elements, many of them at the limits of their format."""
    low, high = (-(1 << beat.bits - 1), (1 << beat.bits - 1) - 1) if beat.signed else (0, (1 << beat.bits) - 1)
    uniform = rng.integers(low, high, (count, beat.lanes), endpoint=True)
    return np.where(rng.random(uniform.shape) < 0.2, rng.choice([low, high], uniform.shape), uniform)


def _packed(beat: Beat, stream: np.ndarray) -> list[int]:
    mask = (1 << beat.bits) - 1
    return [sum((int(element) & mask) << lane * beat.bits for lane, element in enumerate(row)) for row in stream]
