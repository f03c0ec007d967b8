"""Tiers: which tests `make test` leaves to `make check`.

Those that take over two seconds each, and of random cases all but the first few.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

#: Marks a test, or one of its cases, that `make check` runs and `make test` does not.
thorough = pytest.mark.thorough
#: Random cases of a test that `make test` runs.
FEW = 2


def seeds(count: int) -> list[Any]:
    """The seeds below ``count``, all but a few of them for `make check`."""
    return thorough_from(range(count), FEW)


def thorough_from(cases: Sequence[Any], few: int) -> list[Any]:
    """Cases of a test, all but the first ``few`` for `make check`."""
    return [*cases[:few], *(pytest.param(case, marks=thorough) for case in cases[few:])]
