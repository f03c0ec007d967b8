"""``unit``: a layer, as the unit that computes it, and when its beats move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from golden.contract.streams import Payload
from hw.network.beat import Beat
from hw.network.node import EVER, Times, offered_behind, one_a_cycle
from hw.plan.config import UnitConfig
from hw.plan.dsp_count import dsp_counts
from hw.plan.flush import Flush
from hw.plan.geometry import Geometry
from hw.plan.schedule import EARLY_TO_ISSUE, READ_TO_ROOM, CycleModel, find_schedule, flushing_cycles, free_cycles
from hw.plan.shapes import Shapes
from hw.unit.timetable import Timetable


@dataclass(frozen=True, kw_only=True)
class UnitNode:
    """A frozen unit (`hw.frozen`) between two streams.

    Attributes:
        config: what the unit is asked to be. Its name is that of the unit's module.
        flush: how the unit completes a frame.
        tap: whether there is a second output, `TAP`: the pixels in the centres of its windows, in the order of the
            outputs. They are those that it takes; with stride 2, every other of every other row.
    """

    config: UnitConfig
    flush: Flush | None = None
    tap: bool = False

    @cached_property
    def shapes(self) -> Shapes:
        return Shapes(self.config, self.flush, self.tap)

    @cached_property
    def geometry(self) -> Geometry:
        return Geometry(config=self.config.layer.config, folding=self.config.folding)

    @property
    def inputs(self) -> tuple[Beat, ...]:
        return (_beat(self.shapes.input_payload),)

    @property
    def outputs(self) -> tuple[Beat, ...]:
        return (_beat(self.shapes.output_payload), *([_beat(self.shapes.input_payload)] if self.tap else []))

    @property
    def frame_inputs(self) -> tuple[int, ...]:
        c = self.config.layer.config
        return (c.height * c.width * self.geometry.channel_beats,)

    @property
    def frame_outputs(self) -> tuple[int, ...]:
        c = self.config.layer.config
        pixels = c.out_height * c.out_width
        taps = [pixels * self.geometry.channel_beats] if self.tap else []
        return (pixels * c.out_channels // self.config.folding.pe, *taps)

    @property
    def interval(self) -> int:
        """Cycles of a frame at full rate, where the next frame completes each."""
        return find_schedule(self.geometry).frame_cycles

    @property
    def dsps(self) -> int:
        """Multipliers."""
        return sum(dsp_counts(self.shapes).values())

    def flushed_at(self, interval: int) -> UnitNode:
        """The unit where a frame comes every ``interval`` cycles, before it is known what it has to wait for."""
        g, waiting, schedule = self.shapes.geometry, self.shapes.waiting_outputs, self.shapes.schedule
        # Where cycles are few, the row store may have too few slots for the sequencer to be in time.
        has_time = g.step_frame_cycles + waiting * g.channel_beats <= interval
        always = schedule.flush_always or (has_time and flushing_cycles(g, schedule) <= interval)
        return replace(self, flush=Flush(always=always and waiting > 0))

    def waiting(self, arrivals: np.ndarray) -> UnitNode:
        """The unit that waits for the next frame's groups exactly as long as it has to in a run at full rate."""
        assert self.flush is not None
        if self.flush.always or not self.shapes.waiting_outputs:
            return self
        run = _Run(self.shapes, arrivals, endless=True)
        # The last frame has no successor, and what is upstream of the first may be on its way to the steady state.
        due = run.due[-1] if run.waited else ()
        return replace(self, flush=Flush(always=False, due=due))

    def times(self, arrivals: Sequence[np.ndarray], left: Sequence[np.ndarray] | None = None) -> Times:
        run = _Run(self.shapes, arrivals[0])
        if left is not None and any(queue.holds_up(gone) for queue, gone in zip(run.queues, left, strict=True)):
            run = _Run(self.shapes, arrivals[0], left=left)
        given = [queue.issued + queue.latency for queue in run.queues]
        return Times(taken=[run.taken], given=offered_behind(given, left))


def _beat(payload: Payload) -> Beat:
    return Beat(lanes=payload.lanes, bits=payload.bits, signed=payload.signed)


#: The output that is the tap.
TAP = 1
#: Cycles from leaving of a beat to the first beat that finds credit for it: one of the queue, two of the count.
CREDIT = 2


class _Queue:
    """The queue of one of a unit's outputs: which beats end there, and whether others find room.

    Attributes:
        latency: cycles from the issue of a beat to the cycle in which what comes of it is offered.
        issued: for each output beat, when the beat is issued that it comes of: the last of its sum.
    """

    def __init__(self, depth: int, latency: int, left: np.ndarray | None) -> None:
        self.latency, self._depth = latency, depth
        # For each number of output beats that are on their way, from when a further beat finds credit: an entry of the
        # queue is seen to be free `CREDIT` cycles after the beat before has left its register.
        self._credit = None if left is None else np.concatenate([np.full(depth, EVER), left + CREDIT])
        self._parts: list[np.ndarray] = []
        self._number, self._ends_last, self._last = 0, False, EVER

    @cached_property
    def issued(self) -> np.ndarray:
        return np.concatenate(self._parts)

    def holds_up(self, left: np.ndarray) -> bool:
        """Whether a beat waits for room. None does where each has left by the time that a whole queue behind begins."""
        ahead = self._depth
        return bool((left[: 1 - ahead] > self.issued[ahead - 1 :]).any())

    def has_credit(self, times: np.ndarray) -> bool:
        """The same where further output beats come of beats at these times: whether no beat waits."""
        if self._credit is None:
            return True
        times = np.concatenate([[self._last], times])
        return bool((self._credit[self._number : self._number + len(times)] - CREDIT <= times).all())

    def add(self, times: np.ndarray, ends_last: bool) -> None:
        """Note when beats end here, and whether the last one is the last of all so far."""
        self._parts.append(times)
        self._number += len(times)
        self._ends_last = ends_last
        if len(times):
            self._last = int(times[-1])

    def found(self, *, at_once: bool) -> int:
        """From when the next beat finds credit. ``at_once``: it comes in the cycle behind the last one of all.

        An output beat that comes of a beat in the cycle before does not count yet.
        """
        if self._credit is None:
            return EVER
        return int(self._credit[self._number - (at_once and self._ends_last and self._number > 0)])

    def found_by(self, ends: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For each of the next beats, whether the one before it ends here, and from when it finds credit.

        Where the beat before ends here, that is another cycle for the beat right behind it and for a later one.

        Args:
            ends: whether each of them ends here.

        Returns:
            ``(follows, at_once, later)``.
        """
        assert self._credit is not None
        before = self._number + np.cumsum(ends) - ends
        follows = np.concatenate([[self._ends_last and self._number > 0], ends[:-1]])
        return follows, self._credit[before - follows], self._credit[before]


class _Run:
    """The writer and the sequencer of a unit whose input beats come when they come.

    The model is that of `hw.plan.schedule`, beat by beat instead of pixel by pixel.

    Attributes:
        taken: when each input beat is transferred.
        queues: those of the outputs.
        due: for each frame but the last, when each group behind its last outputs came, as `hw.plan.flush` counts.
        waited: whether such a group was waited for.
    """

    def __init__(
        self, shapes: Shapes, arrivals: np.ndarray, *, endless: bool = False, left: Sequence[np.ndarray] | None = None
    ) -> None:
        g, c = shapes.geometry, shapes.layer.config
        self._geometry, self._slots, self._endless = g, shapes.schedule.slots, endless
        self._always = shapes.schedule.flush_always
        self._due = shapes.schedule.due
        self._arrivals = arrivals.reshape(-1, c.width, g.channel_beats)
        self._taken = np.empty_like(self._arrivals)
        self._freed: dict[int, np.ndarray] = {}
        self._next_row, self._next_time = 0, 0
        self._early = shapes.schedule.early
        self._pending = np.zeros(shapes.waiting_outputs, bool)
        self._end = 0
        self._last_columns = np.minimum(np.arange(1, g.groups + 1) * c.stride, c.width) - 1
        self._starts = np.arange(g.groups - self._early) < c.out_width
        self.due: list[tuple[int, ...]] = []
        self.waited = False
        times = Timetable(shapes)
        ends = [(times.fifo_depth, times.latency), *([(times.tap_depth, times.tap_latency)] if shapes.tap else [])]
        self.queues = [
            _Queue(depth, latency, own)
            for (depth, latency), own in zip(ends, [None] * len(ends) if left is None else left, strict=True)
        ]
        frames = len(self._arrivals) // c.height
        self._early_done = self._read_early(0, 0, 0, np.zeros(0, int)) if self._early else 0
        for frame in range(frames):
            for q in range(c.out_height):
                pushes = self._push(self._in_order(frame, q), self._starts)
                self._free_row(frame, q, pushes[:, -1] + READ_TO_ROOM)
                if self._early and (frame, q) != (frames - 1, c.out_height - 1):
                    following = (frame, q + 1) if q + 1 < c.out_height else (frame + 1, 0)
                    begin = int(pushes[0, -1]) + 1
                    self._early_done = self._read_early(*following, begin, pushes.reshape(-1))
            self._flush(frame, frame + 1 if frame + 1 < frames else None)
        self._write(len(self._arrivals) - 1)
        self.taken = self._taken.reshape(-1)

    def _write(self, index: int) -> np.ndarray:
        """When each beat of row ``index`` is transferred, ``[columns, channel beats]``."""
        while self._next_row <= index:
            row = self._next_row
            earliest = self._arrivals[row]
            free = self._freed.pop(row - self._slots, None)
            if free is not None:
                earliest = np.maximum(earliest, free[:, None])
            flat = earliest.reshape(-1)
            taken = one_a_cycle(np.concatenate([[max(int(flat[0]), self._next_time)], flat[1:]]))
            self._taken[row] = taken.reshape(earliest.shape)
            self._next_time = int(taken[-1]) + 1
            self._next_row += 1
        return self._taken[index]

    def _available(self, frame: int, q: int) -> np.ndarray:
        """First cycle in which each beat of each group of the row may be issued, ``[groups, channel beats]``."""
        row = self._write(frame * self._geometry.config.height + self._geometry.bottom_row(q))
        return row[self._last_columns] + CycleModel.write_to_issue

    def _in_order(self, frame: int, q: int) -> np.ndarray:
        """The same for the groups that are not read early. The first waits for all that are."""
        available = self._available(frame, q)[self._early :]
        if self._early:
            available[0, 0] = max(available[0, 0], self._early_done + EARLY_TO_ISSUE)
        return available

    def _read_early(self, frame: int, q: int, begin: int, busy: np.ndarray) -> int:
        """As in `CycleModel`: read a row's early groups. Returns when their last beat is issued."""
        wanted = np.maximum(self._available(frame, q)[: self._early], begin)
        return int(free_cycles(wanted.reshape(-1), busy)[-1])

    def _free_row(self, frame: int, q: int, freed: np.ndarray) -> None:
        g, c = self._geometry, self._geometry.config
        top = frame * c.height + g.centre_row(q) - g.up
        last = q == c.out_height - 1
        skipped = c.height - c.stride * (c.out_height - 1) if last else c.stride
        freed = np.append(freed, np.full(g.groups - len(freed), freed[-1]))
        self._freed[top] = np.repeat(freed, c.stride)[: c.width]
        for row in range(top + 1, top + skipped):
            self._freed[row] = np.full(c.width, freed[-1])

    def _flush(self, frame: int, following: int | None) -> None:
        """Complete a frame's last outputs by empty groups while the next frame's first group does not come."""
        g = self._geometry
        last_needed = int(self._taken[frame * g.config.height + g.bottom_row(g.config.out_height - 1)][-1, -1])
        number = 0
        while self._pending.any():
            begins = max(self._end, last_needed + self._due[number]) if self._due else self._end
            begins = max(begins, self._credit_behind(begins))
            if following is not None and not self._always:
                if self._endless:
                    self._expect(following, last_needed)
                if self._endless or int(self._available(following, 0)[0, 0]) <= begins:
                    break
            self._push(np.full((1, g.channel_beats), begins), np.zeros(1, bool))
            number += 1

    def _expect(self, following: int, last_needed: int) -> None:
        """Note when the next frame's first groups come, and whether they are waited for.

        A group may come beat by beat. An empty one, which has no gaps, begins so late that both end alike.
        """
        g, end, due = self._geometry, self._end, []
        available = self._available(following, 0)
        for number, completes in enumerate(self._pending):
            # A row may have fewer groups than must follow an output. What follows the first row is not looked at.
            group = available[min(number, len(available) - 1)]
            comes = int((group - np.arange(g.channel_beats)).max())
            due.append(comes - last_needed)
            self.waited |= comes > end
            end = max(end, comes) + g.channel_beats + int(completes) * (g.output_beats - 1) * g.channel_beats
        self.due.append(tuple(due))

    def _credit_behind(self, begins: int) -> int:
        """From when the beat that comes next, in cycle ``begins`` at the earliest, finds credit."""
        if all(queue.found(at_once=begins == self._end) <= begins for queue in self.queues):
            return begins
        return max(begins + 1, *(queue.found(at_once=False) for queue in self.queues))

    def _push(self, available: np.ndarray, starts_output: np.ndarray) -> np.ndarray:
        """Issue groups, each of which completes the output that waits longest. Returns when each beat pushes."""
        g = self._geometry
        beats = g.channel_beats
        tags = np.concatenate([self._pending, starts_output])
        current, self._pending = np.split(tags, [len(starts_output)])
        reuse = np.where(current, (g.output_beats - 1) * beats, 0)
        before = np.concatenate([[0], np.cumsum(beats + reuse)[:-1]])
        order = (before[:, None] + np.arange(beats)).reshape(-1)
        earliest = np.maximum(available.reshape(-1) - order, self._end)
        issued = (np.maximum.accumulate(earliest) + order).reshape(-1, beats)
        if g.config.depthwise:
            outputs = issued[current].reshape(-1)
        else:
            uses = np.arange(g.output_beats) * beats
            outputs = (issued[current, -1][:, None] + uses).reshape(-1)
        # Without a tap there is only the first queue. The last beat of all ends in the tap if windows are used once.
        ends = [(outputs, bool(current[-1])), (issued[current].reshape(-1), bool(current[-1]) and not reuse[-1])]
        if not all(queue.has_credit(times) for queue, (times, _) in zip(self.queues, ends, strict=False)):
            return self._push_with_credit(available, current)
        self._end = int(issued[-1, -1] + 1 + reuse[-1])
        for queue, (times, ends_last) in zip(self.queues, ends, strict=False):
            queue.add(times, ends_last)
        return issued

    def _push_with_credit(self, available: np.ndarray, current: np.ndarray) -> np.ndarray:
        """The same, beat by beat, where beats wait for room in a queue."""
        g = self._geometry
        beats = g.channel_beats
        uses = np.where(current, g.output_beats, 1)
        group = np.repeat(np.arange(len(current)), uses * beats)
        number = np.arange(len(group)) - np.repeat(np.cumsum(uses * beats) - uses * beats, uses * beats)
        earliest = np.where(number < beats, available[group, np.minimum(number, beats - 1)], EVER)
        completes = current[group] & (True if g.config.depthwise else number % beats == beats - 1)
        ends = list(zip(self.queues, (completes, current[group] & (number < beats)), strict=False))
        found = [queue.found_by(own) for queue, own in ends]
        bound = np.maximum.reduce([earliest, *(at_once for _, at_once, _ in found)])
        bound[0] = max(bound[0], self._end)
        while True:
            issued = one_a_cycle(bound)
            behind_a_gap = issued > np.concatenate([[self._end - 1], issued[:-1]]) + 1
            late = [(follows & behind_a_gap & (issued < later), later) for follows, _, later in found]
            if not any(own.any() for own, _ in late):
                break
            for own, later in late:
                bound[own] = np.maximum(bound[own], later[own])
        self._end = int(issued[-1]) + 1
        for queue, own in ends:
            queue.add(issued[own], bool(own[-1]))
        return issued[(np.cumsum(uses * beats) - uses * beats)[:, None] + np.arange(beats)]
