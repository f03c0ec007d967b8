"""For all tests: two workers share two cores, so numpy and PyTorch get one thread each.

Python looks for garbage in cycles less often. What makes hardware makes a million objects that all live on, and by
default half of its time goes into looking through them.
"""

import gc
import os

import pytest

# Read when the libraries load, so before anything imports them.
for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")

gc.set_threshold(1_000_000, 20, 50)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Before ``-m`` looks at marks."""
    from tests.support.tiers import mark_combinations

    mark_combinations(items)


def pytest_collection_finish() -> None:
    """The tests themselves live as long as the process."""
    gc.freeze()
