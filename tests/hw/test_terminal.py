"""What the commands of `hw` leave on a terminal of 80 columns, and on a narrower one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.screen import screen
from tests.support.tiers import thorough


def check(lines: list[str], *said: str) -> None:
    """No part of a spinner is left, tables are whole, and no word of what is ``said`` is broken."""
    text = "\n".join(lines)
    assert "generating" not in text and "choosing" not in text and "synthesis" not in text
    boxes = [line for line in lines if line.startswith(("┌", "└"))]
    rows = [line for line in lines if line.startswith("│")]
    assert rows and {len(row) for row in rows} <= {len(box) for box in boxes}, "a row is as wide as its box"
    words = text.replace("│", " ").split()
    for word in " ".join(said).split():
        assert word in words, word


@pytest.mark.parametrize("columns", [60, 80])
def test_an_estimate(tmp_path: Path, columns: int) -> None:
    """The folding is chosen behind a spinner, which is gone before the table."""
    command = ["hw.build", "digits_layer", "--estimate", "--device", "ecp5-85f", "--fps", "50000"]
    lines = screen(command, columns=columns, folder=tmp_path)
    check(lines, "53,710 frames/s at 110 MHz, asked for 50,000", "resource; then the fewest DSPs, then LUTs")
    assert lines[0].strip() == "xvolution: digits_layer, estimated"


@thorough
@pytest.mark.parametrize("columns", [60, 80])
def test_a_build(tmp_path: Path, columns: int) -> None:
    lines = screen(["hw.build", "tiny", "--reloadable", "--out", "here"], columns=columns, folder=tmp_path)
    check(lines, "here/xvolution.v and here/xvolution.json", "xvolution_registers.md,", "xvolution.core, component.xml")


@thorough
def test_a_synthesis(tmp_path: Path) -> None:
    command = ["hw.synth", "tiny", "--simd", "1", "--pe", "1", "--target", "xcup", "--out", "here"]
    lines = screen(command, columns=80, folder=tmp_path)
    check(lines, "wrote to here: report.json, report.html and netlist.json")
