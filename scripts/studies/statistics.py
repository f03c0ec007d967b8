"""Means with intervals, and differences paired by seed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

#: Confidence of all intervals.
CONFIDENCE = 0.95
#: What may be lost by rounding, relative to the numbers.
ROUNDING = 1e-9
#: The range of values that have none.
ANY = (-math.inf, math.inf)


@dataclass(frozen=True, kw_only=True)
class Mean:
    """The mean of some values, and its interval by Student's t.

    Attributes:
        count: number of values.
        mean: their mean.
        half: half of the interval's width, before it is cut; None for a single value.
        within: the least and the largest value that there can be. The interval is cut there: it still holds the
            true mean as often.
    """

    count: int
    mean: float
    half: float | None
    within: tuple[float, float] = ANY

    @property
    def low(self) -> float:
        """Lower end of the interval; the mean itself for a single value."""
        return min(self.mean, max(self.within[0], self.mean - (self.half or 0.0)))

    @property
    def high(self) -> float:
        """Upper end of the interval; the mean itself for a single value."""
        return max(self.mean, min(self.within[1], self.mean + (self.half or 0.0)))

    @property
    def cut(self) -> bool:
        """Whether the interval ends where values do."""
        return self.half is not None and not (
            self.within[0] <= self.mean - self.half and self.mean + self.half <= self.within[1]
        )


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How far one row is above another, from pairs of runs with the same seed.

    Attributes:
        mean: mean of the pairs' differences, with its interval.
        p: two-sided p value of the paired t-test. None for a single pair, and where all differences are the same.
    """

    mean: Mean
    p: float | None


def mean_of(
    values: Sequence[float], within: tuple[float, float] = ANY, *, beside: Sequence[float] | None = None
) -> Mean:
    """The mean of at least one value.

    Args:
        values: the values.
        within: the least and the largest value that there can be.
        beside: the numbers that the values were worked out from, if they are not given themselves. Values that only
            differ by the rounding of these count as the same.
    """
    if len(values) < 2:
        return Mean(count=1, mean=float(values[0]), half=None, within=within)
    spread = float(stats.sem(values)) * float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1))
    half = 0.0 if _same(values, beside or values) else spread
    return Mean(count=len(values), mean=float(np.mean(values)), half=half, within=within)


def difference(
    ours: Mapping[int, float], theirs: Mapping[int, float], within: tuple[float, float] = ANY
) -> Difference | None:
    """``ours`` minus ``theirs``, paired by seed; None without a pair. Seeds that only one of them has are left out.

    ``within`` is the range of ``ours`` and ``theirs``.
    """
    differences = [ours[seed] - theirs[seed] for seed in sorted(ours.keys() & theirs.keys())]
    if not differences:
        return None
    low, high = within
    mean = mean_of(differences, (low - high, high - low), beside=list(ours.values()))
    return Difference(mean=mean, p=float(stats.ttest_1samp(differences, 0.0).pvalue) if mean.half else None)


def _same(values: Sequence[float], beside: Sequence[float]) -> bool:
    return bool(np.ptp(values) <= ROUNDING * max(map(abs, beside)))


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """The p values adjusted for all tests together, by Holm's step-down. None of them becomes smaller."""
    order = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, place) in enumerate(order):
        largest = max(largest, min(1.0, p * (len(order) - rank)))
        adjusted[place] = largest
    return adjusted
