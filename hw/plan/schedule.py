"""Cycle model: when each output leaves, for frames back to back at full rate, without simulating.

Two processes meet in the row store. The *writer* takes one beat per cycle while there is room. The
*sequencer* issues one beat per cycle while the beats that it needs are written. Both are chains of
``max`` and ``+``. A row of either depends only on rows before it, so a row is one cumulative maximum.
All times are cycles after the first input transfer.

A row's first groups may complete no output (`valid` layers). A step that uses its window several times
reads nothing meanwhile. In these cycles the *early* groups of the next row are read, in the same order,
into another bank of the window. The row's first output waits for all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from hw.plan.geometry import Geometry

#: Cycles from the issue that reads a beat for the last time to the one in which its place counts as free.
READ_TO_ROOM = 3
#: Cycles from the issue of a row's last early beat to that of its first beat in order, at least.
EARLY_TO_ISSUE = 3
#: Frames that a prediction looks at, beside those that fit into the row store at once.
FRAMES = 3
#: Numbers of row slots to try. Slots beyond the first number only hide the few cycles of the loop
#: from a read through the freed room to the next write. Only rows of very few beats need them.
SEARCH = 16


class CycleModel:
    """The writer and the sequencer of one unit with ``slots`` row slots.

    With ``flush_always`` a frame's last outputs never wait for the next frame, nor make use of it. Else they
    wait for it as long as ``due`` says (`hw.plan.flush`). The first ``early`` groups of a row are read early.

    Attributes:
        first_output: cycle in which the last beat of the first output beat's sum is issued.
        frame_ends: for each frame, the cycle in which the last beat of its last output beat's sum is issued.
        write_to_issue: cycles from the transfer of an input beat to the first issue that may read it: input
            register, count of beats written, comparison, choice.
    """

    write_to_issue = 4
    #: Whether it is known when the next frame's groups come, so that they can be waited for.
    knows_next = True

    def __init__(
        self,
        geometry: Geometry,
        *,
        slots: int,
        flush_always: bool,
        due: tuple[int, ...] = (),
        early: int = 0,
        frames: int,
    ) -> None:
        self._geometry = geometry
        self._due, self._early = due, early
        self._writer = self._make_writer(slots)
        self.first_output = -1
        self.frame_ends: list[int] = []
        # Whether the groups pushed last, oldest first, still wait to become an output.
        self._pending = np.zeros(geometry.lead - early, bool)
        self._end = 0
        self._outputs = 0
        self._early_done = self._read_early(0, 0, 0, np.zeros(0, int)) if early else 0
        for frame in range(frames):
            height = self._of_frame(frame).config.out_height
            for q in range(height):
                pushed = self._read_row(frame, q)
                if early and (frame, q) != (frames - 1, height - 1):
                    following = (frame, q + 1) if q + 1 < height else (frame + 1, 0)
                    busy = (pushed[:, None] - np.arange(geometry.channel_beats, 0, -1)).reshape(-1)
                    self._early_done = self._read_early(*following, int(pushed[0]), busy)
            self._flush(frame, frame + 1 if frame + 1 < frames and not flush_always else None)

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

    def _read_row(self, frame: int, q: int) -> np.ndarray:
        """Push all groups of one output row but the early ones. Returns the cycle after each one's last issue."""
        g, early = self._of_frame(frame), self._early
        available = self._available(frame, q)[early:]
        if early:
            available[0] = max(available[0], self._early_done + EARLY_TO_ISSUE)
        pushed = self._push(available, np.arange(g.groups - early) < g.config.out_width)
        self._writer.free_row(frame, q, pushed - 1 + READ_TO_ROOM)
        return pushed

    def _read_early(self, frame: int, q: int, begin: int, busy: np.ndarray) -> int:
        """Read the early groups of one output row, from cycle ``begin`` on. Returns when the last beat is issued.

        Args:
            busy: cycles in which beats in order are read.
        """
        first = self._available(frame, q)[: self._early]
        wanted = np.maximum(first[:, None] + np.arange(self._geometry.channel_beats), begin)
        return int(free_cycles(wanted.reshape(-1), busy)[-1])

    def _available(self, frame: int, q: int) -> np.ndarray:
        """First cycle in which each group of the row may be pushed."""
        g, c = self._geometry, self._geometry.config
        row = self._writer.row(frame * c.height + g.bottom_row(q))
        last_columns = np.minimum(np.arange(1, g.groups + 1) * c.stride, c.width) - 1
        return row[last_columns] + self.write_to_issue

    def _flush(self, frame: int, next_frame: int | None) -> None:
        """Complete a frame's last outputs with empty groups while the next frame's first group is not there."""
        last_needed = self._last_needed(frame) if self._due else 0
        number = 0
        while self._pending.any():
            begins = max(self._end, last_needed + self._due[number]) if self._due else self._end
            if next_frame is not None and self._available(next_frame, 0)[0] <= begins:
                break
            self._push(np.array([begins]), np.array([False]))
            number += 1

    def _last_needed(self, frame: int) -> int:
        """When the last beat that a frame's outputs need is transferred."""
        g, c = self._geometry, self._geometry.config
        row = self._writer.row(frame * c.height + g.bottom_row(c.out_height - 1))
        return int(row[-1]) + g.channel_beats - 1

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


def free_cycles(wanted: np.ndarray, busy: np.ndarray) -> np.ndarray:
    """When beats in a row are issued, each in a cycle of its own that is not ``busy``, and not before it is ``wanted``.

    Args:
        wanted: for each beat a cycle.
        busy: cycles, ascending.
    """
    # Cycles that are not busy are numbered, and the beats get numbers.
    number = np.arange(len(busy))
    wanted = wanted - np.searchsorted(busy, wanted)
    order = np.arange(len(wanted))
    taken = np.maximum.accumulate(wanted - order) + order
    return taken + np.searchsorted(busy - number, taken, side="right")


class _Endless(CycleModel):
    """The same for frames without end: the next frame's groups are waited for however long it takes.

    Attributes:
        due: for each frame but the last, when each group behind its last outputs came (`hw.plan.flush`).
    """

    def __init__(self, geometry: Geometry, *, slots: int, frames: int) -> None:
        self.due: list[tuple[int, ...]] = []
        super().__init__(geometry, slots=slots, flush_always=False, frames=frames)

    def _flush(self, frame: int, next_frame: int | None) -> None:
        if next_frame is None:
            super()._flush(frame, None)
            return
        g, end, due = self._geometry, self._end, []
        last_needed = self._last_needed(frame)
        available = self._available(next_frame, 0)
        for number, completes in enumerate(self._pending):
            # A row may have fewer groups than must follow an output. What follows the first row is not looked at.
            comes = int(available[min(number, len(available) - 1)])
            due.append(comes - last_needed)
            end = max(end, comes) + g.channel_beats + int(completes) * (g.output_beats - 1) * g.channel_beats
        self.due.append(tuple(due))


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
        # Early groups are freed with the row's last.
        columns = np.repeat(np.append(freed, np.full(g.groups - len(freed), freed[-1])), c.stride)[: c.width]
        self._freed[top] = columns
        for row in range(top + 1, top + skipped):
            self._freed[row] = np.full(c.width, freed[-1])


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Row slots and cycle figures of a unit. The figures count up to the issue of a sum's last beat.

    Attributes:
        slots: row slots of the row store.
        flush_always: whether the sequencer should complete a frame before it starts the next.
        due: how long it waits for the next frame's groups, see `hw.plan.flush.Flush`.
        early: groups of each row that are read early.
        first_output_issue: cycles from the first input transfer to the issue that completes
            the first output beat. The pipeline's latency comes on top.
        frame_cycles: cycles from a frame's last output beat to that of the next frame.
    """

    slots: int
    flush_always: bool
    due: tuple[int, ...] = ()
    early: int = 0
    first_output_issue: int
    frame_cycles: int


def find_schedule(geometry: Geometry, model: type[CycleModel] = CycleModel) -> Schedule:
    """The fewest row slots at which the least cycles are lost, and the cycle figures with them."""
    return _kept(geometry, model)


def flushing_cycles(geometry: Geometry, schedule: Schedule) -> int:
    """Cycles of a frame where each is completed before the next one, with the row slots of ``schedule``."""
    frames = FRAMES + -(-2 * schedule.slots // geometry.config.height)
    model = CycleModel(geometry, slots=schedule.slots, flush_always=True, early=schedule.early, frames=frames)
    return model.intervals[-1]


def _search(geometry: Geometry, model: type[CycleModel]) -> Schedule:
    best = found = _in_order(geometry, model)
    if not geometry.idle_groups or not model.knows_next:
        return found
    for slots in range(found.slots, found.slots + SEARCH):
        if best.frame_cycles == geometry.ideal_frame_cycles:
            break
        early = _early(geometry, slots)
        best = early if early and early.frame_cycles < best.frame_cycles else best
    return best


def _early(geometry: Geometry, slots: int) -> Schedule | None:
    """The schedule with so many row slots that reads groups early, if its intervals are constant."""
    early, frames = geometry.idle_groups, FRAMES + -(-2 * slots // geometry.config.height)
    cycles = CycleModel(geometry, slots=slots, flush_always=False, early=early, frames=frames)
    if len(set(cycles.intervals)) > 1:
        return None
    return Schedule(
        slots=slots,
        flush_always=False,
        early=early,
        first_output_issue=cycles.first_output,
        frame_cycles=cycles.intervals[0],
    )


def _in_order(geometry: Geometry, model: type[CycleModel]) -> Schedule:
    """The fewest row slots at which no cycle is lost where all groups are read in order.

    The search starts at the rows without which nothing moves. Where the sequencer is the bottleneck, it
    starts higher: at one row less than lie between the oldest row in use and the newest row needed
    next, at any change of row or frame. With so many rows the writer has always completed what comes
    next, even one column behind the reader in the oldest row.
    """
    c = geometry.config
    input_cycles = c.height * c.width * geometry.channel_beats
    target = max(geometry.step_frame_cycles, input_cycles)
    first = model.least_slots(geometry)
    if geometry.step_frame_cycles >= input_cycles:
        frame_change = c.height - c.stride * (c.out_height - 1)
        first += max(c.stride if c.out_height > 1 else 0, frame_change) - 1

    # Pushing a frame's last outputs through with the next frame's first groups costs nothing.
    # Where input and sequencer are equally busy, these groups may come a little too late. Then they are
    # waited for. Where that does not make all frames alike, a flush after every frame does.
    flush = geometry.lead * geometry.channel_beats
    tried = [(slots, FRAMES + -(-2 * slots // c.height)) for slots in range(first, first + SEARCH)]
    for how in ("never", "wait", "always") if flush else ("never",):
        if how == "wait" and not model.knows_next:
            continue
        for slots, frames in tried:
            due: tuple[int, ...] = ()
            if how == "wait":
                due = _Endless(geometry, slots=slots, frames=frames).due[-1]
            cycles = model(geometry, slots=slots, flush_always=how == "always", due=due, frames=frames)
            longest, shortest = max(cycles.intervals), min(cycles.intervals)
            if longest == shortest <= target + (flush if how == "always" else 0):
                return Schedule(
                    slots=slots,
                    flush_always=how == "always",
                    due=due,
                    first_output_issue=cycles.first_output,
                    frame_cycles=longest,
                )
    raise AssertionError(f"no constant frame interval for {geometry}")


#: Many units of a network have one geometry, and a choice among foldings asks for each again. Mypy takes no class for
#: an argument that has a hash.
_kept: Any = lru_cache(maxsize=4096)(_search)
