"""Watches both streams of a unit, cycle by cycle."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import RisingEdge


class Monitor:
    """Cycle numbers of all transfers, and every violation of the stream rules.

    The rules:

    - Once ``tvalid`` is up, it stays until ``tready``, and ``tdata`` and ``tlast`` hold.
    - The handshake signals are defined.
    - No output is offered straight after reset.

    Attributes:
        cycle: number of rising edges of ``aclk`` seen.
        inputs: cycles of the input transfers since the last reset.
        outputs: cycles of the output transfers since the last reset.
        ends: cycles of the output transfers with ``tlast`` since the last reset.
        violations: what went wrong, and when.
    """

    def __init__(self, dut: Any) -> None:
        self._dut = dut
        self.cycle = 0
        self.violations: list[str] = []
        self._restart()
        cocotb.start_soon(self._watch())

    def check(self) -> None:
        """Fail if a rule was broken so far."""
        assert not self.violations, "; ".join(self.violations[:5])

    def _restart(self) -> None:
        self.inputs: list[int] = []
        self.outputs: list[int] = []
        self.ends: list[int] = []

    async def _watch(self) -> None:
        dut = self._dut
        pending = None  # the beat that is offered and not yet taken
        in_reset = True
        while True:
            await RisingEdge(dut.aclk)
            self.cycle += 1
            if dut.aresetn.value != 1:
                self._restart()
                pending, in_reset = None, True
                continue
            ports = (dut.s_axis_tvalid, dut.s_axis_tready, dut.m_axis_tvalid, dut.m_axis_tready)
            handshake = [port.value for port in ports]
            if not all(signal.is_resolvable for signal in handshake):
                self._violation(f"a handshake signal is undefined: {', '.join(map(str, handshake))}")
                continue
            in_valid, in_ready, out_valid, out_ready = map(bool, handshake)
            if in_reset and out_valid:
                self._violation("m_axis_tvalid is up straight after reset")
            in_reset = False
            if in_valid and in_ready:
                self.inputs.append(self.cycle)
            if not out_valid:
                if pending is not None:
                    self._violation("m_axis_tvalid fell before m_axis_tready")
                pending = None
                continue
            beat = (dut.m_axis_tdata.value, dut.m_axis_tlast.value)
            if not all(signal.is_resolvable for signal in beat):
                self._violation("m_axis_tdata or m_axis_tlast is undefined")
            if pending is not None and beat != pending:
                self._violation("m_axis_tdata or m_axis_tlast changed before m_axis_tready")
            pending = None if out_ready else beat
            if out_ready:
                self.outputs.append(self.cycle)
                if beat[1] == 1:
                    self.ends.append(self.cycle)

    def _violation(self, text: str) -> None:
        self.violations.append(f"cycle {self.cycle}: {text}")
