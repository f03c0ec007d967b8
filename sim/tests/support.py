"""What the co-simulation's tests share: simulators, waveform files, verdicts of cocotb tests."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from golden.support.cli import output_directory
from sim.simulator.simulators import MissingTool, Simulator, find_simulator


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


def check_verdicts(verdicts: Mapping[str, str | None], least: int, where: str) -> None:
    """Fail unless at least ``least`` tests ran, and all passed."""
    assert len(verdicts) >= least, f"only {sorted(verdicts)} ran"
    failures = [f"{test}: {message}" for test, message in verdicts.items() if message is not None]
    assert not failures, f"{where}:\n" + "\n".join(failures)
