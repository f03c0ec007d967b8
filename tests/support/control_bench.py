"""The control plane in Amaranth's simulator, between an AXI4-Lite master and a model of the data path."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import numpy as np
from amaranth.hdl import Elaboratable, Module, ResetInserter, Signal

from golden.contract.ranges import Range
from hw.control.axi_lite import Response
from hw.control.control import LASTING_DOMAIN, Control
from hw.control.registers import APPLY_PARTS
from hw.plan.reload import Reload
from hw.plan.shapes import Shapes
from tests.support.components import Bench, simulate
from tests.support.units import unit_shapes

OKAY, SLVERR = int(Response.OKAY), int(Response.SLVERR)


def reloadable(seed: int = 0, *, single_buffered: bool = False, **fields: Any) -> Shapes:
    """A reloadable unit of `tests.support.units.unit_shapes`, with narrow limits of its shifts."""
    shapes = unit_shapes(seed, **({"attn_shift": 3} | fields))
    shift = shapes.layer.config.out_shift
    reload = Reload(
        attn_shift=Range(1, 6),
        out_shift=Range(max(shift - 4, 0), min(shift + 4, 47)),
        single_buffered=single_buffered,
    )
    return Shapes(dataclasses.replace(shapes.config, reload=reload))


class Master:
    """The master of an AXI4-Lite port. Each channel pauses at random, independently of the others.

    Attributes:
        pace: probability that a channel that pauses goes on in a cycle.
    """

    def __init__(
        self, ctx: Any, port: Any, rng: np.random.Generator, *, prefix: str = "s_axi_", pace: float = 1
    ) -> None:
        self._ctx, self._port, self._rng, self._prefix, self.pace = ctx, port, rng, prefix, pace

    def _signal(self, name: str) -> Any:
        return getattr(self._port, self._prefix + name)

    def _goes_on(self) -> bool:
        return bool(self._rng.random() < self.pace)

    async def write(self, address: int, value: int, strobes: int = 0b1111) -> int:
        """Write a word. Returns the response."""
        ctx, open_channels = self._ctx, {"aw", "w"}
        ctx.set(self._signal("awaddr"), address)
        ctx.set(self._signal("wdata"), value & 0xFFFFFFFF)
        ctx.set(self._signal("wstrb"), strobes)
        while True:
            for channel in ("aw", "w"):
                offered = channel in open_channels and (ctx.get(self._signal(f"{channel}valid")) or self._goes_on())
                ctx.set(self._signal(f"{channel}valid"), offered)
            ctx.set(self._signal("bready"), self._goes_on())
            taken = {c for c in ("aw", "w") if ctx.get(self._signal(f"{c}valid") & self._signal(f"{c}ready"))}
            answered = ctx.get(self._signal("bvalid") & self._signal("bready"))
            response = ctx.get(self._signal("bresp"))
            await ctx.tick()
            for channel in taken:
                ctx.set(self._signal(f"{channel}valid"), 0)
            if answered:
                assert not open_channels, "answered before it was asked"
                ctx.set(self._signal("bready"), 0)
                return int(response)
            open_channels -= taken

    async def read(self, address: int) -> tuple[int, int]:
        """Read a word. Returns the word and the response."""
        ctx, asked = self._ctx, False
        ctx.set(self._signal("araddr"), address)
        while True:
            ctx.set(self._signal("arvalid"), not asked and (ctx.get(self._signal("arvalid")) or self._goes_on()))
            ctx.set(self._signal("rready"), self._goes_on())
            taken = ctx.get(self._signal("arvalid") & self._signal("arready"))
            answered = ctx.get(self._signal("rvalid") & self._signal("rready"))
            result = ctx.get(self._signal("rdata")), ctx.get(self._signal("rresp"))
            await ctx.tick()
            if taken:
                asked = True
                ctx.set(self._signal("arvalid"), 0)
            if answered:
                assert asked, "answered before it was asked"
                ctx.set(self._signal("rready"), 0)
                return result


def protocol_monitor(port: Any, running: list[Any], *, prefix: str = "s_axi_") -> Bench:
    """A bench that fails where a response falls or changes before it is taken. It ends when ``running`` is empty."""

    async def bench(ctx: Any) -> None:
        waiting: dict[str, tuple[int, ...]] = {}
        while running:
            for channel, payload in (("b", ("resp",)), ("r", ("data", "resp"))):
                valid, ready = (ctx.get(getattr(port, f"{prefix}{channel}{name}")) for name in ("valid", "ready"))
                shown = tuple(ctx.get(getattr(port, f"{prefix}{channel}{name}")) for name in payload)
                if channel in waiting:
                    assert valid, f"{channel}valid fell before the response was taken"
                    assert shown == waiting[channel], f"the response on {channel} changed while it waited"
                waiting.pop(channel, None)
                if valid and not ready:
                    waiting[channel] = shown
            await ctx.tick()

    return bench


class DataPath:
    """A model of the data path, as the control plane sees it. Its delays are random.

    Attributes:
        settings: the settings in force, as integers by name.
        weights: the weights in force, as integers by bank and word.
        constants: the constants in force, as integers by name, word and lane.
        next_weights, next_constants: weights and constants of the next set.
        applies: ``(parts, at)`` of each apply; ``at`` is None without ``wait``.
        delay: cycles that an apply is pending, and bound of the cycles that frames are switched. With None,
            neither ends until it is changed.
        resets: number of soft resets.
        idle: whether no frame is under way.
    """

    def __init__(self, dut: Control, rng: np.random.Generator) -> None:
        self._dut, self._rng = dut, rng
        self.settings: dict[str, int] = {}
        self.weights: dict[tuple[int, int], int] = {}
        self.constants: dict[tuple[str, int, int], int] = {}
        self.next_weights: dict[tuple[int, int], int] = {}
        self.next_constants: dict[tuple[str, int, int], int] = {}
        self.applies: list[tuple[tuple[str, ...], int | None]] = []
        self.delay: int | None = 3
        self.resets = 0
        self.idle = True

    def bench(self, running: list[Any]) -> Bench:
        """A bench that plays the data path until ``running`` is empty."""
        dut = self._dut

        async def play(ctx: Any) -> None:
            pending: tuple[str, ...] = ()
            configured, switching, wait, settings = False, 0, 0, {}
            while running:
                ctx.set(dut.i_pending, bool(pending))
                ctx.set(dut.i_switching, switching > 0)
                ctx.set(dut.i_configured, configured)
                ctx.set(dut.i_idle, self.idle)
                applied = bool(pending) and self.delay is not None and wait >= self.delay
                ctx.set(dut.i_applied, applied)
                for part in APPLY_PARTS:
                    ctx.set(dut.i_applied_parts[part], part in pending)
                shown = {name: ctx.get(dut.o_settings[name]) for name in dut.o_settings.shape().members}
                if pending:
                    assert shown == settings, "settings changed while an apply was pending"
                    wait += 1
                if switching and self.delay is not None:
                    switching -= 1
                if applied:
                    configured, switching = True, int(self._rng.integers(1, 2 + (self.delay or 0)))
                    self.settings |= shown if "settings" in pending else {}
                    self.weights |= self.next_weights if "weights" in pending else {}
                    self.constants |= self.next_constants if "constants" in pending else {}
                    pending = ()
                elif ctx.get(dut.o_apply.strobe):
                    assert not pending and not switching
                    pending, wait, settings = self._apply(ctx), 0, shown
                self._take_writes(ctx, busy=bool(pending) or switching > 0)
                if ctx.get(dut.o_soft_reset):
                    self.resets += 1
                    pending, configured, switching = (), False, 0
                await ctx.tick()

        return play

    def _apply(self, ctx: Any) -> tuple[str, ...]:
        apply = self._dut.o_apply
        parts = tuple(part for part in APPLY_PARTS if ctx.get(apply[part]))
        self.applies.append((parts, ctx.get(apply["at"]) if ctx.get(apply["wait"]) else None))
        return parts

    def _take_writes(self, ctx: Any, *, busy: bool) -> None:
        weight, constant = self._dut.o_weight, self._dut.o_constant
        if ctx.get(weight.enable):
            assert not busy, "a weight is written while the next set is not free"
            self.next_weights[ctx.get(weight.bank), ctx.get(weight.word)] = ctx.get(weight.value)
        for name in ("bias", "multiplier"):
            if ctx.get(constant[name]):
                assert not busy, f"a {name} is written while the next set is not free"
                self.next_constants[name, ctx.get(constant.word), ctx.get(constant.lane)] = ctx.get(constant.value)


def run_control(
    shapes: Shapes, body: Callable[[Any, Control, DataPath], Coroutine[Any, Any, None]], *, seed: int = 0
) -> None:
    """Run ``body`` on a control plane, beside a data path and a monitor of the bus."""
    print(f"seed {seed}")
    dut = Control(shapes)
    path = DataPath(dut, np.random.default_rng([seed, 1]))
    running: list[Any] = [body]

    async def bench(ctx: Any) -> None:
        await body(ctx, dut, path)
        running.clear()

    # The data path goes first in each cycle, so that the body sees what it says.
    benches = path.bench(running), bench, protocol_monitor(dut, running)
    simulate(_Restarted(dut), *benches, domains=("sync", LASTING_DOMAIN))


class _Restarted(Elaboratable):
    """A control plane that restarts when it says so."""

    def __init__(self, dut: Control) -> None:
        self._dut = dut

    def elaborate(self, platform: object) -> Module:
        m = Module()
        restart = Signal()
        m.d.sync += restart.eq(self._dut.o_restart)
        m.submodules.dut = ResetInserter({"sync": restart})(self._dut)
        return m


async def send_weights(ctx: Any, dut: Control, beats: Sequence[int], *, last: int | None = None) -> None:
    """Send beats to the weight stream. TLAST comes with beat ``last``: by default the final one, with -1 none."""
    last = len(beats) - 1 if last is None else last
    for index, beat in enumerate(beats):
        ctx.set(dut.s_axis_weights_tvalid, 1)
        ctx.set(dut.s_axis_weights_tdata, int(beat))
        ctx.set(dut.s_axis_weights_tlast, index == last)
        while not ctx.get(dut.s_axis_weights_tready):
            await ctx.tick()
        await ctx.tick()
    ctx.set(dut.s_axis_weights_tvalid, 0)
