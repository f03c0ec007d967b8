"""Driver, monitor, reference and scoreboard around a unit that cocotb drives cycle by cycle."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge, SimTimeoutError, with_timeout
from cocotbext.axi import AxiStreamBus, AxiStreamSink, AxiStreamSource

from golden.contract.streams import Payload, to_beats
from golden.model import integer
from sim.frozen.monitor import Monitor
from sim.simulator.job import Job

#: Clock period in simulator steps: the generated text has no time scale.
PERIOD = 2


class Testbench:
    """One unit with AXI4-Stream models at both ends.

    Attributes:
        source, sink: bus models of cocotbext-axi; each of their transfers is one beat.
        monitor: counts and checks the transfers independently of the bus models.
    """

    def __init__(self, dut: Any, job: Job) -> None:
        self.dut = dut
        self.job = job
        config = job.config.layer.config
        self.input = Payload.of_input(config, job.config.folding)
        self.output = Payload.of_output(config, job.config.folding)
        self.monitor = Monitor(dut)
        for name in ("s_axis", "m_axis"):
            logging.getLogger(f"cocotb.{dut._name}.{name}").setLevel(logging.WARNING)
        self.source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.aclk, byte_lanes=1)
        self.sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.aclk, byte_lanes=1)

    @classmethod
    async def start(cls, dut: Any, job: Job) -> Testbench:
        """A clocked unit, fresh from reset."""
        for signal in (dut.aresetn, dut.s_axis_tvalid, dut.s_axis_tdata, dut.m_axis_tready):
            signal.value = 0
        Clock(dut.aclk, PERIOD, unit="step", impl="gpi").start()
        await ClockCycles(dut.aclk, 4)
        bench = cls(dut, job)
        await bench.reset(4)
        return bench

    async def reset(self, cycles: int) -> None:
        """Hold reset for some cycles. The bus models drop what they have under way."""
        self.dut.aresetn.value = 0
        for model in (self.source, self.sink):
            model.clear()
            model.assert_reset(True)
        await ClockCycles(self.dut.aclk, cycles)
        self.dut.aresetn.value = 1
        for model in (self.source, self.sink):
            model.assert_reset(False)

    def pause(self, idle: Iterable[bool] | None, stall: Iterable[bool] | None) -> None:
        """Have the source offer nothing in cycles of ``idle``, and the sink take nothing in cycles of ``stall``."""
        self.source.set_pause_generator(idle)
        self.sink.set_pause_generator(stall)

    def send(self, frames: np.ndarray) -> None:
        """Queue frames ``[N, C, H, W]`` for the source, back to back."""
        beats = self.input.pack(to_beats(frames, self.job.config.folding.simd))
        self.source.send_nowait([int.from_bytes(bytes(beat), "little") for beat in beats])

    async def expect(self, frames: np.ndarray, patience: int) -> None:
        """Wait for the outputs of ``frames``, and fail unless they are exactly right.

        Args:
            frames: ``[N, C, H, W]``, sent since the last call.
            patience: cycles to wait for each output frame.
        """
        expected = integer.run(self.job.config.layer, frames)
        for index, frame in enumerate(expected):
            try:
                received = await with_timeout(self.sink.recv(), patience * PERIOD, "step")
            except SimTimeoutError:
                self.monitor.check()
                seen = f"{len(self.monitor.inputs)} input and {len(self.monitor.outputs)} output beats so far"
                raise AssertionError(f"frame {index} did not end within {patience} cycles, {seen}") from None
            self.monitor.check()
            self._compare(index, list(received.tdata), frame[None])
        await ClockCycles(self.dut.aclk, self.job.first_output_latency + self.job.frame_cycles)
        assert self.sink.empty() and self.sink.idle(), "there is more output than the frames call for"
        assert self.source.idle(), "input beats are left over"
        self.monitor.check()

    def _compare(self, index: int, words: list[int], frame: np.ndarray) -> None:
        wanted = to_beats(frame, self.job.config.folding.pe)
        assert len(words) == len(wanted), f"frame {index} ends after {len(words)} beats, not {len(wanted)}"
        data = b"".join(word.to_bytes(self.output.bytes, "little") for word in words)
        raw = np.frombuffer(data, np.uint8).reshape(-1, self.output.bytes)
        beats = self.output.unpack(raw)
        assert (self.output.pack(beats) == raw).all(), f"frame {index} has padding bits that are not 0"
        wrong = np.argwhere(beats != wanted)
        if len(wrong):
            beat, lane = map(int, wrong[0])
            values = f"{beats[beat, lane]} instead of {wanted[beat, lane]}"
            raise AssertionError(f"frame {index}, beat {beat}, lane {lane}: {values}; {len(wrong)} elements are wrong")

    def check_timing(self) -> None:
        """Fail unless the cycle figures since reset are the predicted ones; they must all be at full rate."""
        monitor, job = self.monitor, self.job
        latency = monitor.outputs[0] - monitor.inputs[0]
        predicted = job.first_output_latency
        assert latency == predicted, f"first output latency {latency}, predicted {predicted}"
        intervals = np.diff(monitor.ends).tolist()
        assert set(intervals) <= {job.frame_cycles}, f"frame cycles {intervals}, predicted {job.frame_cycles}"

    async def until(self, patience: int, inputs: int = 0, outputs: int = 0) -> None:
        """Wait until ``inputs`` and ``outputs`` transfers have happened since reset; fail after ``patience`` cycles."""
        for _ in range(patience):
            if len(self.monitor.inputs) >= inputs and len(self.monitor.outputs) >= outputs:
                return
            await RisingEdge(self.dut.aclk)
        raise AssertionError(f"no {inputs} input and {outputs} output beats within {patience} cycles")
