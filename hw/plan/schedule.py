"""Cycle model: when each output leaves, for frames back to back at full rate, without simulating.

Two processes meet in the row store. The *writer* takes one beat per cycle while there is room. The
*sequencer* issues one beat per cycle while the beats that it needs are written. Both are chains of
``max`` and ``+``. A row of either depends only on rows before it, so a row is one cumulative maximum.
All times are cycles after the first input transfer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from hw.plan.geometry import Geometry

#: Cycles from the issue that reads a beat for the last time to the one in which its place counts as free.
READ_TO_ROOM = 3
#: Frames that a prediction looks at, beside those that fit into the row store at once.
FRAMES = 3
#: Numbers of row slots to try. Slots beyond the first number only hide the few cycles of the loop
#: from a read through the freed room to the next write. Only rows of very few beats need them.
SEARCH = 16


class CycleModel:
    """The writer and the sequencer of one unit with ``slots`` row slots.

    With ``flush_always`` a frame's last outputs never wait for the next frame, nor make use of it.

    Attributes:
        first_output: cycle in which the last beat of the first output beat's sum is issued.
        frame_ends: for each frame, the cycle in which the last beat of its last output beat's sum is issued.
        write_to_issue: cycles from the transfer of an input beat to the first issue that may read it: input
            register, count of beats written, comparison, choice.
    """

    write_to_issue = 4

    def __init__(self, geometry: Geometry, *, slots: int, flush_always: bool, frames: int) -> None:
        self._geometry = geometry
        self._writer = self._make_writer(slots)
        self.first_output = -1
        self.frame_ends: list[int] = []
        # Whether the groups pushed last, oldest first, still wait to become an output.
        self._pending = np.zeros(geometry.lead, bool)
        self._end = 0
        self._outputs = 0
        for frame in range(frames):
            for q in range(self._of_frame(frame).config.out_height):
                self._read_row(frame, q)
            self._flush(frame + 1 if frame + 1 < frames and not flush_always else None)

    def _make_writer(self, slots: int) -> Writer:
        return _BeatWriter(self._geometry, slots)

    def _of_frame(self, frame: int) -> Geometry:
        return self._geometry

    @staticmethod
    def least_slots(geometry: Geometry) -> int:
        """Rows that a window spans."""
        return geometry.up + geometry.down + 1

    @property
    def intervals(self) -> list[int]:
        """Cycles from each frame's last output beat to that of the next frame."""
        return [int(cycles) for cycles in np.diff(self.frame_ends)]

    def _read_row(self, frame: int, q: int) -> None:
        """Push all groups of one output row."""
        g = self._of_frame(frame)
        pushed = self._push(self._available(frame, q), np.arange(g.groups) < g.config.out_width)
        # `pushed` is the cycle after the issue.
        self._writer.free_row(frame, q, pushed - 1 + READ_TO_ROOM)

    def _available(self, frame: int, q: int) -> np.ndarray:
        """First cycle in which each group of the row may be pushed."""
        g, c = self._geometry, self._geometry.config
        row = self._writer.row(frame * c.height + g.bottom_row(q))
        last_columns = np.minimum(np.arange(1, g.groups + 1) * c.stride, c.width) - 1
        return row[last_columns] + self.write_to_issue

    def _flush(self, next_frame: int | None) -> None:
        """Complete a frame's last outputs with empty groups while the next frame's first group is not there."""
        while self._pending.any():
            if next_frame is not None and self._available(next_frame, 0)[0] <= self._end:
                break
            self._push(np.array([self._end]), np.array([False]))

    def _push(self, available: np.ndarray, starts_output: np.ndarray) -> np.ndarray:
        """Push groups, each completing the output ``lead`` groups back. Returns when each group is in the window.

        A step is ``channel_beats`` beats that push and compute at once. Then come the output's
        further uses of the window.
        """
        g = self._geometry
        tags = np.concatenate([self._pending, starts_output])
        current, self._pending = np.split(tags, [len(starts_output)])
        reuse = np.where(current, (g.output_beats - 1) * g.channel_beats, 0)
        total = np.cumsum(g.channel_beats + reuse)
        before = np.concatenate([[0], total[:-1]])
        ends = np.maximum(np.maximum.accumulate(available - before), self._end) + total
        self._end = int(ends[-1])
        pushed = ends - reuse
        self._note_outputs(pushed[current], ends[current])
        return pushed

    def _note_outputs(self, pushed: np.ndarray, ends: np.ndarray) -> None:
        """Record the first output beat, and the last one of a frame."""
        if not ends.size:
            return
        g = self._geometry
        if self.first_output < 0:
            # In a depthwise layer the step's first beat completes an output beat. Otherwise a sum's last beat does.
            self.first_output = int(pushed[0]) - (g.channel_beats if g.config.depthwise else 1)
        self._outputs += ends.size
        # `_outputs` counts since the last frame that is complete.
        while self._outputs >= (size := self._frame_outputs):
            self._outputs -= size
            self.frame_ends.append(int(ends[ends.size - self._outputs - 1]) - 1)

    @property
    def _frame_outputs(self) -> int:
        """Output positions of the frame that is not complete yet."""
        c = self._of_frame(len(self.frame_ends)).config
        return c.out_height * c.out_width


class Writer(Protocol):
    """Transfer times of the first beat of every pixel, row by row. Rows are counted on across frames."""

    def row(self, index: int) -> np.ndarray: ...

    def free_row(self, frame: int, q: int, freed: np.ndarray) -> None:
        """Free the rows that output row ``q`` of ``frame`` is the last to need, each group as of its ``freed``."""


class _BeatWriter:
    """The `Writer` of a frozen unit, which takes a beat as soon as its place is free."""

    def __init__(self, geometry: Geometry, slots: int) -> None:
        self._geometry = geometry
        self._slots = slots
        self._rows: dict[int, np.ndarray] = {}
        self._freed: dict[int, np.ndarray] = {}
        self._next_row = 0
        self._next_time = 0

    def row(self, index: int) -> np.ndarray:
        while self._next_row <= index:
            self._write_row()
        return self._rows[index]

    def _write_row(self) -> None:
        beats, width = self._geometry.channel_beats, self._geometry.config.width
        free = self._freed.pop(self._next_row - self._slots, None)
        steady = self._next_time + beats * np.arange(width)
        if free is not None:
            lag = np.maximum.accumulate(free - beats * np.arange(width))
            steady = np.maximum(steady, lag + beats * np.arange(width))
        self._rows[self._next_row] = steady
        self._rows.pop(self._next_row - self._slots - 1, None)
        self._next_time = int(steady[-1]) + beats
        self._next_row += 1

    def free_row(self, frame: int, q: int, freed: np.ndarray) -> None:
        g, c = self._geometry, self._geometry.config
        top = frame * c.height + g.centre_row(q) - g.up
        last = q == c.out_height - 1
        skipped = c.height - c.stride * (c.out_height - 1) if last else c.stride
        columns = np.repeat(freed, c.stride)[: c.width]
        self._freed[top] = columns
        for row in range(top + 1, top + skipped):
            self._freed[row] = np.full(c.width, freed[-1])


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Row slots and cycle figures of a unit. The figures count up to the issue of a sum's last beat.

    Attributes:
        slots: row slots of the row store.
        flush_always: whether the sequencer should complete a frame before it starts the next.
        first_output_issue: cycles from the first input transfer to the issue that completes
            the first output beat. The pipeline's latency comes on top.
        frame_cycles: cycles from a frame's last output beat to that of the next frame.
    """

    slots: int
    flush_always: bool
    first_output_issue: int
    frame_cycles: int


def find_schedule(geometry: Geometry, model: type[CycleModel] = CycleModel) -> Schedule:
    """The fewest row slots at which no cycle is lost, and the cycle figures with them.

    The search starts at the rows without which nothing moves. Where the sequencer is the bottleneck, it
    starts higher: at one row less than lie between the oldest row in use and the newest row needed
    next, at any change of row or frame. With so many rows the writer has always completed what comes
    next, even one column behind the reader in the oldest row.
    """
    return _cached(geometry, model)


def _search(geometry: Geometry, model: type[CycleModel]) -> Schedule:
    c = geometry.config
    input_cycles = c.height * c.width * geometry.channel_beats
    target = max(geometry.step_frame_cycles, input_cycles)
    first = model.least_slots(geometry)
    if geometry.step_frame_cycles >= input_cycles:
        frame_change = c.height - c.stride * (c.out_height - 1)
        first += max(c.stride if c.out_height > 1 else 0, frame_change) - 1

    # Pushing a frame's last outputs through with the next frame's first groups costs nothing.
    # Where input and sequencer are equally busy, these groups may come a little too late in the
    # first few frames. Then a flush after every frame makes all frames alike.
    flush = geometry.lead * geometry.channel_beats
    for flush_always in (False, True) if flush else (False,):
        for slots in range(first, first + SEARCH):
            frames = FRAMES + -(-2 * slots // c.height)
            cycles = model(geometry, slots=slots, flush_always=flush_always, frames=frames)
            longest, shortest = max(cycles.intervals), min(cycles.intervals)
            if longest == shortest <= target + (flush if flush_always else 0):
                return Schedule(
                    slots=slots,
                    flush_always=flush_always,
                    first_output_issue=cycles.first_output,
                    frame_cycles=longest,
                )
    raise AssertionError(f"no constant frame interval for {geometry}")


#: Many units of a network have one geometry, and a choice among foldings asks for each again.
_cached: Any = lru_cache(maxsize=4096)(_search)
