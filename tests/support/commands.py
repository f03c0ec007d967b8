"""Every command of the project: what it takes, and what stands in for its slow stages.

A stand-in comes after the checks of the input, and refuses what the stage that it replaces refuses.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

import golden.convert.__main__
import golden.run
import golden.show
import golden.vectors
import hw.build
import hw.synth.__main__
import hw.weights
import scripts.accuracy
import scripts.accuracy_digits
import scripts.approximation
import scripts.bench
import scripts.bench_golden
import scripts.carry
import scripts.coverage
import scripts.estimate
import scripts.evidence
import scripts.fuzz
import scripts.imports
import scripts.merging
import scripts.mutation
import scripts.prove
import scripts.quick_units
import scripts.registers
import scripts.report
import scripts.show_attention
import scripts.structures
import scripts.study
import scripts.train_digits
import scripts.train_imports
import scripts.verilog_hashes
import sim.replay
import sim.run
from golden.contract.folding import Folding
from golden.contract.layer_file import layer_bytes
from golden.contract.network.network import IntegerNetwork
from golden.contract.network.network_file import network_bytes
from golden.contract.ranges import Range
from golden.contract.streams import to_beats
from golden.convert.measure import Measured
from golden.experiments.approximation.study import Cost, Field, Fit, Plan, Study
from golden.experiments.float_file import Trained as TrainedFloats
from golden.experiments.float_file import float_bytes
from golden.experiments.settings import build_network, check_settings
from golden.layers import load_network
from golden.layers.digits_layer import Digits, read_digits, write_digits
from golden.support.cache import cache_folder
from golden.support.cli import replacing, write_files
from golden.training import Task, load_task
from hw.estimate.estimate import Estimate, estimate
from hw.export.network_verilog import NetworkCore, generate_network
from hw.export.verilog import Core, generate
from hw.network.config import NetworkConfig
from hw.network.folding import up_to_lanes
from hw.network.plan import NetworkPlan
from hw.plan.config import UnitConfig
from hw.plan.config_file import config_fields
from hw.plan.reload import Reload
from hw.plan.shapes import Shapes
from hw.synth.mapping import parts_of
from hw.synth.netlist import Netlist
from hw.synth.synthesis import Synthesis, find_goal
from hw.targets.area import Area
from hw.targets.families import ECP5
from scripts.studies.accuracy import Subject
from scripts.studies.catalogue import find_study
from scripts.studies.grid import Run
from scripts.studies.plan import plan
from scripts.studies.plots import Picture
from scripts.studies.result import DONE, FAILED, Result
from scripts.studies.store import Store
from scripts.studies.trained import float_name, integer_names
from sim.bulk.reference import reference
from sim.bulk.result import SimulationResult
from sim.evidence.coverage import KINDS, REASONS, UnitCoverage
from sim.simulator.job import Job
from tests.support.foul import npy, small_layer, small_network
from tests.support.onnx_models import tiny
from tests.support.workplace import Main, Outcome, Workplace

# --- what stands in for slow stages ---


@cache
def canned_core() -> Core:
    return generate(UnitConfig(layer=small_layer(), folding=Folding(simd=1, pe=1)))


def checked_core(config: UnitConfig, *, inline: bool = False) -> Core:
    """In place of `hw.export.verilog.generate`: makes its refusals, and gives one text whatever is asked for."""
    Shapes(config)
    return replace(canned_core(), config=config)


@cache
def canned_network() -> NetworkCore:
    network = small_network()
    plan = NetworkPlan(NetworkConfig(network=network, foldings=up_to_lanes(network, 1)))
    return generate_network(plan, jobs=1)


def checked_network(plan: NetworkPlan, *, inline: bool = False) -> NetworkCore:
    """In place of `hw.export.network_verilog.generate_network`: makes its refusals, and gives one text."""
    for node in plan.units:
        Shapes(node.config)
    return replace(canned_network(), plan=plan)


def simulated(core: Core | NetworkCore, frames: np.ndarray, **options: Any) -> SimulationResult:
    """In place of `sim.bulk.simulate.simulate`: gives the result of a wrong unit for seed 1, else of a right one."""
    model = reference(core)
    wave(options.get("waves"))
    expected = to_beats(model.run(frames), model.shape[0])
    beats = expected + (options.get("seed") == 1)
    return SimulationResult(
        shape=model.shape,
        beats=beats,
        expected=expected,
        first_output_latency=7,
        frame_cycles=[None] * len(frames),
        input_cycles=np.arange(0),
        predicted_input_cycles=None,
        faults=[],
        cycles=100,
        seconds=0.5,
    )


def wave(path: Path | None) -> None:
    """What a simulator that records waveforms leaves behind."""
    if path is not None:
        with replacing(path) as stream:
            stream.write("waves")


def replayed(*unit: Any, stimuli: int, waves: Path | None, **options: Any) -> dict[str, str | None]:
    """In place of `sim.reloadable.exercise.exercise_reloadable`: passes where the last scenario is the second."""
    wave(waves)
    return {"": None if stimuli == 2 else "wrong"}


def synthesised(core: Core | NetworkCore, **options: Any) -> Synthesis:
    """In place of `hw.synth.synthesis.synthesise`: makes its refusals, and gives a LUT for each stage or step."""
    wanted = {name: value for name, value in options.items() if name != "status"}
    find_goal(core.plan if isinstance(core, NetworkCore) else core.config, **wanted)
    netlist = Netlist({"cells": {}, "ports": {}, "netnames": {}})
    parts = {part: Area(lut=1) for part in parts_of(core).names}
    return Synthesis(parts=parts, netlist=netlist, device=wanted["device"], timing=None, versions={})


def fuzzed(seed: int, *case: Any) -> scripts.fuzz.Outcome:
    """In place of a fuzzer's run: gives a mismatch for seed 1, else none."""
    wrong = seed == 1
    return scripts.fuzz.Outcome(build="text", lines=["case 0: wrong"] * wrong, mismatches=wrong)


def measured(row: Any, options: Any) -> dict[str, Any]:
    cycles = {"ideal_frame_cycles": 9, "frame_cycles": 9, "multiplications": 9}
    return {"unit": row.target, "simd": row.simd, "pe": row.pe, **cycles, "passed": options.seeds != 4}


def measured_network(row: Any, options: Any) -> dict[str, Any]:
    cycles = {"ideal_frame_cycles": 9, "frame_cycles": 9}
    return {"network": row.what, "on": row.target, **cycles, "passed": options.seeds != 4}


def structure(name: str, options: Any) -> dict[str, Any]:
    """In place of what `scripts.structures` measures of a network."""
    keys = ("macs", "dsp", "lut", "ff", "bram36", "uram", "frame_cycles", "steps", "changed")
    return {"network": name, **dict.fromkeys(keys, 1), "passed": True}


class NotTrained:
    """In place of what `scripts.merging_forms.trained` gives: a network of one form."""

    def forms(self) -> dict[str, None]:
        return {"merged": None}


def merged_results(network: NotTrained, forms: Mapping[str, None], options: Any) -> dict[str, Any]:
    """In place of what the networks of `scripts.merging` tell right."""
    return {"float": 99.0, "integers": dict.fromkeys(forms, 99.0), "verilog": 99.0, "passed": options.seed != 1}


def merged_costs(network: NotTrained, quantised: None, target: Any, options: Any) -> dict[str, Any]:
    """In place of what the layers of `scripts.merging` take."""
    keys = ("dsp", "lut", "ff", "bram", "learned", "passing", "frame_cycles", "latency")
    return {**dict.fromkeys(keys, 1), "passed": True}


@cache
def few_images(name: str, **options: Any) -> Task:
    """In place of `golden.training.load_task`: the digits, four of them for tests."""
    return load_task("digits", test_images=4)


def written_imports(task: Task, seed: int) -> Iterator[scripts.train_imports.Written]:
    """In place of a training of `scripts.train_imports`: gives files at once."""
    for file in scripts.train_imports.FILES[:-1]:
        yield scripts.train_imports.Written(file=file, content=b"trained", scores=np.zeros((4, 10)), accuracy=90.0)


def imported(source: Any, folder: Path, task: Task, images: int) -> tuple[IntegerNetwork, dict[str, Any]]:
    """In place of what `scripts.imports` measures of a source: all images are answered rightly."""
    found = Measured(images=images, source=images, integers=images)
    return small_network(), {"bound": None, **asdict(found), "together_part": 0.0, "alone_part": 0.0}


@cache
def imported_subject(name: str) -> Subject:
    """In place of a network of `scripts.imports`, and its images."""
    return Subject(name=name, core=canned_network(), frames=np.zeros((4, 2, 3, 4)), labels=np.zeros(4))


@cache
def _fits() -> tuple[Estimate, Area]:
    guess = estimate(UnitConfig(layer=small_layer(), folding=Folding(simd=1, pe=1), target=ECP5))
    assert guess.dsp is not None and guess.bram is not None
    return guess, Area(lut=guess.lut, ff=guess.ff, dsp=guess.dsp, bram=guess.bram)


def estimated(row: Any) -> tuple[Estimate, Area]:
    """In place of `scripts.estimate.measure`: gives an estimate and an area that agree."""
    return _fits()


def proven(arguments: Sequence[str], report: Path, console: Any) -> tuple[int, str]:
    """In place of a run of pytest over the proofs: reports a proof that holds, and a bug that is found."""
    cases = "".join(
        f'<testcase name="{name}" time="1"/>' for name in ("test_holds[a: b]", "test_finds_planted_bug[a: c]")
    )
    report.write_text(f"<testsuite>{cases}</testsuite>")
    return 0, ""


def covered(name: str, seed: int) -> UnitCoverage:
    """In place of `sim.evidence.measure_coverage.measure`: gives one point of each kind; seed 1 misses it."""
    counts = dict.fromkeys(KINDS, 1)
    excluded = {kind: dict.fromkeys(REASONS, 0) for kind in KINDS}
    missed = {kind: ["here"] * (seed == 1) for kind in KINDS}
    return UnitCoverage(points=counts, hit=counts, excluded=excluded, missed=missed)


PICTURE = Picture(name="picture", title="Picture", caption="What it shows.", svg="<svg/>")


@cache
def few_digits() -> Digits:
    return read_digits().first(3)


def trained(name: str, seed: int, epochs: int, scales: str) -> scripts.train_digits.Trained:
    """In place of a training: gives files at once."""
    labels = np.arange(10)
    files = dict.fromkeys(scripts.train_digits.FILES[name], b"trained")
    return scripts.train_digits.Trained(files=files, labels=labels, predictions={"float": labels})


def studied(plan: Plan, advance: Any) -> Study:
    """In place of `golden.experiments.approximation.study.study`: gives a few rows of each kind."""
    variant = {"weighting": 3, "stack": 1, "shift": 1}
    lines: tuple[tuple[str, dict[str, int]], ...] = (("convolution", {}), ("pixel shifts", variant), ("both", variant))
    return Study(
        fits=[Fit(images="digits", layer="random", by=by, **v, error=0.5, correlation=0.9) for by, v in lines],
        fields=[Field(**variant, pixels=25, reach=2, frame=49)],
        costs=[Cost(attention="self-attention", pixels=n, multiplications=n**2, seconds=n / 1e3) for n in (16, 64)],
    )


def ran(job: Job) -> Result:
    """In place of a run of a study: fails for seed 1, else gives accuracies."""
    seed = job.settings["seed"]
    wrong = seed == 1
    return Result(
        content=job.content,
        code=job.code,
        function=job.function_name,
        status=FAILED if wrong else DONE,
        settings=job.settings,
        figures=None
        if wrong
        else {"units": {}}
        if job.function_name == "rtl"
        else {"float": 97.0 + seed, "ptq": {"8": 97.0, "4": 90.0 - seed}},
        error="Traceback\nValueError: wrong" if wrong else "",
        seconds=1.0,
        host="here",
        versions={"numpy": "2"},
    )


def all_ran(jobs: Sequence[Job], client: object, *, keep: Any, watch: Any) -> list[Result]:
    """In place of `scripts.studies.engine.run_jobs`: has all results at once."""
    results = [ran(job) for job in jobs]
    for result in results:
        watch.going(result.content, 0.5)
        keep(result)
        watch.ended(result)
    return results


def batches_ran(jobs: Sequence[Job], client: object, *, keep: Any, watch: Any) -> list[Result]:
    """In place of `scripts.studies.engine.run_jobs` for batches of images: a batch of one image fails."""
    results = [batch_ran(job) for job in jobs]
    for result in results:
        keep(result)
        watch.ended(result)
    return results


def batch_ran(job: Job) -> Result:
    count = job.settings["count"]
    right = {"float": None, "integer": count, "verilog": count}
    figures = {"images": count, "right": right, "alike": None, "equal": count, "scores": count, "mismatches": 0}
    figures |= {"complaints": [], "cycles": 9, "frame_cycles": 9, "latency": 9, "simulator_seconds": 1.0}
    return Result(
        content=job.content,
        code=job.code,
        function=job.function_name,
        status=FAILED if count == 1 else DONE,
        settings=job.settings,
        figures=None if count == 1 else figures,
        error="Traceback\nValueError: wrong" if count == 1 else "",
        seconds=1.0,
        host="here",
        versions={"numpy": "2"},
    )


def study_trained(run: Run, advance: Any) -> Path:
    """In place of `scripts.studies.trained.trained`: gives the network ``digits`` for each of the run."""
    folder = cache_folder() / "stand-in"
    files = {name: network_bytes(load_network("digits")) for name in integer_names(run.settings)}
    write_files(folder, files | {float_name(run.settings): _untrained()})
    return folder


@cache
def _untrained() -> bytes:
    settings = check_settings({})
    network = build_network(settings, 1, 10).eval().merged()
    return float_bytes(TrainedFloats(network=network, settings=settings, in_channels=1, outputs=10))


async def nobody_answers(address: str) -> None:
    """In place of looking for a scheduler: there is none at any address."""
    raise TimeoutError


# --- what commands take ---

#: Names of what `furnish` puts into a folder.
FURNITURE = (
    "layer.npz",
    "network.npz",
    "x.npy",
    "foul.npz",
    "foul.npy",
    "taken",
    "loop",
    "folder",
    "blocked",
    "locked",
    "digits",
    "kept",
    "unit.json",
    "studies.sqlite",
)
PATHS = (*FURNITURE, "[/]", "folder/new", "new/deeper", "none/y.npy", "taken/y", ".")
PATHS += ("x" * 250, "new/" + "x" * 300, "a/" * 3000)
#: Names of files that commands write. In ``blocked``, each is a folder.
OUTPUTS = ("xvolution.v", "xvolution.json", "report.json", "report.html", "bench.json", "manifest.json", "input.hex")
OUTPUTS += ("runs.csv", "summary.csv")
OUTPUTS += ("merging.json", "approximation.csv", "component.xml", "digits_labels.npy", "digits_dynamic_network.npz")
#: Numbers: small ones that are often allowed, then some of any size, not finite, or oddly written.
NUMBERS = ("1", "2", "4", "0", "3", "4097", "1e3", "1.5", "nan", "inf", "-inf", "1e-320", "1e309", "0x10", "1_0", "٣")
NUMBERS += (str(2**31), str(2**64), "9" * 5000)
LAYERS = ("tiny", "network.npz", "nosuch", *PATHS)
TARGETS = ("generic", "ecp5", "xc7", "xcup", "mix")
PACKS = ("auto", "none")
MATERIALS = ("dsp", "adders")
SIMULATORS = ("verilator", "icarus", "mix")
STUDIES = ("digits", "fashion", "helps", "nosuch")
SETTINGS = ("seed=0", "seed=1", "seed=0,2", "seed=0,0", "seed=", "=", "seed", "operator=conv,inner", "operator=nosuch")
SETTINGS += ("nosuch=1", "epochs=1e3", "epochs=NaN", "bits=[8],[4]", "bits=8", "learning_rate=[[", "data_path=none")
STORES = ("new.sqlite", "sqlite:///new.sqlite", "nosuch://host/base", "://", "postgresql://host:port/base", *PATHS)
DEVICES = ("ecp5-25f", "ecp5-85f", "k26")
DEVICE = {"--device": DEVICES, "--fps": NUMBERS, "--fastest": None, "--mhz": NUMBERS, "--fill": ("0.5", *NUMBERS)}
FOLDING = {"--simd": NUMBERS, "--pe": NUMBERS}
#: What multiplications are made of.
MADE_OF = {"--products": MATERIALS, "--requantise": MATERIALS}
NETWORK = {"--lanes": NUMBERS, "--cycles": NUMBERS, "--folding": ("folding.json", *PATHS)}
LIMITS = ("0:7", "0:15", "3:2", "7", ":", "0:47", "-1:3")
RELOAD = {"--reloadable": None, "--single-buffered": None, "--attn-shift": LIMITS, "--out-shift": LIMITS}


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command and what it takes.

    Attributes:
        main: the command's function.
        works: arguments that succeed.
        values: for each option, values that are often right; None for an option without a value.
        positional: values that are often right for the first argument without a name; empty if there is none.
        statuses: allowed exit statuses of a run whose input is right.
        stand_ins: stand-ins for slow stages, by dotted name of the stage.
    """

    main: Main
    works: Sequence[str]
    values: Mapping[str, Sequence[str] | None]
    positional: Sequence[str] = ()
    statuses: Sequence[int] = (0,)
    stand_ins: Mapping[str, Any] = field(default_factory=dict)

    def check(self, place: Workplace, argv: Sequence[str]) -> Outcome:
        """Run the command with ``argv`` and its stand-ins under `Workplace.check`."""
        with contextlib.ExitStack() as stack:
            for name, stand_in in self.stand_ins.items():
                stack.enter_context(mock.patch(name, stand_in))
            return place.check(self.main, argv, statuses=self.statuses)


COMMANDS = {
    "golden.run": Command(
        main=golden.run.main,
        works=["layer.npz", "--input", "x.npy", "--output", "y.npy"],
        values={"--input": PATHS, "--output": PATHS},
        positional=LAYERS,
    ),
    "golden.show": Command(
        main=golden.show.main,
        works=["network.npz", "--picture", "graph.svg"],
        values={"--picture": PATHS},
        positional=("network.npz", *LAYERS),
    ),
    "golden.convert": Command(
        main=golden.convert.__main__.main,
        works=["network.onnx", "--calibration", "images.npy", "--out", "net.npz", "--report", "report.html"],
        values={"--calibration": ("images.npy", *PATHS), "--out": PATHS, "--bits": NUMBERS, "--report": PATHS}
        | {"--scales": ("float", "po2", "mix"), "--to": ("npz", "onnx", "hdf5"), "--clip-weights": None},
        positional=("network.onnx", "foul.onnx", "none.onnx", "foul.pt2", "nosuch:nosuch", "json:dumps", *LAYERS),
    ),
    "golden.vectors": Command(
        main=golden.vectors.main,
        works=["layer.npz", "--out", "out"],
        values={"--input": PATHS, "--out": PATHS, "--frames": NUMBERS, "--seed": NUMBERS, **FOLDING}
        | {"--name": ("mine", "end", "3x", "[/]")},
        positional=LAYERS,
    ),
    "hw.build": Command(
        main=hw.build.main,
        works=["layer.npz"],
        values={
            "--target": TARGETS,
            "--pack": PACKS,
            **MADE_OF,
            "--inline": None,
            "--out": PATHS,
            "--estimate": None,
            **FOLDING,
        }
        | NETWORK
        | {"--write-folding": PATHS, "--picture": PATHS, **RELOAD, **DEVICE},
        positional=LAYERS,
        stand_ins={"hw.build.generate": checked_core, "hw.build.generate_network": checked_network},
    ),
    "hw.weights": Command(
        main=hw.weights.main,
        works=["layer.npz", "--manifest", "unit.json"],
        values={"--manifest": ("unit.json", *PATHS), "--name": ("mine", "3x", "[/]", "int"), "--out": PATHS},
        positional=LAYERS,
    ),
    "hw.synth": Command(
        main=hw.synth.__main__.main,
        works=["layer.npz"],
        values={"--target": TARGETS, "--pack": PACKS, **MADE_OF, "--inline": None, "--out": PATHS, **FOLDING}
        | RELOAD
        | NETWORK
        | {**DEVICE, "--speed": ("7", *NUMBERS), "--seeds": NUMBERS, "--clock": NUMBERS},
        positional=LAYERS,
        stand_ins={
            "hw.synth.__main__.generate": checked_core,
            "hw.synth.__main__.generate_network": checked_network,
            "hw.synth.__main__.synthesise": synthesised,
            "hw.synth.page.page": lambda figures: f"<h1>{figures['name']}</h1>",
        },
    ),
    "sim.run": Command(
        main=sim.run.main,
        works=["layer.npz", "--input", "x.npy"],
        values={"--input": PATHS, "--output": PATHS, "--report": PATHS, "--waves": ("w.vcd", *PATHS), **FOLDING}
        | {**NETWORK, "--target": TARGETS, "--pack": PACKS, **MADE_OF, "--inline": None, "--simulator": SIMULATORS}
        | {**DEVICE, "--idle": NUMBERS, "--stall": NUMBERS, "--seed": NUMBERS},
        positional=LAYERS,
        statuses=(0, 1),
        stand_ins={
            "sim.run.generate": checked_core,
            "sim.run.generate_network": checked_network,
            "sim.run.simulate": simulated,
            "sim.simulator.simulators.Simulator.check": mock.Mock(),
        },
    ),
    "sim.replay": Command(
        main=sim.replay.main,
        works=["kept", "1"],
        values={"--simulator": SIMULATORS, "--waves": ("w.vcd", *PATHS)},
        positional=PATHS,
        statuses=(0, 1),
        stand_ins={
            "sim.replay.generate": mock.Mock(),
            "sim.replay.exercise_reloadable": replayed,
            "sim.simulator.simulators.Simulator.check": mock.Mock(),
        },
    ),
    "scripts.train_digits": Command(
        main=scripts.train_digits.main,
        works=["--out", "out"],
        values={"--seed": NUMBERS, "--epochs": NUMBERS, "--scales": ("float", "po2", "3"), "--out": PATHS},
        positional=("digits", "digits_layer", "digits_dynamic", "tiny"),
        stand_ins={
            "scripts.train_digits.trained": trained,
            "scripts.train_digits.in_checkout": lambda place, instead: Path("build"),
        },
    ),
    "scripts.accuracy": Command(
        main=scripts.accuracy.main,
        works=["digits", "--images", "4", "--store", "new.sqlite"],
        values={
            "--images": NUMBERS,
            "--batch": NUMBERS,
            "--float": PATHS,
            "--json": PATHS,
            "--out": PATHS,
            "--page": PATHS,
        }
        | {"--task": ("digits", "mix"), "--data-path": ("folder",), "--study": STUDIES, "--set": SETTINGS}
        | {"--workers": NUMBERS, "--scheduler": ("host:1", "mix"), "--store": ("new.sqlite", "taken")}
        | {"--folding": PATHS, "--cycles": NUMBERS, "--simulator": SIMULATORS, "--any-code": None},
        positional=LAYERS,
        statuses=(0, 1),
        stand_ins={
            "scripts.accuracy.generate_network": checked_network,
            "scripts.accuracy.trained": study_trained,
            "scripts.studies.batches.local_client": mock.MagicMock(),
            "scripts.studies.batches.run_jobs": batches_ran,
            "sim.simulator.simulators.Simulator.check": mock.Mock(),
            "scripts.studies.engine._answers": nobody_answers,
        },
    ),
    "scripts.accuracy_digits": Command(
        main=scripts.accuracy_digits.main,
        works=["digits_layer", "--folder", "digits"],
        values={"--folder": PATHS, "--images": NUMBERS, "--simulator": SIMULATORS, **FOLDING},
        positional=("digits_layer", "digits_dynamic"),
        stand_ins={
            "scripts.accuracy_digits.generate": checked_core,
            "scripts.accuracy_digits.simulate": simulated,
            "sim.simulator.simulators.Simulator.check": mock.Mock(),
        },
    ),
    "scripts.train_imports": Command(
        main=scripts.train_imports.main,
        works=["--out", "out"],
        values={"--seed": NUMBERS, "--images": NUMBERS, "--data-path": ("folder",), "--out": PATHS},
        stand_ins={
            "scripts.train_imports.load_task": few_images,
            "scripts.train_imports.written": written_imports,
            "scripts.train_imports.in_checkout": lambda place, instead: Path("build"),
        },
    ),
    "scripts.imports": Command(
        main=scripts.imports.main,
        works=["--only", "separable_po2", "--images", "4", "--store", "new.sqlite", "--out", "out"],
        values={f"--{name}": NUMBERS for name in ("images", "simulated", "cycles", "workers")}
        | {"--only": ("residual_int4_po2", "mix"), "--files": PATHS, "--data-path": ("folder",), "--page": PATHS}
        | {"--out": PATHS, "--simulator": SIMULATORS, "--any-code": None}
        | {"--scheduler": ("host:1", "mix"), "--store": ("new.sqlite", "taken")},
        statuses=(0, 1),
        stand_ins={
            "scripts.imports.load_task": few_images,
            "scripts.imports.in_checkout": lambda place, instead: Path("files"),
            "scripts.imports._measured": imported,
            "scripts.imports._subject": lambda name, folder, images, options: imported_subject(name),
            "scripts.studies.batches.local_client": mock.MagicMock(),
            "scripts.studies.batches.run_jobs": batches_ran,
            "sim.simulator.simulators.Simulator.check": mock.Mock(),
            "scripts.studies.engine._answers": nobody_answers,
        },
    ),
    "scripts.show_attention": Command(
        main=scripts.show_attention.main,
        works=["layer.npz", "--input", "x.npy", "--out", "out.png"],
        values={"--image": NUMBERS, "--pixel": ("1,1", "7,8", "٣,1", *NUMBERS), "--output": NUMBERS, "--out": PATHS}
        | {"--input": PATHS},
        positional=LAYERS,
        stand_ins={"scripts.show_attention._draw": mock.Mock()},
    ),
    "scripts.approximation": Command(
        main=scripts.approximation.main,
        works=["--out", "out"],
        values={"--product": ("hadamard", "inner", "dynamic", "softmax"), "--out": PATHS, "--seed": NUMBERS}
        | {f"--{name}": NUMBERS for name in ("heads", "channels", "shift", "stack", "tiles", "side")}
        | {f"--{name}": NUMBERS for name in ("digits", "steps", "largest")},
        stand_ins={
            "scripts.approximation.study": studied,
            "scripts.approximation._picture": lambda found: b"picture",
        },
    ),
    "scripts.study": Command(
        main=scripts.study.main,
        works=["digits", "--set", "operator=conv", "--store", "new.sqlite", "--set", "seed=0"],
        values={"--set": SETTINGS, "--workers": NUMBERS, "--scheduler": ("host:1", "tcp://host:99999", "mix")}
        | {"--store": STORES, "--any-code": None, "--dry-run": None, "--list": None}
        | {"--rtl": None, "--rtl-images": NUMBERS},
        positional=STUDIES,
        statuses=(0, 1),
        stand_ins={
            "scripts.study.local_client": contextlib.nullcontext,
            "scripts.study.run_jobs": all_ran,
            "sim.simulator.simulators.Simulator.check": mock.Mock(),
            "scripts.studies.engine._answers": nobody_answers,
        },
    ),
    "scripts.report": Command(
        main=scripts.report.main,
        works=["digits", "--set", "operator=conv", "--store", "studies.sqlite", "--out", "out"],
        values={"--set": SETTINGS, "--store": STORES, "--any-code": None, "--out": PATHS, "--target": TARGETS},
        positional=STUDIES,
        stand_ins={"scripts.report.plots": lambda report: [PICTURE]},
    ),
    "scripts.carry": Command(
        main=scripts.carry.main,
        works=["studies.sqlite"],
        values={"--function": ("experiment", "nosuch"), "--sample": NUMBERS, "--before": PATHS, "--dry-run": None},
        positional=STORES,
        statuses=(0, 1),
        stand_ins={"scripts.carry._run": lambda folder, name, settings: ("0" * 12, None)},
    ),
    "scripts.fuzz": Command(
        main=scripts.fuzz.main,
        works=["--count", "2"],
        values={"--count": NUMBERS, "--seed": NUMBERS, "--jobs": NUMBERS, "--out": PATHS}
        | {"--simulator": SIMULATORS, "--target": TARGETS}
        | {"--kind": ("mix", "unit", "frozen", "reloadable", "network"), "--stimuli": NUMBERS, "--json": PATHS}
        | {"--steps": NUMBERS, "--frame-cycles": NUMBERS, "--products": NUMBERS},
        statuses=(0, 1),
        stand_ins={
            "scripts.fuzz.ProcessPoolExecutor": ThreadPoolExecutor,
            "scripts.fuzz.run_case": fuzzed,
            "scripts.fuzz.run_reloadable": fuzzed,
            "scripts.fuzz.run_network": fuzzed,
            "sim.simulator.simulators.Simulator.check": mock.Mock(),
        },
    ),
    "scripts.coverage": Command(
        main=scripts.coverage.main,
        works=["--unit", "plain"],
        values={"--unit": ("plain", "valid", "nosuch"), "--kind": ("frozen", "all", "nosuch")}
        | {"--seed": NUMBERS, "--jobs": NUMBERS, "--json": PATHS},
        statuses=(0, 1),
        stand_ins={
            "scripts.coverage.ProcessPoolExecutor": ThreadPoolExecutor,
            "scripts.coverage.measure": covered,
            "sim.simulator.simulators.Simulator.check": mock.Mock(),
        },
    ),
    "scripts.mutation": Command(
        main=scripts.mutation.main,
        works=["--count", "1"],
        values={"--unit": ("fold_sequential", "nosuch"), "--kind": ("unit", "network", "nosuch")}
        | {"--count": NUMBERS, "--seed": NUMBERS, "--jobs": NUMBERS, "--simulator": SIMULATORS, "--json": PATHS},
        statuses=(0, 1),
        stand_ins={
            "scripts.mutation.campaign": lambda *unit, **options: [],
            "sim.simulator.simulators.Simulator.check": mock.Mock(),
        },
    ),
    "scripts.prove": Command(
        main=scripts.prove.main,
        works=["--quick"],
        values={"--quick": None, "--only": ("queue", "nosuch"), "--jobs": NUMBERS, "--json": PATHS},
        statuses=(0, 1),
        stand_ins={"scripts.prove._run": proven},
    ),
    "scripts.quick_units": Command(
        main=scripts.quick_units.main,
        works=[],
        values={"--keep": NUMBERS, "--record": PATHS},
        statuses=(0, 1),
    ),
    "scripts.verilog_hashes": Command(
        main=scripts.verilog_hashes.main,
        works=["--write", "--kept", "hashes.json"],
        values={"--unit": ("plain", "nosuch"), "--write": None, "--kept": PATHS},
        statuses=(0, 1),
        stand_ins={
            "scripts.verilog_hashes.ProcessPoolExecutor": ThreadPoolExecutor,
            "scripts.verilog_hashes.verilog_hash": lambda name: "0",
        },
    ),
    "scripts.evidence": Command(
        main=scripts.evidence.main,
        works=["--out", "out"],
        values={"--part": ("fuzz", "proofs", "nosuch"), "--list": None, "--page": None, "--out": PATHS},
        stand_ins={"scripts.evidence._run": lambda name, kept: 0},
    ),
    "scripts.registers": Command(
        main=scripts.registers.main,
        works=["--out", "registers.md"],
        values={"--out": PATHS},
        stand_ins={
            "scripts.registers.in_checkout": lambda place, instead: Path("none/registers.md"),
            "scripts.registers.page": lambda: "text",
        },
    ),
    "scripts.bench": Command(
        main=scripts.bench.main,
        works=[],
        values={"--only": TARGETS, "--cycles": None, "--seeds": NUMBERS, "--simulator": SIMULATORS, "--out": PATHS}
        | {"--kind": ("units", "networks", "mix"), "--network": ("resnet8", "digits"), "--page": PATHS},
        statuses=(0, 1),
        stand_ins={"scripts.bench._measure": measured, "scripts.bench_networks.measure": measured_network},
    ),
    "scripts.structures": Command(
        main=scripts.structures.main,
        works=[],
        values={
            "--only": ("resnet18", "visual wake words", "mix"),
            "--page": PATHS,
            "--out": PATHS,
            "--conversion": None,
        },
        stand_ins={"scripts.structures.measure_tiny": structure, "scripts.structures.measure_field": structure},
    ),
    "scripts.merging": Command(
        main=scripts.merging.main,
        works=["--only", "ecp5"],
        values={"--layer": ("hadamard, 3x3", "mix"), "--only": TARGETS, "--page": PATHS, "--out": PATHS}
        | {f"--{name}": NUMBERS for name in ("cycles", "images", "seed", "epochs")},
        statuses=(0, 1),
        stand_ins={
            "scripts.merging.trained": lambda options, *, seed, epochs: NotTrained(),
            "scripts.merging._results": merged_results,
            "scripts.merging._costs": merged_costs,
        },
    ),
    "scripts.bench_golden": Command(
        main=scripts.bench_golden.main,
        works=["--images", "1", "--repeat", "1", "--work", "layer"],
        values={"--work": ("layer", "resnet20"), "--images": NUMBERS, "--repeat": NUMBERS, "--seed": NUMBERS},
        stand_ins={"scripts.bench_golden.CHANNELS": 1, "scripts.bench_golden.SIDE": 2}
        | {"scripts.bench_golden.NETWORK_SIDE": 4},
    ),
    "scripts.estimate": Command(
        main=scripts.estimate.main,
        works=[],
        values={},
        stand_ins={"scripts.estimate.measure": estimated},
    ),
}


def furnish(place: Workplace) -> None:
    """Put into the working folder what `FURNITURE` names, and a layer at ``[/]``, which rich takes for markup."""
    here = place.here
    for name in ("folder", "blocked", "locked", "digits", "kept", "["):
        (here / name).mkdir()
    for name in OUTPUTS:
        (here / "blocked" / name).mkdir()
    for name, content in _contents().items():
        (here / name).write_bytes(content)
    (here / "loop").symlink_to("loop")
    (here / "locked").chmod(0o555)


@cache
def _contents() -> dict[str, bytes]:
    frames = npy(np.arange(24, dtype=np.uint8).reshape(1, 2, 3, 4))
    layer = layer_bytes(small_layer())
    with tempfile.TemporaryDirectory() as folder:
        write_digits(Path(folder), few_digits())
        digits = {f"digits/{path.name}": path.read_bytes() for path in Path(folder).iterdir()}
    reload = Reload(attn_shift=Range(0, 15), out_shift=Range(0, 47))
    unit = UnitConfig(layer=small_layer(), folding=Folding(simd=1, pe=1), reload=reload)
    with tempfile.TemporaryDirectory() as folder:
        Job(config=unit, first_output_latency=99, frame_cycles=9, seed=0).save(Path(folder))
        kept = {f"kept/{path.name}": path.read_bytes() for path in Path(folder).iterdir()}
    kept["unit.json"] = json.dumps({"config": config_fields(unit)}).encode()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "studies.sqlite"
        with Store(str(path)) as store:
            store.prepare()
            for run in plan(find_study("digits").runs(), store):
                store.put(ran(run.job))
        kept["studies.sqlite"] = path.read_bytes()
    network = network_bytes(small_network())
    source = tiny().SerializeToString()
    files = {
        "network.onnx": source,
        "foul.onnx": source[:-9],
        "images.npy": npy(np.arange(24).reshape(1, 2, 3, 4) / 8 - 1),
        "network.npz": network,
        "folding.json": json.dumps(
            {name: {"simd": 1, "pe": 1} for name in (step.name for step in small_network().steps)}
        ).encode(),
        "layer.npz": layer,
        "[/]": layer,
        "foul.npz": layer[:-9],
        "x.npy": frames,
        "foul.npy": frames[:-1],
    }
    return {**files, **digits, **kept, "taken": b"kept"}
