"""The units that ``make check`` simulates, against all that have a name."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from hw.export.verilog import generate
from hw.plan.config import UnitConfig
from sim.cases.daily import DAILY, DAILY_RELOADABLE, DAILY_SMALL
from sim.cases.frozen import CASES, SMALL_CASES, named_case
from sim.cases.reloadable import PREFIX, RELOADABLE, any_case
from sim.tests import test_regression
from tests.support.places import ROOT
from tests.support.tiers import nightly

#: A step from line to line: file and first line of the function, and both lines.
Step = tuple[str, int, int, int]


def steps(config: UnitConfig) -> set[Step]:
    """The steps within functions of ``hw`` when a unit is generated."""
    taken: set[Step] = set()

    def enter(frame: FrameType, event: str, argument: object) -> Callable[..., Any] | None:
        code, last = frame.f_code, 0
        if not code.co_filename.startswith(f"{ROOT}/hw/"):
            return None

        def follow(frame: FrameType, event: str, argument: object) -> Callable[..., Any]:
            nonlocal last
            if event in ("line", "return"):
                line = frame.f_lineno if event == "line" else -1
                taken.add((code.co_filename, code.co_firstlineno, last, line))
                last = line
            return follow

        return follow

    before = sys.gettrace()
    sys.settrace(enter)
    try:
        generate(config)
    finally:
        sys.settrace(before)
    return taken


def daily() -> Iterator[UnitConfig]:
    yield from map(named_case, (*DAILY, *DAILY_SMALL))
    yield from map(any_case, (*(PREFIX + name for name in DAILY_RELOADABLE), *test_regression.UNITS))


def test_each_is_there_once() -> None:
    for names, all_names in ((DAILY, CASES), (DAILY_SMALL, SMALL_CASES), (DAILY_RELOADABLE, RELOADABLE)):
        assert len(set(names)) == len(names) and set(names) <= set(all_names)


@nightly
def test_they_take_every_branch() -> None:
    kept = set().union(*map(steps, daily()))
    for name in (*CASES, *SMALL_CASES, *(PREFIX + name for name in RELOADABLE)):
        assert steps(any_case(name)) <= kept, name
