"""Row store: the last few input rows, written as they stream in, read a column at a time.

Rows lie in ``slots`` memories in turn, counted on across frames, so that the head of one
frame is written while the tail of the one before is read. No padding is stored: rows
outside the frame read as zero.

    cycle          0          1              2            3
    write    transfer   in memory
    read     address    memory output   register    rotated, masked
"""

from __future__ import annotations

import enum

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import UnitConfig
from hw.pipeline import delay, index_shape, pick, wrap_increment


class Release(enum.Enum):
    """What the sequencer has read for the last time."""

    NOTHING = 0
    GROUP = 1
    ROW = 2
    FRAME = 3


class RowStore(wiring.Component):
    """Input rows in ``slots`` memories.

    Members:
        i: the input beats. A beat is taken in every cycle while there is room.
        o_written: a beat has been written; a read issued in the next cycle sees it.
        i_address: beat within a row (column group, channel beat) to read.
        i_slot: slot of the row of the centres.
        i_row_valid: for each window row, whether it lies inside the frame.
        i_release: see `Release`; a group's last beat releases its columns of the topmost row,
            a row's or frame's last beat also all rows that no later output row needs.
        o_column: the column read, ``latency`` cycles after its address.
    """

    latency = 3

    def __init__(self, config: UnitConfig) -> None:
        self._config = config
        g = config.geometry
        self._slots = config.prediction.slots
        super().__init__(
            {
                "i": In(stream.Signature(config.pixel)),
                "o_written": Out(1),
                "i_address": In(index_shape(config.row_depth)),
                "i_slot": In(index_shape(self._slots)),
                "i_row_valid": In(len(g.rows)),
                "i_release": In(Release),
                "o_column": Out(config.column),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        transfer = Signal()
        m.d.comb += transfer.eq(self.i.valid & self.i.ready)
        self._count_room(m, transfer)
        rows = self._memories(m, transfer)
        self._rotate(m, rows)
        return m

    def _count_room(self, m: Module, transfer: Signal) -> None:
        """Keep ``room``, the beats that may still be written, less one: its sign says when to stop."""
        g, c = self._config.geometry, self._config.layer.config
        beats = g.channel_beats
        top = g.centre_row(0) - g.up
        row, group = c.width * beats, c.stride * beats
        last_group = g.groups - 1
        skipped = c.height - c.stride * (c.out_height - 1)
        initial = (top + self._slots) * row - 1
        released = {
            Release.GROUP: group,
            Release.ROW: c.stride * row - last_group * group,
            Release.FRAME: skipped * row - last_group * group,
        }
        # `room` is greatest when the sequencer has read all that was written.
        largest = self._slots * row + skipped * row
        room = Signal(range(-1 - max(released.values()), largest), init=initial)
        m.d.comb += self.i.ready.eq(room >= 0)
        amount = pick([Const(released.get(kind, 0)) for kind in Release], Value.cast(self.i_release))
        m.d.sync += room.eq(room + amount - transfer)

    def _memories(self, m: Module, transfer: Signal) -> list[Signal]:
        """One memory per slot, a column group per word; returns what each reads, registered."""
        g, c = self._config.geometry, self._config.layer.config
        beat = Signal(self._config.pixel, reset_less=True)
        written = Signal()
        m.d.sync += [beat.eq(self.i.payload), written.eq(transfer)]
        m.d.comb += self.o_written.eq(written)

        channel = Signal(index_shape(g.channel_beats))
        x = Signal(index_shape(c.width))
        address = Signal(index_shape(self._config.row_depth))
        slot = Signal(index_shape(self._slots))
        last_channel = channel == g.channel_beats - 1
        last_x = x == c.width - 1
        # With stride 2 the columns of a group share a word: the even ones return to its start.
        returns = ~x[0] if c.stride == 2 and c.width > 1 else Const(0)
        enable = Cat(~x[0], x[0]) if c.stride == 2 and c.width > 1 else Const(1, c.stride)
        with m.If(written):
            m.d.sync += channel.eq(wrap_increment(channel, 1, g.channel_beats))
            m.d.sync += address.eq(address + 1)
            with m.If(last_channel):
                m.d.sync += x.eq(wrap_increment(x, 1, c.width))
                with m.If(returns):
                    m.d.sync += address.eq(address - (g.channel_beats - 1))
                with m.If(last_x):
                    m.d.sync += [address.eq(0), slot.eq(wrap_increment(slot, 1, self._slots))]

        rows = []
        for index in range(self._slots):
            store = memory.Memory(shape=self._config.column_group, depth=self._config.row_depth, init=[])
            m.submodules[f"slot_{index}"] = store
            write = store.write_port(granularity=1)
            read = store.read_port()
            m.d.comb += [
                write.addr.eq(address),
                write.en.eq(Mux(written & (slot == index), enable, 0)),
                read.addr.eq(self.i_address),
                read.en.eq(1),
            ]
            m.d.comb += [write.data[e].eq(beat) for e in range(c.stride)]
            # A block RAM's output is slow; nothing but a register follows it.
            register = Signal(self._config.column_group, reset_less=True)
            m.d.sync += register.eq(read.data)
            rows.append(register)
        return rows

    def _rotate(self, m: Module, rows: list[Signal]) -> None:
        """Bring the slots into the order of the window's rows, and blank rows outside the frame."""
        slot = delay(m, self.i_slot, 1)
        valid = delay(m, self.i_row_valid, self.latency - 1)
        by_slot = [row.as_value() for row in rows]
        for index, dy in enumerate(self._config.geometry.rows):
            select = Signal(index_shape(self._slots), reset_less=True, name=f"select_{index}")
            m.d.sync += select.eq(wrap_increment(slot, dy, self._slots))
            row = Signal(self._config.column_group, reset_less=True, name=f"row_{index}")
            m.d.sync += row.eq(Mux(valid[index], pick(by_slot, select), 0))
            m.d.comb += self.o_column[index].eq(row)
