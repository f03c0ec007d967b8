"""Frame walk: the beats of frames of changing size in order, and whether the next one can be read.

The walk is the counterpart of `hw.frozen.input_walk` in reloadable units. It knows nothing of a frame
until the writer has begun the frame. From then on it walks over the frame's column groups ahead of
what is written:

    frames begun -> counters -> beat -> queue -> [next] -> [oldest] -> ready beats -> sequencer
                                                    ^         ^
                                       position of the writer >= what they need?

What depends on the frame's size is counted from the frame's far end: columns right of the centre,
rows below the centre. So comparisons are with constants.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.blocks.pipeline import Counter, delay, index_shape, wrap_increment
from hw.blocks.queue import Queue
from hw.plan.shapes import Shapes
from hw.reloadable.frame_sets import pick_set, set_layout
from hw.reloadable.frame_writer import FrameWriter, position_layout
from hw.unit.front import read_layout

#: Entries of the queue, how many of them are enough, and how many beats may be ready.
DEPTH, ENOUGH, READY = 16, 8, 4


def tag_layout(shapes: Shapes) -> data.StructLayout:
    """What an output position takes along.

    Members:
        set: the number of the frame's set.
        outside: for each of ``shapes.edge_columns``, whether it lies outside the frame.
        frame_last: the position is the frame's last.
        damaged: the frame is damaged; only with ``frame_last``.
    """
    return data.StructLayout({"set": 1, "outside": len(shapes.edge_columns), "frame_last": 1, "damaged": 1})


class FrameWalk(wiring.Component):
    """The `hw.unit.front.Walk` of a reloadable unit: what the next beat needs, and whether that is there.

    The next beat that reads the row store is the *head*.

    Members:
        i_sets: see `hw.reloadable.frame_sets`.
        i_frame, i_frame_set, o_next_frame: from and to `hw.reloadable.frame_writer`.
        i_end, i_end_damaged, o_next_end: from and to `hw.reloadable.frame_writer`.
        i_position: from `hw.reloadable.frame_writer`.
        i_step: the head is issued in this cycle; only while ``o_arrived``.
        o_arrived: the head can be issued.
        o_starts_output: the head's group starts an output position.
        o_next_starts_frame: the head belongs to its frame's last group; only while ``o_arrived``.
        o_starts_frame: the beat before the head belonged to its frame's last group.
        o_tag: tag of the output position that the head's group starts.
        o_read: ``address``, ``slot``, ``row_valid`` for the row store, and ``release``, rows read
            for the last time; a cycle after the step. Without a step nothing is released.

    Attributes:
        queues: depth and width of each queue.
    """

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        self._read = read_layout(shapes, index_shape(shapes.geometry.frame_advance_limit + 1))
        self._tag = tag_layout(shapes)
        self._beat = data.StructLayout({"read": self._read, "tag": self._tag, "starts_output": 1, "ends_frame": 1})
        self._entry = data.StructLayout({"beat": self._beat, "needed": position_layout(shapes), "needs_end": 1})
        self.queues = [(DEPTH, self._entry.size), (READY, self._beat.size)]
        super().__init__(
            {
                "i_sets": In(data.ArrayLayout(set_layout(shapes), 2)),
                "i_frame": In(1),
                "i_frame_set": In(1),
                "o_next_frame": Out(1),
                "i_end": In(1),
                "i_end_damaged": In(1),
                "o_next_end": Out(1),
                "i_position": In(position_layout(shapes)),
                "i_step": In(1),
                "o_arrived": Out(1),
                "o_starts_output": Out(1),
                "o_starts_frame": Out(1),
                "o_next_starts_frame": Out(1),
                "o_tag": Out(self._tag),
                "o_read": Out(self._read),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        run, room, pop = Signal(), Signal(), Signal()
        entry, late = self._walk(m, run, room), self._shapes.target.fast
        push = delay(m, run, 2, reset_less=False)
        queue = Queue(m, self._entry, DEPTH, push=push, entry=entry, pop=pop, name="queue", late=late)
        m.d.comb += room.eq(queue.level < ENOUGH)
        # An entry is compared in each cycle in which it waits, as the next one or as the oldest one. So its beat passes
        # as soon as the outcome is known, and one passes in every cycle.
        following, waits_next = Signal(self._entry, reset_less=True), Signal()
        oldest, waits, may_pass = Signal(self._entry, reset_less=True), Signal(), Signal(reset_less=True)
        passes, moves, beat = Signal(), Signal(), Signal(self._beat)
        ready = Queue(m, self._beat, READY, push=passes, entry=beat, pop=self.i_step, name="ready", late=late)
        m.d.comb += [
            passes.eq(waits & may_pass),
            moves.eq(waits_next & (~waits | may_pass)),
            pop.eq(queue.some & (~waits_next | ~waits | may_pass)),
        ]
        written = Mux(moves, self._is_written(following.needed), self._is_written(oldest.needed))
        m.d.sync += [
            waits_next.eq(pop | (waits_next & ~moves)),
            waits.eq(moves | (waits & ~passes)),
            # One more may pass before the level tells.
            may_pass.eq(written & (ready.level < READY - 1)),
        ]
        with m.If(pop):
            m.d.sync += following.eq(queue.head)
        with m.If(moves):
            m.d.sync += oldest.eq(following)

        m.d.comb += [
            beat.eq(oldest.beat),
            beat.tag.damaged.eq(oldest.needs_end & self.i_end_damaged),
            self.o_next_end.eq(passes & oldest.needs_end),
        ]

        head = Signal(self._beat)
        m.d.comb += head.eq(ready.head)
        ended = Signal(init=1)
        with m.If(self.i_step):
            m.d.sync += ended.eq(head.ends_frame)
        read = Signal(self._read, reset_less=True)
        release = Signal.like(head.read.release)
        m.d.sync += [read.eq(head.read), release.eq(Mux(self.i_step, head.read.release, 0))]
        m.d.comb += [
            self.o_arrived.eq(ready.some),
            self.o_starts_output.eq(head.starts_output),
            self.o_starts_frame.eq(ended),
            self.o_next_starts_frame.eq(head.ends_frame),
            self.o_tag.eq(head.tag),
            self.o_read.eq(read),
            self.o_read.release.eq(release),
        ]
        return m

    def _is_written(self, needed: data.View) -> Value:
        """Whether the writer's position has come to ``needed``."""
        position = Value.cast(self.i_position)
        return ~(position - Value.cast(needed))[len(position) - 1]

    def _walk(self, m: Module, run: Signal, room: Value) -> data.View:
        """Count through the beats, one in each cycle with ``run``. Returns each beat's entry two cycles later.

        ``room`` says whether a beat may be counted in the next cycle.
        """
        at = _Place(m, self._shapes, run)
        fetch = self._begin_frames(m, at, run, room)
        self._advance(m, at, run)
        with m.If(fetch):
            following = pick_set(self._shapes, self.i_sets, self.i_frame_set)
            m.d.sync += [at.own.eq(self.i_frame_set), at.right.eq(following.right), at.below.eq(following.below)]
            m.d.sync += [at.last_group.eq(following.one_group), at.last_row.eq(following.one_row)]
            m.d.sync += [at.row_right.eq(following.right), at.one_group.eq(following.one_group)]
            if at.whole:
                m.d.sync += at.ends_row.eq(following.one_group)
                m.d.sync += at.frame_last.eq(following.one_group & following.one_row)
        return self._make_entry(m, at)

    def _begin_frames(self, m: Module, at: _Place, run: Signal, room: Value) -> Value:
        """Fetch a frame where none is walked over, or the last beat of one is. Returns whether one is fetched."""
        fetch, active = self.o_next_frame, Signal()
        m.d.comb += [
            at.ends.eq(run & at.frame_last),
            fetch.eq(self.i_frame & (~at.active | at.ends)),
            active.eq(fetch | (at.active & ~at.ends)),
        ]
        m.d.sync += [at.active.eq(active), run.eq(active & room)]
        return fetch

    def _advance(self, m: Module, at: _Place, run: Signal) -> None:
        """Move on by a beat, a group or a row."""
        g, c = self._shapes.geometry, self._shapes.layer.config
        first, stride, slots = c.first_centre, c.stride, self._shapes.schedule.slots
        group_last, row_last = less(at.right, 2 * stride - first), less(at.below, 2 * stride + first)
        # Where a group has several beats, there is a cycle for the subtraction.
        early = int(not at.whole)
        right, below = (delay(m, (value - stride)[: len(value)], early) for value in (at.right, at.below))
        with m.If(run):
            if at.whole:
                following = Mux(at.last_group, at.one_group, group_last)
                m.d.sync += [
                    at.ends_row.eq(following),
                    at.frame_last.eq(following & Mux(at.last_group, row_last, at.last_row)),
                ]
            else:
                ends_row = (at.channel.value == g.channel_beats - 2) & at.last_group
                m.d.sync += [at.ends_row.eq(ends_row), at.frame_last.eq(ends_row & at.last_row)]
            m.d.sync += [at.address.eq(at.address + 1), at.bottom_beats.eq(at.bottom_beats + 1)]
            with m.If(at.channel.last):
                m.d.sync += at.last_group.eq(group_last)
                m.d.sync += [at.right.eq(right), at.left.value.eq(at.left.advanced)]
                if stride == 2:
                    m.d.sync += at.bottom_beats.eq(at.bottom_beats + 1 + g.channel_beats)
            with m.If(at.ends_row):
                m.d.sync += at.last_group.eq(at.one_group)
                m.d.sync += [
                    at.address.eq(0),
                    at.bottom_beats.eq(1),
                    at.right.eq(at.row_right),
                    at.left.value.eq(first),
                ]
                with m.If(at.last_row):
                    wrapped = [wrap_increment(at.slot, at.frame_advance + more, slots) for more in range(2)]
                    m.d.sync += [
                        at.rows.eq(at.rows + at.frame_advance + at.odd),
                        at.above.value.eq(first),
                        at.slot.eq(Mux(at.odd, wrapped[1], wrapped[0])),
                    ]
                with m.Else():
                    m.d.sync += [at.rows.eq(at.rows + stride), at.above.value.eq(at.above.advanced)]
                    m.d.sync += at.slot.eq(wrap_increment(at.slot, stride, slots))
                # Behind the frame's last row both do not count, until a frame is fetched.
                m.d.sync += [at.last_row.eq(row_last), at.below.eq(below)]

    def _make_entry(self, m: Module, at: _Place) -> data.View:
        """The beat at a place, what it needs and what goes along with its position, two cycles later."""
        g, c = self._shapes.geometry, self._shapes.layer.config
        first, stride = c.first_centre, c.stride
        entry = Signal(self._entry, reset_less=True)
        read, tag, needed = entry.beat.read, entry.beat.tag, entry.needed
        # In another cycle one of both becomes the rows that are needed: some below the centre's row, or all.
        reach, to_end = Signal(at.below.shape(), reset_less=True), Signal(at.below.shape(), reset_less=True)
        starts_output = ~less(at.right, first)
        frame_last = starts_output & less(at.right, stride + first) & at.last_row
        needs_end = frame_last & at.channel.last
        # Beats up to the group's last column. An odd width ends with a group of a single column.
        second = Mux(at.right == -first, 0, (stride - 1) * g.channel_beats) if min(stride, c.width) > 1 else Const(0)
        columns = at.bottom_beats + second
        m.d.sync += [
            read.address.eq(at.address),
            read.slot.eq(at.slot),
            read.row_valid.eq(
                Cat(at.above.value >= -dy if dy < 0 else ~less(at.below, dy) if dy > 0 else Const(1) for dy in g.rows)
            ),
            read.release.eq(Mux(at.ends_row, Mux(at.last_row, at.frame_advance + at.odd, stride), 0)),
            tag.set.eq(at.own),
            tag.outside.eq(
                Cat(at.left.value < -dx if dx < 0 else less(at.right, dx) for dx in self._shapes.edge_columns)
            ),
            tag.frame_last.eq(frame_last),
            entry.beat.starts_output.eq(starts_output),
            entry.beat.ends_frame.eq(at.last_group & at.last_row),
            entry.needs_end.eq(needs_end),
            # A frame's last output waits for the frame's end: only then is it known whether the frame is damaged.
            needed.rows.eq(at.rows),
            needed.beats.eq(columns),
            reach.eq(Mux(less(at.below, g.down), at.below, g.down) if g.down else 0),
            to_end.eq(at.below + 1),
        ]
        late = delay(m, entry, 1)
        m.d.sync += late.needed.rows.eq(needed.rows + Mux(entry.needs_end, to_end, reach))
        m.d.sync += late.needed.beats.eq(Mux(entry.needs_end, 0, needed.beats))
        return late


class _Place:
    """The place of the next beat in its frame, and in the row store.

    Attributes:
        active: there is a next beat.
        own: the number of the frame's set.
        address, slot: where the beat reads the row store.
        rows: rows before the centre's row, counted on across frames.
        bottom_beats: beats of the lowest row that must be written, up to that of the group's first column.
        right, below: columns of the frame right of the group's centre, and rows below it.
        left, above: columns of the frame left of the group's centre, and rows above it, up to where they no
            longer matter.
        channel: the channel beat.
        last_group, last_row: the group is the row's last, and the row is the frame's last. They are registers of
            their own, like ``ends_row`` and ``frame_last``, as everything waits for them.
        frame_last: the beat is the frame's last.
        row_right, one_group: of the frame, as its set has them.
        whole: a beat is a whole pixel.
        ends_row: the beat is the row's last.
        ends: the beat is the frame's last, and is counted in this cycle.
        frame_advance: rows from the frame's last row of centres to the next frame's first, without ``odd``.
        odd: that distance is a row more (stride 2).
    """

    def __init__(self, m: Module, shapes: Shapes, run: Signal) -> None:
        g, c = shapes.geometry, shapes.layer.config
        first, beats, slots = c.first_centre, g.channel_beats, shapes.schedule.slots
        position = position_layout(shapes)
        active, own = Signal(), Signal()
        self.active, self.own = active, own
        self.address = Signal(index_shape(g.groups * beats), name="address")
        self.bottom_beats = Signal(position["beats"].shape, init=1, name="bottom_beats")
        self.right = Signal(signed(c.width.bit_length() + 2), reset_less=True, name="right")
        self.below = Signal(signed(c.height.bit_length() + 2), reset_less=True, name="below")
        self.left = _Distance(shapes, reach=max(-dx for _, dx in g.offsets), name="left")
        self.above = _Distance(shapes, reach=g.up, name="above")
        self.rows = Signal(position["rows"].shape, init=first, name="rows")
        self.slot = Signal(index_shape(slots), init=first % slots, name="slot")
        self.channel = Counter(m, beats, run, name="channel")
        last_group, last_row = Signal(reset_less=True), Signal(reset_less=True)
        self.last_group, self.last_row = last_group, last_row
        self.frame_last = Signal(name="frame_last")
        self.row_right, self.one_group = Signal.like(self.right, name="row_right"), Signal(reset_less=True)
        self.whole = beats == 1
        self.ends_row = Signal(name="ends_row")
        self.ends = Signal(name="ends")
        self.frame_advance = 2 * first + 1
        self.odd = ~less(self.below, first + 1) if c.stride == 2 else Const(0)


def less(value: Value, limit: int) -> Value:
    """Whether a signed ``value`` is less than ``limit``, a small constant. There is no carry in it."""
    if limit < 0:
        return value[-1] & ~Cat(value == number for number in range(limit, 0)).any()
    bits = min(limit.bit_length(), len(value) - 1)
    numbers = range(min(limit, 1 << bits))
    return value[-1] | (~value[bits:-1].any() & Cat(value[:bits] == number for number in numbers).any())


def follow(m: Module, walk: FrameWalk, writer: FrameWriter) -> None:
    """Let ``walk`` read what ``writer`` writes."""
    m.d.comb += [
        walk.i_position.eq(writer.o_position),
        walk.i_frame.eq(writer.o_frame),
        walk.i_frame_set.eq(writer.o_frame_set),
        writer.i_next_frame.eq(walk.o_next_frame),
        walk.i_end.eq(writer.o_end),
        walk.i_end_damaged.eq(writer.o_end_damaged),
        writer.i_next_end.eq(walk.o_next_end),
    ]


class _Distance:
    """How far a centre is from the first row or column, up to where the distance no longer matters."""

    def __init__(self, shapes: Shapes, *, reach: int, name: str) -> None:
        self._stride, self._first = shapes.layer.config.stride, shapes.layer.config.first_centre
        #: From here on every tap is inside.
        self._enough = max(reach, self._first)
        self.value = Signal(range(self._enough + self._stride), init=self._first, name=name)

    @property
    def advanced(self) -> Value:
        """The distance of the next position."""
        return Mux(self.value >= self._enough, self.value, self.value + self._stride)
