"""Studies: what a grid unfolds to, what ``--set`` makes of it, and what identifies a run."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from golden.support.cli import UserError
from scripts.studies import content
from scripts.studies.content import code_version, content_key
from scripts.studies.functions import FUNCTIONS, Function
from scripts.studies.grid import Study, parse_values
from tests.support.study_stand_ins import STAND_IN, STUDY


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FUNCTIONS, "stand_in", STAND_IN)


def points(study: Study) -> list[tuple[Any, ...]]:
    return [tuple(run.point.values()) for run in study.runs()]


# --- grids ---


def test_last_axis_runs_fastest() -> None:
    assert points(STUDY) == [(variant, seed) for variant in ("conv", "inner") for seed in (0, 1, 2)]


def test_defaults_are_filled_in() -> None:
    assert STUDY.runs()[-1].settings["bits"] == [8, 4]


def test_labels_stand_for_settings() -> None:
    axes = {"kind": {"a": {"variant": "inner", "bits": [2]}, "b": {}}, "seed": (1,)}
    runs = dataclasses.replace(STUDY, fixed={"bits": [8]}, axes=axes).runs()
    assert [run.point for run in runs] == [{"kind": "a", "seed": 1}, {"kind": "b", "seed": 1}]
    assert [(run.settings["variant"], run.settings["bits"]) for run in runs] == [("inner", [2]), ("conv", [8])]
    assert "kind" not in runs[0].settings


def test_rows_of_a_table_are_told_apart_by_what_varies() -> None:
    assert STUDY.varied == ["variant"]
    assert STUDY.replaced(["variant=inner", "wait=0,1"]).varied == ["wait"]


# --- --set ---


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1", [1]),
        ("0,1,2", [0, 1, 2]),
        ("[1],[1,2]", [[1], [1, 2]]),
        ("conv,inner", ["conv", "inner"]),
        ("conv,1", ["conv", 1]),
        ('"a,b"', ["a,b"]),
        ("true,null,2.5", [True, None, 2.5]),
        ("NaN", ["NaN"]),
        ("[" * 100_000, ["[" * 100_000]),
        ("9" * 5000, ["9" * 5000]),
    ],
    ids=lambda value: str(value)[:20],
)
def test_values(text: str, values: list[Any]) -> None:
    assert parse_values(text) == values


def test_set_replaces_fixed_settings_and_axes() -> None:
    study = dataclasses.replace(STUDY, fixed={"bits": [8]}).replaced(["bits=[4],[2]", "seed=2", "variant=wide"])
    assert [(run.settings["variant"], run.settings["seed"], run.settings["bits"]) for run in study.runs()] == [
        ("wide", 2, [4]),
        ("wide", 2, [2]),
    ]


def test_set_overrides_what_a_label_stands_for() -> None:
    study = dataclasses.replace(STUDY, axes={"kind": {"a": {"variant": "inner"}, "b": {"variant": "wide"}}})
    assert [run.settings["variant"] for run in study.replaced(["kind=b"]).runs()] == ["wide"]
    assert [run.settings["variant"] for run in study.replaced(["variant=conv", "kind=b"]).runs()] == ["conv"]


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (["colour=1"], "setting 'colour' is unknown, allowed are variant, seed, "),
        (["variant=best"], "variant 'best' is not one of conv, inner, wide"),
        (["seed=0,0"], "seed '0,0' has a value twice"),
        (["seed=0", "seed=1"], "--set seed is there twice"),
        (["seed"], "--set 'seed' is not KEY=VALUE, allowed keys are variant, seed"),
        (["=1"], "is not KEY=VALUE"),
        (["seed="], "is not KEY=VALUE"),
        (["seed=NaN"], "seed 'NaN' is not one of 0, 1, 2"),
        (["wait=" + ",".join(map(str, range(100_001)))], "would have 600006 runs, allowed are 100000"),
    ],
)
def test_refusals(assignments: list[str], message: str) -> None:
    with pytest.raises(UserError) as caught:
        STUDY.replaced(assignments).runs()
    assert message in str(caught.value)


def test_unknown_label_is_refused() -> None:
    study = dataclasses.replace(STUDY, axes={"kind": {"a": {}, "b": {}}})
    for value in ("c", "1", "[1]"):
        with pytest.raises(UserError, match="is not one of a, b"):
            study.replaced([f"kind={value}"])


# --- what identifies a run ---


def test_content_is_that_of_function_and_settings() -> None:
    key = content_key("f", {"a": 1, "b": [2]})
    assert key == content_key("f", {"b": [2], "a": 1})
    assert len({key, content_key("g", {"a": 1, "b": [2]}), content_key("f", {"a": 1, "b": [3]})}) == 3


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of two modules, one of which imports the other; ``golden/used.py`` is written by the test."""
    (tmp_path / "golden" / "support").mkdir(parents=True)
    (tmp_path / "golden" / "experiment.py").write_text("from golden import used\nimport golden.support.cli\n")
    (tmp_path / "golden" / "support" / "cli.py").write_text("A = 1\n")
    monkeypatch.setattr(content, "ROOT", tmp_path)
    return tmp_path / "golden"


BODY = "def f(x):\n    return x + 1\n"


def version(folder: Path, used: str) -> str:
    (folder / "used.py").write_text(used)
    content.forget()
    return code_version(Function(run="golden.experiment:run", check=""))


def test_code_that_matters(code: Path) -> None:
    """Of what a function imports, all that may change a figure, and nothing else."""
    first = version(code, BODY)
    same = [f'"""Text."""\n# A comment.\n{BODY}', 'def f(x: int) -> int:\n    """Add one."""\n    return x + 1\n']
    assert {version(code, text) for text in same} == {first}
    assert version(code, BODY.replace("1", "2")) != first
    (code / "support" / "cli.py").write_text("A = 2\n")
    (code / "other.py").write_text("A = 2\n")
    assert version(code, BODY) == first


def test_code_of_an_import_of_an_import(code: Path) -> None:
    (code / "deep.py").write_text("A = 1\n")
    first = version(code, "def f():\n    from golden.deep import A\n")
    (code / "deep.py").write_text("A = 2\n")
    assert version(code, "def f():\n    from golden.deep import A\n") != first
