"""Powers of two as multipliers."""

from __future__ import annotations

import numpy as np
import pytest

from golden.contract.powers import are_powers, in_lowest_terms, least_power, nearest_power


def test_nearest_in_logarithm() -> None:
    # Between 2 and 4 the middle is sqrt(8), not 3.
    values = np.array([1.0, 2.0**0.5 * 0.999, 2.0**0.5 * 1.001, 2.8, 2.9, 1 / 255, 2.0**-40])
    assert nearest_power(values).tolist() == [1, 1, 2, 2, 4, 2.0**-8, 2.0**-40]


@pytest.mark.parametrize(
    ("multipliers", "shift", "expected"),
    [
        ([8, 32], 10, ([1, 4], 7)),
        ([8, 32], 2, ([2, 8], 0)),  # no shift below 0
        ([4, 1], 5, ([4, 1], 5)),
        ([6, 4], 3, ([3, 2], 2)),
        ([0, 16], 6, ([0, 1], 2)),  # nothing divides 0
    ],
)
def test_lowest_terms(multipliers: list[int], shift: int, expected: tuple[list[int], int]) -> None:
    lowest, left = in_lowest_terms(np.array(multipliers), shift)
    assert (lowest.tolist(), left) == expected
    assert lowest.dtype == np.int64


def test_which_are_powers() -> None:
    assert are_powers(np.array([1, 2, 32768])) and are_powers([])
    assert not are_powers([1, 3]) and not are_powers([0])


def test_not_below() -> None:
    values = np.array([1.0, 1.0 + 2**-52, 0.75, 0.5, 3.0, 2.0**-60])
    assert least_power(values).tolist() == [1, 2, 1, 0.5, 4, 2.0**-60]
