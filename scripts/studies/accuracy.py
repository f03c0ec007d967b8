"""A batch of images through a network in floats, in the integer model and in the generated Verilog.

Workers are given networks and images before the batches (`Brought`). So they need neither files nor data sets, and a
worker that is started in place of a dead one is given the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from distributed import Worker, WorkerPlugin

from golden.contract.network.argmax import Argmax
from golden.contract.network.network_file import network_bytes
from golden.contract.streams import from_beats
from golden.experiments.float_file import parse_float
from golden.support.cli import UserError
from golden.training.task import Examples
from golden.training.train import predict, reproducible
from hw.export.network_verilog import NetworkCore
from scripts.studies.content import code_version, content_key
from scripts.studies.functions import Advance, Function, Settings
from scripts.studies.worker import Job
from sim.bulk.simulate import simulate

NAME = "accuracy"
FUNCTION = Function(run="scripts.studies.accuracy:run", check="scripts.studies.accuracy:check")
#: Settings of a batch: what `Subject.hashes` says, then how, and which images.
SETTINGS = ("network", "verilog", "float", "images", "simulator", "first", "count")
#: Rough share of the simulation in the work of a batch.
SIMULATION = 0.95


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """A network in all its forms, and the images that it is judged by.

    Attributes:
        name: of the network.
        core: its Verilog, and its integers.
        frames: the images as integers of its format, ``[N, C, H, W]``.
        labels: the right answers, integers ``[N]``.
        real: the images that its float form takes; None where there is no float form.
        float_file: bytes of a float file; None where there is none.
    """

    name: str
    core: NetworkCore
    frames: np.ndarray
    labels: np.ndarray
    real: Examples | None = None
    float_file: bytes | None = None

    @cached_property
    def hashes(self) -> dict[str, str | None]:
        """What identifies it: sha256 of integer network, Verilog, float network, and images with their answers."""
        memories = [part for path, words in sorted(self.core.memories.items()) for part in (path.encode(), words)]
        return {
            "network": _sha256(network_bytes(self.core.config.network)),
            "verilog": _sha256(self.core.verilog.encode(), *memories),
            "float": None if self.float_file is None else _sha256(self.float_file),
            "images": _sha256(np.int64(self.frames).tobytes(), np.int64(self.labels).tobytes()),
        }

    @property
    def key(self) -> str:
        return content_key(NAME, self.hashes)


#: What this process was given, by `Subject.key`.
_SUBJECTS: dict[str, Subject] = {}


class Brought(WorkerPlugin):
    """Gives each worker of a cluster a `Subject`, also those that are started later."""

    idempotent = True

    def __init__(self, subject: Subject) -> None:
        self.name = f"xvolution-{subject.key}"
        self._subject = subject

    def setup(self, worker: Worker) -> None:
        _SUBJECTS[self._subject.key] = self._subject

    def teardown(self, worker: Worker) -> None:
        _SUBJECTS.pop(self._subject.key, None)


def jobs_of(subject: Subject, simulator: str, batch: int) -> list[Job]:
    """All images of ``subject`` in batches."""
    images, code = len(subject.frames), code_version(FUNCTION)
    found = []
    for first in range(0, images, batch):
        which = {"simulator": simulator, "first": first, "count": min(batch, images - first)}
        settings = {**subject.hashes, **which}
        content = content_key(NAME, settings)
        found.append(Job(content=content, code=code, function_name=NAME, function=FUNCTION, settings=settings))
    return found


def check(settings: Settings) -> dict[str, Any]:
    """``settings`` as they are. Raises `UserError` unless they are `SETTINGS`."""
    if settings.keys() != set(SETTINGS):
        raise UserError(f"settings {', '.join(settings)} are not those of {NAME}: {', '.join(SETTINGS)}")
    return dict(settings)


def run(settings: Settings, *, advance: Advance) -> dict[str, Any]:
    """The figures of a batch::

    images             how many
    right              how many are answered rightly, by "float" (null without one), "integer", "verilog"
    alike              for how many float and integer network give the same answer; null without a float one
    equal              for how many the Verilog gives all numbers of the integer model
    scores, mismatches numbers of the network, and those of them that are wrong or missing
    complaints         what is wrong, a sentence each: numbers, streams, and cycles that are not as predicted
    cycles             length of the simulation
    frame_cycles       cycles of a frame, at full rate, as predicted
    latency            cycles from the first input to the first output
    simulator_seconds  time that the simulator took
    """
    key = content_key(NAME, {name: settings[name] for name in ("network", "verilog", "float", "images")})
    if key not in _SUBJECTS:
        raise RuntimeError("this worker was not given the network")
    subject = _SUBJECTS[key]
    which = slice(settings["first"], settings["first"] + settings["count"])
    labels, timing = subject.labels[which], subject.core.manifest["timing"]
    result = simulate(
        subject.core,
        subject.frames[which],
        simulator=settings["simulator"],
        long_run=True,
        advance=lambda share: advance(share * SIMULATION),
    )
    integers = from_beats(result.expected, *result.shape)
    answers = _answers(subject, integers)
    right = {"integer": _count(answers == labels), "verilog": 0, "float": None}
    alike, equal = None, 0
    if result.frames is not None:
        right["verilog"] = _count(_answers(subject, result.frames) == labels)
        equal = _count((result.frames == integers).all(axis=(1, 2, 3)))
    if subject.real is not None and subject.float_file is not None:
        floats = _float_answers(subject.float_file, subject.real.subset(which))
        right["float"], alike = _count(floats == labels), _count(floats == answers)
    advance(1 - SIMULATION)
    return {
        "images": len(labels),
        "right": right,
        "alike": alike,
        "equal": equal,
        "scores": result.expected.size,
        "mismatches": result.mismatches,
        "complaints": result.complaints() + result.timing_complaints(timing),
        "cycles": result.cycles,
        "frame_cycles": timing["predicted_frame_cycles"],
        "latency": timing["predicted_latency"],
        "simulator_seconds": result.seconds,
    }


def total(figures: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The figures of all batches of a subject together."""
    summed = ("images", "equal", "scores", "mismatches", "cycles", "simulator_seconds")
    first = figures[0]
    return {
        **{name: sum(batch[name] for batch in figures) for name in summed},
        "right": {how: _sum([batch["right"][how] for batch in figures]) for how in first["right"]},
        "alike": _sum([batch["alike"] for batch in figures]),
        "complaints": [complaint for batch in figures for complaint in batch["complaints"]],
        "frame_cycles": first["frame_cycles"],
        "latency": first["latency"],
    }


def _sum(counts: Sequence[int | None]) -> int | None:
    return None if None in counts else sum(filter(None, counts))


def _answers(subject: Subject, outputs: np.ndarray) -> np.ndarray:
    """The answers ``[N]`` in what a network gives: an index, or else the index of the highest score."""
    numbers, network = outputs.reshape(len(outputs), -1), subject.core.config.network
    is_index = any(step.name == network.output and isinstance(step, Argmax) for step in network.steps)
    return numbers[:, 0] if is_index else numbers.argmax(axis=1)


def _float_answers(float_file: bytes, real: Examples) -> np.ndarray:
    with reproducible(0):
        return predict(parse_float(float_file).network, real).argmax(dim=1).numpy()


def _count(which: np.ndarray) -> int:
    return int(np.count_nonzero(which))


def _sha256(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        # The length keeps apart what would else read the same.
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()
