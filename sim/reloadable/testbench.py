"""A reloadable unit behind AXI models and the driver, with the reference that follows all its ports."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable, Iterable, Iterator
from typing import Any, TypeVar

import numpy as np
from cocotb.triggers import ClockCycles, RisingEdge, SimTimeoutError, with_timeout
from cocotbext.axi import AxiStreamFrame

from golden.contract.layer import Layer
from golden.contract.streams import to_beats
from golden.layers.random_layer import random_layer
from golden.support.cli import UserError
from hw.control.driver import AccessRefused, Driver
from hw.control.registers import register_table
from hw.plan.frame_schedule import FrameCycleModel
from hw.plan.shapes import Shapes
from hw.plan.weight_layout import image_beats
from sim.cases.frozen import spread
from sim.cases.stimulus import random_frames
from sim.frozen.testbench import PERIOD
from sim.reloadable.board import SimulatedBoard
from sim.reloadable.exercise import NOTHING_MOVES
from sim.reloadable.port_monitor import Cycle, PortMonitor
from sim.reloadable.reference import Reference
from sim.simulator.job import Job

Result = TypeVar("Result")


def scattered(rng: np.random.Generator, share: float) -> Iterator[bool]:
    """Pauses of single cycles, in a ``share`` of all cycles."""
    while True:
        yield bool(rng.random() < share)


class ReloadTestbench:
    """One unit, everything that drives it and everything that watches it.

    Attributes:
        board, driver: how software reaches the unit.
        reference: says what has happened and what must happen.
        monitor: has the cycles of all transfers.
        table: the register table.
        patience: number of cycles after which something must have moved.
    """

    def __init__(self, job: Job, board: SimulatedBoard) -> None:
        self.job, self.config, self.board = job, job.config, board
        self.shapes = Shapes(job.config)
        self.table = register_table(self.shapes)
        self.driver = Driver(job.config, board)
        self.reference = Reference(job.config)
        self.monitor = PortMonitor(board.dut, self._observe)
        #: Cycles from the issue of an output's last beat to its transfer.
        self.latency = job.first_output_latency - self.shapes.schedule.first_output_issue
        self.patience = 20 * (job.frame_cycles + job.first_output_latency) + 1000
        self._packet = self.shapes.input_payload

    @classmethod
    async def start(cls, dut: Any, job: Job) -> ReloadTestbench:
        """A clocked unit, fresh from reset."""
        board = await SimulatedBoard.start(dut)
        bench = cls(job, board)
        # The monitor sees a reset too.
        await bench.reset(2)
        return bench

    def _observe(self, now: Cycle) -> None:
        resets = self.reference.soft_resets
        self.reference.observe(now)
        if self.reference.soft_resets != resets:
            self.monitor.drop_output()
            self.monitor.restart()

    async def reset(self, cycles: int) -> None:
        """Hold reset for some cycles. The bus models drop what they have under way."""
        await self.board.reset(cycles)

    async def soft_reset(self) -> None:
        """Order a soft reset. The stream models drop what they have under way, too."""
        await self.driver.soft_reset()
        for model in (self.board.source, self.board.weights, self.board.sink):
            model.clear()
            model.assert_reset(True)
            model.assert_reset(False)

    # Layers and frames

    def layer(self, rng: np.random.Generator, height: int = 0, width: int = 0, **fields: Any) -> Layer:
        """A random layer that fits the unit, for frames of this size; 0 stands for the largest."""
        c = self.config.layer.config
        reload = self.config.limits
        shift = int(rng.integers(reload.attn_shift.low, reload.attn_shift.high, endpoint=True))
        own = {"height": height or c.height, "width": width or c.width, "attn_shift": shift}
        config = dataclasses.asdict(c)
        del config["out_shift"]
        layer = random_layer(rng, **(config | own | fields))
        if "out_shift" not in fields:
            layer = spread(rng, layer)
        allowed = reload.out_shift
        out_shift = int(np.clip(layer.config.out_shift, allowed.low, allowed.high))
        multiplier = layer.multiplier * 2.0 ** (out_shift - layer.config.out_shift)
        layer = dataclasses.replace(
            layer,
            config=dataclasses.replace(layer.config, out_shift=out_shift),
            multiplier=np.clip(np.rint(multiplier), 1, 2**16 - 1).astype(np.int64),
        )
        self.reference.know(layer)
        return layer

    def size(self, rng: np.random.Generator) -> tuple[int, int]:
        """A random height and width that the unit takes, often the least or the largest."""
        c = self.config.layer.config
        least = c.smallest_frame
        kind = rng.random()
        if kind < 0.15:
            return least, least
        if kind < 0.3:
            return c.height, c.width
        return tuple(int(rng.integers(least, size, endpoint=True)) for size in (c.height, c.width))  # type: ignore

    def resized(self, layer: Layer, height: int, width: int, **fields: Any) -> Layer:
        """``layer`` for frames of another size, with its config changed in ``fields``."""
        config = dataclasses.replace(layer.config, height=height, width=width, **fields)
        return dataclasses.replace(layer, config=config)

    def changed(self, rng: np.random.Generator, layer: Layer) -> Layer:
        """``layer`` with all settings changed at random."""
        reload = self.config.limits
        limits = {"attn_shift": reload.attn_shift, "out_shift": reload.out_shift}
        shifts = {name: int(rng.integers(own.low, own.high, endpoint=True)) for name, own in limits.items()}
        if rng.random() < 0.7:  # most shifts leave nothing but zeros or limits
            near = layer.config.out_shift + int(rng.integers(-2, 2, endpoint=True))
            shifts["out_shift"] = int(np.clip(near, reload.out_shift.low, reload.out_shift.high))
        return self.resized(layer, *self.size(rng), relu=bool(rng.integers(2)), **shifts)

    def beats(self, frames: np.ndarray) -> list[int]:
        """Frames ``[N, C, H, W]`` as TDATA of input beats."""
        packed = self._packet.pack(to_beats(frames, self._packet.lanes))
        return [int.from_bytes(bytes(beat), "little") for beat in packed]

    def send(self, rng: np.random.Generator, layer: Layer, count: int = 1) -> None:
        """Queue random frames of a layer's size for the source."""
        for frame in random_frames(rng, layer.config, count):
            self.send_packet(self.beats(frame[None]))

    def send_packet(self, beats: list[int]) -> None:
        """Queue beats for the source; TLAST comes with the last one."""
        self.board.source.send_nowait(AxiStreamFrame(list(beats)))

    def send_image(self, beats: Iterable[int]) -> None:
        """Queue beats for the weight stream; TLAST comes with the last one."""
        self.board.weights.send_nowait(AxiStreamFrame([int(beat) for beat in beats]))

    def drop_image(self) -> None:
        """Send no more of what is queued for the weight stream."""
        weights = self.board.weights
        weights.clear()
        weights.assert_reset(True)
        weights.assert_reset(False)

    # Pauses

    def pause(
        self, rng: np.random.Generator, *, source: float = 0, sink: float = 0, weights: float = 0, bus: float = 0
    ) -> None:
        """Have each port pause in single cycles from now on, in the given share of all cycles."""
        board = self.board
        write, read = board.control.write_if, board.control.read_if
        bus_models = (write.aw_channel, write.w_channel, write.b_channel, read.ar_channel, read.r_channel)
        shares = [(board.source, source), (board.sink, sink), (board.weights, weights), *((m, bus) for m in bus_models)]
        for model, share in shares:
            model.clear_pause_generator()
            model.pause = False
            if share:
                model.set_pause_generator(scattered(np.random.default_rng(rng.integers(2**32)), share))

    # Waiting

    async def within(self, awaitable: Awaitable[Result], cycles: int = 0) -> Result:
        """The result of ``awaitable``, which must not take more than ``cycles``; 0 stands for those of a whole load."""
        cycles = cycles or 8 * (self.patience + 4 * image_beats(self.shapes) + 100 * self._channels)
        try:
            return await with_timeout(awaitable, cycles * PERIOD, "step")
        except SimTimeoutError:
            raise AssertionError(f"{NOTHING_MOVES} on within {cycles} cycles; {self._state()}") from None

    @property
    def _channels(self) -> int:
        return self.config.layer.config.out_channels

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition. Fails when nothing moves at any port for `patience` cycles."""
        start = self.monitor.cycle
        while not condition():
            idle = self.monitor.cycle - max(start, self.monitor.active)
            assert idle < self.patience, f"{NOTHING_MOVES} for {idle} cycles; {self._state()}"
            await RisingEdge(self.board.dut.aclk)

    async def switched(self) -> None:
        """Wait until the unit would take an apply."""
        await self.until_status(pending=False, switching=False)

    async def apply_settings(self, layer: Layer, *, at: int | None = None) -> None:
        """Order that the settings of ``layer`` come into force, not before frame ``at`` where that is given."""
        await self.within(self.driver.write_settings(layer.config))
        await self.within(self.driver.apply(("settings",), at=at))

    async def until_status(self, **wanted: bool) -> None:
        async def poll() -> None:
            while True:
                status = await self.driver.status()
                if all(status[name] == value for name, value in wanted.items()):
                    return

        await self.within(poll())

    async def finish_frame(self) -> None:
        """Send the beats that a begun frame lacks; TLAST comes with the last one."""
        await self.until(self.board.source.idle)
        missing = self.reference.missing
        if missing:
            self.send_packet([0] * missing)

    def _state(self) -> str:
        reference = self.reference
        return (
            f"{len(reference.begun)} frames have begun and {reference.completed} have come out, "
            f"{reference.pending or 'no apply'} is pending, errors: {', '.join(sorted(reference.errors)) or 'none'}"
        )

    async def settle(self) -> None:
        """Wait until all that was sent is taken, every frame has come out, and surplus output would have come too."""
        board = self.board
        await self.until(lambda: board.source.idle() and board.weights.idle() and self.reference.idle)
        await ClockCycles(board.dut.aclk, 2 * self.latency + 40)

    async def refused(self, access: Awaitable[Any]) -> None:
        """Make an access that the unit must refuse. Fails if it is accepted."""
        try:
            await self.within(access)
        except (AccessRefused, UserError):
            return
        raise AssertionError("what must be refused is accepted")

    # What the reference cannot see

    async def check_counters(self) -> dict[str, int]:
        """Read all counters, which the reference compares. The unit must have settled before."""
        return await self.within(self.driver.counters())

    async def expect_errors(self, *names: str) -> None:
        """Fail unless exactly these errors are shown; then clear them."""
        shown = await self.within(self.driver.errors())
        assert set(shown) == set(names), f"errors {shown}, expected {names}"
        await self.within(self.driver.clear_errors())

    def check_timing(self, sizes: Iterable[tuple[int, int]]) -> None:
        """Fail unless the frames since reset came out in the predicted cycles.

        Args:
            sizes: height and width of each frame. No frame may have waited for input.
        """
        g, prediction, monitor = self.shapes.geometry, self.shapes.schedule, self.monitor
        frames = [g.of_frame(*size) for size in sizes]
        model = FrameCycleModel(g, slots=prediction.slots, flush_always=prediction.flush_always, frames=frames)
        start = monitor.inputs[0]
        latency, predicted = monitor.outputs[0] - start, model.first_output + self.latency
        assert latency == predicted, f"first output latency {latency}, predicted {predicted}"
        ends, wanted = [end - start for end in monitor.ends], [end + self.latency for end in model.frame_ends]
        assert ends == wanted, f"frames end after {ends}, predicted {wanted}"
