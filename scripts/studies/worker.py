"""One run, in a worker process of this machine or of a cluster."""

from __future__ import annotations

import importlib.metadata
import platform
import socket
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from scripts.studies.content import code_version
from scripts.studies.functions import Function, Json, Settings
from scripts.studies.result import DONE, FAILED, Result

#: Libraries whose versions are recorded with a result.
RECORDED = ("numpy", "torch", "scikit-learn", "amaranth")
#: Least time in seconds between two reports of how far a run is.
REPORT_EVERY_S = 0.5
#: The scheduler's topic of reports of how far a run is.
TOPIC = "xvolution-progress"


@dataclass(frozen=True, kw_only=True)
class Job:
    """A run that a worker is to do. ``content`` and ``code`` are those of `scripts.studies.content`."""

    content: str
    code: str
    function_name: str
    function: Function
    settings: Settings


def execute(job: Job) -> Result:
    """Do ``job`` in a Dask worker. If the job raises, the result is a failed one."""
    from distributed import get_worker

    worker = get_worker()
    return perform(job, lambda share: worker.log_event(TOPIC, {"content": job.content, "share": share}))


def perform(job: Job, report: Callable[[float], object]) -> Result:
    """Do ``job``. ``report`` is called now and then with the share of it that is done."""
    share, reported = 0.0, time.monotonic()

    def advance(amount: float) -> None:
        nonlocal share, reported
        share += amount
        if time.monotonic() - reported >= REPORT_EVERY_S:
            reported = time.monotonic()
            report(share)

    report(0.0)
    begin = time.perf_counter()
    figures: Json = None
    error = ""
    try:
        here = code_version(job.function)
        if here != job.code:
            raise RuntimeError(f"the worker has version {here} of the code, the study has {job.code}")
        figures = job.function.call(job.settings, advance)
    except (Exception, SystemExit):
        error = traceback.format_exc()
    return Result(
        content=job.content,
        code=job.code,
        function=job.function_name,
        status=FAILED if error else DONE,
        settings=job.settings,
        figures=figures,
        error=error,
        seconds=time.perf_counter() - begin,
        host=socket.gethostname(),
        versions=versions(),
    )


def versions() -> dict[str, str]:
    """The versions of Python and of the installed libraries in `RECORDED`, by name."""
    found = {"python": platform.python_version()}
    for name in RECORDED:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
