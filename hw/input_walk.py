"""Input walk: the beats of all column groups in order, and whether the next one can be read.

Everything about a beat is worked out long before its issue and waits in a queue, so that
nothing but a choice between two registers depends on whether the beat before it was issued:

    counters -> beat, T -> queue ------> T[n+1]       ->  T[n]
                                         W >= T[n+1]?     W >= T[n]?  -> arrived
                              +--------> n + 1        ->  n           -> row store, a cycle later
    written -> W

``W`` counts the beats written, ``T`` those that must be written before a beat can be read;
both modulo a power of two that no difference of them exceeds.

The queue needs no flags. Beats enter it one per cycle while fewer than `ENOUGH` are seen in
it; what is seen lags by at most four cycles, and one beat leaves per cycle, so between
``ENOUGH - 4`` and ``ENOUGH + 4`` of `DEPTH` entries are in use. After a reset the first two
beats are in the registers behind the queue, and the third enters it two cycles later, one
before the earliest step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Shape, Signal, Value, unsigned
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from hw.config import UnitConfig
from hw.pipeline import Counter, index_shape, wrap_increment
from hw.row_store import Release

#: Cycles from ``i_written`` to the issue that it allows.
LATENCY = 2
#: Entries of the queue, and how many are enough.
DEPTH, ENOUGH = 16, 8
#: The beat that the counters begin with: those before it are in registers.
FIRST = 2


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
    """

    def __init__(self, config: UnitConfig) -> None:
        self._config = config
        g = config.geometry
        first = [self._needed(n) for n in range(FIRST + 1)]
        # Beats written are at most all slots ahead of a threshold, thresholds two advances ahead of them.
        span = max(config.prediction.slots * self._row_beats, first[-1] + 2 * max(self._needs)) + 1
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
        push, gate, read = self._walk(m)
        step = Signal()
        m.d.sync += step.eq(self.i_step)
        self._compare(m, self._queue(m, push, gate, self._gate, self.i_step, "gate"))
        head, _ = self._queue(m, push, read, self._read, step, "read")
        m.d.comb += self.o_read.eq(head)
        m.d.comb += self.o_read.release.eq(Mux(step, head.release, Release.NOTHING))
        return m

    def _walk(self, m: Module) -> tuple[Value, Value, Value]:
        """Count through the beats: ``(push, gate, read)``, a beat for the queues in each cycle that pushes."""
        run, push = Signal(init=1), Signal()
        read, need = self._describe(m, run)
        late_read, late_need = Signal(self._read), Signal(need.shape())
        gate, late_starts = Signal(self._gate), Signal(2)
        needed = Signal(self._count_shape, init=self._needed(FIRST) % 2**self._count_shape.width)
        m.d.sync += [push.eq(run), late_read.eq(read), late_need.eq(need), late_starts.eq(self._starts)]
        with m.If(push):
            m.d.sync += needed.eq(needed + late_need)
        m.d.comb += [
            gate.needed.eq(needed),
            gate.starts_output.eq(late_starts[0]),
            gate.starts_frame.eq(late_starts[1]),
        ]

        level, step = Signal(range(DEPTH)), Signal()
        m.d.sync += [step.eq(self.i_step), level.eq(level + push - step), run.eq(level < ENOUGH)]
        return push, gate, late_read

    def _describe(self, m: Module, run: Value) -> tuple[Value, Value]:
        """The beat that the counters are at, and how many more beats the one after it needs."""
        g, c, slots = self._config.geometry, self._config.layer.config, self._config.prediction.slots
        _, q, group0, channel0 = self._place(FIRST)
        channel = Counter(m, g.channel_beats, run, init=channel0, name="channel")
        next_group = run & channel.last
        group = Counter(m, g.groups, next_group, init=group0, name="group")
        next_row = next_group & group.last
        row = Counter(m, c.out_height, next_row, init=q, name="row")

        address = Signal(index_shape(g.groups * g.channel_beats), init=self._read_of(FIRST)["address"])
        with m.If(run):
            m.d.sync += address.eq(Mux(channel.last & group.last, 0, address + 1))
        slot = Signal(index_shape(slots), init=self._read_of(FIRST)["slot"])
        frame_advance = c.height - c.stride * (c.out_height - 1)
        with m.If(next_row):
            within, across = (wrap_increment(slot, step, slots) for step in (c.stride, frame_advance))
            m.d.sync += slot.eq(Mux(row.last, across, within))

        def of_row(values: Callable[[int], int], name: str) -> Signal:
            """A register with a value that depends on the row, set as the row changes."""
            table = [values(row) for row in range(c.out_height)]
            register = Signal(Shape.cast(range(min(0, *table), max(1, *table) + 1)), init=table[q], name=name)
            with m.If(next_row):
                m.d.sync += register.eq(_lookup([*table[1:], table[0]], row.value))
            return register

        row_need = of_row(self._row_need, "row_need")
        release = Mux(group.last, Mux(row.last, Release.FRAME.value, Release.ROW.value), Release.GROUP.value)
        read = Signal(self._read, name="read")
        m.d.comb += [
            read.address.eq(address),
            read.slot.eq(slot),
            read.row_valid.eq(of_row(self._row_valid, "row_valid")),
            read.release.eq(Mux(channel.last, release, Release.NOTHING.value)),
        ]
        self._starts = Cat(group.value < c.out_width, (group.value == 0) & (row.value == 0))
        within_row: Value = Value.cast(self._group_need(0))
        if g.groups > 1 and self._group_need(g.groups - 2) != self._group_need(0):
            within_row = Mux(group.value == g.groups - 2, self._group_need(g.groups - 2), self._group_need(0))
        need = Signal(range(min(0, *self._needs), max(self._needs) + 1), name="need")
        m.d.comb += need.eq(Mux(channel.last, Mux(group.last, row_need, within_row), 1))
        return read, need

    def _queue(
        self, m: Module, push: Value, entry: Value, layout: data.StructLayout, step: Value, name: str
    ) -> tuple[Signal, Signal]:
        """The two beats at the front of a queue of ``entry``, moved on by ``step``."""
        inits = [self._gate_of(n) if layout is self._gate else self._read_of(n) for n in range(FIRST)]
        head, following = (Signal(layout, init=init, name=f"{name}_{n}") for n, init in enumerate(inits))
        m.submodules[f"{name}_queue"] = store = memory.Memory(shape=layout, depth=DEPTH, init=[])
        write, read = store.write_port(), store.read_port(domain="comb")
        tail, front = Signal(range(DEPTH), name=f"{name}_tail"), Signal(range(DEPTH), name=f"{name}_front")
        m.d.comb += [write.en.eq(push), write.addr.eq(tail), write.data.eq(entry), read.addr.eq(front)]
        m.d.sync += tail.eq(tail + push)
        with m.If(step):
            m.d.sync += [head.eq(following), following.eq(read.data), front.eq(front + 1)]
        return head, following

    def _compare(self, m: Module, front: tuple[Signal, Signal]) -> None:
        """Whether the head can be issued: both thresholds are compared in advance."""
        head, following = front
        written = Signal(self._count_shape)
        m.d.sync += written.eq(written + self.i_written)
        missing = [(written - beat.needed)[self._count_shape.width - 1] for beat in (head, following)]
        arrived = Signal()
        m.d.sync += arrived.eq(~Mux(self.i_step, missing[1], missing[0]))
        m.d.comb += [
            self.o_arrived.eq(arrived),
            self.o_starts_output.eq(head.starts_output),
            self.o_starts_frame.eq(head.starts_frame),
            self.o_next_starts_frame.eq(following.starts_frame),
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
