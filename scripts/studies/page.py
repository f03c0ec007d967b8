"""``NAME.html`` of a study: one page that needs nothing but itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from golden.support.page import page_template
from scripts.studies.functions import Json
from scripts.studies.grid import SEED, shown
from scripts.studies.plots import Picture
from scripts.studies.report import Report
from scripts.studies.statistics import Mean


def page(report: Report, pictures: Sequence[Picture]) -> str:
    """HTML of ``report`` with its ``pictures``."""
    return page_template("scripts.studies").render(
        report=report,
        study=report.study,
        pictures=pictures,
        settings=common_settings(report),
        seeds=[shown(seed) for seed in dict.fromkeys(run.point.get(SEED, 0) for run, _ in report.runs)],
        origins=origins(report),
        mean_text=mean_text,
        p_text=p_text,
        shown=shown,
    )


def mean_text(mean: Mean | None, sign: str = "") -> str:
    """A mean with half of its interval, as text; empty for None. ``sign`` is ``+`` for a difference."""
    if mean is None:
        return ""
    whole = mean.mean == int(mean.mean) and not mean.half
    number = format(mean.mean, f"{sign},.0f" if whole and abs(mean.mean) >= 1 else f"{sign},.2f")
    return f"{number} ± {mean.half:.2f}" if mean.half else number


def p_text(p: float | None) -> str:
    """A p value with three digits, as text; empty for None."""
    return "" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


def common_settings(report: Report) -> dict[str, Json]:
    """All settings of the runs. A setting that all share has its value, any other a text with all its values."""
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
