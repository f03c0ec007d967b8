"""Of combinations of arguments, ``make check`` runs those in which each value, or each two values, occur."""

from __future__ import annotations

import itertools

import pytest

from tests.support.tiers import chosen


@pytest.mark.parametrize(
    ("sizes", "strength", "most"),
    [((33, 4), 1, 33), ((4, 3), 1, 4), ((4, 3, 2, 3), 2, 12), ((8, 3, 4, 3), 2, 32)],
    ids=str,
)
def test_all_values_occur(sizes: tuple[int, ...], strength: int, most: int) -> None:
    cases = [dict(zip("abcd", case, strict=False)) for case in itertools.product(*map(range, sizes))]
    found = [cases[number] for number in chosen(cases)]
    assert len(found) <= most
    for names in itertools.combinations("abcd"[: len(sizes)], strength):
        assert {tuple(case[n] for n in names) for case in found} == {tuple(case[n] for n in names) for case in cases}


def test_arguments_that_are_given_together_are_one() -> None:
    cases = [{"a": a, "offer": pair, "read": pair} for a in range(6) for pair in range(5)]
    found = [cases[number] for number in chosen(cases)]
    assert len(found) == 6 and {case["read"] for case in found} == set(range(5))


def test_what_never_meets_is_not_asked_for() -> None:
    """As of tests some of whose cases were left out."""
    cases = [{"a": a, "b": b, "c": c} for a, b, c in itertools.product(range(3), repeat=3) if a != b]
    found = [cases[number] for number in chosen(cases)]
    assert {(case["a"], case["b"]) for case in found} == {(a, b) for a in range(3) for b in range(3) if a != b}
