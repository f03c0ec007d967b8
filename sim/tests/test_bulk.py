"""The bulk path: runs are the same on every simulator, and ``python -m sim.run`` reports them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from golden.layers import load_layer
from golden.model import integer
from hw.export.verilog import Core, generate
from hw.plan.config import UnitConfig
from sim.bulk.result import SimulationResult
from sim.bulk.simulate import BULK, simulate
from sim.cases.frozen import named_case
from sim.cases.stimulus import extreme_frames, random_frames
from sim.simulator.program import Program, SimulationError
from sim.simulator.simulators import Simulator
from sim.tests.support import installed

pytestmark = pytest.mark.thorough


@pytest.fixture(scope="module")
def case() -> UnitConfig:
    return named_case("attention_around_1x1")


@pytest.fixture(scope="module")
def core(case: UnitConfig) -> Core:
    return generate(case)


def stream(
    core: Core,
    case: UnitConfig,
    simulator: Simulator,
    *,
    count: int = 3,
    seed: int = 0,
    idle: float = 0.0,
    stall: float = 0.0,
) -> SimulationResult:
    """Stream ``count`` random frames and the extreme frames through the unit."""
    config = case.layer.config
    frames = np.concatenate([random_frames(np.random.default_rng(seed), config, count), extreme_frames(config)])
    return simulate(core, frames, simulator=simulator.name, seed=seed, idle=idle, stall=stall)


def test_full_rate(core: Core, case: UnitConfig, simulator: Simulator, seed: int) -> None:
    result = stream(core, case, simulator, seed=seed)
    assert result.complaints() == [] and result.timing_complaints(core.manifest["timing"]) == []
    assert result.frame_cycles[0] is None and len(result.frame_cycles) == 8
    assert result.frames is not None and result.frames.shape == (8, 4, 5, 6)


def test_simulators_agree_cycle_by_cycle(core: Core, case: UnitConfig) -> None:
    """A seed means the same pauses on every simulator, so even the cycle figures are the same."""
    runs = [stream(core, case, installed(name), seed=5, idle=0.3, stall=0.2) for name in ("verilator", "icarus")]
    assert [run.complaints() for run in runs] == [[], []]
    assert runs[0].frame_cycles == runs[1].frame_cycles
    assert runs[0].first_output_latency == runs[1].first_output_latency
    assert runs[0].cycles == runs[1].cycles


def test_pauses_follow_the_seed(core: Core, case: UnitConfig, simulator: Simulator) -> None:
    first, again, other = (stream(core, case, simulator, seed=s, idle=0.5).frame_cycles for s in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize("idle, stall", [(0.75, 0.0), (0.0, 0.75)], ids=["idle", "stall"])
def test_pauses_have_the_probability(idle: float, stall: float, simulator: Simulator) -> None:
    """With pauses of probability p, a unit that moves a beat a cycle takes 1/(1 - p) times as long."""
    case = named_case("fold_parallel")
    core = generate(case)
    result = stream(core, case, simulator, count=100, idle=idle, stall=stall)
    assert result.complaints() == []
    rate = len(result.expected) / result.cycles
    assert rate == pytest.approx(0.25, rel=0.15)


def test_mismatch_is_counted_and_placed(core: Core, case: UnitConfig, simulator: Simulator) -> None:
    right = stream(core, case, simulator)
    beats = right.expected.copy()
    beats[17, 1] += 1  # 60 beats a frame, 2 a position: frame 0, position 8, channels 2 and 3
    result = SimulationResult(**(vars(right) | {"beats": beats}))
    assert not result.passed and result.mismatches == 1
    assert result.first_mismatch == f"frame 0, channel 3, y 1, x 2: {beats[17, 1]} instead of {beats[17, 1] - 1}"
    short = SimulationResult(**(vars(right) | {"beats": beats[:100]}))
    assert short.mismatches == 1 + right.expected[100:].size and short.frames is None


def command(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "sim.run", *options], capture_output=True, text=True)


def test_run_writes_output_and_report(simulator: Simulator, tmp_path: Path) -> None:
    layer = load_layer("tiny")
    frames = random_frames(np.random.default_rng(3), layer.config, 4)
    np.save(tmp_path / "x.npy", frames.astype(np.uint8))
    files = {"input": "x.npy", "output": "y.npy", "report": "r.json"}
    paths = [f"--{option}={tmp_path / file}" for option, file in files.items()]
    options = ["--simd=2", "--pe=1", "--target=xc7", "--pack=none", f"--simulator={simulator.name}", "--seed=9"]
    done = command("tiny", *paths, *options)
    assert done.returncode == 0, done.stderr
    assert "agree with the integer model" in done.stdout and "as predicted" in done.stdout
    assert "target xc7, pack none" in done.stdout
    y = np.load(tmp_path / "y.npy")
    assert y.dtype == np.int32 and (y == integer.run(layer, frames)).all()
    report = json.loads((tmp_path / "r.json").read_text())
    said = {"layer": "tiny", "simd": 2, "pe": 1, "simulator": simulator.name, "seed": 9, "idle": 0.0, "stall": 0.0}
    said |= {"target": "xc7", "pack": "none"}
    assert report.items() >= (said | {"frames": 4, "mismatches": 0}).items() and report["faults"] == []
    assert report["ideal_frame_cycles"] == 5 * 6 * 2 * 4
    assert report["frame_cycles"] == [None, *[report["predicted_frame_cycles"]] * 3]
    assert report["first_output_latency"] == report["predicted_latency"]


def test_run_of_one_frame_without_batch(tmp_path: Path) -> None:
    """With waveforms; Verilator's are tested elsewhere."""
    simulator = installed("icarus")
    np.save(tmp_path / "x.npy", np.ones((4, 5, 6), np.int16))
    options = [f"--input={tmp_path / 'x.npy'}", f"--output={tmp_path / 'y.npy'}", f"--simulator={simulator.name}"]
    done = command("tiny", *options, "--idle=0.5", "--stall=0.5", f"--waves={tmp_path / 'run'}{simulator.wave_suffix}")
    assert done.returncode == 0, done.stderr
    assert np.load(tmp_path / "y.npy").shape == (4, 5, 6)
    assert (tmp_path / f"run{simulator.wave_suffix}").stat().st_size > 1000


def test_run_fails_on_a_wrong_unit(simulator: Simulator, tmp_path: Path) -> None:
    """The exit status is 1, and the report says that the unit is wrong. The wrong unit is that of another layer."""
    np.save(tmp_path / "x.npy", np.ones((1, 4, 5, 6), np.int16))
    script = (
        "import sys, dataclasses; from golden.support import cli; from sim import run; sound = run.generate\n"
        "biased = lambda layer: dataclasses.replace(layer, bias=layer.bias + 10**6)\n"
        "wrong = lambda config, **how: sound(dataclasses.replace(config, layer=biased(config.layer)), **how)\n"
        "run.generate = lambda config, **how: dataclasses.replace(wrong(config, **how), config=config)\n"
        "cli.run(run.main)\n"
    )
    paths = [f"--input={tmp_path / 'x.npy'}", f"--report={tmp_path / 'r.json'}"]
    call = [sys.executable, "-c", script, "tiny", *paths, f"--simulator={simulator.name}"]
    done = subprocess.run(call, capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    assert "Wrong: " in done.stdout and "output elements are wrong or missing, first frame 0, channel " in done.stdout
    assert json.loads((tmp_path / "r.json").read_text())["mismatches"] > 0


def test_crash_is_told(tmp_path: Path) -> None:
    """A simulator that ends before its tests do gives an error."""
    (tmp_path / "bulk").write_text("#!/bin/sh\necho out of memory\nexit 9\n")
    (tmp_path / "bulk").chmod(0o755)
    program = Program(simulator=installed("verilator"), bench=BULK, top="bulk", folder=tmp_path)
    with pytest.raises(SimulationError, match="verilator ended without results, the last it said was: out of memory"):
        program.run(tmp_path)
