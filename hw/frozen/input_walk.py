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
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value, unsigned
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from hw.blocks.pipeline import Counter, delay, index_shape, wrap_increment
from hw.plan.config import UnitConfig
from hw.unit.row_store import Release

#: Cycles from ``i_written`` to the issue that it allows.
LATENCY = 3
#: Entries of the queue, and how many are enough.
DEPTH, ENOUGH = 16, 8
#: The beat that the counters begin with: those before it are in registers.
FIRST = 3


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

    def __init__(self, config: UnitConfig) -> None:
        self._config = config
        g = config.geometry
        first = [self._needed(n) for n in range(FIRST + 1)]
        # Beats written are at most all slots ahead of a threshold, thresholds three advances ahead of them.
        span = max(config.prediction.slots * self._row_beats, first[-1] + FIRST * max(self._needs)) + 1
        self._count_shape = unsigned(span.bit_length() + 1)
        self._gate = data.StructLayout({"needed": self._count_shape, "starts_output": 1, "starts_frame": 1})
        self._read = data.StructLayout(
            {
                "address": index_shape(g.groups * g.channel_beats),
                "slot": index_shape(config.prediction.slots),
                "row_valid": len(g.rows),
                "release": Release,
            }
        )
        self.queues = [(DEPTH, self._gate.size), (DEPTH, self._read.size)]
        super().__init__(
            {
                "i_written": In(1),
                "i_step": In(1),
                "o_arrived": Out(1),
                "o_starts_output": Out(1),
                "o_starts_frame": Out(1),
                "o_next_starts_frame": Out(1),
                "o_read": Out(self._read),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        step = delay(m, self.i_step, 1, reset_less=False)
        push, gate, read = self._walk(m, step)
        self._compare(m, step, self._queue(m, push, gate, self._gate, self.i_step, "gate"))
        head, *_ = self._queue(m, push, read, self._read, step, "read")
        m.d.comb += [self.o_read.eq(head), self.o_read.release.eq(Mux(step, head.release, Release.NOTHING))]
        return m

    def _walk(self, m: Module, step: Value) -> tuple[Value, Value, Value]:
        """Count through the beats: ``(push, gate, read)``, a beat for the queues in each cycle that pushes."""
        g, c = self._config.geometry, self._config.layer.config
        run = Signal(init=1)
        _, q, group_index, channel_index = self._place(FIRST)
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
        row_valid, row_need = (self._of_row(m, row.value, values) for values in (self._row_valid, self._row_need))
        address, slot = self._address(m, moved, ends_beat, ends_row, ends_frame)
        within_row = Mux(before_last, self._group_need(g.groups - 2), self._group_need(0))
        need = Signal(range(min(0, *self._needs), max(self._needs) + 1), reset_less=True)
        release = Mux(ends_row, Mux(ends_frame, Release.FRAME.value, Release.ROW.value), Release.GROUP.value)

        # Another cycle later: the entries.
        push = delay(m, moved, 1, reset_less=False)
        read, gate = Signal(self._read, reset_less=True), Signal(self._gate)
        needed = Signal(self._count_shape, init=self._needed(FIRST) % 2**self._count_shape.width)
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
        c, slots = self._config.layer.config, self._config.prediction.slots
        first = self._read_of(FIRST)
        address = Signal(self._read.members["address"], init=first["address"])
        slot = Signal(self._read.members["slot"], init=first["slot"])
        ends = ends_beat & ends_row
        frame_advance = c.height - c.stride * (c.out_height - 1)
        with m.If(moved):
            m.d.sync += address.eq(Mux(ends, 0, address + 1))
            with m.If(ends):
                centres = self._config.centre_slots
                within, across = (wrap_increment(slot, step, slots, centres) for step in (c.stride, frame_advance))
                m.d.sync += slot.eq(Mux(ends_frame, across, within))
        return address, slot

    def _of_row(self, m: Module, row: Value, values: Callable[[int], int]) -> Signal:
        """What depends on the row, a cycle later."""
        table = [values(q) for q in range(self._config.layer.config.out_height)]
        register = Signal(Shape.cast(range(min(0, *table), max(1, *table) + 1)), reset_less=True)
        m.d.sync += register.eq(_lookup(table, row))
        return register

    def _queue(
        self, m: Module, push: Value, entry: Value, layout: data.StructLayout, step: Value, name: str
    ) -> list[Signal]:
        """The `FIRST` beats at the front of a queue of ``entry``, moved on by ``step``."""
        inits = [self._gate_of(n) if layout is self._gate else self._read_of(n) for n in range(FIRST)]
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
        written = Signal(self._count_shape)
        m.d.sync += written.eq(written + self.i_written)
        sign = self._count_shape.width - 1
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

    @property
    def _row_beats(self) -> int:
        return self._config.layer.config.width * self._config.geometry.channel_beats

    def _place(self, n: int) -> tuple[int, int, int, int]:
        """Frame, output row, group and channel beat of beat ``n``."""
        g = self._config.geometry
        rest, channel = divmod(n, g.channel_beats)
        rest, group = divmod(rest, g.groups)
        frame, q = divmod(rest, self._config.layer.config.out_height)
        return frame, q, group, channel

    def _needed(self, n: int) -> int:
        """Input beats that must be written before beat ``n`` can be read."""
        g, c = self._config.geometry, self._config.layer.config
        frame, q, group, channel = self._place(n)
        row = frame * c.height + g.bottom_row(q)
        column = min((group + 1) * c.stride, c.width) - 1
        return (row * c.width + column) * g.channel_beats + channel + 1

    def _group_need(self, group: int) -> int:
        """More beats that the first beat of the group behind ``group`` needs than the last of that."""
        g, c = self._config.geometry, self._config.layer.config
        columns = min((group + 2) * c.stride, c.width) - min((group + 1) * c.stride, c.width)
        return (columns - 1) * g.channel_beats + 1

    def _row_need(self, q: int) -> int:
        """The same for the first beat of the row behind row ``q``."""
        g, c = self._config.geometry, self._config.layer.config
        last = q == c.out_height - 1
        bottom = c.height + g.bottom_row(0) if last else g.bottom_row(q + 1)
        columns = g.last_column_of_first_group - (c.width - 1)
        return (bottom - g.bottom_row(q)) * self._row_beats + (columns - 1) * g.channel_beats + 1

    @property
    def _needs(self) -> Sequence[int]:
        g, c = self._config.geometry, self._config.layer.config
        groups = [self._group_need(group) for group in {0, max(0, g.groups - 2)}]
        return [1, *groups, *(self._row_need(q) for q in range(c.out_height))]

    def _row_valid(self, q: int) -> int:
        """A bit for each window row: whether it lies inside the frame."""
        g, c = self._config.geometry, self._config.layer.config
        return sum((0 <= g.centre_row(q) + dy < c.height) << index for index, dy in enumerate(g.rows))

    def _gate_of(self, n: int) -> dict[str, int]:
        """What decides on the issue of beat ``n``."""
        _, q, group, _ = self._place(n)
        return {
            "needed": self._needed(n) % 2**self._count_shape.width,
            "starts_output": int(group < self._config.layer.config.out_width),
            "starts_frame": int(group == 0 and q == 0),
        }

    def _read_of(self, n: int) -> dict[str, Any]:
        """``o_read`` of beat ``n``."""
        g, c = self._config.geometry, self._config.layer.config
        frame, q, group, channel = self._place(n)
        release = Release.NOTHING
        if channel == g.channel_beats - 1:
            release = Release.GROUP
            if group == g.groups - 1:
                release = Release.FRAME if q == c.out_height - 1 else Release.ROW
        return {
            "address": group * g.channel_beats + channel,
            "slot": (frame * c.height + g.centre_row(q)) % self._config.prediction.slots,
            "row_valid": self._row_valid(q),
            "release": release,
        }


def _lookup(table: Sequence[int], index: Value) -> Value:
    """``table[index]`` for a table of few runs."""
    value: Value = Value.cast(table[0])
    for position in range(1, len(table)):
        if table[position] != table[position - 1]:
            value = Mux(index >= position, table[position], value)
    return value
