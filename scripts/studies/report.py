"""A study's results in tables: means over seeds, differences to the baseline, costs of the hardware."""

from __future__ import annotations

import csv
import dataclasses
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from scripts.studies.costs import AREAS, COSTS, CYCLES, Cost, estimates, non_dominated, syntheses
from scripts.studies.functions import Json, Settings
from scripts.studies.grid import SEED, Run, Study, shown
from scripts.studies.metrics import value_range
from scripts.studies.plan import content_of
from scripts.studies.result import Result
from scripts.studies.rows import Row, metrics_of, rows_of
from scripts.studies.statistics import Difference, Mean, difference, holm, mean_of


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A metric of a row.

    Attributes:
        mean: mean over seeds.
        to_baseline: difference to the baseline's row. None for that row itself, and without such a row.
        p_holm: p value of the difference, adjusted for all rows of the metric; None without one.
    """

    mean: Mean
    to_baseline: Difference | None
    p_holm: float | None


@dataclass(frozen=True, kw_only=True)
class Point:
    """A network on an FPGA: a row with some number of bits, at some speed.

    Attributes:
        row: name of the row.
        metric: name of the accuracy.
        mean: mean of the accuracy over seeds.
        cost: what the network takes, by the estimator.
        synthesised: what Yosys makes of it; None where that is not known.
        best: whether no other point beats it in accuracy and `COSTS`.
    """

    row: str
    metric: str
    mean: Mean
    cost: Cost
    synthesised: Cost | None
    best: bool


@dataclass(frozen=True, kw_only=True)
class Report:
    """All that a study's page shows.

    Attributes:
        study: the study as it was run.
        command: the command that repeats it.
        runs: all runs, each with its result or None.
        rows: the rows, in the order of the grid.
        metrics: names of the metrics, in the order of the study's patterns.
        cells: the cells by metric and name of the row. A row may lack a metric.
        unit: what accuracies count; empty if no result tells it.
        points: the points of the hardware; empty where the study names no target.
    """

    study: Study
    command: str
    runs: Sequence[tuple[Run, Result | None]]
    rows: Sequence[Row]
    metrics: Sequence[str]
    cells: Mapping[str, Mapping[str, Cell]]
    unit: str
    points: Sequence[Point]

    @property
    def missing(self) -> int:
        """Number of runs without a result."""
        return sum(result is None for _, result in self.runs)

    @property
    def compared(self) -> bool:
        """Whether any row is compared with the baseline."""
        return any(cell.to_baseline for cells in self.cells.values() for cell in cells.values())

    @property
    def unequal(self) -> list[str]:
        """Networks whose training in few bits did not compute exactly as their integers do. There should be none."""
        return [
            f"{run.label([*self.study.varied, SEED])}: {how}.{bits}"
            for run, result in self.runs
            if result is not None and result.done
            for how, networks in result.figures.items()
            if isinstance(networks, dict)
            for bits, network in networks.items()
            if isinstance(network, dict) and network.get("equal") is False
        ]

    @property
    def failed(self) -> list[tuple[Run, Result]]:
        return [(run, result) for run, result in self.runs if result is not None and not result.done]


def make_report(
    study: Study, command: str, runs: Sequence[tuple[Run, Result | None]], costs: Mapping[str, Json] | None = None
) -> Report:
    """The report of a study.

    Args:
        study: the study as it was run.
        command: the command that repeats it.
        runs: a run for each point of the study's grid.
        costs: the figures of runs that estimate and synthesise networks (`scripts.studies.costs`), by content.
    """
    rows = rows_of(study, runs)
    found = dict.fromkeys(metric for row in rows for metric in row.values)
    metrics = list(dict.fromkeys(m for pattern in study.metrics for m in found if fnmatchcase(m, pattern)))
    baseline = _baselines(study, rows)
    unit = _unit(runs)
    cells = {metric: _cells(metric, rows, baseline, value_range(metric, unit)) for metric in metrics}
    return Report(
        study=study,
        command=command,
        runs=runs,
        rows=rows,
        metrics=metrics,
        cells=cells,
        unit=unit,
        points=_points(study, rows, cells, costs or {}),
    )


def _unit(runs: Iterable[tuple[Run, Result | None]]) -> str:
    """What accuracies count, from the first result that tells it."""
    texts = (result.figures["metric"] for _, result in runs if result and "metric" in (result.figures or ()))
    return str(next(texts, ""))


def _baselines(study: Study, rows: Sequence[Row]) -> dict[str, Row]:
    """The row that each row is compared with, by name: the row whose point differs only in the baseline's axes."""
    by_point = {_key(row.point): row for row in rows}
    found = {}
    for row in rows:
        other = by_point.get(_key({**row.point, **{k: v for k, v in study.baseline.items() if k in row.point}}))
        if other is not None and other is not row:
            found[row.name] = other
    return found


def _key(point: Settings) -> str:
    return ", ".join(f"{axis} {shown(value)}" for axis, value in sorted(point.items()))


def _cells(
    metric: str, rows: Sequence[Row], baselines: Mapping[str, Row], within: tuple[float, float]
) -> dict[str, Cell]:
    having = [row for row in rows if metric in row.values]
    differences = [
        difference(row.values[metric], baselines[row.name].values.get(metric, {}), within)
        if row.name in baselines
        else None
        for row in having
    ]
    adjusted = holm([None if found is None else found.p for found in differences])
    return {
        row.name: Cell(mean=mean_of(list(row.values[metric].values()), within), to_baseline=found, p_holm=p)
        for row, found, p in zip(having, differences, adjusted, strict=True)
    }


def _points(
    study: Study, rows: Sequence[Row], cells: Mapping[str, Mapping[str, Cell]], costs: Mapping[str, Json]
) -> list[Point]:
    found = []
    for row in rows:
        synthesised = {
            (metric, run.settings[CYCLES]): Cost(**figures)
            for metric, run in syntheses(study, row).items()
            if (figures := costs.get(content_of(run))) is not None
        }
        for metric, run in estimates(study, row).items():
            figures = costs.get(content_of(run))
            if figures is None or row.name not in cells.get(metric, {}):
                continue
            for cost in (Cost(**speed) for speed in figures["speeds"]):
                found.append(
                    (row.name, metric, cells[metric][row.name].mean, cost, synthesised.get((metric, cost.cycles)))
                )
    table = [{"accuracy": mean.mean, **_counted(cost)} for _, _, mean, cost, _ in found]
    best = non_dominated(table, less=COSTS, more=("accuracy",))
    return [
        Point(row=row, metric=metric, mean=mean, cost=cost, synthesised=other, best=flag)
        for (row, metric, mean, cost, other), flag in zip(found, best, strict=True)
    ]


def _counted(cost: Cost) -> dict[str, float]:
    """The costs as numbers. A cost that synthesis is free to choose is 0."""
    return {name: getattr(cost, name) or 0.0 for name in COSTS}


# --- as CSV ---


def csv_files(report: Report) -> dict[str, str]:
    """The text of each file, by name: all runs, all cells, and all points of the hardware if there are any."""
    files = {"runs.csv": _csv(_run_lines(report)), "summary.csv": _csv(_summary_lines(report))}
    if report.points:
        files["hardware.csv"] = _csv(_hardware_lines(report))
    return files


def _run_lines(report: Report) -> Iterator[dict[str, Any]]:
    for run, result in report.runs:
        point = {axis: shown(value) for axis, value in run.point.items()}
        figures = metrics_of(result.figures) if result else {}
        yield {
            **point,
            "status": result.status if result else "missing",
            **{metric: figures.get(metric) for metric in report.metrics},
            "seconds": result and f"{result.seconds:.1f}",
            "host": result and result.host,
            "code": result and result.code,
            "content": result and result.content,
        }


def _summary_lines(report: Report) -> Iterator[dict[str, Any]]:
    for metric, cells in report.cells.items():
        for name, cell in cells.items():
            other = cell.to_baseline
            yield {
                "metric": metric,
                "row": name,
                "count": cell.mean.count,
                **_interval("mean", cell.mean),
                "pairs": None if other is None else other.mean.count,
                **_interval("difference", None if other is None else other.mean),
                "p": None if other is None else other.p,
                "p_holm": cell.p_holm,
            }


def _interval(name: str, mean: Mean | None) -> dict[str, float | None]:
    low, high = (None, None) if mean is None or mean.half is None else (mean.low, mean.high)
    return {name: None if mean is None else mean.mean, f"{name}_low": low, f"{name}_high": high}


def _hardware_lines(report: Report) -> Iterator[dict[str, Any]]:
    for point in report.points:
        yield {
            "row": point.row,
            "metric": point.metric,
            **_interval("accuracy", point.mean),
            **dataclasses.asdict(point.cost),
            **{f"synthesised_{name}": point.synthesised and getattr(point.synthesised, name) for name in AREAS},
            "target": report.study.target,
            "best": int(point.best),
        }


def _csv(lines: Iterable[Mapping[str, Any]]) -> str:
    rows = list(lines)
    text = io.StringIO()
    columns = list(dict.fromkeys(key for row in rows for key in row))
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: _rounded(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


def _rounded(value: Any) -> Any:
    """``value``; a float loses its last digits, which differ from machine to machine."""
    return float(f"{value:.10g}") if isinstance(value, float) else value
