"""Input walk: what each beat reads, in order, and in every cycle whether the next one can be read."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import ResetInserter, Signal

from hw.frozen.beat_writer import Release
from hw.frozen.input_walk import DEPTH, LATENCY, InputWalk
from hw.plan.shapes import Shapes
from tests.support.components import simulate
from tests.support.schedule import Beat, beats_needed, beats_released, early_beats, schedule
from tests.support.tiers import in_turn, seeds
from tests.support.units import UNITS, random_unit, unit_shapes

FRAMES = 3
#: The queue's entries come round so often at least, however few beats a frame has.
ROUNDS = 3
#: Cycles in which the walk works, before and after each reset in mid-stream.
UNTIL_RESET = (1, 2, 3, 5, 9, 40, 101)
#: How likely a beat is written, and the next one read where it can be, in a cycle.
PACES = {"full_rate": (1, 1), "slow_source": (0.3, 1), "slow_reader": (1, 0.2), "both_pause": (0.6, 0.6)}


def frames_of(shapes: Shapes) -> int:
    g = shapes.geometry
    beats = shapes.layer.config.out_height * g.groups * g.channel_beats
    return max(FRAMES, -(-ROUNDS * DEPTH // beats))


def reads(shapes: Shapes, frames: int, early: bool) -> Iterator[Beat]:
    """The beats that read the row store, in order, or the early ones; those of empty groups do not."""
    if early:
        yield from early_beats(shapes.geometry, frames, shapes.schedule.early)
        return
    steps = schedule(shapes.geometry, frames, shapes.schedule.early)
    options = next(steps)
    while True:
        if options[0].group is not None:
            yield options[0]
        try:
            options = steps.send(options[0])
        except StopIteration:
            return


def place(beat: Beat) -> tuple[int, int, int]:
    assert beat.group is not None
    return beat.group


def starts_frame(beat: Beat, groups: range) -> int:
    """Whether the group of ``beat`` is a frame's first, in all beats of it."""
    return int(place(beat)[1:] == (0, groups[0]))


def expected_read(shapes: Shapes, beat: Beat, groups: range) -> dict[str, int]:
    """What the row store must be told of ``beat``, where rows have these ``groups``."""
    g, c = shapes.geometry, shapes.layer.config
    frame, q, group = place(beat)
    centre = c.first_centre + c.stride * q
    release = Release.NOTHING
    if beat.channel == g.channel_beats - 1:
        end_of_row = Release.FRAME if q == c.out_height - 1 else Release.ROW
        release = end_of_row if group == groups[-1] else Release.GROUP
    return {
        "address": group * g.channel_beats + beat.channel,
        "slot": (frame * c.height + centre) % shapes.schedule.slots,
        "row_valid": sum((0 <= centre + dy < c.height) << index for index, dy in enumerate(g.rows)),
        "release": release.value,
    }


class Walk:
    """An input walk between a writer, who never has more beats in store than fit, and a reader, at random paces.

    Behind a row's ``early`` beats all others of the row are read at once.
    """

    def __init__(self, shapes: Shapes, seed: int, *, write: float, step: float, early: bool = False) -> None:
        self.early = early
        of_row = range(shapes.geometry.groups)
        self.groups = of_row[: shapes.schedule.early] if early else of_row[shapes.schedule.early :]
        self.config, self.seed, self.write, self.step = shapes, seed, write, step
        self.rng = np.random.default_rng(seed)
        self.walk = InputWalk(shapes, early=early)
        self.reset = Signal()
        self.dut = ResetInserter(self.reset)(self.walk)

    async def bench(self, ctx: Any) -> None:
        await self.run(ctx, cycles=None)

    async def bench_with_resets(self, ctx: Any) -> None:
        """Each reset may meet a beat that is written and one that is read; both must be forgotten."""
        for cycles in UNTIL_RESET:
            await self.run(ctx, cycles=cycles)
            ctx.set(self.reset, 1)
            ctx.set(self.walk.i_written, int(self.rng.integers(2)))
            ctx.set(self.walk.i_step, ctx.get(self.walk.o_arrived))
            await ctx.tick()
            ctx.set(self.reset, 0)
        await self.run(ctx, cycles=None)

    async def run(self, ctx: Any, *, cycles: int | None) -> None:
        """Check every cycle from a reset on: all of them until the last frame has been read, or so many."""
        dut, g, c = self.walk, self.config.geometry, self.config.layer.config
        frames = frames_of(self.config)
        row = c.width * g.channel_beats
        total = frames * c.height * row
        oldest = (g.centre_row(0) - g.up) * row
        writes: list[bool] = []
        # A frame more than is written, so that there is a beat behind the last one.
        beats = reads(self.config, frames + 1, self.early)
        head, behind = next(beats), next(beats)
        issued: Beat | None = None
        for cycle in itertools.count() if cycles is None else range(cycles):
            fits = sum(writes) < min(total, oldest + self.config.schedule.slots * row)
            write = bool(fits and self.rng.random() < self.write)
            written = sum(writes[: max(0, cycle - LATENCY + 1)])
            arrived = written >= beats_needed(g, head)
            step = bool(arrived and self.rng.random() < self.step)
            ctx.set(dut.i_written, write)
            ctx.set(dut.i_step, step)

            where = f"seed {self.seed}, cycle {cycle}, {head}"
            assert ctx.get(dut.o_arrived) == arrived, where
            assert ctx.get(dut.o_starts_output) == (place(head)[2] - self.groups[0] < c.out_width), where
            assert ctx.get(dut.o_starts_frame) == starts_frame(head, self.groups), where
            assert ctx.get(dut.o_next_starts_frame) == starts_frame(behind, self.groups), where
            if self.config.schedule.early:
                assert ctx.get(dut.o_starts_row) == (place(head)[2] == self.groups[0]), where
            if issued is None:
                assert ctx.get(dut.o_read.release) == Release.NOTHING.value, where
            else:
                expected = expected_read(self.config, issued, self.groups)
                shown = {name: ctx.get(getattr(dut.o_read, name)) for name in expected}
                assert shown == expected, f"{where}, after {issued}"
            await ctx.tick()

            writes.append(write)
            issued = head if step else None
            if step:
                released = self.released(head)
                oldest = oldest if released is None else released
                head, behind = behind, next(beats)
            if place(head)[0] == frames and issued is None and cycles is None:
                assert sum(writes) <= total
                return

    def released(self, beat: Beat) -> int | None:
        """Input beats that are not needed behind ``beat``."""
        g, early = self.config.geometry, self.config.schedule.early
        if self.early:
            frame, q, group = place(beat)
            if group < early - 1:
                return None
            beat = dataclasses.replace(beat, group=(frame, q, g.groups - 1))
        return beats_released(g, beat, early)


@in_turn
@pytest.mark.parametrize("pace", PACES)
@pytest.mark.parametrize("unit", [unit for unit in UNITS if unit.startswith("early")])
def test_early_beats(unit: str, pace: str) -> None:
    write, step = PACES[pace]
    walk = Walk(unit_shapes(**UNITS[unit]), seed=33, write=write, step=step, early=True)
    simulate(walk.dut, walk.bench)
    walk = Walk(unit_shapes(**UNITS[unit]), seed=33, write=write, step=step, early=True)
    simulate(walk.dut, walk.bench_with_resets)


@in_turn
@pytest.mark.parametrize("pace", PACES)
@pytest.mark.parametrize("unit", UNITS)
def test_every_beat_in_order_and_in_its_cycle(unit: str, pace: str) -> None:
    write, step = PACES[pace]
    walk = Walk(unit_shapes(**UNITS[unit]), seed=31, write=write, step=step)
    simulate(walk.dut, walk.bench)


@pytest.mark.parametrize("seed", seeds(30))
def test_every_beat_in_any_geometry(seed: int) -> None:
    write, step = PACES[list(PACES)[seed % len(PACES)]]
    walk = Walk(random_unit(100 + seed), seed, write=write, step=step)
    simulate(walk.dut, walk.bench)


@pytest.mark.parametrize("unit", UNITS)
def test_starts_anew_after_a_reset_in_mid_stream(unit: str) -> None:
    walk = Walk(unit_shapes(**UNITS[unit]), seed=32, write=0.9, step=0.8)
    simulate(walk.dut, walk.bench_with_resets)


@pytest.mark.parametrize("seed", seeds(10))
def test_starts_anew_after_a_reset_in_any_geometry(seed: int) -> None:
    walk = Walk(random_unit(200 + seed), seed, write=1, step=1 - 0.3 * (seed % 2))
    simulate(walk.dut, walk.bench_with_resets)
