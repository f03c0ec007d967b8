"""``NAME.html`` of a study: one page that needs nothing but itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from golden.support.numbers import number
from golden.support.page import page_template
from scripts.studies.costs import AREAS
from scripts.studies.functions import Json, find_function
from scripts.studies.grid import SEED, shown
from scripts.studies.metrics import words
from scripts.studies.plots import Picture
from scripts.studies.report import Point, Report
from scripts.studies.statistics import Mean

#: Head of the column that counts the runs of each row.
RUNS = "runs"
#: The most columns of figures of a table on the page.
COLUMNS = 6


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of texts.

    Attributes:
        columns: the heads of its columns, without that of the lines' names.
        lines: the name of each line, and its cells.
    """

    columns: Sequence[str]
    lines: Sequence[tuple[str, Sequence[str]]]

    def parts(self, most: int) -> list[Table]:
        """The table in parts of at most ``most`` columns."""
        parts = [slice(start, start + most) for start in range(0, len(self.columns), most)]
        return [
            Table(columns=self.columns[part], lines=[(name, cells[part]) for name, cells in self.lines])
            for part in parts
        ]


def page(report: Report, pictures: Sequence[Picture]) -> str:
    """HTML of ``report`` with its ``pictures``."""
    settings = common_settings(report)
    defaults = find_function(report.study.function).defaults
    usual = {key: value for key, value in settings.items() if key in defaults and value == shown(defaults[key])}
    return page_template("scripts.studies").render(
        report=report,
        study=report.study,
        tables=mean_table(report).parts(COLUMNS),
        pictures=pictures,
        settings={key: value for key, value in settings.items() if key not in usual},
        defaults=usual,
        seeds=[shown(seed) for seed in dict.fromkeys(run.point.get(SEED, 0) for run, _ in report.runs)],
        origins=origins(report),
        words=words,
        mean_text=mean_text,
        p_text=p_text,
        number=number,
        area_cells=area_cells,
        synthesised=any(point.synthesised for point in report.points),
        shown=shown,
    )


def mean_table(report: Report) -> Table:
    """Means by row and metric. The columns are whichever there are fewer of."""
    names = {metric: words(metric, report.study) for metric in report.metrics}
    heads = [RUNS, *names.values()]
    lines = []
    for row in report.rows:
        count = max(map(len, row.values.values()), default=0)
        means = [cell.mean if (cell := report.cells[metric].get(row.name)) else None for metric in names]
        lines.append((row.name, [str(count), *map(mean_text, means)]))
    if len(names) <= len(lines):
        return Table(columns=heads, lines=lines)
    turned = zip(*(cells for _, cells in lines), strict=True)
    return Table(columns=[name for name, _ in lines], lines=list(zip(heads, turned, strict=True)))


def mean_text(mean: Mean | None, sign: str = "") -> str:
    """A mean with its interval, as text; empty for None. ``sign`` is ``+`` for a difference.

    ± is half of the interval. Where the interval is cut, both sides are given.
    """
    if mean is None:
        return ""
    whole = mean.mean == int(mean.mean) and not mean.half
    # To add 0 makes 0 of -0.
    number = format(round(mean.mean, 2) + 0.0, f"{sign},.0f" if whole and abs(mean.mean) >= 1 else f"{sign},.2f")
    if not mean.half:
        return number
    if mean.cut:
        return f"{number} +{mean.high - mean.mean:.2f} -{mean.mean - mean.low:.2f}"
    return f"{number} ± {mean.half:.2f}"


def p_text(p: float | None) -> str:
    """A p value with three digits, as text; empty for None."""
    return "" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def area_cells(point: Point) -> list[str]:
    """What a point takes of each resource; behind a stroke what synthesis found. Empty where synthesis is free."""
    costs = [cost for cost in (point.cost, point.synthesised) if cost is not None]
    return [" / ".join(_amount(getattr(cost, name)) for cost in costs) for name in AREAS]


def _amount(value: float | None) -> str:
    return "" if value is None else number(value)


def common_settings(report: Report) -> dict[str, str]:
    """All settings of the runs as texts: the value that all share, or all values."""
    values: dict[str, dict[str, Json]] = {}
    for run, _ in report.runs:
        for key, value in run.settings.items():
            values.setdefault(key, {})[shown(value)] = value
    return {
        key: next(iter(found)) if len(found) == 1 else f"varies: {'; '.join(found)}" for key, found in values.items()
    }


def origins(report: Report) -> list[str]:
    """Where results come from: a line for each host and version of code and libraries, with the number of runs."""
    counts = Counter(
        f"{result.host or 'no host'}, code {result.code}, {', '.join(f'{k} {v}' for k, v in result.versions.items())}"
        for _, result in report.runs
        if result is not None
    )
    return [f"{count} runs: {origin}" for origin, count in counts.items()]
