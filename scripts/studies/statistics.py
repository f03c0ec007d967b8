"""Means with intervals, and differences paired by seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

#: Confidence of all intervals.
CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Mean:
    """The mean of some values, and its interval by Student's t.

    Attributes:
        count: number of values.
        mean: their mean.
        half: half of the interval's width; None for a single value.
    """

    count: int
    mean: float
    half: float | None


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How far one row is above another, from pairs of runs with the same seed.

    Attributes:
        mean: mean of the pairs' differences, with its interval.
        p: two-sided p value of the paired t-test. None for a single pair, and where all differences are the same.
    """

    mean: Mean
    p: float | None


def mean_of(values: Sequence[float]) -> Mean:
    """The mean of at least one value."""
    if len(values) < 2:
        return Mean(count=1, mean=float(values[0]), half=None)
    spread = float(stats.sem(values)) * float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1))
    return Mean(count=len(values), mean=float(np.mean(values)), half=spread)


def difference(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Difference | None:
    """``ours`` minus ``theirs``, paired by seed; None without a pair. Seeds that only one of them has are left out."""
    differences = [ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())]
    if not differences:
        return None
    # Differences that differ by rounding alone count as the same.
    same = np.ptp(differences) <= 1e-9 * max(1.0, *map(abs, ours.values()))
    p = None if len(differences) < 2 or same else float(stats.ttest_1samp(differences, 0.0).pvalue)
    return Difference(mean=mean_of(differences), p=p)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """The p values adjusted for all tests together, by Holm's step-down. None of them becomes smaller."""
    order = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, place) in enumerate(order):
        largest = max(largest, min(1.0, p * (len(order) - rank)))
        adjusted[place] = largest
    return adjusted
