"""Slow proofs run only with the option ``--slow-proofs``, which ``make prove`` gives."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow-proofs", action="store_true", help="run the formal proofs that take long, too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--slow-proofs", default=False):
        skip = pytest.mark.skip(reason="slow, `make prove` runs it")
        for item in items:
            if item.get_closest_marker("slow_proof"):
                item.add_marker(skip)
