"""A simulated reloadable unit as the driver sees it: AXI masters of cocotbext-axi behind `hw.control.driver.Board`."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles
from cocotbext.axi import (
    AxiLiteBus,
    AxiLiteMaster,
    AxiResp,
    AxiStreamBus,
    AxiStreamFrame,
    AxiStreamSink,
    AxiStreamSource,
)

from hw.control.driver import AccessRefused
from sim.frozen.testbench import PERIOD

PORTS = ("s_axi", "s_axis_weights", "s_axis", "m_axis")


class SimulatedBoard:
    """Bus models around a clocked unit.

    Attributes:
        control, weights, source, sink: models of cocotbext-axi; a transfer of a stream model is one beat.
        damaged: whether the unit marked the frame, for each frame received.
    """

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        for name in PORTS:
            logging.getLogger(f"cocotb.{dut._name}.{name}").setLevel(logging.WARNING)
        self.control = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), dut.aclk)
        self.weights = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis_weights"), dut.aclk, byte_lanes=1)
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.aclk, byte_lanes=1)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.aclk, byte_lanes=1)
        self.damaged: list[bool] = []

    @classmethod
    async def start(cls, dut: Any) -> SimulatedBoard:
        """A clocked unit, fresh from reset."""
        dut.aresetn.value = 0
        for prefix, names in (
            ("s_axis", ("tvalid", "tdata", "tlast")),
            ("s_axis_weights", ("tvalid", "tdata", "tlast")),
            ("m_axis", ("tready",)),
            ("s_axi", ("awvalid", "awaddr", "awprot", "wvalid", "wdata", "wstrb", "bready")),
            ("s_axi", ("arvalid", "araddr", "arprot", "rready")),
        ):
            for name in names:
                getattr(dut, f"{prefix}_{name}").value = 0
        Clock(dut.aclk, PERIOD, unit="step", impl="gpi").start()
        await ClockCycles(dut.aclk, 4)
        board = cls(dut)
        await board.reset(4)
        return board

    async def reset(self, cycles: int) -> None:
        """Hold reset for some cycles. The bus models drop what they have under way."""
        models = (self.source, self.sink, self.weights)
        self.dut.aresetn.value = 0
        for model in models:
            model.clear()
            model.assert_reset(True)
        for interface in (self.control.write_if, self.control.read_if):
            interface.assert_reset(True)
        await ClockCycles(self.dut.aclk, cycles)
        self.dut.aresetn.value = 1
        for model in models:
            model.assert_reset(False)
        for interface in (self.control.write_if, self.control.read_if):
            interface.assert_reset(False)

    async def read(self, address: int) -> int:
        answer = await self.control.read(address, 4)
        if answer.resp != AxiResp.OKAY:
            raise AccessRefused(f"read of {address:#x}: {answer.resp!r}")
        return int.from_bytes(answer.data, "little")

    async def write(self, address: int, value: int) -> None:
        answer = await self.control.write(address, value.to_bytes(4, "little"))
        if answer.resp != AxiResp.OKAY:
            raise AccessRefused(f"write of {address:#x}: {answer.resp!r}")

    async def send_weights(self, beats: np.ndarray) -> None:
        await self.weights.send(AxiStreamFrame([int(beat) for beat in beats]))
        await self.weights.wait()

    async def send_frame(self, beats: np.ndarray) -> None:
        self.source.send_nowait(AxiStreamFrame([int.from_bytes(bytes(beat), "little") for beat in beats]))

    async def receive_frame(self, beats: int) -> np.ndarray:
        frame = await self.sink.recv(compact=False)
        self.damaged.append(bool(frame.tuser[-1]))
        width = len(self.dut.m_axis_tdata) // 8
        data = b"".join(word.to_bytes(width, "little") for word in frame.tdata)
        return np.frombuffer(data, np.uint8).reshape(-1, width)
