"""cocotb tests that put a reloadable unit through random scenarios.

The `sim.simulator.job.Job` in the folder that ``XVOLUTION_JOB`` names says what the unit is, and how many
scenarios there are.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles

from golden.contract.layer import Layer
from golden.support.cli import UserError
from hw.control.driver import AccessRefused
from hw.plan.shapes import Shapes
from hw.plan.weight_layout import weight_image
from sim.cases.stimulus import extreme_frames, random_frames
from sim.reloadable.reference import SETTINGS
from sim.reloadable.scenario import random_scenario
from sim.reloadable.testbench import ReloadTestbench
from sim.simulator.job import JOB_VARIABLE, Job

JOB = Job.load(Path(os.environ[JOB_VARIABLE]))
CONFIG = JOB.config


class Player:
    """Does the steps of a scenario: each step is one of its methods."""

    def __init__(self, bench: ReloadTestbench, rng: np.random.Generator) -> None:
        self._bench, self._rng = bench, rng
        self._layer: Layer | None = None
        #: Number of the frame that is sent next; right as long as all frames are whole.
        self._sent = 0

    @property
    def _current(self) -> Layer:
        assert self._layer is not None
        return self._layer

    async def load(self, when: str = "now") -> None:
        bench, rng = self._bench, self._rng
        bits = int(rng.integers(2, CONFIG.layer.config.weight_bits, endpoint=True))
        layer = bench.layer(rng, *bench.size(rng), weight_bits=bits)
        if CONFIG.limits.single_buffered:
            await self.settle()
            await bench.within(bench.driver.load(layer))
        else:
            await self._make_free()
            await bench.within(bench.driver.load(layer, at=self._frame(when)))
        self._layer = layer

    async def settings(self, when: str) -> None:
        bench = self._bench
        changed = bench.changed(self._rng, self._current)
        await self._make_free()
        await bench.apply_settings(changed, at=self._frame(when))
        self._layer = changed

    async def part(self, part: str, when: str) -> None:
        bench = self._bench
        if CONFIG.limits.single_buffered:
            return  # such a unit takes only whole loads, while it is held
        await self._make_free()
        other = bench.layer(self._rng)
        write = bench.driver.write_weights if part == "weights" else bench.driver.write_constants
        await bench.within(write(other))
        await bench.within(bench.driver.apply((part,), at=self._frame(when)))

    async def frames(self, count: int) -> None:
        for _ in range(count):
            self._send(self._beats())

    async def short_frame(self, share: float) -> None:
        beats = self._beats()
        self._send(beats[: max(1, int(share * len(beats)))])

    async def long_frame(self, surplus: int) -> None:
        beats = self._beats()
        self._send(beats + (beats * surplus)[:surplus])

    async def image(self, kind: str) -> None:
        """Send an image that is void, or one that is loaded and never used."""
        bench = self._bench
        if CONFIG.limits.single_buffered:
            return
        await self._make_free()
        image = weight_image(Shapes(CONFIG))
        whole = len(image)
        bench.reference.know(CONFIG.layer)
        surplus = np.zeros(int(self._rng.integers(1, 10)), np.uint32)
        if kind == "long":
            image = np.append(image, surplus)
        elif kind != "whole":
            image = image[: int(self._rng.integers(1, len(image))) if len(image) > 1 else 0]
        # An image goes on where an interrupted one ended. Nobody knows the weights of a whole one made of both.
        begun = bench.reference.image_beats_taken
        if begun and begun + len(image) == whole:
            image = image[:-1]
        if not len(image):
            return
        bench.send_image(image)
        if kind == "interrupted":
            await ClockCycles(bench.board.dut.aclk, int(self._rng.integers(1, len(image) + 2)))
            bench.drop_image()
        else:
            await bench.until(bench.board.weights.idle)

    async def bad_access(self, count: int) -> None:
        """Read and write anywhere but where that would stop the unit for good."""
        bench, rng = self._bench, self._rng
        control, table = bench.board.control, bench.table
        harmless = [register.address for register in table.registers if not register.access.writable]
        harmless += [table[name].address for name in SETTINGS] + [0x80, 0x100, 0x4000, 0x7FFC, 0x1FFFC]
        harmless += [window.end for window in table.windows if window.end < 2**table.address_bits]
        for _ in range(count):
            address = int(rng.choice(harmless))
            kind = rng.integers(4)
            if kind == 0:
                await bench.within(control.read(address, 4))
            elif kind == 1:
                await bench.within(control.read(address + int(rng.integers(4)), 1))
            elif kind == 2:
                value = int(rng.integers(2 ** int(rng.integers(1, 33))))
                await bench.within(control.write(address, value.to_bytes(4, "little")))
            else:
                await bench.within(control.write(address + int(rng.integers(4)), b"\1"))

    async def raw_apply(self, parts: int) -> None:
        """Order an apply, whatever state the unit is in.

        Constants are never among its parts: those of the next set may never have been written.
        """
        names = [name for name, bit in (("settings", 1), ("weights", 2)) if parts & bit]
        try:
            await self._bench.within(self._bench.driver.apply(names))
        except UserError:
            return

    async def pause(self, **shares: float) -> None:
        self._bench.pause(self._rng, **shares)

    async def wait(self, cycles: int) -> None:
        await ClockCycles(self._bench.board.dut.aclk, cycles)

    async def hold(self, cycles: int) -> None:
        await self._bench.within(self._bench.driver.hold(True))
        await self.wait(cycles)
        await self._bench.within(self._bench.driver.hold(False))

    async def ignore_tlast(self, on: bool) -> None:
        await self._bench.within(self._bench.driver.ignore_tlast(on))

    async def clear(self, what: str) -> None:
        driver = self._bench.driver
        await self._bench.within(driver.clear_errors() if what == "errors" else driver.clear_counters())

    async def look(self) -> None:
        """Read all registers. The reference compares them."""
        for register in self._bench.table.registers:
            try:
                await self._bench.within(self._bench.board.read(register.address))
            except AccessRefused:
                assert not register.access.readable

    async def settle(self) -> None:
        """Complete what was begun, and wait until it has come out."""
        bench = self._bench
        await bench.until(lambda: bench.board.source.idle())
        while bench.reference.mid_frame:
            bench.send_packet([0])
            await bench.until(lambda: bench.board.source.idle())
        await bench.settle()
        self._sent = len(bench.reference.begun)

    async def soft_reset(self) -> None:
        await self._bench.within(self._bench.soft_reset())
        self._sent = 0
        await self.load()

    async def hard_reset(self, cycles: int) -> None:
        await self._bench.reset(cycles)
        self._sent = 0
        await self.load()

    def _beats(self) -> list[int]:
        config = self._current.config
        if self._rng.random() < 0.3:
            frame = extreme_frames(config)[self._rng.integers(5)][None]
        else:
            frame = random_frames(self._rng, config, 1)
        return self._bench.beats(frame)

    def _send(self, beats: list[int]) -> None:
        self._bench.send_packet(beats)
        self._sent += 1

    def _frame(self, when: str) -> int | None:
        """Number of the frame from which on a change is to hold; None stands for as soon as possible."""
        return {"now": None, "next": self._sent, "soon": max(0, self._sent - 1), "past": 0}[when]

    async def _make_free(self) -> None:
        """Wait until the unit takes an apply. Send beats where the frames sent so far do not bring it there."""
        bench = self._bench
        while True:
            status = await bench.within(bench.driver.status())
            if not status["pending"] and not status["switching"]:
                return
            if bench.board.source.idle():
                bench.send_packet([0])


@cocotb.test()
@cocotb.parametrize(index=range(JOB.stimuli))
async def scenario(dut: Any, index: int) -> None:
    """Whatever the scenario does, frames and registers are those of the reference, and the unit never hangs."""
    rng = np.random.default_rng([JOB.seed, index])
    bench = await ReloadTestbench.start(dut, JOB)
    player = Player(bench, rng)
    done = ["load()"]
    try:
        await player.load()
        for step in random_scenario(rng):
            done.append(str(step))
            await getattr(player, step.name)(**step.values)
        done.append("the end")
        await player.ignore_tlast(False)
        await player.settle()
        await player.look()
    finally:
        cocotb.log.info("scenario %d of seed %d: %s", index, JOB.seed, ", ".join(done))
