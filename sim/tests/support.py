"""What the co-simulation's tests share: simulators, waveform files, verdicts of cocotb tests."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from golden.support.cli import output_directory
from hw.export.verilog import generate
from sim.bulk.simulate import simulate
from sim.cases.frozen import named_case
from sim.cases.stimulus import extreme_frames, random_frames
from sim.simulator.simulators import MissingTool, Simulator, find_simulator

#: Frames before the first pause.
CALM = 4


def installed(name: str) -> Simulator:
    """The simulator called ``name``. Skips the test where the simulator is not installed, and says what is missing."""
    try:
        return find_simulator(name)
    except MissingTool as error:
        pytest.skip(str(error))


def by_day(names: Iterable[str], kept: Collection[str]) -> list[Any]:
    """The cases ``names`` of a test; only ``make nightly`` runs those that are not ``kept``, see `sim.cases.daily`."""
    return [name if name in kept else pytest.param(name, marks=pytest.mark.nightly) for name in names]


def waves(request: pytest.FixtureRequest, name: str, simulator: Simulator) -> Path | None:
    """The waveform file of a unit; None without the option ``--waves``."""
    if not request.config.getoption("--waves"):
        return None
    folder = output_directory(request.config.rootpath / "build" / "waves")
    path = folder / f"{name}-{simulator.name}{simulator.wave_suffix}"
    print(f"waveforms: {path}")
    return path


def check_in_bulk(name: str, simulator: Simulator, seed: int) -> None:
    """A frozen unit does all that a bulk run can show, in one run.

    It is reset in mid-frame. Behind that, random and extreme frames in turn come out right: at full rate, in the
    predicted time, then with pauses.
    """
    case = named_case(name)
    config, core, rng = case.layer.config, generate(case), np.random.default_rng(seed)
    noise, timing = random_frames(rng, config, 5), core.manifest["timing"]
    frames = np.stack([noise, extreme_frames(config)], axis=1).reshape(-1, *noise.shape[1:])
    reset_at = int(rng.integers(5, 5 + timing["predicted_latency"] + timing["predicted_frame_cycles"]))
    result = simulate(
        core, frames, simulator=simulator.name, idle=0.3, stall=0.3, calm=CALM, seed=seed, reset_at=reset_at
    )
    wrong = result.complaints() + result.timing_complaints(timing, CALM)
    assert not wrong, f"{name} on {simulator.name}, seed {seed}, reset at {reset_at}: {'; '.join(wrong)}"


def check_verdicts(verdicts: Mapping[str, str | None], least: int, where: str) -> None:
    """Fail unless at least ``least`` tests ran, and all passed."""
    assert len(verdicts) >= least, f"only {sorted(verdicts)} ran"
    failures = [f"{test}: {message}" for test, message in verdicts.items() if message is not None]
    assert not failures, f"{where}:\n" + "\n".join(failures)
