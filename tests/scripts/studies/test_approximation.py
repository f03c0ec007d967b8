"""The approximation study as a function of JSON settings: its refusals, and figures under their names."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from typing import Any

import pytest

from golden.support.cli import UserError
from scripts.studies.approximation import check, run, tree
from scripts.studies.catalogue import find_study
from scripts.studies.report import metrics_of
from tests.support.commands import studied

SMALL = {"tiles": 2, "side": 8, "digits": 4, "steps": 2, "shift": 2, "channels": 2, "largest": 32}


def test_defaults() -> None:
    assert check({"seed": 3})["steps"] == 200 and check({"seed": 3})["seed"] == 3


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"colour": 1}, "setting 'colour' is unknown, allowed are product, heads"),
        ({"product": "softmax"}, "setting product 'softmax' is not one of hadamard, inner, dynamic"),
        ({"shift": 9}, "setting shift 9 is not an integer from 1 to 8"),
        ({"steps": True}, "setting steps True is not an integer"),
        ({"heads": 3}, "heads 3 does not divide channels 8"),
    ],
)
def test_refusals(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        check(settings)
    assert message in str(caught.value)


def test_names_of_figures() -> None:
    figures = metrics_of(tree(studied(None, None)))  # type: ignore[arg-type]
    assert figures["error.digits random.convolution"] == 0.5
    assert figures["correlation.digits random.both, weighting 3, stack 1.1"] == 0.9
    assert figures["sees.pixel shifts, weighting 3, stack 1.1"] == 25
    assert figures["grows.self-attention"] == pytest.approx(2)


def test_same_settings_same_figures() -> None:
    settings = check(SMALL)
    shares: list[float] = []
    first = run(settings, advance=shares.append)
    assert sum(shares) == pytest.approx(1)
    assert run(settings, advance=lambda share: None) == first == json.loads(json.dumps(first))
    found = metrics_of(first)
    for pattern in find_study("approximation").metrics:
        assert any(fnmatchcase(metric, pattern) for metric in found), pattern
    assert found["grows.self-attention"] > 1.5 and found["grows.pixel shifts"] == pytest.approx(1)
