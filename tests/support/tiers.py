"""Tiers: the tests that ``make test`` leaves to ``make check``, and those that this leaves to ``make nightly``.

``make check`` has the tests that take over two seconds each, and all but the first few of random cases.

``make nightly`` has the cases that only repeat. A case repeats if other cases of its test take every branch of the
code that it takes, and meet the same limits. Of random cases, it has those after the first two dozen, and of those that
are costly all but the first eight.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import pytest

#: Marks a test, or one of its cases, that ``make check`` runs and ``make test`` does not.
thorough = pytest.mark.thorough
#: Marks a test, or one of its cases, that only ``make nightly`` runs.
nightly = pytest.mark.nightly
#: Number of random cases of a test that ``make test`` runs; that ``make check`` runs, where these are costly, and else.
FEW, SEVERAL, MANY = 2, 8, 24


def by_day(cases: Iterable[tuple[Any, ...]], kept: Collection[tuple[Any, ...]]) -> list[Any]:
    """The ``cases`` of a test of several arguments. Only ``make nightly`` runs those that are not ``kept``."""
    return [case if case in kept else pytest.param(*case, marks=nightly) for case in cases]


def seeds(count: int, *, costly: bool = False) -> list[Any]:
    """The seeds below ``count``: ``make test`` runs the first few, ``make check`` many, or several where costly."""
    return thorough_from(range(count), FEW, SEVERAL if costly else MANY)


def thorough_from(cases: Sequence[Any], few: int, many: int | None = None) -> list[Any]:
    """The ``cases`` of a test.

    ``make test`` runs the first ``few``, ``make check`` the first ``many``, and ``make nightly`` all. None stands for
    all.
    """
    many = len(cases) if many is None else many
    return [
        *cases[:few],
        *(pytest.param(case, marks=thorough) for case in cases[few:many]),
        *(pytest.param(case, marks=nightly) for case in cases[many:]),
    ]
