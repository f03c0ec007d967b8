"""Input walk: the beats of all column groups in order, and whether the next one can be read.

Everything about a beat is worked out long before its issue and waits in a queue. So nothing but a
choice between registers depends on whether the beat before it was issued:

    counters -> beat, T -> queue -> T[n+2]     ->  T[n+1]     ->  T[n]
                                    W >= T?        W >= T?        W >= T?  -> arrived
                             +----> n + 2      ->  n + 1      ->  n        -> row store, a cycle later
    written -> W

``W`` counts the beats written. ``T`` is the count at which a beat can be read. Both are modulo a
power of two that no difference of them exceeds. A comparison is a cycle old when it counts. It is
about the beats that were at the front in that earlier cycle.

The queue needs no flags. Beats enter it one per cycle while fewer than `ENOUGH` are seen in it. What
is seen lags by at most five cycles, and at most one beat leaves per cycle. So between ``ENOUGH - 5``
and ``ENOUGH + 5`` of `DEPTH` entries are in use. After a reset the first beats are in the registers
behind the queue. The next beat can be taken out of the queue three cycles later, one cycle before
the earliest step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from hw.blocks.pipeline import Counter, delay, wrap_increment
from hw.frozen.beat_writer import Release
from hw.frozen.input_order import DEPTH, ENOUGH, FIRST, InputOrder
from hw.plan.shapes import Shapes

#: Cycles from ``i_written`` to the issue that it allows.
LATENCY = 3
#: What a frame's first group starts: everything.
EVERYTHING = -1


@dataclass(frozen=True, kw_only=True)
class _Counted:
    """What the counters say of a beat.

    Attributes:
        row: the beat's output row.
        ends_beat: the beat is its group's last.
        ends_row: the beat's group is its row's last.
        ends_frame: the beat's row is its frame's last.
        before_last: the beat's group is the last but one of its row.
        starts: bits: the beat's group starts an output position, a frame, and in units that read early a row.
    """

    row: Value
    ends_beat: Value
    ends_row: Value
    ends_frame: Value
    before_last: Value
    starts: Value


@dataclass(frozen=True, kw_only=True)
class _Located:
    """What follows from a beat's place, a cycle later.

    Attributes:
        address, slot, row_valid, release: what is read with the beat.
        need: input beats that the next beat needs more than the beat.
        starts: as in `_Counted`.
    """

    address: Value
    slot: Value
    row_valid: Value
    release: Value
    need: Value
    starts: Value


class InputWalk(wiring.Component):
    """The `hw.unit.front.Walk` of a frozen unit: what the next beat needs, and whether that is there.

    The next beat that reads the row store is the *head*.

    Args:
        early: whether it walks over the early groups (`hw.plan.schedule`), not over all others.

    Members:
        i_written: one more input beat has been written.
        i_step: the head is issued in this cycle; only while ``o_arrived``.
        o_arrived: the head can be issued.
        o_starts_output: the head's group starts an output position.
        o_starts_frame: the head's group is a frame's first.
        o_next_starts_frame: the group of the beat behind the head is a frame's first.
        o_starts_row: the head's group is the first of a row in order; only in units that read early.
        o_read: ``address``, ``slot``, ``row_valid`` and ``release`` for the row store, a cycle
            after the step. Without a step nothing is released.

    Attributes:
        queues: depth and width of each queue.
    """

    def __init__(self, shapes: Shapes, *, early: bool = False) -> None:
        self._shapes = shapes
        self._order = InputOrder(shapes, early=early)
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
                **({"o_starts_row": Out(1)} if shapes.schedule.early else {}),
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
        """Count through the beats. Returns ``(push, gate, read)``, entries for the queues where ``push`` holds."""
        run = Signal(init=1)
        moved, beat = self._locate(m, run, self._count(m, run))
        push, gate, read = self._enter(m, moved, beat)
        level = Signal(range(DEPTH))
        m.d.sync += [level.eq(level + push - step), run.eq(level < ENOUGH)]
        return push, gate, read

    def _count(self, m: Module, run: Signal) -> _Counted:
        """Cycle 0: the counters, and what they say of the beat."""
        g, c = self._shapes.geometry, self._shapes.layer.config
        groups = self._order.groups
        _, q, group_index, channel_index = self._order.place(FIRST)
        channel = Counter(m, g.channel_beats, run, init=channel_index, name="channel")
        # Groups are counted from the first that is walked over.
        group = Counter(m, len(groups), run & channel.last, init=group_index - groups[0], name="group")
        row = Counter(m, c.out_height, run & channel.last & group.last, init=q, name="row")
        return _Counted(
            row=row.value,
            ends_beat=channel.last,
            ends_row=group.last,
            ends_frame=row.last,
            before_last=group.value == len(groups) - 2,
            starts=Cat(
                group.value < c.out_width,
                (group.value == 0) & (row.value == 0),
                *([group.value == 0] if self._shapes.schedule.early else []),
            ),
        )

    def _locate(self, m: Module, run: Signal, counted: _Counted) -> tuple[Value, _Located]:
        """Cycle 1: where the beat is, and what depends on that."""
        order, first = self._order, self._order.groups[0]
        moved = delay(m, run, 1, reset_less=False)
        c, g = self._shapes.layer.config, self._shapes.geometry
        ends_beat, ends_row, ends_frame = (
            self._later(m, ends, first=int(size == 1))
            for ends, size in (
                (counted.ends_beat, g.channel_beats),
                (counted.ends_row, len(order.groups)),
                (counted.ends_frame, c.out_height),
            )
        )
        before_last = self._later(m, counted.before_last, first=0)
        starts = self._later(m, counted.starts, first=EVERYTHING)
        row_valid, row_need = (self._of_row(m, counted.row, values) for values in (order.row_valid, order.row_need))
        address, slot = self._address(m, moved, ends_beat, ends_row, ends_frame)
        within_row = Mux(before_last, order.group_need(order.groups[-1] - 1), order.group_need(first))
        release = Mux(ends_row, Mux(ends_frame, Release.FRAME.value, Release.ROW.value), Release.GROUP.value)
        return moved, _Located(
            address=address,
            slot=slot,
            row_valid=row_valid,
            release=Mux(ends_beat, release, Release.NOTHING.value),
            need=Mux(ends_beat, Mux(ends_row, row_need, within_row), 1),
            starts=starts,
        )

    def _enter(self, m: Module, moved: Value, beat: _Located) -> tuple[Value, Value, Value]:
        """Cycle 2: the entries of both queues."""
        order = self._order
        needs = range(min(0, *order.needs), max(order.needs) + 1)
        need = Signal(needs, reset_less=True, init=self._begins(order.needs[0]))
        push = delay(m, moved, 1, reset_less=False)
        read, gate = Signal(order.read, reset_less=True, init=self._begins(order.read_of(0))), Signal(order.gate)
        needed = Signal(order.count, init=order.needed(FIRST) % 2**order.count.width)
        m.d.sync += [
            read.address.eq(beat.address),
            read.slot.eq(beat.slot),
            read.row_valid.eq(beat.row_valid),
            read.release.eq(beat.release),
            need.eq(beat.need),
        ]
        with m.If(push):
            m.d.sync += needed.eq(needed + need)
        starts = self._later(m, beat.starts, first=EVERYTHING)
        m.d.comb += [gate.needed.eq(needed), gate.starts_output.eq(starts[0]), gate.starts_frame.eq(starts[1])]
        if self._shapes.schedule.early:
            m.d.comb += gate.starts_row.eq(starts[2])
        return push, gate, read

    def _later(self, m: Module, value: Value, *, first: int) -> Value:
        """``value`` a cycle later; ``first`` is what it is for the first group of a frame."""
        return delay(m, value, 1, init=self._begins(first))

    def _begins(self, first: Any) -> Any:
        """What a register begins with that nobody looks at before it is written.

        Synthesis makes one register of all in a network that a constant goes into, far from most of its units. Where
        these lie far apart, a register begins with a value that it has later. So what is constant in it has none.
        """
        return first if self._shapes.target.relays else None

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
            begin = self._order.groups[0] * self._shapes.geometry.channel_beats
            m.d.sync += address.eq(Mux(ends, begin, address + 1))
            with m.If(ends):
                centres = self._shapes.centre_slots
                within, across = (wrap_increment(slot, step, slots, centres) for step in (c.stride, frame_advance))
                m.d.sync += slot.eq(Mux(ends_frame, across, within))
        return address, slot

    def _of_row(self, m: Module, row: Value, values: Callable[[int], int]) -> Value:
        """The number that ``values`` gives for the row, a cycle later."""
        table = [values(q) for q in range(self._shapes.layer.config.out_height)]
        shape = Shape.cast(range(min(0, *table), max(1, *table) + 1))
        register = Signal(shape, reset_less=True, init=self._begins(table[0]))
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
        # The signs are kept as the subtractions give them, without an inverter.
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
        if self._shapes.schedule.early:
            m.d.comb += self.o_starts_row.eq(front[0].starts_row)


def _lookup(table: Sequence[int], index: Value) -> Value:
    """``table[index]`` for a table of few runs."""
    value: Value = Value.cast(table[0])
    for position in range(1, len(table)):
        if table[position] != table[position - 1]:
            value = Mux(index >= position, table[position], value)
    return value
