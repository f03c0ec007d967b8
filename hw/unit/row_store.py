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
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.blocks.memory import LATENCY, random_access
from hw.blocks.pipeline import Counter, delay, index_shape, pick, wrap_increment
from hw.plan.config import UnitConfig


class Release(enum.Enum):
    """What the sequencer has read for the last time."""

    NOTHING = 0
    GROUP = 1
    ROW = 2
    FRAME = 3


def row_write(config: UnitConfig) -> data.StructLayout:
    """A beat and its place: its column within the group enabled, the row's slot, the address within the row."""
    return data.StructLayout(
        {
            "enable": config.layer.config.stride,
            "slot": index_shape(config.prediction.slots),
            "address": index_shape(config.row_depth),
            "beat": config.pixel,
        }
    )


def group_address(
    m: Module, config: UnitConfig, moves: Value, *, odd: Value, ends_pixel: Value, ends_row: Value
) -> Signal:
    """Where a beat lies in its row with stride 2; it ``moves`` on with each beat.

    The two columns of a group share an address: the even one returns to its start. ``ends_row`` is
    wanted with ``ends_pixel``.
    """
    address = Signal(index_shape(config.row_depth), name="address")
    with m.If(moves):
        m.d.sync += address.eq(address + 1)
        with m.If(ends_pixel):
            with m.If(~odd):
                m.d.sync += address.eq(address - (config.geometry.channel_beats - 1))
            with m.If(ends_row):
                m.d.sync += address.eq(0)
    return address


class RowStore(wiring.Component):
    """Input rows in ``slots`` memories.

    Members:
        i: the input beats. A beat is taken in every cycle while there is room.
        o_written: a beat is on its way into memory; a read three cycles later sees it.
        i_write: a beat on its way into memory (in reloadable units, instead of ``i``, ``o_written``
            and ``i_release``, see `hw.reloadable.frame_writer`); a read two cycles later sees it.
        i_address: beat within a row (column group, channel beat) to read.
        i_slot: slot of the row of the centres.
        i_row_valid: for each window row, whether it lies inside the frame.
        i_release: see `Release`; a group's last beat releases its columns of the topmost row,
            a row's or frame's last beat also all rows that no later output row needs.
        o_column: the column read, ``latency`` cycles after its address.
    """

    def __init__(self, config: UnitConfig) -> None:
        self._config = config
        #: A block RAM may be far from the logic: where the clock counts, the way to there is a cycle of its own.
        self._way = int(config.target.fast)
        self.latency = LATENCY + self._way + 1
        g = config.geometry
        self._slots = config.prediction.slots
        ports: dict[str, Any] = {
            "i_address": In(index_shape(config.row_depth)),
            "i_slot": In(index_shape(self._slots)),
            "i_row_valid": In(len(g.rows)),
            "o_column": Out(config.column),
        }
        if config.reload is not None:
            ports["i_write"] = In(row_write(config))
        else:
            ports |= {"i": In(stream.Signature(config.pixel)), "o_written": Out(1), "i_release": In(Release)}
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if self._config.reload is not None:
            write = self.i_write
        else:
            transfer = Signal()
            m.d.comb += transfer.eq(self.i.valid & self.i.ready)
            self._count_room(m, transfer)
            write = self._place(m, transfer)
        rows = self._memories(m, write)
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
        amounts = [Const(released.get(kind, 0)) for kind in Release]
        # Less one, which the adder's carry gives back unless a beat is taken.
        amount = Signal(range(min(0, *released.values()) - 1, max(released.values())), init=-1)
        m.d.sync += amount.eq(pick(amounts, Value.cast(self.i_release)) - 1)
        sum_with_carry = Cat(1, room).as_signed() + Cat(~transfer, amount).as_signed()
        m.d.sync += room.eq(sum_with_carry >> 1)

    def _place(self, m: Module, transfer: Signal) -> data.View:
        """Count through the beats of the frames; returns where each goes, a cycle after its transfer."""
        g, c = self._config.geometry, self._config.layer.config
        beat = Signal(self._config.pixel, reset_less=True)
        written = Signal()
        m.d.sync += [beat.eq(self.i.payload), written.eq(transfer)]
        m.d.comb += self.o_written.eq(written)

        channel = Counter(m, g.channel_beats, written, name="channel")
        next_x = written & channel.last
        x = Counter(m, c.width, next_x, name="x")
        slot = Counter(m, self._slots, next_x & x.last, name="slot")
        if c.stride == 1 or c.width == 1:
            enable: Value = Const(1, c.stride)
            address: Value = Counter(m, self._config.row_beats, written, name="address").value
        else:
            enable = Cat(~x.value[0], x.value[0])
            address = group_address(m, self._config, written, odd=x.value[0], ends_pixel=channel.last, ends_row=x.last)

        write = Signal(row_write(self._config))
        m.d.comb += [
            write.enable.eq(enable & written.replicate(c.stride)),
            write.slot.eq(slot.value),
            write.address.eq(address),
            write.beat.eq(beat),
        ]
        return write

    def _memories(self, m: Module, write: data.View) -> list[Value]:
        """A memory per slot (with stride 2 one for each column of a group); returns the column group each reads."""
        stride = self._config.layer.config.stride
        rows = []
        for index in range(self._slots):
            columns = []
            for column in range(stride):
                port = [write.enable[column] & (write.slot == index), write.address, Value.cast(write.beat)]
                columns.append(
                    random_access(
                        m,
                        self._config.target,
                        depth=self._config.row_depth,
                        width=self._config.pixel.size,
                        write=tuple(delay(m, value, self._way, reset_less=False) for value in port),
                        address=self.i_address,
                        name=f"slot_{index}_{column}" if stride > 1 else f"slot_{index}",
                    )
                )
            rows.append(delay(m, Cat(columns), self._way))
        return rows

    def _rotate(self, m: Module, rows: list[Value]) -> None:
        """Bring the slots into the order of the window's rows, and blank rows outside the frame."""
        slot = delay(m, self.i_slot, self.latency - 2)
        valid = delay(m, self.i_row_valid, self.latency - 1)
        centres = self._config.centre_slots
        for index, dy in enumerate(self._config.geometry.rows):
            select = Signal(index_shape(self._slots), reset_less=True, name=f"select_{index}")
            m.d.sync += select.eq(wrap_increment(slot, dy, self._slots, centres))
            selected = pick(rows, select, {(centre + dy) % self._slots for centre in centres})
            row = Signal(self._config.column_group, reset_less=True, name=f"row_{index}")
            m.d.sync += row.eq(Mux(valid[index], selected, 0))
            m.d.comb += self.o_column[index].eq(row)
