"""Tiers: the tests that ``make test`` leaves to ``make check``, and those that this leaves to ``make nightly``.

``make check`` has the tests that take over two seconds each, and all but the first few of random cases.

``make nightly`` has the cases that only repeat. A case repeats if other cases of its test take every branch of the
code that it takes, and meet the same limits. Of random cases, it has those after the first dozen, and of those that are
costly all but the first five. Of a test whose arguments are all combined, it has most combinations, see `in_turn`.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import pytest

#: Marks a test, or one of its cases, that ``make check`` runs and ``make test`` does not.
thorough = pytest.mark.thorough
#: Marks a test, or one of its cases, that only ``make nightly`` runs.
nightly = pytest.mark.nightly
#: Marks a test whose cases are all combinations of its arguments' values. Only ``make nightly`` runs all of them.
#: By day each value meets a value of the other argument, in turn. Of three or more arguments, each two values meet.
in_turn = pytest.mark.in_turn
#: Number of random cases of a test that ``make test`` runs; that ``make check`` runs, where these are costly, and else.
FEW, SEVERAL, MANY = 2, 5, 12


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


def mark_combinations(items: Iterable[pytest.Item]) -> None:
    """Mark as `nightly` what tests that are `in_turn` do not run by day."""
    tests: dict[Any, list[pytest.Function]] = {}
    for item in items:
        if isinstance(item, pytest.Function) and item.get_closest_marker("in_turn"):
            tests.setdefault((item.parent, item.originalname), []).append(item)
    for cases in tests.values():
        # The cases of a test share the objects that are their arguments.
        by_day = chosen([{name: id(value) for name, value in case.callspec.params.items()} for case in cases])
        for number, case in enumerate(cases):
            if number not in by_day:
                case.add_marker(nightly)


def chosen(cases: Sequence[Mapping[str, int]]) -> set[int]:
    """The numbers of a few of the ``cases`` of a test, in which all values that occur in them occur.

    A case has for each argument a number that stands for its value. Of two arguments, each value occurs with some value
    of the other one. Of more, each two values of two arguments that occur together in a case do so in one that is
    chosen.
    """
    # Arguments that are given together are one.
    columns = {tuple(case[name] for case in cases): name for name in cases[0]}
    cases = [{name: case[name] for name in columns.values()} for case in cases]
    strength = 1 if len(columns) < 3 else 2
    parts = [set(itertools.combinations(sorted(case.items()), strength)) for case in cases]
    having: dict[Any, list[int]] = {}
    for number, own in enumerate(parts):
        for part in own:
            having.setdefault(part, []).append(number)
    left, found = set(having), set[int]()
    uses = dict.fromkeys(itertools.chain.from_iterable(case.items() for case in cases), 0)
    for part, numbers in sorted(having.items(), key=lambda entry: (len(entry[1]), entry[1])):
        if part in left:
            # The one with the most that is new. Of equals, that whose values were chosen least.
            best = max(numbers, key=lambda n: (len(parts[n] & left), -sum(uses[value] for value in cases[n].items())))
            found.add(best)
            left -= parts[best]
            for value in cases[best].items():
                uses[value] += 1
    return found
