"""Whole frames through the generated unit at simulator speed."""

from __future__ import annotations

import contextlib
import itertools
import re
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from golden import integer
from golden.layer import Layer
from golden.streams import Folding, Payload, to_beats
from sim.bench import Bench, Program
from sim.result import SimulationResult
from sim.simulators import find_simulator

if TYPE_CHECKING:
    from hw.verilog import Core

BULK = Bench(module="sim.bulk_bench", top="bulk", source="bulk.v")
#: ``bulk.v`` takes probabilities in these steps.
PROBABILITY_STEP = 2**-16
#: Cycles without a transfer that pauses of the highest probability may cause.
PATIENCE = 20_000
MAX_PROBABILITY = 0.99

#: Events of ``bulk.v`` that end a run early.
FAULTS = {
    "undefined": "tvalid or tready is undefined",
    "dropped": "m_axis_tvalid falls before m_axis_tready",
    "changed": "m_axis_tdata or m_axis_tlast changes before m_axis_tready",
    "surplus": "more output comes than the frames call for",
    "hang": "nothing moves any more",
}


def simulate(
    core: Core,
    layer: Layer,
    folding: Folding,
    frames: np.ndarray,
    *,
    simulator: str = "verilator",
    idle: float = 0.0,
    stall: float = 0.0,
    seed: int = 0,
    waves: Path | None = None,
    advance: Callable[[float], object] = lambda share: None,
) -> SimulationResult:
    """Stream ``frames`` through a unit and compare what comes out with the integer model.

    Args:
        core: the unit that was generated for ``layer`` and ``folding``.
        frames: integers ``[N, C, H, W]`` in the layer's input format.
        simulator: ``verilator`` or ``icarus``.
        idle: probability of a cycle without input, 0 to 0.99.
        stall: probability of a cycle that does not take output, 0 to 0.99.
        seed: of these two random patterns.
        waves: waveform file to write.
        advance: called now and then with the share of the output that has come since; they
            add up to 1.

    Raises:
        UserError: for frames outside the format, or without the simulator's tools.
    """
    frames = layer.check_input(frames)
    expected = to_beats(integer.run(layer, frames), folding.pe)
    source, sink = Payload.of_input(layer.config, folding), Payload.of_output(layer.config, folding)
    stimulus = source.pack(to_beats(frames, folding.simd))
    timing = core.manifest["timing"]
    idle_seed, stall_seed = np.random.SeedSequence(seed).generate_state(2) | 1
    frame_time = timing["first_output_latency"] + timing["frame_cycles"]
    plusargs = {
        "beats": len(expected),
        "drain": frame_time,
        "patience": frame_time + PATIENCE,
        "idle": round(idle / PROBABILITY_STEP),
        "stall": round(stall / PROBABILITY_STEP),
        "idle_seed": int(idle_seed),
        "stall_seed": int(stall_seed),
    }
    widths = {"IN_BITS": 8 * source.bytes, "OUT_BITS": 8 * sink.bytes}
    program = Program.build(find_simulator(simulator), BULK, core.verilog, widths, waves=waves is not None)
    with tempfile.TemporaryDirectory(prefix="xvolution-") as scratch:
        folder = Path(scratch)
        (folder / "stimulus.bin").write_bytes(stimulus[:, ::-1].tobytes())
        outputs = folder / "outputs.hex"
        with _following(outputs, 2 * sink.bytes * len(expected), advance):
            program.run(folder, plusargs, waves=waves)
        beats, undefined = _read_beats(outputs, sink)
        events = [line.split() for line in (folder / "events.txt").read_text().splitlines()]
        seconds = float((folder / "seconds.txt").read_text())

    cycle_of = {name: int(cycle) for name, cycle, *_ in events}
    lasts = [(int(event[1]), int(event[2])) for event in events if event[0] == "last"]
    taken = int(events[-1][2])
    faults = [f"{text} (cycle {cycle_of[name]})" for name, text in FAULTS.items() if name in cycle_of]
    if undefined:
        faults.append(f"m_axis_tdata is undefined in beat {len(beats)}")
    if not faults and taken < len(stimulus):
        faults.append(f"{len(stimulus) - taken} input beats are never taken")
    frame_beats = len(expected) // len(frames)
    ends = range(frame_beats - 1, len(expected), frame_beats)
    misplaced = sorted({beat for _, beat in lasts} ^ {end for end in ends if end < len(beats)})
    if misplaced:
        faults.append(f"m_axis_tlast is wrong in beat {misplaced[0]}, frames have {frame_beats}")
    cycles = [cycle for cycle, _ in lasts]
    return SimulationResult(
        config=layer.config,
        beats=beats,
        expected=expected,
        first_output_latency=cycle_of["output"] - cycle_of["input"] if "output" in cycle_of else None,
        frame_cycles=[None, *(b - a for a, b in itertools.pairwise(cycles))] if cycles else [],
        faults=faults,
        cycles=cycle_of["end"],
        seconds=seconds,
    )


def _read_beats(path: Path, payload: Payload) -> tuple[np.ndarray, bool]:
    """Beats of ``outputs.hex`` up to the first with an undefined bit, and whether there is one."""
    digits = path.read_text()
    defined = re.match("[0-9a-f]*", digits).end()  # type: ignore[union-attr]  # matches always
    count = defined // (2 * payload.bytes)
    data = np.frombuffer(bytes.fromhex(digits[: count * 2 * payload.bytes]), np.uint8)
    return payload.unpack(data.reshape(-1, payload.bytes)[:, ::-1]), defined < len(digits)


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
