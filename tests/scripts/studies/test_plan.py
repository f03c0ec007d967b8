"""What is left of a study to do, and how long that takes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.studies.functions import FUNCTIONS
from scripts.studies.grid import Run
from scripts.studies.plan import _larger, forecast, job_of, plan
from scripts.studies.result import DONE, FAILED, Result
from scripts.studies.store import Store
from tests.support.study_stand_ins import STAND_IN, STUDY


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FUNCTIONS, "stand_in", STAND_IN)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(str(tmp_path / "store.sqlite")) as store:
        store.prepare()
        yield store


def took(run: Run, seconds: float, status: str = DONE) -> Result:
    job = job_of(run)
    return Result(
        content=job.content,
        code=job.code,
        function=job.function_name,
        status=status,
        settings=job.settings,
        figures={},
        seconds=seconds,
        host="here",
        versions={},
    )


def test_points_with_the_same_settings_are_one_run(store: Store) -> None:
    axes = {"kind": {"a": {}, "b": {"variant": "conv"}, "c": {"variant": "inner"}}}
    planned = plan(dataclasses.replace(STUDY, axes=axes).runs(), store)
    assert [run.run.point["kind"] for run in planned] == ["a", "c"]


def test_what_is_done(store: Store) -> None:
    runs = STUDY.runs()
    store.put(took(runs[0], 1.0))
    store.put(took(runs[1], 1.0, FAILED))
    planned = plan(runs, store)
    assert [run.done for run in planned] == [True, False, False, False, False, False]
    assert [run.result is not None for run in planned] == [True, True, False, False, False, False]


def test_forecast_is_that_of_what_is_most_alike(store: Store) -> None:
    """Another seed is no difference; the median of those that are as much alike counts."""
    alike, others = STUDY.replaced(["variant=conv"]), STUDY.replaced(["variant=conv", "bits=[2]"])
    wanted = plan(STUDY.replaced(["seed=2", "variant=conv,inner", "wait=1"]).runs(), store)
    assert [(guess.seconds, guess.basis) for guess in forecast(wanted, store)] == [(3.0, "model")] * 2
    for study, all_seconds in ((alike, (10.0, 30.0, 11.0)), (others, (500.0, 500.0, 500.0))):
        for run, seconds in zip(study.runs(), all_seconds, strict=True):
            store.put(took(run, seconds))
    store.put(took(STUDY.replaced(["variant=wide", "seed=0"]).runs()[0], 1.0, FAILED))
    guesses = forecast(plan(STUDY.replaced(["seed=2", "variant=conv,inner"]).runs(), store), store)
    assert [(guess.seconds, guess.basis) for guess in guesses] == [
        (11.0, "3 stored"),
        (11.0, "3 stored, 1 settings differ"),
    ]


def test_forecast_of_longer_runs_is_in_proportion(store: Store) -> None:
    """What was measured counts, times what the model says of both; not where it may not know the settings."""
    run, *_ = STUDY.replaced(["wait=1"]).runs()
    store.put(took(STUDY.runs()[0], 10.0))
    (guess,) = forecast(plan([run], store), store)
    assert (guess.seconds, guess.basis) == (15.0, "1 stored, 1 settings differ")
    old = dataclasses.replace(took(run, 7.0), settings={"of": "an older version"}, content="old")
    assert _larger(run, old.settings) == 1.0


def test_nobody_knows(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FUNCTIONS, "stand_in", dataclasses.replace(STAND_IN, amount=None))
    (guess, *_) = forecast(plan(STUDY.runs(), store), store)
    assert (guess.seconds, guess.basis) == (None, "unknown")
