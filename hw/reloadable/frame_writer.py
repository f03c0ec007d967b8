"""Frame writer: takes the beats of frames of changing size, and decides where in the row store each goes.

Rows lie in the row store's slots in turn. A whole row is reserved at a time, because its length
depends on the frame.

TLAST must come with a frame's last beat. Where TLAST comes too early, the frame is completed with
zeros. Where TLAST does not come, everything up to the next TLAST is dropped, and the beat after that
TLAST begins the next frame. In both cases the frame is marked as damaged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Member, Out

from hw.blocks.pipeline import Counter, index_shape
from hw.blocks.queue import Queue
from hw.control.interface import InputErrors
from hw.plan.shapes import Shapes
from hw.reloadable.frame_sets import pick_set, set_layout
from hw.unit.row_write import place_in_row, row_write

#: Rows that the reader may be behind or ahead of the writer's count, for beats in its queues and rows that it skips.
READER_ROWS = 64


def position_layout(shapes: Shapes) -> data.StructLayout:
    """A place in the input: complete rows, counted on across frames, and beats of the row that has begun."""
    # Numbers of rows are compared by their difference. It is less than half of what the numbers count to.
    rows = 1 + (shapes.schedule.slots + READER_ROWS).bit_length()
    return data.StructLayout({"beats": index_shape(shapes.row_beats + 1), "rows": rows})


def frames_at_once(shapes: Shapes) -> int:
    """Frames that may have begun before the reader comes to them. Each takes at least a row."""
    return shapes.schedule.slots + 2


class WritePort:
    """The `hw.unit.front.RowWriter` of a reloadable unit. The `FrameWriter` has decided everything before.

    Port:
        i_write: a beat on its way into memory; a read two cycles later sees it.
    """

    def __init__(self, shapes: Shapes) -> None:
        self.ports: Mapping[str, Member] = {"i_write": In(row_write(shapes))}

    def write(self, m: Module, store: Any) -> data.View:
        return store.i_write


class FrameWriter(wiring.Component):
    """Input beats on their way into the row store.

    Members:
        i_valid, i_beat, i_last, o_ready: the input stream.
        i_sets, i_set: see `hw.reloadable.frame_sets`.
        i_run: a frame may begin in the next cycle.
        i_ignore_tlast: the geometry alone decides where frames end.
        i_release: rows that the reader has read for the last time.
        o_write: to the row store.
        o_position: place in the input. Everything before it will be in memory when a beat is read that is issued now.
        o_begins: a frame's first beat is taken.
        o_boundary: see `hw.reloadable.frame_sets`.
        o_errors: see `hw.control.interface`.
        o_frame: a frame has begun that the reader has not dropped with ``i_next_frame``.
        o_frame_set: the number of the set of the oldest such frame.
        i_next_frame: the reader drops the oldest frame begun.
        o_end: a frame is complete that the reader has not dropped with ``i_next_end``.
        o_end_damaged: the oldest such frame is damaged.
        i_next_end: the reader drops the oldest complete frame.
    """

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        g = shapes.geometry
        super().__init__(
            {
                "i_valid": In(1),
                "i_beat": In(shapes.pixel),
                "i_last": In(1),
                "o_ready": Out(1),
                "i_sets": In(data.ArrayLayout(set_layout(shapes), 2)),
                "i_set": In(1),
                "i_run": In(1),
                "i_ignore_tlast": In(1),
                "i_release": In(index_shape(g.frame_advance_limit + 1)),
                "o_write": Out(row_write(shapes)),
                "o_position": Out(position_layout(shapes)),
                "o_begins": Out(1),
                "o_boundary": Out(1),
                "o_errors": Out(InputErrors),
                "i_next_frame": In(1),
                "o_frame": Out(1),
                "o_frame_set": Out(1),
                "i_next_end": In(1),
                "o_end": Out(1),
                "o_end_damaged": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        takes, ends_row = Signal(), Signal()
        allocated = self._reserve(m, takes & ends_row)

        # Either a beat that is offered is taken, or a zero for a beat that is missing. Everything waits for this
        # choice, so what there is to choose from is known a cycle ahead.
        at_start, padding, dropping, damaged = Signal(init=1), Signal(), Signal(), Signal()
        opened, padded = Signal(), Signal()
        last_beat, late, early = Signal(), Signal(), Signal()
        strict = ~self.i_ignore_tlast
        pads, drops, starts = Signal(), Signal(), Signal()
        m.d.comb += [
            self.o_ready.eq(dropping | opened),
            takes.eq((self.i_valid & opened) | padded),
            starts.eq(Mux(takes, last_beat, at_start)),
            early.eq(takes & ~padding & self.i_last & ~last_beat & strict),
            late.eq(takes & ~padding & ~self.i_last & last_beat & strict),
            pads.eq(early | (padding & ~(takes & last_beat))),
            drops.eq(late | (dropping & ~(self.i_valid & self.i_last) & strict)),
        ]
        m.d.sync += [
            padding.eq(pads),
            dropping.eq(drops),
            opened.eq(allocated & ~pads & ~drops & (~starts | self.i_run)),
            at_start.eq(starts),
            padded.eq(allocated & pads),
            self.o_errors.tlast_early.eq(early),
            self.o_errors.tlast_late.eq(late),
        ]
        with m.If(takes):
            m.d.sync += damaged.eq(~last_beat & (damaged | early))
        begins, ends = Signal(), Signal()
        m.d.comb += [
            begins.eq(takes & at_start),
            ends.eq(takes & last_beat),
            self.o_begins.eq(begins),
            self.o_boundary.eq(starts),
        ]
        self._walk(m, takes, at_start, padding, ends_row, last_beat)
        frames: dict[str, Any] = {"shape": self.o_frame_set.shape(), "depth": frames_at_once(self._shapes)}
        frames["late"] = self._shapes.target.fast
        begun = Queue(m, push=begins, entry=self.i_set, pop=self.i_next_frame, name="begun", **frames)
        complete = Queue(m, push=ends, entry=damaged | late, pop=self.i_next_end, name="complete", **frames)
        m.d.comb += [
            self.o_frame.eq(begun.some),
            self.o_frame_set.eq(begun.head),
            self.o_end.eq(complete.some),
            self.o_end_damaged.eq(complete.head),
        ]
        return m

    def _reserve(self, m: Module, row_ends: Value) -> Value:
        """Whether the next beat's row has a slot. The next row gets a slot as soon as one is free."""
        g = self._shapes.geometry
        slots = self._shapes.schedule.slots
        rows = g.rows_of_room(slots) - 1
        free, some = Signal(range(slots + g.frame_advance_limit + 1), init=rows), Signal(init=int(rows > 0))
        allocated = Signal(init=1)
        following = (allocated & ~row_ends) | some
        # Whether a row ends is known late.
        gets, released = (row_ends | ~allocated) & some, free + self.i_release
        m.d.sync += [
            allocated.eq(following),
            free.eq(Mux(gets, released - 1, released)),
            some.eq(self.i_release.any() | Mux(gets, free > 1, free.any())),
        ]
        return following

    def _walk(
        self, m: Module, takes: Value, at_start: Value, padding: Value, ends_row: Signal, last_beat: Signal
    ) -> None:
        """Count through the beats of the frame, and place each.

        Columns and rows are counted down from the frame's size. So comparisons are with constants.
        """
        g, c = self._shapes.geometry, self._shapes.layer.config
        channel = Counter(m, g.channel_beats, takes, name="channel")
        slot = Counter(m, self._shapes.schedule.slots, takes & ends_row, name="slot")
        # Which set is in force changes only between frames.
        own = pick_set(self._shapes, self.i_sets, self.i_set)
        whole = g.channel_beats == 1
        right = _Remaining(own.width_last, at_start, own.narrow, whole=whole, name="right")
        below = _Remaining(own.height_last, at_start, own.flat, whole=whole, name="below")
        if whole:
            m.d.comb += [ends_row.eq(right.last), last_beat.eq(right.last & below.last)]
        else:
            with m.If(takes):
                m.d.sync += ends_row.eq((channel.value == g.channel_beats - 2) & right.last)
                m.d.sync += last_beat.eq((channel.value == g.channel_beats - 2) & right.last & below.last)
        position, odd = self.o_position, Signal(name="odd_column")
        right.begin(m)
        below.begin(m)
        with m.If(takes):
            m.d.sync += position.beats.eq(Mux(ends_row, 0, position.beats + 1))
            with m.If(channel.last):
                right.advance(m, again=True)
                m.d.sync += odd.eq(~odd & ~right.last)
            with m.If(ends_row):
                below.advance(m, again=False)
                m.d.sync += position.rows.eq(position.rows + 1)

        write = self.o_write
        columns, address = place_in_row(
            m, self._shapes, takes, x=odd, ends_pixel=channel.last, ends_row=right.last, beat=lambda: position.beats
        )
        m.d.sync += [
            write.enable.eq(columns & takes.replicate(c.stride)),
            write.slot.eq(slot.value),
            write.address.eq(address),
            write.beat.eq(Mux(padding, 0, Value.cast(self.i_beat))),
        ]


class _Remaining:
    """How many columns come after this one, or rows after this one, for sizes that change from frame to frame.

    Attributes:
        last: none comes after this one.
    """

    def __init__(self, size_last: Value, at_start: Value, single: Value, *, whole: bool, name: str) -> None:
        """The size of a frame is known from the cycle of its first beat on.

        Args:
            size_last: index of the frame's last column or row.
            at_start: the next beat is a frame's first.
            single: the frame has a single column or row.
            whole: a beat is a whole pixel. Otherwise no frame advances with its first beat.
        """
        self._size_last, self._at_start, self._single, self._whole = size_last, at_start, single, whole
        self._count = Signal.like(size_last, name=f"{name}_count", reset_less=True)
        self._none = Signal(name=f"{name}_none", reset_less=True)
        self.last = Mux(at_start, single, self._none)

    def begin(self, m: Module) -> None:
        """Take note of the size of the frame that begins next."""
        with m.If(self._at_start):
            m.d.sync += [self._count.eq(self._size_last), self._none.eq(self._single)]

    def advance(self, m: Module, *, again: bool) -> None:
        """Come to the next one, or ``again`` to the first one behind the last."""
        count, none, last = self._count - 1, self._count == 1, self._none
        if self._whole:
            count = Mux(self._at_start, self._size_last - 1, count)
            none = Mux(self._at_start, self._size_last == 1, none)
            last = self.last
        if again:
            count, none = Mux(last, self._size_last, count), Mux(last, self._single, none)
        m.d.sync += [self._count.eq(count), self._none.eq(none)]
