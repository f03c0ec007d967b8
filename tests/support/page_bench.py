"""cocotb test that runs the driver of ``docs/reloadable.md`` on a simulated board."""

from __future__ import annotations

from typing import Any

import cocotb

from sim.reloadable.board import SimulatedBoard
from tests.support.pages import blocks
from tests.support.places import ROOT


@cocotb.test()
async def page(dut: Any) -> None:
    names: dict[str, Any] = {}
    for block in blocks(ROOT / "docs" / "reloadable.md"):
        if block.language == "python":
            exec(block.text, names)
    await names["use"](await SimulatedBoard.start(dut))
