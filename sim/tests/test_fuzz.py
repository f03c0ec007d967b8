"""The fuzzer finds a wrong unit, keeps the case, and says how to run the case again."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hw.export.network_verilog import NetworkCore
from hw.export.verilog import Core
from hw.network.plan import NetworkPlan
from hw.plan.config import UnitConfig
from scripts import fuzz
from sim.tests.support import installed

pytestmark = pytest.mark.thorough


SEED = 4
#: The number of a network that is small.
NETWORK = 9


def test_sound_cases_pass(tmp_path: Path) -> None:
    assert fuzz.run_case(SEED, 1, installed("icarus").name, "mix", tmp_path).lines == []
    assert list(tmp_path.iterdir()) == []


def test_wrong_prediction_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = fuzz.generate

    def late(config: UnitConfig) -> Core:
        core = sound(config)
        core.manifest["timing"]["predicted_latency"] += 1
        return core

    monkeypatch.setattr(fuzz, "generate", late)
    lines = fuzz.run_case(SEED, 1, installed("icarus").name, "mix", tmp_path).lines
    assert "first output latency" in lines[0] and "predicted" in lines[0]


def test_failing_case_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The saved command, run against the sound unit, simulates just this case."""
    sound = fuzz.generate

    def wrong(config: UnitConfig) -> Core:
        core = sound(config)
        core.manifest["timing"]["predicted_frame_cycles"] += 1
        core.manifest["timing"]["predicted_latency"] += 1
        return core

    monkeypatch.setattr(fuzz, "generate", wrong)
    lines = fuzz.run_case(SEED, 1, installed("icarus").name, "ecp5", tmp_path).lines
    command = shlex.split(lines[1])
    assert command[:3] == ["python", "-m", "sim.run"] and "--target ecp5" in lines[1]
    done = subprocess.run([sys.executable, *command[1:]], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"seed {command[-1]}" in done.stdout


@pytest.mark.parametrize(
    "figure", ["predicted_latency", pytest.param("predicted_frame_cycles", marks=pytest.mark.nightly)]
)
def test_wrong_prediction_of_a_network_is_found(figure: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The case is kept. The saved command, run against the sound network, simulates just this case."""
    sound = fuzz.generate_network

    def late(plan: NetworkPlan, **options: Any) -> NetworkCore:
        core = sound(plan, **options)
        core.manifest["timing"][figure] += 1
        return core

    monkeypatch.setattr(fuzz, "generate_network", late)
    outcome = fuzz.run_network(SEED, NETWORK, installed("icarus").name, "xc7", tmp_path)
    assert outcome.mismatches == 1 and ("latency" if "latency" in figure else "frame cycles") in outcome.lines[0]
    command = shlex.split(outcome.lines[1])
    assert command[:3] == ["python", "-m", "sim.run"] and "--target xc7" in outcome.lines[1]
    report = tmp_path / "report.json"
    done = subprocess.run([sys.executable, *command[1:], f"--report={report}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    kept, told = tmp_path / f"{SEED}-{NETWORK}", json.loads(report.read_text())
    assert told["frames"] == len(np.load(kept / "input.npy")) and told["mismatches"] == 0


def test_sound_networks_pass(tmp_path: Path) -> None:
    assert fuzz.run_network(SEED, NETWORK, installed("icarus").name, "mix", tmp_path).lines == []
    assert list(tmp_path.iterdir()) == []


def test_network_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = fuzz.generate_network

    def stuck(plan: NetworkPlan, **options: Any) -> NetworkCore:
        core = sound(plan, **options)
        verilog = re.sub(r"assign m_axis_tvalid = [^;]*;", "assign m_axis_tvalid = 0;", core.verilog, count=1)
        assert verilog != core.verilog
        return dataclasses.replace(core, verilog=verilog)

    monkeypatch.setattr(fuzz, "generate_network", stuck)
    outcome = fuzz.run_network(SEED, NETWORK, installed("icarus").name, "mix", tmp_path)
    assert outcome.hangs == 1 and outcome.mismatches == 0


def test_refused_layer_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(config: UnitConfig) -> Core:
        raise ValueError("no such kernel")

    monkeypatch.setattr(fuzz, "generate", refuse)
    lines = fuzz.run_case(SEED, 2, installed("icarus").name, "mix", tmp_path).lines
    assert lines[0] == "case 2: ValueError: no such kernel" and (tmp_path / f"{SEED}-2" / "layer.npz").exists()


def test_hang_is_told_from_a_mismatch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sound = fuzz.generate

    def stuck(config: UnitConfig) -> Core:
        core = sound(config)
        verilog = re.sub(r"assign m_axis_tvalid = [^;]*;", "assign m_axis_tvalid = 0;", core.verilog)
        assert verilog != core.verilog
        return dataclasses.replace(core, verilog=verilog)

    monkeypatch.setattr(fuzz, "generate", stuck)
    outcome = fuzz.run_case(SEED, 1, installed("icarus").name, "mix", tmp_path)
    assert outcome.hangs == 1 and outcome.mismatches == 0 and "nothing moves any more" in outcome.lines[0]


@pytest.mark.nightly
def test_reloadable_unit_that_is_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scenario that fails is reported with the command that runs it alone. Here that runs the sound unit."""
    sound = fuzz.generate

    def wrong(*layer: Any, **options: Any) -> Core:
        core = sound(*layer, **options)
        verilog = re.sub(r"assign m_axis_tuser = [^;]*;", "assign m_axis_tuser = 1;", core.verilog)
        assert verilog != core.verilog
        return dataclasses.replace(core, verilog=verilog)

    monkeypatch.setattr(fuzz, "generate", wrong)
    outcome = fuzz.run_reloadable(SEED, 1, installed("icarus").name, "mix", tmp_path, 2)
    assert outcome.cases == 2 and outcome.mismatches >= 1 and "marked as damaged" in outcome.lines[0]
    command = shlex.split(outcome.lines[1])
    assert command[:3] == ["python", "-m", "sim.replay"]
    done = subprocess.run([sys.executable, *command[1:]], capture_output=True, text=True)
    assert done.returncode == 0 and "passed" in done.stdout, done.stdout + done.stderr


def test_command_line(tmp_path: Path) -> None:
    installed("icarus")
    call = [sys.executable, "-m", "scripts.fuzz", "--count", "2", "--seed", str(SEED), "--simulator", "icarus"]
    call += ["--kind", "mix", "--stimuli", "3", "--json", str(tmp_path / "fuzz.json")]
    done = subprocess.run(call, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"4 cases, seed {SEED}, icarus, target mix: 0 failed"
    figures = json.loads((tmp_path / "fuzz.json").read_text())
    assert (figures["fuzz_cases"], figures["fuzz_builds"]) == (4, 2)
    assert figures["fuzz_mismatches"] == figures["fuzz_hangs"] == 0
