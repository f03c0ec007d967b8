"""Row store: what is read is what was written, and nothing is overwritten before it is released."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from golden.contract.streams import to_beats
from hw.frozen.beat_writer import BeatWriter, Release
from hw.plan.schedule import CycleModel
from hw.plan.shapes import Shapes
from hw.unit import row_store
from hw.unit.row_store import RowStore
from sim.cases.stimulus import random_frames
from tests.support.components import look, put, simulate
from tests.support.schedule import Beat, beats_needed, beats_released, early_beats, schedule
from tests.support.tiers import in_turn, seeds
from tests.support.units import UNITS, random_unit, unit_shapes

FRAMES = 3
#: Cycles from a beat's being written to the address that finds it.
WRITE_TO_READ = 3


class Rows:
    """A row store between a source of frames and a reader, both of which pause at random.

    The reader reads like the sequencer: each beat as soon as it is written, or later. In
    every cycle the store must take a beat if and only if there is room for one.
    """

    def __init__(self, shapes: Shapes, seed: int, *, offer: float, read: float) -> None:
        self.shapes = shapes
        self.dut = RowStore(shapes, BeatWriter(shapes))
        self.rng = np.random.default_rng(seed)
        self.offer, self.read = offer, read
        self.frames = random_frames(self.rng, shapes.layer.config, FRAMES)
        self.beats = to_beats(self.frames, shapes.folding.simd).tolist()
        self.slots = shapes.schedule.slots
        g, c = shapes.geometry, shapes.layer.config
        self.row_beats = c.width * g.channel_beats
        #: Beat that the oldest slot in use begins with, rows above the first frame counted too.
        self.oldest = (g.centre_row(0) - g.up) * self.row_beats

    @property
    def capacity(self) -> int:
        """Beats that may have been written by now."""
        return self.oldest + self.slots * self.row_beats

    def reads(self) -> Iterator[Beat]:
        """The beats that read the store, in order, those of a row's early groups before the row's others."""
        g, early = self.shapes.geometry, self.shapes.schedule.early
        steps = schedule(g, FRAMES, early)
        ahead = early_beats(g, FRAMES, early)
        options = next(steps)
        while True:
            group = options[0].group
            if group is not None:
                if early and group[2] == early and options[0].channel == 0:
                    yield from itertools.islice(ahead, early * g.channel_beats)
                yield options[0]
            try:
                options = steps.send(options[0])
            except StopIteration:
                return

    def address(self, beat: Beat) -> dict[str, Any]:
        g, c = self.shapes.geometry, self.shapes.layer.config
        assert beat.group is not None
        frame, q, group = beat.group
        centre = c.first_centre + c.stride * q
        inside = [0 <= centre + dy < c.height for dy in g.rows]
        return {
            "i_address": group * g.channel_beats + beat.channel,
            "i_slot": (frame * c.height + centre) % self.slots,
            "i_row_valid": sum(valid << index for index, valid in enumerate(inside)),
            "i_release": self.release(beat),
        }

    def release(self, beat: Beat) -> Release:
        g, c = self.shapes.geometry, self.shapes.layer.config
        assert beat.group is not None
        _, q, group = beat.group
        if beat.channel < g.channel_beats - 1 or group < self.shapes.schedule.early:
            return Release.NOTHING
        if group < g.groups - 1:
            return Release.GROUP
        return Release.ROW if q < c.out_height - 1 else Release.FRAME

    def column(self, beat: Beat) -> list[list[list[int] | None]]:
        """``[row][column][lane]``; None for a column right of the frame, which nobody looks at."""
        g, c, simd = self.shapes.geometry, self.shapes.layer.config, self.shapes.folding.simd
        assert beat.group is not None
        frame, q, group = beat.group
        channels = slice(beat.channel * simd, (beat.channel + 1) * simd)
        rows: list[list[list[int] | None]] = []
        for dy in g.rows:
            y = c.first_centre + c.stride * q + dy
            columns: list[list[int] | None] = []
            for x in range(group * c.stride, (group + 1) * c.stride):
                if x >= c.width:
                    columns.append(None)
                elif 0 <= y < c.height:
                    columns.append(self.frames[frame, channels, y, x].tolist())
                else:
                    columns.append([0] * simd)
            rows.append(columns)
        return rows

    async def bench(self, ctx: Any) -> None:
        dut, g = self.dut, self.shapes.geometry
        taken = 0
        written: list[int] = []
        oldest = self.oldest  # what is released in this cycle counts from the one after the next
        expected: dict[int, tuple[Beat, list[list[list[int] | None]]]] = {}
        reads = self.reads()
        beat: Beat | None = next(reads)
        for cycle in itertools.count():
            offered = taken < len(self.beats) and self.rng.random() < self.offer
            ctx.set(dut.i.valid, offered)
            # What is offered but not valid must not matter.
            put(ctx, dut.i.payload, self.beats[taken] if offered else self.beats[0][::-1])
            assert ctx.get(dut.i.ready) == (taken < self.capacity), f"cycle {cycle}: {taken} of {self.capacity} taken"
            transfer = offered and taken < self.capacity

            readable = sum(written[: max(0, cycle - WRITE_TO_READ + 1)])
            issue = beat is not None and readable >= beats_needed(g, beat) and self.rng.random() < self.read
            ctx.set(dut.i_release, Release.NOTHING)
            if issue:
                assert beat is not None
                for name, value in self.address(beat).items():
                    ctx.set(getattr(dut, name), value)
                expected[cycle + row_store.latency(self.shapes.target)] = beat, self.column(beat)
            else:
                ctx.set(dut.i_address, int(self.rng.integers(g.groups * g.channel_beats)))
                ctx.set(dut.i_row_valid, int(self.rng.integers(2 ** len(g.rows))))

            if cycle in expected:
                about, column = expected.pop(cycle)
                shown = look(ctx, dut.o_column)
                visible = [
                    [value if wanted else None for value, wanted in zip(*rows, strict=True)]
                    for rows in zip(shown, column, strict=True)
                ]
                assert visible == column, f"cycle {cycle}: {about}"
            written.append(ctx.get(dut.o_written))
            assert sum(written) <= taken
            await ctx.tick()
            taken += transfer
            self.oldest = oldest
            if issue:
                assert beat is not None
                early = self.shapes.schedule.early
                ahead = beat.group is not None and beat.group[2] < early
                released = None if ahead else beats_released(g, beat, early)
                oldest = oldest if released is None else released
                beat = next(reads, None)
            if beat is None and not expected and sum(written) == len(self.beats):
                return


@in_turn
@pytest.mark.parametrize("target", ["generic", "ecp5", "xcup"])
@pytest.mark.parametrize("unit", UNITS)
def test_reads_what_was_written_at_full_rate(unit: str, target: str) -> None:
    rows = Rows(unit_shapes(target=target, **UNITS[unit]), seed=1, offer=1, read=1)
    simulate(rows.dut, rows.bench)


@in_turn
@pytest.mark.parametrize(("offer", "read"), [(1, 0.4), (0.4, 1), (0.6, 0.6)])
@pytest.mark.parametrize("seed", seeds(8))
@pytest.mark.parametrize("target", ["generic", "ecp5", "xcup"])
def test_reads_what_was_written_in_any_geometry(seed: int, offer: float, read: float, target: str) -> None:
    rows = Rows(random_unit(seed, target), seed=seed, offer=offer, read=read)
    simulate(rows.dut, rows.bench)


@pytest.mark.parametrize("unit", UNITS)
def test_takes_exactly_what_fits_while_nothing_is_read(unit: str) -> None:
    shapes = unit_shapes(**UNITS[unit])
    dut = RowStore(shapes, BeatWriter(shapes))
    g, c = shapes.geometry, shapes.layer.config
    row = c.width * g.channel_beats
    # Rows above the frame have their place in the store too, though nothing is kept there.
    room = (shapes.schedule.slots + g.centre_row(0) - g.up) * row
    needed = (g.bottom_row(0) + 1) * row

    async def bench(ctx: Any) -> None:
        ctx.set(dut.i.valid, 1)
        taken = 0
        for _cycle in range(2 * shapes.schedule.slots * row):
            taken += ctx.get(dut.i.ready)
            await ctx.tick()
        assert needed <= taken == room

    simulate(dut, bench)


@pytest.mark.parametrize("target", ["generic", "ecp5", "xcup"])
def test_declared_times(target: str) -> None:
    """A beat is written the cycle after its transfer, found three cycles later, and read ``latency`` after that."""
    fields: dict[str, Any] = {"kernel": 1, "attn_offsets": (), "height": 2, "width": 3}
    shapes = unit_shapes(in_channels=1, out_channels=1, simd=1, pe=1, target=target, **fields)
    dut = RowStore(shapes, BeatWriter(shapes))
    values = [11, 22, 33]
    first_address = 1 + WRITE_TO_READ

    async def bench(ctx: Any) -> None:
        ctx.set(dut.i_row_valid, 1)
        written, shown = [], []
        for cycle in range(16):
            ctx.set(dut.i.valid, cycle < 3)
            put(ctx, dut.i.payload, [values[min(cycle, 2)]])
            ctx.set(dut.i_address, max(0, min(cycle - first_address, 2)))
            written.append(ctx.get(dut.o_written))
            shown.append(look(ctx, dut.o_column)[0][0][0])
            await ctx.tick()
        assert written == [0, 1, 1, 1] + [0] * 12
        first = first_address + row_store.latency(shapes.target)
        assert shown[first : first + 3] == values

    simulate(dut, bench)


def test_the_sequencer_reads_no_earlier() -> None:
    """From transfer to issue, and a cycle more to the address: never before the beat is found."""
    assert CycleModel.write_to_issue + 1 >= 1 + WRITE_TO_READ
