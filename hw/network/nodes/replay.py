"""Replay: each pixel ``factor`` times along its row, and each row ``factor`` times.

Beats wait in a ring of ``depth`` places. A row is read in ``factor`` passes, a pixel ``factor`` times in each. The last
reading of a beat frees its place.

    cycle      0           2             reads + 2      latency
             taken    read first time    in the queue   offered

A ring that holds a row cannot hang, whoever pauses. A reading waits only for the sink, or for a beat of its own row
that has not come. In the latter case all places in use hold earlier beats of that row, for those of the rows before are
free. So there is room for the beat. A beat waits only while the ring is full, and a full ring holds all that the row
that is read still wants.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.blocks import memory
from hw.blocks.memory import random_access
from hw.blocks.outlet import LATENCY, Outlet, queue_depth
from hw.blocks.pipeline import Counter, delay, index_shape, wrap_increment
from hw.network.beat import Beat
from hw.network.node import EVER, Times, behind, offered_behind, one_a_cycle
from hw.targets.families import Target

#: Cycles from taking a beat to its first reading, at the earliest.
TAKEN_TO_READ = 2
#: Cycles from a beat's last reading to taking the one that gets its place, at the earliest.
FREED_TO_TAKEN = 1


@dataclass(frozen=True, kw_only=True)
class Replay:
    """Nearest upsampling.

    Attributes:
        beat: what is taken and given.
        pixel_beats: beats of a pixel.
        width, height: pixels and rows of a frame that is taken.
        factor: how often each pixel and each row is given.
        depth: places for beats, at least `least_places`.
        target: family, which decides what memory the places are in.
    """

    beat: Beat
    pixel_beats: int
    width: int
    height: int
    factor: int
    depth: int
    target: Target

    def __post_init__(self) -> None:
        for name in ("pixel_beats", "width", "height", "factor"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, not at least 1")
        if self.depth < self.least_places:
            raise ValueError(f"depth is {self.depth}, not at least {self.least_places}")

    @property
    def row_beats(self) -> int:
        """Beats of a row that is taken."""
        return self.width * self.pixel_beats

    @property
    def least_places(self) -> int:
        """Places without which rows cannot be given. A memory has two at least."""
        return max(2, self.row_beats)

    @property
    def inputs(self) -> tuple[Beat, ...]:
        return (self.beat,)

    @property
    def outputs(self) -> tuple[Beat, ...]:
        return (self.beat,)

    @property
    def frame_inputs(self) -> tuple[int, ...]:
        return (self.height * self.row_beats,)

    @property
    def frame_outputs(self) -> tuple[int, ...]:
        return (self.height * self.row_beats * self.factor**2,)

    @property
    def way(self) -> int:
        """Cycles of the way to the memory, and of the way back. A block RAM may be far from the logic."""
        return int(self.target.fast)

    @property
    def reads(self) -> int:
        """Cycles from a reading to its word."""
        return memory.LATENCY + 2 * self.way

    @property
    def latency(self) -> int:
        """Cycles from taking a beat to offering it, where nothing waits."""
        return TAKEN_TO_READ + self.reads + LATENCY

    def component(self) -> wiring.Component:
        return _Component(self)

    def times(self, arrivals: Sequence[np.ndarray], left: Sequence[np.ndarray] | None = None) -> Times:
        free = None if left is None else behind(left[0], queue_depth(self.reads, 1))
        taken, read, _ = self._run(arrivals[0], self.depth, free)
        return Times(taken=[taken], given=offered_behind([read + self.reads + LATENCY], left))

    def least_depth(self, arrivals: Sequence[np.ndarray]) -> int:
        """The fewest places with which no beat waits that comes in these cycles, and rows can be given."""
        taken, _, freed = self._run(arrivals[0], len(arrivals[0]))
        free_by_then = np.searchsorted(freed, taken - FREED_TO_TAKEN, side="right")
        return max(self.least_places, int((np.arange(len(taken)) + 1 - free_by_then).max()))

    def _run(
        self, arrivals: np.ndarray, depth: int, free: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """When beats are taken, when each reading of one is, and when the last of each is, with ``depth`` places.

        No reading is before its ``free``.

        A beat's place was that of a row before, as there is room for a row. So rows are looked at in turn.
        """
        row, factor = self.row_beats, self.factor
        beats = np.arange(row).reshape(self.width, 1, self.pixel_beats)
        read_beat = np.broadcast_to(beats, (self.width, factor, self.pixel_beats))
        is_first = np.broadcast_to(np.arange(factor)[:, None] == 0, read_beat.shape).ravel()
        is_last = np.broadcast_to(np.arange(factor)[:, None] == factor - 1, read_beat.shape).ravel()
        taken, freed = np.empty(len(arrivals), np.int64), np.empty(len(arrivals), np.int64)
        read = np.empty((len(arrivals) // row, factor, row * factor), np.int64)
        free_taken = free_read = np.iinfo(np.int64).min
        for number in range(len(read)):
            here = slice(number * row, (number + 1) * row)
            earliest = arrivals[here].astype(np.int64)
            earliest[0] = max(earliest[0], free_taken)
            before = np.arange(here.start, here.stop) - depth
            reused = before >= 0
            earliest[reused] = np.maximum(earliest[reused], freed[before[reused]] + FREED_TO_TAKEN)
            taken[here] = one_a_cycle(earliest)
            ready = np.where(is_first, taken[here][read_beat.ravel()] + TAKEN_TO_READ, taken[here.start])
            ready[0] = max(ready[0], free_read)
            # Behind the first pass nothing is waited for but the sink.
            passes = np.full((factor, row * factor), EVER, np.int64)
            passes[0] = ready
            if free is not None:
                passes = np.maximum(passes, free.reshape(len(read), *passes.shape)[number])
            read[number] = one_a_cycle(passes.ravel()).reshape(passes.shape)
            freed[here] = read[number, -1][is_last]
            free_taken, free_read = taken[here.stop - 1] + 1, read[number, -1, -1] + 1
        return taken, read.ravel(), freed


class _Component(wiring.Component):
    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        super().__init__({"i_0": In(replay.beat.signature), "o_0": Out(replay.beat.signature)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        r = self._replay
        take, read = Signal(), Signal()
        address, is_first, is_last = self._walk(m, read)

        # One less than the places that are free, and one less than the beats that wait for their first reading, so
        # that signs tell.
        room = Signal(range(-1, r.depth), init=r.depth - 1)
        unread = Signal(range(-1, r.depth), init=-1)
        written = delay(m, take, 1, reset_less=False)
        m.d.sync += [room.eq(room + (read & is_last) - take), unread.eq(unread + written - (read & is_first))]
        m.d.comb += [self.i_0.ready.eq(~room[-1]), take.eq(self.i_0.valid & self.i_0.ready)]

        place = Signal(index_shape(r.depth))
        with m.If(take):
            m.d.sync += place.eq(wrap_increment(place, 1, r.depth))
        to_memory = 1 + r.way
        word = random_access(
            m,
            r.target,
            depth=r.depth,
            width=r.beat.size,
            write=(
                delay(m, take, to_memory, reset_less=False),
                delay(m, place, to_memory),
                delay(m, Value.cast(self.i_0.payload), to_memory),
            ),
            address=delay(m, address, r.way),
            name="ring",
        )
        outlet = Outlet(m, self.o_0, cycles=r.reads, late=r.target.relays)
        outlet.give(m, read, delay(m, word, r.way))
        m.d.comb += read.eq((~is_first | ~unread[-1]) & outlet.credit)
        return m

    def _walk(self, m: Module, read: Value) -> tuple[Value, Value, Value]:
        """Follow the readings: the place of the next, and whether it is the first and the last of that place."""
        r = self._replay
        beat = Counter(m, r.pixel_beats, read, name="beat")
        ends_pixel = read & beat.last
        again = Counter(m, r.factor, ends_pixel, name="again")
        next_pixel = ends_pixel & again.last
        pixel = Counter(m, r.width, next_pixel, name="pixel")
        ends_row = next_pixel & pixel.last
        passes = Counter(m, r.factor, ends_row, name="pass")
        first_time, first_pass = Signal(init=1), Signal(init=1)
        with m.If(ends_pixel):
            m.d.sync += first_time.eq(again.last)
        with m.If(ends_row):
            m.d.sync += first_pass.eq(passes.last)

        place, pixel_start, row_start = (Signal(index_shape(r.depth), name=n) for n in ("next", "pixel_at", "row_at"))
        following = wrap_increment(place, 1, r.depth)
        row_again = pixel.last & ~passes.last
        pixel_next = Mux(row_again, row_start, following)
        with m.If(read):
            m.d.sync += place.eq(Mux(beat.last, Mux(again.last, pixel_next, pixel_start), following))
        with m.If(next_pixel):
            m.d.sync += pixel_start.eq(pixel_next)
        with m.If(ends_row & passes.last):
            m.d.sync += row_start.eq(following)
        return place, first_time & first_pass, again.last & passes.last
