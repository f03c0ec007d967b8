"""The cocotb side of ``bulk.v``, for simulators whose programs need one: it waits until the run is done."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import RisingEdge


@cocotb.test()
async def bulk(dut: Any) -> None:
    await RisingEdge(dut.done)
