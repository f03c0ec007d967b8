"""Functions that studies of tests run: quick ones, and one for each way to go wrong."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from golden.cli import UserError
from scripts.studies.functions import Advance, Function
from scripts.studies.grid import Study

STAND_IN = Function(
    run="study_stand_ins:run",
    check="study_stand_ins:check",
    ready="study_stand_ins:ready",
    amount="study_stand_ins:amount",
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
    return 2.0


def ready(settings: dict[str, Any]) -> None:
    if settings["what"] == "lack":
        raise UserError("the data set is not here, a package brings it")


def run(settings: dict[str, Any], *, advance: Advance) -> dict[str, Any]:
    """Note in ``folder`` that this ran, and end as ``what`` says."""
    if settings["folder"]:
        note = Path(settings["folder"]) / f"{settings['variant']}-{settings['seed']}"
        before = len(note.read_text()) if note.exists() else 0
        note.write_text("x" * (before + 1))
        if settings["what"] == "die once" and settings["seed"] == 1 and not before:
            advance(0.25)
            os.kill(os.getpid(), signal.SIGKILL)
    if settings["what"] == "die" and settings["seed"] == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if settings["what"] == "raise" and settings["seed"] == 1:
        raise ValueError("no such luck")
    time.sleep(settings["wait"])
    advance(1.0)
    accuracy = ACCURACY[settings["variant"]][settings["seed"]]
    return {
        "accuracy": {"float": accuracy, "ptq": {str(bits): accuracy - 8 / bits for bits in settings["bits"]}},
        "parameters": 1000 if settings["variant"] != "wide" else 2000,
        "seed_was": settings["seed"],
    }


#: A study of them, 2 variants and 3 seeds.
STUDY = Study(
    name="quick",
    description="Whether a stand-in is better than another.",
    function="stand_in",
    axes={"variant": ("conv", "inner"), "seed": (0, 1, 2)},
    baseline={"variant": "conv"},
)
