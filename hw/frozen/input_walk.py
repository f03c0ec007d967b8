"""Input walk: the beats of all column groups in order, and whether the next one can be read.

Everything about a beat is worked out long before its issue and waits in a queue, so that
nothing but a choice between registers depends on whether the beat before it was issued:

    counters -> beat, T -> queue -> T[n+2]     ->  T[n+1]     ->  T[n]
                                    W >= T?        W >= T?        W >= T?  -> arrived
                             +----> n + 2      ->  n + 1      ->  n        -> row store, a cycle later
    written -> W

``W`` counts the beats written, ``T`` those that must be written before a beat can be read;
both modulo a power of two that no difference of them exceeds. The comparisons are a cycle
old when they count, and speak of the beats that were at the front then.

The queue needs no flags. Beats enter it one per cycle while fewer than `ENOUGH` are seen in
it; what is seen lags by at most five cycles, and one beat leaves per cycle, so between
``ENOUGH - 5`` and ``ENOUGH + 5`` of `DEPTH` entries are in use. After a reset the first
beats are in the registers behind the queue, and the next can be taken out of it three cycles
later, one before the earliest step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from hw.blocks.pipeline import Counter, delay, wrap_increment
from hw.frozen.beat_writer import Release
from hw.frozen.input_order import DEPTH, ENOUGH, FIRST, InputOrder
from hw.plan.shapes import Shapes

#: Cycles from ``i_written`` to the issue that it allows.
LATENCY = 3


class InputWalk(wiring.Component):
    """What the next beat that reads the row store needs, and whether that is there.

    Members:
        i_written: one more input beat has been written.
        i_step: the head is issued in this cycle; only while ``o_arrived``.
        o_arrived: the head can be issued.
        o_starts_output: its group is the first of an output position's.
        o_starts_frame, o_next_starts_frame: its group is a frame's first; the same for the beat behind it.
        o_read: ``address``, ``slot``, ``row_valid`` and ``release`` for the row store, a cycle
            after the step; nothing is released without one.

    Attributes:
        queues: depth and width of each queue.
    """

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        self._order = InputOrder(shapes)
        self.queues = self._order.queues
        super().__init__(
            {
                "i_written": In(1),
                "i_step": In(1),
                "o_arrived": Out(1),
                "o_starts_output": Out(1),
                "o_starts_frame": Out(1),
                "o_next_starts_frame": Out(1),
                "o_read": Out(self._order.read),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        step = delay(m, self.i_step, 1, reset_less=False)
        push, gate, read = self._walk(m, step)
        self._compare(m, step, self._queue(m, push, gate, self._order.gate, self.i_step, "gate"))
        head, *_ = self._queue(m, push, read, self._order.read, step, "read")
        m.d.comb += [self.o_read.eq(head), self.o_read.release.eq(Mux(step, head.release, Release.NOTHING))]
        return m

    def _walk(self, m: Module, step: Value) -> tuple[Value, Value, Value]:
        """Count through the beats: ``(push, gate, read)``, a beat for the queues in each cycle that pushes."""
        g, c = self._shapes.geometry, self._shapes.layer.config
        run = Signal(init=1)
        _, q, group_index, channel_index = self._order.place(FIRST)
        channel = Counter(m, g.channel_beats, run, init=channel_index, name="channel")
        group = Counter(m, g.groups, run & channel.last, init=group_index, name="group")
        row = Counter(m, c.out_height, run & channel.last & group.last, init=q, name="row")

        # A cycle later: where the beat is, and what depends on that.
        moved = delay(m, run, 1, reset_less=False)
        starts = Cat(group.value < c.out_width, (group.value == 0) & (row.value == 0))
        before_last = group.value == g.groups - 2
        ends_beat, ends_row, ends_frame, before_last, starts = (
            delay(m, value, 1) for value in (channel.last, group.last, row.last, before_last, starts)
        )
        row_valid, row_need = (
            self._of_row(m, row.value, values) for values in (self._order.row_valid, self._order.row_need)
        )
        address, slot = self._address(m, moved, ends_beat, ends_row, ends_frame)
        within_row = Mux(before_last, self._order.group_need(g.groups - 2), self._order.group_need(0))
        need = Signal(range(min(0, *self._order.needs), max(self._order.needs) + 1), reset_less=True)
        release = Mux(ends_row, Mux(ends_frame, Release.FRAME.value, Release.ROW.value), Release.GROUP.value)

        # Another cycle later: the entries.
        push = delay(m, moved, 1, reset_less=False)
        read, gate = Signal(self._order.read, reset_less=True), Signal(self._order.gate)
        needed = Signal(self._order.count, init=self._order.needed(FIRST) % 2**self._order.count.width)
        m.d.sync += [
            read.address.eq(address),
            read.slot.eq(slot),
            read.row_valid.eq(row_valid),
            read.release.eq(Mux(ends_beat, release, Release.NOTHING.value)),
            need.eq(Mux(ends_beat, Mux(ends_row, row_need, within_row), 1)),
        ]
        with m.If(push):
            m.d.sync += needed.eq(needed + need)
        starts = delay(m, starts, 1)
        m.d.comb += [gate.needed.eq(needed), gate.starts_output.eq(starts[0]), gate.starts_frame.eq(starts[1])]

        level = Signal(range(DEPTH))
        m.d.sync += [level.eq(level + push - step), run.eq(level < ENOUGH)]
        return push, gate, read

    def _address(
        self, m: Module, moved: Value, ends_beat: Value, ends_row: Value, ends_frame: Value
    ) -> tuple[Value, Value]:
        """Address and slot of the beat, which moves on with ``moved``."""
        c, slots = self._shapes.layer.config, self._shapes.schedule.slots
        first = self._order.read_of(FIRST)
        address = Signal(self._order.read.members["address"], init=first["address"])
        slot = Signal(self._order.read.members["slot"], init=first["slot"])
        ends = ends_beat & ends_row
        frame_advance = c.height - c.stride * (c.out_height - 1)
        with m.If(moved):
            m.d.sync += address.eq(Mux(ends, 0, address + 1))
            with m.If(ends):
                centres = self._shapes.centre_slots
                within, across = (wrap_increment(slot, step, slots, centres) for step in (c.stride, frame_advance))
                m.d.sync += slot.eq(Mux(ends_frame, across, within))
        return address, slot

    def _of_row(self, m: Module, row: Value, values: Callable[[int], int]) -> Signal:
        """What depends on the row, a cycle later."""
        table = [values(q) for q in range(self._shapes.layer.config.out_height)]
        register = Signal(Shape.cast(range(min(0, *table), max(1, *table) + 1)), reset_less=True)
        m.d.sync += register.eq(_lookup(table, row))
        return register

    def _queue(
        self, m: Module, push: Value, entry: Value, layout: data.StructLayout, step: Value, name: str
    ) -> list[Signal]:
        """The `FIRST` beats at the front of a queue of ``entry``, moved on by ``step``."""
        inits = [self._order.gate_of(n) if layout is self._order.gate else self._order.read_of(n) for n in range(FIRST)]
        front = [Signal(layout, init=init, name=f"{name}_{n}") for n, init in enumerate(inits)]
        m.submodules[f"{name}_queue"] = store = memory.Memory(shape=layout, depth=DEPTH, init=[])
        write, read = store.write_port(), store.read_port(domain="comb")
        tail, head = Signal(range(DEPTH), name=f"{name}_tail"), Signal(range(DEPTH), name=f"{name}_head")
        m.d.comb += [write.en.eq(push), write.addr.eq(tail), write.data.eq(entry), read.addr.eq(head)]
        m.d.sync += tail.eq(tail + push)
        with m.If(step):
            m.d.sync += [beat.eq(behind) for beat, behind in zip(front, [*front[1:], read.data], strict=True)]
            m.d.sync += head.eq(head + 1)
        return front

    def _compare(self, m: Module, step: Value, front: list[Signal]) -> None:
        """Whether the head can be issued, from comparisons that are two steps old at most."""
        written = Signal(self._order.count)
        m.d.sync += written.eq(written + self.i_written)
        sign = self._order.count.width - 1
        # Kept as the subtractions give it, without an inverter behind them.
        missing = Signal(len(front), init=-1)
        arrived = Signal()
        ahead = [Mux(step, missing[n + 1], missing[n]) for n in range(2)]
        m.d.sync += [
            missing.eq(Cat((written - beat.needed)[sign] for beat in front)),
            arrived.eq(~Mux(self.i_step, ahead[1], ahead[0])),
        ]
        m.d.comb += [
            self.o_arrived.eq(arrived),
            self.o_starts_output.eq(front[0].starts_output),
            self.o_starts_frame.eq(front[0].starts_frame),
            self.o_next_starts_frame.eq(front[1].starts_frame),
        ]


def _lookup(table: Sequence[int], index: Value) -> Value:
    """``table[index]`` for a table of few runs."""
    value: Value = Value.cast(table[0])
    for position in range(1, len(table)):
        if table[position] != table[position - 1]:
            value = Mux(index >= position, table[position], value)
    return value
