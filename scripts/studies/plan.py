"""Which runs of a study are stored, which are left to do, and how long these will take."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scripts.studies.content import code_version, content_key
from scripts.studies.functions import Settings
from scripts.studies.grid import SEED, Run
from scripts.studies.result import Result
from scripts.studies.store import Store
from scripts.studies.worker import Job


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """How long a run will take.

    Attributes:
        seconds: the time in seconds; None where nothing is known.
        basis: what the forecast is based on, in words.
    """

    seconds: float | None
    basis: str


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A run of a study.

    Attributes:
        run: the run itself.
        job: what a worker would do for it.
        result: its stored result; None if there is none.
    """

    run: Run
    job: Job
    result: Result | None

    @property
    def done(self) -> bool:
        return self.result is not None and self.result.done


def plan(runs: Iterable[Run], store: Store, *, any_code: bool = False) -> list[Planned]:
    """The ``runs`` with their results in ``store``. With ``any_code``, results of any version of the code count.

    Of runs with the same settings, only the first one is returned.
    """
    by_content: dict[str, tuple[Run, Job]] = {}
    for run in runs:
        job = job_of(run)
        by_content.setdefault(job.content, (run, job))
    jobs = list(by_content.values())
    stored: dict[tuple[str, str], Result] = {}
    for code in {job.code for _, job in jobs}:
        contents = [job.content for _, job in jobs if job.code == code]
        found = store.find(contents, None if any_code else code)
        stored |= {(content, code): result for content, result in found.items()}
    return [Planned(run=run, job=job, result=stored.get((job.content, job.code))) for run, job in jobs]


def content_of(run: Run) -> str:
    """What a result of ``run`` is found by, whatever the version of the code."""
    return content_key(run.function_name, run.settings)


def job_of(run: Run) -> Job:
    """The job of a worker that does ``run``."""
    return Job(
        content=content_of(run),
        code=code_version(run.function),
        function_name=run.function_name,
        function=run.function,
        settings=run.settings,
    )


def forecast(planned: Sequence[Planned], store: Store) -> list[Forecast]:
    """How long each of ``planned`` takes if it is run.

    A forecast is the median time of the stored runs whose settings are most like the run's. Their times are
    scaled by the function's own model, which makes up for settings that differ. Where no run of the function is
    stored, the model alone gives the forecast.
    """
    stored = {name: store.of_function(name) for name in {run.run.function_name for run in planned}}
    return [_forecast(run.run, stored[run.run.function_name]) for run in planned]


def _forecast(run: Run, stored: Sequence[Result]) -> Forecast:
    if not stored:
        guess = run.function.guess(run.settings)
        return Forecast(seconds=guess, basis="unknown" if guess is None else "model")
    apart = [_differences(run.settings, result.settings) for result in stored]
    alike = [
        result.seconds * _larger(run, result.settings)
        for result, count in zip(stored, apart, strict=True)
        if count == min(apart)
    ]
    other = f", {min(apart)} settings differ" if min(apart) else ""
    return Forecast(seconds=statistics.median(alike), basis=f"{len(alike)} stored{other}")


def _larger(run: Run, stored: Settings) -> float:
    """Time of ``run`` relative to a run with ``stored`` settings, by the function's model; 1 without a model."""
    if stored.keys() != run.settings.keys():
        return 1.0  # the stored run is of another version, whose settings the model may not know
    own, other = run.function.guess(run.settings), run.function.guess(stored)
    return 1.0 if own is None or other is None else own / other


def _differences(one: Settings, other: Settings) -> int:
    """Number of settings that differ, without the seed."""
    return sum(one.get(key) != other.get(key) for key in (one.keys() | other.keys()) - {SEED})
