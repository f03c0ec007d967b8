"""Results are carried over to other code where some of them, run again, are the same to the last digit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from golden.support.cli import UserError
from scripts import carry
from scripts.studies.content import code_version
from scripts.studies.functions import FUNCTIONS
from scripts.studies.plan import job_of
from scripts.studies.result import DONE, FAILED, Result
from scripts.studies.store import Store
from tests.support.study_stand_ins import ACCURACY, STAND_IN, STUDY

OLD = "0123456789ab"


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FUNCTIONS, "stand_in", STAND_IN)


def figures(settings: Any) -> dict[str, Any]:
    return {"float": ACCURACY[settings["variant"]][settings["seed"]], "curve": [{"loss": 0.1 + settings["seed"]}]}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A store with all runs of the study, made by other code; the later ones took less time."""
    path = tmp_path / "store.sqlite"
    with Store(str(path)) as store:
        store.prepare()
        for number, run in enumerate(STUDY.runs()):
            job = job_of(run)
            store.put(
                Result(
                    content=job.content,
                    code=OLD,
                    function="stand_in",
                    status=FAILED if number == 0 else DONE,
                    settings=job.settings,
                    figures=figures(job.settings),
                    seconds=10.0 - number,
                    host="here",
                    versions={},
                )
            )
    return path


def codes(path: Path) -> list[str]:
    with Store(str(path)) as store:
        return [result.code for result in store.of_function("stand_in")]


def again(monkeypatch: pytest.MonkeyPatch, change: Any = None) -> list[tuple[str, int]]:
    """Runs come from here; ``change`` does something to the figures. What ran is noted."""
    ran: list[tuple[str, int]] = []

    def run(folder: Path, name: str, settings: Any) -> tuple[str, Any]:
        if settings is None:
            return OLD, None
        ran.append((settings["variant"], settings["seed"]))
        found = figures(settings)
        if change is not None and folder == carry.HERE:
            change(found)
        return OLD, found

    monkeypatch.setattr(carry, "_run", run)
    return ran


def test_results_that_are_the_same_are_carried_over(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = again(monkeypatch)
    assert carry.main([str(place), "--function", "stand_in"]) == 0
    # The shortest of each variant, whatever its seed.
    assert ran == [("inner", 2), ("conv", 2)]
    assert codes(place) == [code_version(STAND_IN)] * 5


def test_a_last_digit_keeps_all_as_they_are(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def change(found: dict[str, Any]) -> None:
        found["curve"][0]["loss"] += 1e-15

    again(monkeypatch, change)
    assert carry.main([str(place), "--function", "stand_in"]) == 1
    assert codes(place) == [OLD] * 5
    assert "differs in figures.curve[0].loss: 2.1, now 2.100000000000001" in capsys.readouterr().out


def test_nothing_is_left_to_do(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    again(monkeypatch)
    carry.main([str(place), "--function", "stand_in"])
    ran = again(monkeypatch)
    assert carry.main([str(place), "--function", "stand_in"]) == 0 and ran == []


def test_dry_run_changes_nothing(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = again(monkeypatch)
    assert carry.main([str(place), "--function", "stand_in", "--dry-run"]) == 0
    assert ran == [] and codes(place) == [OLD] * 5


def test_the_code_of_before_runs_the_same_sample(place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where a processor rounds differently, the stored figures are none of today's machine."""
    with Store(str(place)) as store:
        stored = store.of_function("stand_in")
    ran = again(monkeypatch, lambda found: found.update(float=0.0))
    assert carry.main([str(place), "--function", "stand_in", "--before", str(tmp_path)]) == 1
    assert ran == [("inner", 2), ("inner", 2)]
    ran = again(monkeypatch)
    monkeypatch.setattr(
        carry, "sample", lambda results, count: [result for result in stored if result.settings["seed"]]
    )
    assert carry.main([str(place), "--function", "stand_in", "--before", str(tmp_path)]) == 0
    assert ran == [place for result in stored if result.settings["seed"] for place in [_place(result)] * 2]


def _place(result: Result) -> tuple[str, int]:
    return result.settings["variant"], result.settings["seed"]


def test_another_checkout_is_refused(place: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(carry, "_run", lambda folder, name, settings: ("another", None))
    with pytest.raises(UserError, match=rf"has code another of stand_in, the store has {OLD}"):
        carry.main([str(place), "--function", "stand_in", "--before", str(tmp_path)])


def test_a_store_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.sqlite is not there"):
        carry.main([str(tmp_path / "none.sqlite")])
    assert not (tmp_path / "none.sqlite").exists()


def test_a_run_is_a_process_of_the_code_in_a_folder() -> None:
    code, nothing = carry._run(carry.HERE, "experiment", None)
    assert code == code_version(FUNCTIONS["experiment"]) and nothing is None
    with pytest.raises(UserError, match=r"a run of nosuch in .* ended with status 1: .*nosuch"):
        carry._run(carry.HERE, "nosuch", None)


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ({"a": [1, 2.0]}, {"a": [1, 2.0]}, None),
        ({"a": float("nan")}, {"a": float("nan")}, None),
        ({"a": [1, 2.0]}, {"a": [1, 2]}, "figures.a[1]: 2.0, now 2"),
        ({"a": [1]}, {"a": [1, 2]}, "figures.a: [1], now [1, 2]"),
        ({"a": 1}, {"b": 1}, 'figures: {"a": 1}, now {"b": 1}'),
        ({"a": None}, {"a": 0}, "figures.a: null, now 0"),
    ],
)
def test_differences(old: Any, new: Any, place: str | None) -> None:
    assert next(carry.differences(old, new), None) == place
