"""Whole frames through the generated unit at simulator speed."""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np

from golden.contract.streams import to_beats
from hw.export.network_verilog import NetworkCore
from hw.export.verilog import Core
from hw.network.edges.pacer import pace
from sim.bulk.recording import Recording
from sim.bulk.reference import reference
from sim.bulk.result import SimulationResult
from sim.simulator.program import Bench, Program, SimulationError
from sim.simulator.simulators import COVERAGE_FILE, find_simulator

BULK = Bench(modules=["sim.bulk.bench"], top="bulk", source="bulk/bulk.v", drives_itself=True)
#: Beats from which on a program that runs fast makes up for what it takes to compile.
LONG_RUN = 100_000
#: ``bulk.v`` takes probabilities in these steps.
PROBABILITY_STEP = 2**-16
#: Cycles without a transfer that pauses of the highest probability may cause.
PATIENCE = 20_000
MAX_PROBABILITY = 0.99
#: The most cycles that a run watches for surplus output.
MAX_DRAIN = 10_000


def simulate(
    core: Core | NetworkCore,
    frames: np.ndarray,
    *,
    simulator: str = "verilator",
    idle: float = 0.0,
    stall: float = 0.0,
    calm: int = 0,
    seed: int = 0,
    reset_at: int = 0,
    waves: Path | None = None,
    coverage: Path | None = None,
    plusargs: Mapping[str, int] | None = None,
    long_run: bool | None = None,
    advance: Callable[[float], object] = lambda share: None,
) -> SimulationResult:
    """Stream ``frames`` through a unit or a network and compare what comes out with the integer model.

    Args:
        core: the unit or network.
        frames: integers ``[N, C, H, W]`` in its input format.
        simulator: ``verilator`` or ``icarus``.
        idle: probability of a cycle without input, 0 to 0.99.
        stall: probability of a cycle that does not take output, 0 to 0.99.
        calm: number of frames at full rate before the first pause.
        seed: seed of the random patterns of ``idle`` and ``stall``.
        reset_at: cycle behind which the unit is reset for one cycle. The frames are then streamed from the first on,
            and all that is said of the run counts from there. 0: never.
        waves: waveform file to write.
        coverage: file to write that says what was exercised, see `sim.evidence.coverage`.
        plusargs: plusargs for the unit's side.
        long_run: whether the program is to run fast, which takes longer to compile. None: as many beats are worth it.
            Runs that are alike here share a program.
        advance: called now and then with the share of the output that has come since the call
            before; the shares add up to 1.

    Raises:
        UserError: for frames outside the format, or without the simulator's tools.
        SimulationError: if the simulator is stopped or crashes.
        ValueError: if the run has ended before it comes to ``reset_at``.
    """
    model = reference(core)
    source, sink = model.source, model.sink
    frames = model.check_input(frames)
    expected = to_beats(model.run(frames), sink.lanes)
    stimulus = source.pack(to_beats(frames, source.lanes))
    timing = core.manifest["timing"]
    idle_seed, stall_seed = np.random.SeedSequence(seed).generate_state(2) | 1
    frame_time = timing["predicted_latency"] + timing["predicted_frame_cycles"]
    settings = {
        "beats": len(expected),
        "drain": min(frame_time, MAX_DRAIN),
        "patience": frame_time + PATIENCE,
        "idle": round(idle / PROBABILITY_STEP),
        "stall": round(stall / PROBABILITY_STEP),
        "calm_inputs": calm * (len(stimulus) // len(frames)),
        "calm_outputs": calm * (len(expected) // len(frames)),
        "idle_seed": int(idle_seed),
        "stall_seed": int(stall_seed),
        "reset_at": reset_at,
        **(plusargs or {}),
    }
    if long_run is None:
        long_run = len(stimulus) + len(expected) >= LONG_RUN
    widths = {"IN_BITS": 8 * source.bytes, "OUT_BITS": 8 * sink.bytes}
    with tempfile.TemporaryDirectory(prefix="xvolution-") as scratch:
        folder = Path(scratch)
        (folder / "stimulus.bin").write_bytes(stimulus[:, ::-1].tobytes())
        with _following(folder / "outputs.hex", 2 * sink.bytes * len(expected), advance):
            program = Program.build(
                find_simulator(simulator),
                dataclasses.replace(BULK, optimise=long_run),
                core,
                widths,
                waves=waves is not None,
                coverage=coverage is not None,
            )
            began = time.perf_counter()
            verdicts = program.run(folder, settings, waves=waves)
            seconds = time.perf_counter() - began
        for trouble in filter(None, verdicts.values()):
            raise SimulationError(f"{simulator} failed: {trouble}")
        recording = Recording.read(folder, sink.bytes)
        if recording.reset != bool(reset_at):
            raise ValueError(f"reset_at {reset_at} is behind the end of the run")
        if coverage:
            shutil.copy(folder / COVERAGE_FILE, coverage)

    beats = sink.unpack(recording.data)
    ends = [cycle for cycle, _ in recording.ends]
    latency = None
    if len(recording.inputs) and recording.first_output is not None:
        latency = recording.first_output - int(recording.inputs[0])
    return SimulationResult(
        shape=model.shape,
        beats=beats,
        expected=expected,
        first_output_latency=latency,
        frame_cycles=[None, *np.diff(ends).tolist()] if ends else [],
        input_cycles=recording.inputs - recording.inputs[:1],
        predicted_input_cycles=_predicted_inputs(core, len(frames)),
        faults=_faults(recording, len(stimulus), len(expected) // len(frames), sink.pack(beats)),
        cycles=recording.cycles,
        seconds=seconds,
    )


def _faults(recording: Recording, inputs: int, frame_beats: int, packed: np.ndarray) -> list[str]:
    """What is wrong with ``recording``, apart from wrong elements.

    Args:
        inputs: number of input beats that were there to take.
        frame_beats: number of output beats of a frame.
        packed: the elements of ``recording.data``, unpacked and packed again.
    """
    found = [recording.fault] if recording.fault else []
    count = len(recording.data)
    if recording.undefined:
        found.append(f"m_axis_tdata is undefined in beat {count}")
    padded = np.flatnonzero((packed != recording.data).any(axis=1))
    if len(padded):
        found.append(f"m_axis_tdata has padding bits that are not 0 in beat {padded[0]}")
    wrong = {beat for _, beat in recording.ends} ^ set(range(frame_beats - 1, count, frame_beats))
    if wrong and not recording.undefined:
        found.append(f"m_axis_tlast is wrong in beat {min(wrong)}, a frame has {frame_beats}")
    if not found and len(recording.inputs) < inputs:
        found.append(f"{inputs - len(recording.inputs)} input beats are not taken")
    return found


def _predicted_inputs(core: Core | NetworkCore, count: int) -> list[np.ndarray] | None:
    """When the input beats of ``count`` frames are taken at full rate: a network's pacer decides it alone."""
    if isinstance(core, Core):
        return None
    beats, interval = core.plan.graph.image_beats, core.manifest["timing"]["predicted_frame_cycles"]
    return np.split(pace(beats, interval, beats * count), count)


@contextlib.contextmanager
def _following(path: Path, size: int, advance: Callable[[float], object]) -> Iterator[None]:
    """While the body runs, report what share of ``size`` bytes ``path`` has gained."""
    finished = threading.Event()

    def follow() -> None:
        seen = 0
        while not finished.wait(0.2):
            written = path.stat().st_size if path.exists() else 0
            advance((written - seen) / size)
            seen = written
        advance(1 - seen / size)

    thread = threading.Thread(target=follow)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()
