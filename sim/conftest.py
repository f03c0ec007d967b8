"""Options of ``pytest sim/``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from golden.support.cli import output_directory
from sim.simulator.simulators import SIMULATORS, MissingTool, Simulator, find_simulator


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("simulation")
    group.addoption("--simulator", choices=list(SIMULATORS), default="verilator", help="default: verilator")
    group.addoption("--waves", action="store_true", help="record waveforms under build/waves")
    group.addoption("--seed", type=int, default=0, help="of stimulus and pauses (default: 0)")


def pytest_report_header(config: pytest.Config) -> str:
    return f"simulation: {config.getoption('--simulator')}, seed {config.getoption('--seed')}"


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> int:
    return request.config.getoption("--seed")


def installed(name: str) -> Simulator:
    """The simulator, or a skipped test that says what is missing."""
    try:
        return find_simulator(name)
    except MissingTool as error:
        pytest.skip(str(error))


@pytest.fixture
def simulator(request: pytest.FixtureRequest) -> Simulator:
    """The simulator that ``--simulator`` names."""
    return installed(request.config.getoption("--simulator"))


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
