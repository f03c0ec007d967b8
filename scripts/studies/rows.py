"""Rows of a study's tables: runs that differ in nothing but their seed, and the figures of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from scripts.studies.functions import Json, Settings
from scripts.studies.grid import SEED, Run, Study, shown
from scripts.studies.result import Result

#: Figures that describe the run, and not what it found.
NO_METRICS = ("settings",)


@dataclass(frozen=True, kw_only=True)
class Row:
    """Runs that differ in nothing but their seed.

    Attributes:
        name: what distinguishes the row from others, in words.
        point: the value or label that the runs share, on each axis with several values.
        values: the values of each metric, by seed.
        first: the first of the runs, and its result.
    """

    name: str
    point: Settings
    values: Mapping[str, Mapping[int, float]]
    first: tuple[Run, Result]


def metrics_of(figures: Json) -> dict[str, float]:
    """All numbers among ``figures`` by their path, without those in lists. ``ptq.8.metric`` is called ``ptq.8``."""
    return dict(_numbers(figures)) if isinstance(figures, dict) else {}


def _numbers(figures: Mapping[str, Json], path: str = "") -> Iterator[tuple[str, float]]:
    for key, value in figures.items():
        if path + key in NO_METRICS:
            continue
        if isinstance(value, dict):
            yield from _numbers(value, f"{path}{key}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield (path + key).removesuffix(".metric"), float(value)


def rows_of(study: Study, runs: Iterable[tuple[Run, Result | None]]) -> list[Row]:
    """The rows of ``study``, in the order of its grid. Runs without a result are left out."""
    groups: dict[str, list[tuple[Run, Result]]] = {}
    for run, result in runs:
        if result is not None and result.done:
            groups.setdefault(_name(study, run), []).append((run, result))
    rows, seen = [], set[frozenset[str]]()
    for name, group in groups.items():
        # A setting that means nothing for some points gives several rows of the same runs: only one is kept.
        contents = frozenset(result.content for _, result in group)
        if contents in seen and not _is_baseline(study, group[0][0].point):
            continue
        seen.add(contents)
        values: dict[str, dict[int, float]] = {}
        for run, result in group:
            for metric, value in metrics_of(result.figures).items():
                values.setdefault(metric, {})[run.point.get(SEED, 0)] = value
        point = {axis: group[0][0].point[axis] for axis in study.varied}
        rows.append(Row(name=name, point=point, values=values, first=group[0]))
    return rows


def _name(study: Study, run: Run) -> str:
    """The name of a row: its value if only one axis varies, otherwise its values with the names of their axes."""
    if len(study.varied) == 1:
        return shown(run.point[study.varied[0]])
    return run.label(study.varied) or study.name


def _is_baseline(study: Study, point: Settings) -> bool:
    return bool(study.baseline) and all(point.get(axis) == value for axis, value in study.baseline.items())
