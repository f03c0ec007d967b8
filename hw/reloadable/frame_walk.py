"""Frame walk: the beats of frames of changing size in order, and whether the next one can be read.

The counterpart of `hw.frozen.input_walk` in reloadable units. It knows nothing of a frame until the
writer has begun it; from then on it walks over the frame's column groups ahead of what is
written:

    frames begun -> counters -> beat -> queue -> [oldest] -> ready beats -> sequencer
                                                    ^
                                       position of the writer >= what it needs?

What depends on the frame's size is counted from its far end: columns right of the centre,
rows below it. So comparisons are with constants.
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

#: Entries of the queue, how many are enough, and beats that are ready.
DEPTH, ENOUGH, READY = 16, 8, 4


def tag_layout(shapes: Shapes) -> data.StructLayout:
    """What an output position takes along.

    Members:
        set: the number of its frame's set.
        outside: for each of ``shapes.edge_columns``, whether it lies outside the frame.
        frame_last: it is its frame's last.
        damaged: so is its frame; only with ``frame_last``.
    """
    return data.StructLayout({"set": 1, "outside": len(shapes.edge_columns), "frame_last": 1, "damaged": 1})


class FrameWalk(wiring.Component):
    """What the next beat that reads the row store needs, and whether that is there.

    Members:
        i_sets: see `hw.reloadable.frame_sets`.
        i_frame, i_frame_set, o_next_frame: from and to `hw.reloadable.frame_writer`.
        i_end, i_end_damaged, o_next_end: ditto.
        i_position: ditto.
        i_step: the head is issued in this cycle; only while ``o_arrived``.
        o_arrived: the head can be issued.
        o_starts_output: its group is the first of an output position's.
        o_next_starts_frame: it belongs to its frame's last group; only while ``o_arrived``.
        o_starts_frame: so did the beat before it.
        o_tag: of the output position that its group starts.
        o_read: ``address``, ``slot``, ``row_valid`` for the row store, and ``release``, rows read
            for the last time; a cycle after the step.

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
        run, room = Signal(), Signal()
        entry = self._walk(m, run, room)

        pop = Signal()
        queue = Queue(
            m, self._entry, DEPTH, push=delay(m, run, 2, reset_less=False), entry=entry, pop=pop, name="queue"
        )
        m.d.comb += room.eq(queue.level < ENOUGH)
        oldest, waits, passes = Signal(self._entry, reset_less=True), Signal(), Signal()
        m.d.comb += pop.eq(queue.some & (~waits | passes))
        m.d.sync += waits.eq(pop | (waits & ~passes))
        with m.If(pop):
            m.d.sync += oldest.eq(queue.head)

        beat = Signal(self._beat)
        ready = Queue(m, self._beat, READY, push=passes, entry=beat, pop=self.i_step, name="ready")
        position, needed = Value.cast(self.i_position), Value.cast(oldest.needed)
        missing = (position - needed)[len(position) - 1]
        m.d.comb += [
            passes.eq(waits & ~missing & (ready.level < READY)),
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

    def _walk(self, m: Module, run: Signal, room: Value) -> data.View:
        """Count through the beats; ``run`` tells of one, which is returned two cycles later as an entry."""
        g, c = self._shapes.geometry, self._shapes.layer.config
        first, stride, beats = c.first_centre, c.stride, g.channel_beats
        slots = self._shapes.schedule.slots
        position = position_layout(self._shapes)
        active, own = Signal(), Signal()
        address = Signal(index_shape(g.groups * beats))
        bottom_beats = Signal(position["beats"].shape, init=1)
        right = Signal(signed(c.width.bit_length() + 2), reset_less=True)
        below = Signal(signed(c.height.bit_length() + 2), reset_less=True)
        left = _Distance(self._shapes, reach=max(-dx for _, dx in g.offsets), name="left")
        above = _Distance(self._shapes, reach=g.up, name="above")
        rows = Signal(position["rows"].shape, init=first)
        slot = Signal(index_shape(slots), init=first % slots)

        channel = Counter(m, beats, run, name="channel")
        # Registers of their own, as everything waits for them.
        last_group, last_row = Signal(reset_less=True), Signal(reset_less=True)
        ends_row = channel.last & last_group
        ends = Signal()
        fetch = self.o_next_frame
        m.d.comb += [
            run.eq(active & room),
            ends.eq(run & ends_row & last_row),
            fetch.eq(self.i_frame & (~active | ends)),
        ]
        m.d.sync += active.eq(fetch | (active & ~ends))
        next_set = pick_set(self._shapes, self.i_sets, self.i_frame_set)
        own_set = pick_set(self._shapes, self.i_sets, own)

        # From the last row of centres to the next frame's first: with stride 2 it may be one more.
        advance = 2 * first + 1
        odd = (below > first) if stride == 2 else Const(0)
        with m.If(run):
            m.d.sync += [address.eq(address + 1), bottom_beats.eq(bottom_beats + 1)]
            with m.If(channel.last):
                m.d.sync += last_group.eq(right < 2 * stride - first)
                m.d.sync += [right.eq(right - stride), left.value.eq(left.advanced)]
                if stride == 2:
                    m.d.sync += bottom_beats.eq(bottom_beats + 1 + beats)
            with m.If(ends_row):
                m.d.sync += last_group.eq(own_set.one_group)
                m.d.sync += [address.eq(0), bottom_beats.eq(1), right.eq(own_set.right), left.value.eq(first)]
                with m.If(last_row):
                    wrapped = [wrap_increment(slot, advance + more, slots) for more in range(2)]
                    m.d.sync += [
                        rows.eq(rows + advance + odd),
                        above.value.eq(first),
                        slot.eq(Mux(odd, wrapped[1], wrapped[0])),
                    ]
                with m.Else():
                    m.d.sync += [rows.eq(rows + stride), above.value.eq(above.advanced)]
                    m.d.sync += last_row.eq(below < 2 * stride + first)
                    m.d.sync += [below.eq(below - stride), slot.eq(wrap_increment(slot, stride, slots))]
        with m.If(fetch):
            m.d.sync += [own.eq(self.i_frame_set), right.eq(next_set.right), below.eq(next_set.below)]
            m.d.sync += [last_group.eq(next_set.one_group), last_row.eq(next_set.one_row)]

        entry = Signal(self._entry, reset_less=True)
        read, tag, needed = entry.beat.read, entry.beat.tag, entry.needed
        # Rows below the centre's that are needed, added in another cycle.
        distance = Signal(below.shape(), reset_less=True)
        starts_output = right >= first
        frame_last = starts_output & (right < stride + first) & last_row
        needs_end = frame_last & channel.last
        reach = Mux(below < g.down, below, g.down) if g.down else Const(0)
        # The group's last column; an odd width ends with a single one.
        second = Mux(right == -first, 0, (stride - 1) * beats) if min(stride, c.width) > 1 else Const(0)
        columns = bottom_beats + second
        m.d.sync += [
            read.address.eq(address),
            read.slot.eq(slot),
            read.row_valid.eq(
                Cat(above.value >= -dy if dy < 0 else below >= dy if dy > 0 else Const(1) for dy in g.rows)
            ),
            read.release.eq(Mux(ends_row, Mux(last_row, advance + odd, stride), 0)),
            tag.set.eq(own),
            tag.outside.eq(Cat(left.value < -dx if dx < 0 else right < dx for dx in self._shapes.edge_columns)),
            tag.frame_last.eq(frame_last),
            entry.beat.starts_output.eq(starts_output),
            entry.beat.ends_frame.eq(last_group & last_row),
            entry.needs_end.eq(needs_end),
            # A frame's last output waits for its end: only then is known whether it is damaged.
            needed.rows.eq(rows),
            needed.beats.eq(Mux(needs_end, 0, columns)),
            distance.eq(Mux(needs_end, below + 1, reach)),
        ]
        late = delay(m, entry, 1)
        m.d.sync += late.needed.rows.eq(needed.rows + distance)
        return late


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
    """How far a centre is from the first row or column, up to where that no longer matters."""

    def __init__(self, shapes: Shapes, *, reach: int, name: str) -> None:
        self._stride, self._first = shapes.layer.config.stride, shapes.layer.config.first_centre
        #: From here on every tap is inside.
        self._enough = max(reach, self._first)
        self.value = Signal(range(self._enough + self._stride), init=self._first, name=name)

    @property
    def advanced(self) -> Value:
        """One position on."""
        return Mux(self.value >= self._enough, self.value, self.value + self._stride)
