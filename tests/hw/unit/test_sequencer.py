"""Sequencer: every cycle it issues the next beat of the schedule, or nothing if a beat or an entry is missing."""

from __future__ import annotations

import bisect
import itertools
from typing import Any

import numpy as np
import pytest

from hw.frozen.beat_writer import Release
from hw.frozen.input_walk import InputWalk
from hw.frozen.positions import CountedPositions
from hw.plan.flush import Flush
from hw.plan.shapes import Shapes
from hw.unit.sequencer import Sequencer
from tests.support.components import simulate
from tests.support.schedule import Beat, beats_needed, beats_released, early_beats, ends_sum, schedule
from tests.support.tiers import in_turn, seeds
from tests.support.units import UNITS, random_unit, unit_shapes

#: Cycles from an issue to its output's entry in the FIFO.
PIPELINE = 6
#: Cycles from a beat's being written to the issue that it allows, and from an entry's being popped.
WRITE_TO_ISSUE, POP_TO_ISSUE = 3, 2
TRANSFER_TO_WRITE = 1
#: Cycles from the issue of a row's last early beat to that of its first other beat.
EARLY_TO_ISSUE = 3


def read_ports(shapes: Shapes, beat: Beat) -> dict[str, Any]:
    """The row store's ports for a beat that reads it."""
    g, c = shapes.geometry, shapes.layer.config
    assert beat.group is not None
    frame, q, group = beat.group
    centre = c.first_centre + c.stride * q
    return {
        "o_address": group * g.channel_beats + beat.channel,
        "o_slot": (frame * c.height + centre) % shapes.schedule.slots,
        "o_row_valid": sum((0 <= centre + dy < c.height) << index for index, dy in enumerate(g.rows)),
    }


def bank_of(shapes: Shapes, frame: int, q: int) -> int:
    """The window's bank of an output row. Reset leaves bank 0, which the first row changes."""
    return (frame * shapes.layer.config.out_height + q + 1) % 2


def expected_ports(shapes: Shapes, beat: Beat) -> tuple[dict[str, Any], dict[str, Any]]:
    """The ports that mean something for ``beat``, and their values: as it is issued, and a cycle later."""
    g, c = shapes.geometry, shapes.layer.config
    last_channel = beat.channel == g.channel_beats - 1
    ports: dict[str, Any] = {"o_push": int(beat.push), "o_channel": beat.channel, "o_last": int(ends_sum(g, beat))}
    if shapes.tap:
        ports["o_tap"] = int(beat.push and beat.output is not None)
    if shapes.moves_late:
        ports["o_last_use"] = int(beat.output is None or beat.output_beat == g.output_beats - 1)
    late: dict[str, Any] = {"o_release": Release.NOTHING.value}
    if beat.group is not None:
        _, q, group = beat.group
        late |= read_ports(shapes, beat)
        if last_channel:
            last_group, last_row = group == g.groups - 1, q == c.out_height - 1
            release = (Release.FRAME if last_row else Release.ROW) if last_group else Release.GROUP
            late["o_release"] = release.value
    if beat.output is not None:
        frame, y, x = beat.output
        if shapes.schedule.early:
            ports["o_bank"] = bank_of(shapes, frame, y)
        ports["o_constant"] = beat.channel if c.depthwise else beat.output_beat
        ports["o_first"] = int(c.depthwise or beat.channel == 0)
        late["o_x"] = x
        late["o_weight"] = beat.output_beat * g.channel_beats + beat.channel
        if ends_sum(g, beat):
            last_place = (y, x) == (c.out_height - 1, c.out_width - 1)
            late["o_frame_last"] = int(last_place and last_channel and beat.output_beat == g.output_beats - 1)
    return ports, late


#: Entries in reserve: the beat issued last is not counted yet.
RESERVE = 1


class Run:
    """A sequencer between a writer that fills the row store and a sink that empties the FIFO, at random paces."""

    def __init__(
        self,
        shapes: Shapes,
        seed: int,
        *,
        write: float = 1,
        pop: float = 1,
        depth: int = 3,
        tap_pop: float = 1,
        tap_depth: int = 3,
        frames: int = 3,
    ) -> None:
        self.config, self.frames = shapes, frames
        self.write = write
        self.output, self.tap = Entries(depth, pop), Entries(tap_depth, tap_pop)
        self.rng = np.random.default_rng(seed)
        self.seed = seed
        early = InputWalk(shapes, early=True) if shapes.schedule.early else None
        self.dut = Sequencer(
            shapes,
            InputWalk(shapes),
            CountedPositions(shapes),
            early=early,
            fifo_depth=depth + RESERVE,
            tap_depth=tap_depth + RESERVE,
        )
        #: Number of empty groups between frames and behind the last one, and of those behind the last output.
        self.flushed = self.empty = 0

    def choose(self, options: tuple[Beat, ...], written: int, waited: int) -> Beat | None:
        """The beat that comes next: an empty group's where the next frame's first has not arrived and is overdue.

        Args:
            waited: cycles since the last beat that the frame's last output needs was transferred.
        """
        real = options[0]
        if real.group is not None and written >= beats_needed(self.config.geometry, real) and not self.flushes:
            return real
        due = self.config.schedule.due
        empty = options[-1]
        starts = empty.group is None and empty.push and empty.channel == 0
        return None if starts and due and waited < due[self.empty] else empty

    @property
    def flushes(self) -> bool:
        return self.config.schedule.flush_always

    async def bench(self, ctx: Any) -> None:
        dut, g, c = self.dut, self.config.geometry, self.config.layer.config
        row = c.width * g.channel_beats
        total = self.frames * c.height * row
        oldest = (g.centre_row(0) - g.up) * row
        writes: list[bool] = []
        early = EarlyBeats(self.config, self.frames)
        steps = schedule(g, self.frames, self.config.schedule.early)
        options: tuple[Beat, ...] | None = next(steps)
        frame = 0
        late: dict[str, Any] = {"o_release": Release.NOTHING.value}
        for cycle in itertools.count():
            fits = sum(writes) < min(total, oldest + self.config.schedule.slots * row)
            write = bool(fits and self.rng.random() < self.write)
            ctx.set(dut.i_written, write)
            ctx.set(dut.i_popped, self.output.pops(cycle, self.rng))
            if self.config.tap:
                ctx.set(dut.i_tap_popped, self.tap.pops(cycle, self.rng))

            written = sum(writes[: max(0, cycle - WRITE_TO_ISSUE + 1)])
            needed = (frame * c.height + g.bottom_row(c.out_height - 1) + 1) * row
            done = list(itertools.accumulate(writes))
            waited = cycle + TRANSFER_TO_WRITE - bisect.bisect_left(done, needed)
            beat = self.choose(options, written, waited) if options else None
            ends = beat is not None and ends_sum(g, beat)
            waits = beat is not None and early.holds_back(beat, cycle)
            taps = beat is not None and beat.push and beat.output is not None
            credit = self.output.has_credit(cycle) and self.tap.has_credit(cycle)
            issue = beat is not None and written >= beats_needed(g, beat) and credit and not waits
            ahead = early.next(cycle, written, free=beat is None or not beat.push or waits)
            where = f"seed {self.seed}, cycle {cycle}, {beat}"
            if options is not None:
                assert ctx.get(dut.o_valid) == issue, where
            expected = dict(late)
            late = {"o_release": Release.NOTHING.value}
            if issue:
                assert beat is not None
                now, late = expected_ports(self.config, beat)
                expected |= now
            else:
                expected |= {"o_last": 0} | ({"o_tap": 0} if self.config.tap else {})
            if ahead is not None:
                late |= read_ports(self.config, ahead)
            if self.config.schedule.early:
                assert ctx.get(dut.o_early.segments) == early.segments(ahead), where
                if ahead is not None:
                    assert ctx.get(dut.o_early.channel) == ahead.channel, where
                    assert ctx.get(dut.o_early.bank) == bank_of(self.config, *ahead.group[:2]), where
            shown = {name: ctx.get(getattr(dut, name)) for name in expected}
            assert shown == expected, where
            await ctx.tick()

            writes.append(write)
            self.output.note(cycle, takes=bool(issue and ends))
            self.tap.note(cycle, takes=bool(issue and taps and self.config.tap))
            if issue:
                assert beat is not None
                early.note(beat, cycle)
                released = beats_released(g, beat, self.config.schedule.early)
                oldest = oldest if released is None else released
                if beat.push and beat.channel == 0:
                    self.flushed += beat.group is None
                    self.empty = self.empty + 1 if beat.group is None else 0
                    frame = frame if beat.group is None else beat.group[0]
                try:
                    options = steps.send(beat)
                except StopIteration:
                    options = None
            if options is None and not self.output.entries and sum(writes) == total:
                break
        # Nothing comes after the last output.
        for _cycle in range(2 * g.channel_beats * g.output_beats + 4):
            ctx.set(dut.i_popped, 0)
            ctx.set(dut.i_written, 0)
            assert not ctx.get(dut.o_last)
            assert ctx.get(dut.o_release) == late["o_release"]
            late = {"o_release": Release.NOTHING.value}
            await ctx.tick()


class Entries:
    """A FIFO behind the pipeline, which a sink empties at a random pace."""

    def __init__(self, depth: int, pop: float) -> None:
        self.depth, self.pop = depth, pop
        self.popped: list[bool] = []
        self.entries: list[int] = []  # cycles from which something lies in the FIFO
        self.used = self.counted = 0  # entries that beats are bound for, and those of all beats but the last

    def pops(self, cycle: int, rng: np.random.Generator) -> bool:
        pops = bool(self.entries and self.entries[0] <= cycle and rng.random() < self.pop)
        self.popped.append(pops)
        self.entries = self.entries[pops:]
        return pops

    def has_credit(self, cycle: int) -> bool:
        return self.depth + sum(self.popped[: max(0, cycle - POP_TO_ISSUE + 1)]) > self.counted

    def note(self, cycle: int, *, takes: bool) -> None:
        self.counted, self.used = self.used, self.used + takes
        self.entries += [cycle + PIPELINE] * takes


class EarlyBeats:
    """The beats that are read early, and the rows that wait for them."""

    def __init__(self, shapes: Shapes, frames: int) -> None:
        self.g, self.early = shapes.geometry, shapes.schedule.early
        self.left = list(early_beats(self.g, frames, self.early))
        self.issued: list[int] = []
        #: Rows whose first group has been pushed, and when the last of these was.
        self.rows, self.since = 0, -1

    @property
    def of_row(self) -> int:
        return self.early * self.g.channel_beats

    def holds_back(self, beat: Beat, cycle: int) -> bool:
        """Whether a row's first beat has to wait."""
        if not self.early or beat.group is None or beat.group[2] != self.early or beat.channel:
            return False
        last = self.of_row * (self.rows + 1) - 1
        return last >= len(self.issued) or cycle < self.issued[last] + EARLY_TO_ISSUE

    def next(self, cycle: int, written: int, *, free: bool) -> Beat | None:
        """The beat that is read in this cycle. ``free``: nothing else could be."""
        if not self.left or not free or cycle <= self.since or len(self.issued) >= self.of_row * (self.rows + 1):
            return None
        if written < beats_needed(self.g, self.left[0]):
            return None
        self.issued.append(cycle)
        return self.left.pop(0)

    def note(self, beat: Beat, cycle: int) -> None:
        """A beat of the schedule is issued."""
        first = beat.group is not None and beat.group[2] == self.early
        if self.early and first and beat.channel == self.g.channel_beats - 1:
            self.rows, self.since = self.rows + 1, cycle

    def segments(self, beat: Beat | None) -> int:
        """The segment of the window that the beat goes into: the first group of a row into the oldest."""
        return 0 if beat is None or beat.group is None else 1 << (self.early - 1 - beat.group[2])


PACES = {"full_rate": (1, 1), "slow_source": (0.3, 1), "slow_sink": (1, 0.2), "both_pause": (0.6, 0.6)}


@in_turn
@pytest.mark.parametrize("pace", PACES)
@pytest.mark.parametrize("unit", UNITS)
def test_every_beat_in_its_cycle(unit: str, pace: str) -> None:
    write, pop = PACES[pace]
    run = Run(unit_shapes(**UNITS[unit]), seed=18, write=write, pop=pop)
    simulate(run.dut, run.bench)


@pytest.mark.parametrize("seed", seeds(20))
def test_every_beat_in_any_geometry(seed: int) -> None:
    run = Run(random_unit(seed), seed, write=0.8, pop=0.7, depth=1 + seed % 4)
    simulate(run.dut, run.bench)


@in_turn
@pytest.mark.parametrize("pace", [(1, 1, 1), (1, 1, 0.2), (1, 0.2, 1), (0.5, 0.6, 0.4)])
@pytest.mark.parametrize("unit", ["same", "depthwise", "parallel", "sequential", "one_row", "waits_for_next"])
def test_pixels_for_a_tap(unit: str, pace: tuple[float, float, float]) -> None:
    """A beat waits for room in both FIFOs, and each window's pixel is given once."""
    write, pop, tap_pop = pace
    shapes = Shapes(unit_shapes(**UNITS[unit]).config, tap=True)
    run = Run(shapes, seed=22, write=write, pop=pop, tap_pop=tap_pop)
    simulate(run.dut, run.bench)
    c = shapes.layer.config
    assert run.tap.used == run.frames * c.out_height * c.out_width * shapes.geometry.channel_beats


@pytest.mark.parametrize("unit", UNITS)
def test_last_outputs_need_no_next_frame(unit: str) -> None:
    """One frame and nothing behind it: empty groups bring out what waits, and no more of them than that."""
    shapes = unit_shapes(**UNITS[unit])
    run = Run(shapes, seed=19, frames=1)
    simulate(run.dut, run.bench)
    g = shapes.geometry
    # A row's last groups may be centred on no output; what is left of the lead has to be pushed.
    beyond = g.groups - shapes.layer.config.out_width
    waits = max(0, g.lead - beyond)
    assert run.flushed == waits


@pytest.mark.parametrize("unit", ["same", "distance_3", "sequential", "one_row"])
def test_a_waiting_frame_replaces_empty_groups(unit: str) -> None:
    shapes = unit_shapes(**UNITS[unit])
    run = Run(shapes, seed=20, frames=3)
    simulate(run.dut, run.bench)
    assert run.flushed == shapes.geometry.lead, "only behind the last frame"


def test_the_next_frame_is_waited_for() -> None:
    shapes = unit_shapes(**UNITS["waits_for_next"])
    assert shapes.schedule.due
    run = Run(shapes, seed=21, frames=3)
    simulate(run.dut, run.bench)
    assert run.flushed == shapes.geometry.lead, "only behind the last frame"


def test_every_frame_is_flushed_where_that_is_asked_for() -> None:
    """In a network, where the next frame comes late."""
    shapes = unit_shapes(**UNITS["waits_for_next"])
    run = Run(Shapes(shapes.config, Flush(always=True)), seed=21, frames=3)
    simulate(run.dut, run.bench)
    assert run.flushed == 3 * shapes.geometry.lead


@pytest.mark.parametrize("unit", ["same", "depthwise", "parallel"])
@pytest.mark.parametrize("depth", [1, 2, 5])
def test_issues_an_output_per_entry_and_no_more(unit: str, depth: int) -> None:
    shapes = unit_shapes(**UNITS[unit])
    dut = Sequencer(shapes, InputWalk(shapes), CountedPositions(shapes), fifo_depth=depth + RESERVE)

    async def bench(ctx: Any) -> None:
        c, g = shapes.layer.config, shapes.geometry
        outputs = 0
        for cycle in range(600):
            ctx.set(dut.i_written, cycle < c.height * c.width * g.channel_beats)
            outputs += ctx.get(dut.o_last)
            await ctx.tick()
        # Beats that follow each other at once use the reserve.
        reserve = RESERVE * (shapes.beats_per_output == 1)
        filled = depth + reserve
        assert outputs == filled
        for cycle in range(24):
            ctx.set(dut.i_popped, cycle <= reserve)
            outputs += ctx.get(dut.o_last)
            await ctx.tick()
        assert outputs == filled + reserve + 1, "as many more as entries became free"

    simulate(dut, bench)
