"""Yosys in this process, and in a process of its own where this one is a fork."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable

import pytest

from hw.export.yosys import run_yosys

SCRIPT = """read_rtlil <<text
module \\top
  wire input 1 \\a
  wire output 2 \\b
  connect \\b \\a
end
text
write_verilog
"""


def in_a_fork(script: str) -> str:
    run_yosys(SCRIPT)
    with multiprocessing.get_context("fork").Pool(1) as pool:
        return pool.apply_async(run_yosys, (script,)).get(timeout=60)


def test_the_same_in_each_run_and_in_a_fork() -> None:
    text = run_yosys(SCRIPT)
    assert "assign b = a;" in text
    assert run_yosys(SCRIPT) == text == in_a_fork(SCRIPT)


@pytest.mark.parametrize("run", [run_yosys, in_a_fork])
def test_it_fails_in_its_own_words(run: Callable[[str], str]) -> None:
    with pytest.raises(RuntimeError, match=r"^yosys failed: ERROR: No such command: nosuch"):
        run("nosuch\n")
