"""Options of ``pytest sim/``."""

from __future__ import annotations

import pytest

from sim.simulator.simulators import SIMULATORS, Simulator
from sim.tests.support import installed


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


@pytest.fixture
def simulator(request: pytest.FixtureRequest) -> Simulator:
    """The simulator that ``--simulator`` names."""
    return installed(request.config.getoption("--simulator"))
