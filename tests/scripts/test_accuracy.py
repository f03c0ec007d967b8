"""Accuracy of networks, batch by batch: what is counted, kept, lost with a worker, and said of a wrong Verilog."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from distributed import Client

from golden.contract.network.network import IntegerNetwork
from golden.experiments.experiment import run_experiment
from golden.support.cli import UserError
from hw.export.network_verilog import NetworkCore, generate_network
from hw.network.config import NetworkConfig
from hw.network.folding import up_to_lanes
from hw.network.plan import NetworkPlan
from scripts import accuracy
from scripts.studies import accuracy as batch
from scripts.studies import batches
from scripts.studies.accuracy import Brought, jobs_of, total
from scripts.studies.catalogue import find_study
from scripts.studies.engine import local_client, run_jobs
from scripts.studies.result import Result
from scripts.studies.subjects import of_network
from scripts.studies.trained import only_run
from scripts.studies.verdict import marks
from scripts.studies.worker import Job, perform
from sim.bulk.result import SimulationResult
from tests.support import commands
from tests.support.tiers import nightly, thorough

#: Digits that are recorded with the network. It tells all of them.
IMAGES = 360
#: A study's run of seconds.
TINY = {"operator": "hadamard", "seed": "0", "epochs": "1", "train_images": "64", "validation_images": "20"}
TINY |= {"test_images": "30", "calibration_images": "16", "bits": "[8]", "qat_bits": "[4]"}

Simulate = Callable[..., SimulationResult]


def agreeing(core: NetworkCore, frames: np.ndarray, **_: Any) -> SimulationResult:
    """In place of a simulation: a network that is right, as fast as predicted."""
    timing = core.manifest["timing"]
    first = timing["predicted_first_intervals"][: len(frames) - 1]
    later = [timing["predicted_frame_cycles"]] * (len(frames) - 1 - len(first))
    result = commands.simulated(core, frames)
    latency, cycles = timing["predicted_latency"], [None, *first, *later]
    return dataclasses.replace(result, first_output_latency=latency, frame_cycles=cycles)


class Here:
    """In place of a cluster: this process does all batches, and remembers their first images."""

    def __init__(self) -> None:
        self.began: list[int] = []
        self.most = IMAGES
        self._plugins: dict[str, Brought] = {}

    def register_plugin(self, plugin: Brought) -> None:
        self._plugins[plugin.name] = plugin
        plugin.setup(self)

    def unregister_worker_plugin(self, name: str) -> None:
        self._plugins.pop(name).teardown(self)

    def run_jobs(self, jobs: Sequence[Job], client: object, *, keep: Any, watch: Any) -> list[Result]:
        results = []
        for job in jobs:
            if len(self.began) == self.most:
                raise KeyboardInterrupt
            self.began.append(job.settings["first"])
            results.append(perform(job, lambda share: None))
            keep(results[-1])
            watch.ended(results[-1])
        return results


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    place = Here()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(accuracy, "generate_network", commands.checked_network)
    monkeypatch.setattr(accuracy, "find_simulator", lambda name: None)
    monkeypatch.setattr(batches, "local_client", lambda workers: contextlib.nullcontext(place))
    monkeypatch.setattr(batches, "run_jobs", place.run_jobs)
    monkeypatch.setattr(batch, "simulate", agreeing)
    return place


def figures(name: str) -> dict[str, Any]:
    return json.loads(Path("found.json").read_text())[name]["figures"]


# --- what is counted ---


def test_recorded_images(here: Here, capsys: pytest.CaptureFixture[str]) -> None:
    assert accuracy.main(["--batch", "100", "--json", "found.json"]) == 0
    found, out = figures("digits"), capsys.readouterr().out
    assert found["right"] == {"float": None, "integer": IMAGES, "verilog": IMAGES}
    assert (found["images"], found["equal"], found["scores"]) == (IMAGES, IMAGES, IMAGES)
    assert here.began == [0, 100, 200, 300] and "images 301 to 360" in out
    assert "All 360 numbers of the Verilog are those of the integer model, in every image." in out
    assert "left" in out.splitlines()[1] and "left" not in out.splitlines()[4]


def test_figures_of_a_page(here: Here, capsys: pytest.CaptureFixture[str]) -> None:
    begin, end = marks("digits")
    Path("page.md").write_text(f"before\n{begin}old\n{end}behind\n")
    assert accuracy.main(["--images", "50", "--page", "page.md"]) == 0
    text = Path("page.md").read_text()
    assert text.startswith(f"before\n{begin}") and text.endswith(f"{end}behind\n") and "old" not in text
    assert "| `digits`, 50 images | right | accuracy |" in text and "| Verilog in verilator | 50 | 100.00% |" in text
    assert "All 50 numbers of the Verilog are those of the integer model" in " ".join(text.split())
    here.began.clear()
    Path("page.md").write_text("nothing")
    with pytest.raises(UserError, match=r"page page\.md has no place for the figures, between <!-- accuracy of digits"):
        accuracy.main(["--images", "60", "--page", "page.md"])
    assert here.began == []


@thorough
def test_networks_of_a_study(here: Here) -> None:
    """Their accuracies are those that the study itself measures, and files give what the study gives."""
    study = ["--study", "digits", *(word for key, value in TINY.items() for word in ("--set", f"{key}={value}"))]
    assert accuracy.main([*study, "--out", "trained", "--json", "found.json", "--batch", "20"]) == 0
    run = only_run(find_study("digits").replaced(f"{key}={value}" for key, value in TINY.items()))
    measured = run_experiment(run.settings)
    eight, four = figures("digits_ptq8"), figures("digits_qat4")
    share = 30 / 100
    assert eight["right"]["float"] == four["right"]["float"] == pytest.approx(measured["float"] * share)
    assert eight["right"]["integer"] == pytest.approx(measured["ptq"]["8"]["metric"] * share)
    assert four["right"]["integer"] == pytest.approx(measured["qat"]["4"]["metric"] * share)
    assert eight["scores"] == 300 and 0 < eight["alike"] <= 30
    assert sorted(os.listdir("trained")) == ["digits_float.npz", "digits_ptq8.npz", "digits_qat4.npz"]
    file = ["trained/digits_ptq8.npz", "--float", "trained/digits_float.npz", "--task", "digits", "--images", "9"]
    assert accuracy.main([*file, "--json", "found.json"]) == 0
    assert figures("trained/digits_ptq8.npz")["images"] == 9 < figures("trained/digits_ptq8.npz")["scores"]


# --- what is kept ---


def test_an_interrupted_run_goes_on(
    here: Here, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here.most = 2
    with pytest.raises(KeyboardInterrupt):
        accuracy.main(["--batch", "100"])
    here.most = IMAGES
    assert accuracy.main(["--batch", "100", "--json", "found.json"]) == 0
    assert here.began == [0, 100, 200, 300] and "4 batches, 2 of them stored before" in capsys.readouterr().out
    assert figures("digits")["right"]["verilog"] == IMAGES
    # Other code compares again, unless it is told otherwise.
    monkeypatch.setattr(batch, "code_version", lambda function: "other")
    assert accuracy.main(["--batch", "100", "--any-code"]) == 0
    assert len(here.began) == 4
    assert accuracy.main(["--batch", "100"]) == 1


def test_another_simulator_is_another_run(here: Here) -> None:
    for simulator in ("verilator", "icarus", "verilator"):
        assert accuracy.main(["--images", "20", "--batch", "10", "--simulator", simulator]) == 0
    assert here.began == [0, 10, 0, 10]


class Killer:
    """Kills, with the first result, a worker that is at a batch."""

    def __init__(self, client: Client, pids: dict[str, int]) -> None:
        self.began: set[str] = set()
        self.kept: list[str] = []
        self.lost = ""
        self._client, self._pids = client, pids

    def going(self, content: str, share: float) -> None:
        self.began.add(content)

    def ended(self, result: Result) -> None:
        pass

    def keep(self, result: Result) -> None:
        self.kept.append(result.content)
        if not self.lost:
            busy = ((worker, key) for worker, keys in self._client.processing().items() for key in keys)
            worker, self.lost = next((w, k) for w, k in busy if k.split("-")[1] in self.began)
            os.kill(self._pids[worker], signal.SIGKILL)


@nightly
def test_a_killed_worker_loses_its_batch() -> None:
    def make(network: IntegerNetwork) -> NetworkCore:
        return generate_network(NetworkPlan(NetworkConfig(network=network, foldings=up_to_lanes(network, 4))))

    subject = of_network("digits", make, task=None, data_path=None, images=5, float_file=None)
    jobs = jobs_of(subject, "icarus", 1)
    with local_client(2) as client:
        client.register_plugin(Brought(subject))
        pids = client.run(os.getpid)
        killer = Killer(client, pids)
        results = run_jobs(jobs, client, keep=killer.keep, watch=killer)
        alive = set(client.run(os.getpid).values())
    figures = total([result.figures for result in results])
    assert (figures["images"], figures["equal"], figures["complaints"]) == (5, 5, [])
    assert figures["right"]["integer"] == figures["right"]["verilog"]
    # It was under way when its worker died, and its result came later, as all others did, once.
    assert killer.kept.index(killer.lost.split("-")[1]) > 0
    assert sorted(killer.kept) == sorted(job.content for job in jobs)
    assert len(alive - set(pids.values())) == 1


# --- what is wrong ---


def wrong_element(core: NetworkCore, frames: np.ndarray, **options: Any) -> SimulationResult:
    result = agreeing(core, frames)
    result.beats[-1, -1] += 1
    return result


def late(core: NetworkCore, frames: np.ndarray, **options: Any) -> SimulationResult:
    result = agreeing(core, frames)
    return dataclasses.replace(result, frame_cycles=[*result.frame_cycles[:-1], 3])


def hung(core: NetworkCore, frames: np.ndarray, **options: Any) -> SimulationResult:
    result = agreeing(core, frames)
    return dataclasses.replace(result, beats=result.beats[:5], faults=["nothing moves any more"])


@pytest.mark.parametrize(
    ("simulate", "equal", "text"),
    [
        (wrong_element, 29, "1 of 30 output elements are wrong or missing, first frame 29"),
        (late, 30, "frame cycles"),
        (hung, 0, "nothing moves any more"),
    ],
)
def test_a_wrong_network_is_told(
    here: Here,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    simulate: Simulate,
    equal: int,
    text: str,
) -> None:
    monkeypatch.setattr(batch, "simulate", simulate)
    assert accuracy.main(["--images", "30", "--json", "found.json"]) == 1
    assert figures("digits")["equal"] == equal
    out = capsys.readouterr().out
    assert text in out and f"{30 - equal} of 30 images differ" in out and "All " not in out


def test_a_batch_that_fails_is_told(
    here: Here, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(core: NetworkCore, frames: np.ndarray, **_: Any) -> SimulationResult:
        if len(frames) == 10:
            raise ValueError("no such luck")
        return agreeing(core, frames)

    monkeypatch.setattr(batch, "simulate", fail)
    assert accuracy.main(["--images", "30", "--batch", "20", "--json", "found.json"]) == 1
    assert "failed: digits, images 21 to 30: ValueError: no such luck" in capsys.readouterr().out
    assert figures("digits")["images"] == 20


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--images", "361"], "--images 361 is too many, there are 360 images"),
        (["resnet8"], "network resnet8 has no recorded images, --task is needed, one of digits"),
        (["resnet8", "--task", "digits"], "network resnet8 records no scale of its image"),
        (["--data-path", "x"], "--data-path x needs --task"),
        (["--float", "x.npz"], "--float x.npz needs --task"),
        (["--task", "digits", "--float", "x.npz"], "float file x.npz: cannot be read"),
        (["--set", "seed=0"], "--set needs --study"),
        (["digits", "--study", "digits"], "network digits does not go with --study digits"),
        (["--study", "digits", "--task", "digits"], "--task digits does not go with --study digits"),
        (["--study", "digits"], "study digits has 12 such runs, --set must leave one"),
        (["--study", "fashion", "--set", "operator=conv", "--set", "seed=0"], "quantises no network here"),
        (["--study", "attention", "--set", "operator=inner"], "is of attention, allowed are studies of experiment"),
        (["--simd", "2"], "--simd 2 is for a layer"),
    ],
)
def test_refusals(here: Here, argv: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        accuracy.main(argv)
    assert os.listdir(".") == []
