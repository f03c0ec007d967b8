"""What the co-simulation's tests share: the simulator asked for, wave files, verdicts of test modules."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from golden.support.cli import output_directory
from sim.simulator.simulators import MissingTool, Simulator, find_simulator


def installed(name: str) -> Simulator:
    """The simulator, or a skipped test that says what is missing."""
    try:
        return find_simulator(name)
    except MissingTool as error:
        pytest.skip(str(error))


def waves(request: pytest.FixtureRequest, name: str, simulator: Simulator) -> Path | None:
    """Where ``--waves`` puts the waveforms of a unit; None without."""
    if not request.config.getoption("--waves"):
        return None
    folder = output_directory(request.config.rootpath / "build" / "waves")
    path = folder / f"{name}-{simulator.name}{simulator.wave_suffix}"
    print(f"waveforms: {path}")
    return path


def check_verdicts(verdicts: Mapping[str, str | None], least: int, where: str) -> None:
    """Fail unless at least so many tests ran, and all passed."""
    assert len(verdicts) >= least, f"only {sorted(verdicts)} ran"
    failures = [f"{test}: {message}" for test, message in verdicts.items() if message is not None]
    assert not failures, f"{where}:\n" + "\n".join(failures)
