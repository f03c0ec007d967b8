"""Output stream: every beat once and in order under any back-pressure, and full use of its depth."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from hw.plan.shapes import Shapes
from hw.unit.output_stream import OutputStream
from tests.support.components import look, put, simulate
from tests.support.tiers import in_turn
from tests.support.units import unit_shapes

BEATS = 300


def output_config(*, out_bits: int = 5, out_signed: bool = True) -> Shapes:
    return unit_shapes(out_bits=out_bits, out_signed=out_signed, relu=False)


def random_beats(shapes: Shapes, rng: np.random.Generator) -> list[tuple[list[int], int]]:
    """``(elements, last)``; the elements include the limits of their format."""
    limits = shapes.layer.config.out_range
    values = rng.integers(limits.low, limits.high, (BEATS, shapes.folding.pe), endpoint=True)
    values[0], values[1] = limits.low, limits.high
    return [(beat, int(rng.random() < 0.2)) for beat in values.tolist()]


def shown_beat(ctx: Any, dut: OutputStream) -> tuple[list[int], int]:
    return look(ctx, dut.o.payload.beat), ctx.get(dut.o.payload.last)


@in_turn
@pytest.mark.parametrize("depth", [1, 2, 3, 4, 7, 16])
@pytest.mark.parametrize(("offer", "ready"), [(1, 1), (1, 0.3), (0.3, 1), (0.5, 0.5), (0.9, 0.8)])
def test_every_beat_once_and_in_order(depth: int, offer: float, ready: float) -> None:
    """The source holds credit as the sequencer does: an entry per beat, back with ``o_popped``."""
    seed = depth
    rng = np.random.default_rng(seed)
    shapes = output_config()
    dut = OutputStream(shapes.output_beat, depth=depth)
    beats = random_beats(shapes, rng)
    limits = shapes.layer.config.out_range

    async def bench(ctx: Any) -> None:
        sent, credit, received = 0, depth, 0
        stalled: tuple[list[int], int] | None = None
        while received < BEATS:
            offered = sent < BEATS and credit > 0 and rng.random() < offer
            beat, last = beats[sent] if offered else ([limits.high] * shapes.folding.pe, 1)
            ctx.set(dut.i_valid, offered)
            put(ctx, dut.i_beat, beat)
            ctx.set(dut.i_last, last)
            ctx.set(dut.o.ready, rng.random() < ready)

            where = f"seed {seed}, beat {received}"
            if stalled is not None:
                assert ctx.get(dut.o.valid), f"{where}: valid fell"
                assert shown_beat(ctx, dut) == stalled, f"{where}: changed while it waited"
            stalled = None
            if ctx.get(dut.o.valid):
                assert received < sent, f"{where}: a beat that was never sent"
                assert shown_beat(ctx, dut) == beats[received], where
                if ctx.get(dut.o.ready):
                    received += 1
                else:
                    stalled = shown_beat(ctx, dut)
            popped = ctx.get(dut.o_popped)
            await ctx.tick()
            sent += offered
            credit += popped - offered
        assert credit == depth, "every entry is free again"
        for _cycle in range(5):
            assert not ctx.get(dut.o.valid)
            assert not ctx.get(dut.o_popped)
            await ctx.tick()

    simulate(dut, bench)


@pytest.mark.parametrize("depth", [1, 2, 5, 8])
def test_holds_its_full_depth_while_nobody_takes(depth: int) -> None:
    """``depth`` beats wait in the FIFO and one more at the port, from any position of head and tail."""
    rng = np.random.default_rng(14)
    shapes = output_config()
    dut = OutputStream(shapes.output_beat, depth=depth)
    beats = random_beats(shapes, rng)

    async def bench(ctx: Any) -> None:
        sent, received = 0, 0
        for _round in range(depth + 2):
            credit, idle = depth, 0
            ctx.set(dut.o.ready, 0)
            while idle < 4:
                offered = credit > 0
                ctx.set(dut.i_valid, offered)
                put(ctx, dut.i_beat, beats[sent][0])
                ctx.set(dut.i_last, beats[sent][1])
                popped = ctx.get(dut.o_popped)
                await ctx.tick()
                sent += offered
                credit += popped - offered
                idle = 0 if offered else idle + 1
            assert sent - received == depth + 1
            ctx.set(dut.i_valid, 0)
            ctx.set(dut.o.ready, 1)
            while received < sent:
                assert ctx.get(dut.o.valid), "a beat each cycle once they are taken"
                assert shown_beat(ctx, dut) == beats[received]
                received += 1
                await ctx.tick()
            assert not ctx.get(dut.o.valid)

    simulate(dut, bench)


@pytest.mark.parametrize(("out_bits", "out_signed"), [(2, False), (2, True), (16, False), (16, True)])
def test_latency_and_full_rate(out_bits: int, out_signed: bool) -> None:
    """A ready sink gets a beat every cycle, ``latency`` cycles after it came in."""
    rng = np.random.default_rng(15)
    shapes = output_config(out_bits=out_bits, out_signed=out_signed)
    dut = OutputStream(shapes.output_beat, depth=OutputStream.latency)
    beats = random_beats(shapes, rng)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.o.ready, 1)
        for cycle in itertools.count():
            ctx.set(dut.i_valid, cycle < BEATS)
            put(ctx, dut.i_beat, beats[min(cycle, BEATS - 1)][0])
            ctx.set(dut.i_last, beats[min(cycle, BEATS - 1)][1])
            due = cycle - OutputStream.latency
            assert ctx.get(dut.o.valid) == (0 <= due < BEATS), f"cycle {cycle}"
            if due == BEATS:
                return
            if due >= 0:
                assert shown_beat(ctx, dut) == beats[due], f"cycle {cycle}"
            await ctx.tick()

    simulate(dut, bench)
