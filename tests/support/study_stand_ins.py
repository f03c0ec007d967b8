"""A function that studies of tests run. It is quick, and goes wrong in each way that it is asked to."""

from __future__ import annotations

import dataclasses
import os
import signal
import time
from pathlib import Path
from typing import Any

from golden.support.cli import UserError
from scripts.studies import catalogue, functions
from scripts.studies.functions import Advance, Function
from scripts.studies.grid import Run, Study
from scripts.studies.plan import job_of
from scripts.studies.result import DONE, Result

STAND_IN = Function(
    run="tests.support.study_stand_ins:run",
    check="tests.support.study_stand_ins:check",
    ready="tests.support.study_stand_ins:ready",
    amount="tests.support.study_stand_ins:amount",
)

#: Accuracies by variant, for seeds 0 to 2.
ACCURACY = {"conv": (87.0, 88.0, 89.5), "inner": (88.0, 88.5, 91.0), "wide": (87.0, 88.0, 89.5)}
DEFAULTS: dict[str, Any] = {"variant": "conv", "seed": 0, "bits": [8, 4], "what": "return", "folder": "", "wait": 0.0}


def check(settings: dict[str, Any]) -> dict[str, Any]:
    for key in settings:
        if key not in DEFAULTS:
            raise UserError(f"setting {key!r} is unknown, allowed are {', '.join(DEFAULTS)}")
    filled = DEFAULTS | dict(settings)
    if filled["variant"] not in ACCURACY:
        raise UserError(f"variant {filled['variant']!r} is not one of {', '.join(ACCURACY)}")
    if filled["seed"] not in (0, 1, 2):
        raise UserError(f"seed {filled['seed']!r} is not one of 0, 1, 2")
    return filled


def amount(settings: dict[str, Any]) -> float:
    return 2.0 + settings["wait"]


def ready(settings: dict[str, Any]) -> None:
    if settings["what"] == "lack":
        raise UserError("the data set is not here, a package brings it")


def run(settings: dict[str, Any], *, advance: Advance) -> dict[str, Any]:
    """Note in ``folder`` that this ran, and end as ``what`` says. Only runs with seed 1 go wrong."""
    runs = _note(settings) if settings["folder"] else 1
    time.sleep(settings["wait"])
    advance(0.5)
    wrong = settings["what"] if settings["seed"] == 1 else "return"
    if wrong == "die" or (wrong == "die once" and runs == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    if wrong == "raise":
        raise ValueError("no such luck")
    advance(0.5)
    accuracy = ACCURACY[settings["variant"]][settings["seed"]]
    return {
        "metric": "accuracy in percent",
        "float": accuracy,
        "ptq": {str(bits): accuracy - 8 / bits for bits in settings["bits"]},
        "parameters": 2000 if settings["variant"] == "wide" else 1000,
    }


def _note(settings: dict[str, Any]) -> int:
    """Number of times that a run has begun, this time included."""
    note = Path(settings["folder"]) / f"{settings['variant']}-{settings['seed']}"
    with note.open("a") as stream:
        stream.write("x")
    return note.stat().st_size


def notes(folder: Path) -> dict[str, int]:
    """Number of times that each run has begun."""
    return {path.name: path.stat().st_size for path in sorted(folder.iterdir())}


def result_of(point: Run, **changes: Any) -> Result:
    """What a run of the stand-in finds. A run of another function is given its figures."""
    job = job_of(point)
    result = Result(
        content=job.content,
        code=job.code,
        function=job.function_name,
        status=DONE,
        settings=job.settings,
        figures=None if "figures" in changes else run(dict(job.settings), advance=lambda share: None),
        seconds=1.5,
        host="here",
        versions={"numpy": "2"},
    )
    return dataclasses.replace(result, **changes)


#: A study of the stand-in, with 2 variants and 3 seeds.
STUDY = Study(
    name="quick",
    title="Is a stand-in better?",
    description="Whether a stand-in is better than another.",
    function="stand_in",
    axes={"variant": ("conv", "inner"), "seed": (0, 1, 2)},
    baseline={"variant": "conv"},
)


def register() -> None:
    """Make the study and its function known to `scripts.studies`."""
    catalogue.STUDIES[STUDY.name] = STUDY
    functions.FUNCTIONS["stand_in"] = STAND_IN
