"""The cocotb side of ``bulk.v``: it waits until the run is done, and takes the time."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge


@cocotb.test()
async def bulk(dut: Any) -> None:
    start = time.perf_counter()
    await RisingEdge(dut.done)
    Path("seconds.txt").write_text(str(time.perf_counter() - start))
