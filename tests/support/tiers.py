"""Tiers: the tests that ``make test`` leaves to ``make check``.

These are the tests that take over two seconds each, and all but the first few of random cases.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

#: Marks a test, or one of its cases, that ``make check`` runs and ``make test`` does not.
thorough = pytest.mark.thorough
#: Number of random cases of a test that ``make test`` runs.
FEW = 2


def seeds(count: int) -> list[Any]:
    """The seeds below ``count``. Only ``make check`` runs all of them; ``make test`` runs the first few."""
    return thorough_from(range(count), FEW)


def thorough_from(cases: Sequence[Any], few: int) -> list[Any]:
    """The ``cases`` of a test. Only ``make check`` runs all of them; ``make test`` runs the first ``few``."""
    return [*cases[:few], *(pytest.param(case, marks=thorough) for case in cases[few:])]
