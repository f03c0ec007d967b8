"""Row store: the last few input rows, written as they stream in, read a column at a time.

Rows lie in ``slots`` memories in turn. They are counted on across frames, so that the head of one
frame is written while the tail of the frame before is read. No padding is stored. Rows outside the
frame read as zero. All slots are read at the same address. So where a block RAM can write a part of
a word, all of them are one memory, and no block is filled with one slot's few bits.

    cycle          0          1              2            3
    write    transfer   in memory
    read     address    memory output   register    rotated, masked
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.blocks import memory
from hw.blocks.memory import random_access
from hw.blocks.pipeline import delay, index_shape, pick, wrap_increment
from hw.plan.shapes import Shapes
from hw.targets.families import Target
from hw.unit.front import RowWriter


class RowStore(wiring.Component):
    """Input rows in ``slots`` memories.

    Members:
        i_address: beat within a row (column group, channel beat) to read.
        i_slot: slot of the row of the centres.
        i_row_valid: for each window row, whether it lies inside the frame.
        o_column: the column read, `latency` cycles after its address.

    Beats come through the ports of the front's writer.
    """

    def __init__(self, shapes: Shapes, writer: RowWriter) -> None:
        self._shapes, self._writer = shapes, writer
        self._slots = shapes.schedule.slots
        ports = {
            "i_address": In(index_shape(shapes.row_depth)),
            "i_slot": In(index_shape(self._slots)),
            "i_row_valid": In(len(shapes.geometry.rows)),
            "o_column": Out(shapes.column),
        }
        super().__init__({**ports, **writer.ports})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        write = self._writer.write(m, self)
        rows = self._memories(m, write)
        self._rotate(m, rows)
        return m

    def _memories(self, m: Module, write: data.View) -> list[Value]:
        """Add the memories. Returns the column group that each slot reads."""
        parts = stored_parts(self._shapes)
        return self._together(m, write, parts) if parts else self._apart(m, write)

    def _together(self, m: Module, write: data.View, parts: int) -> list[Value]:
        """Add one memory of so many parts, each a slot's column that is read."""
        shapes, way = self._shapes, _way(self._shapes.target)
        pixel, columns = shapes.pixel.size, read_columns(shapes)
        enable = Cat(write.enable[column] & (write.slot == slot) for slot in range(self._slots) for column in columns)
        port = [enable, write.address, Value.cast(write.beat)]
        late_enable, address, beat = (delay(m, value, way, reset_less=False) for value in port)
        word = random_access(
            m,
            shapes.target,
            depth=shapes.row_depth,
            width=parts * pixel,
            write=(late_enable, address, beat.replicate(parts)),
            address=self.i_address,
            name="slots",
            where="block",
        )
        word = delay(m, word, way)
        rows = []
        for slot in range(self._slots):
            group: list[Value] = [Const(0, pixel)] * shapes.layer.config.stride
            for place, column in enumerate(columns):
                first = (slot * len(columns) + place) * pixel
                group[column] = word[first : first + pixel]
            rows.append(Cat(group))
        return rows

    def _apart(self, m: Module, write: data.View) -> list[Value]:
        """Add a memory per slot, with stride 2 one for each column of a group."""
        stride, way = self._shapes.layer.config.stride, _way(self._shapes.target)
        rows = []
        for index in range(self._slots):
            columns = []
            for column in range(stride):
                port = [write.enable[column] & (write.slot == index), write.address, Value.cast(write.beat)]
                columns.append(
                    random_access(
                        m,
                        self._shapes.target,
                        depth=self._shapes.row_depth,
                        width=self._shapes.pixel.size,
                        write=tuple(delay(m, value, way, reset_less=False) for value in port),
                        address=self.i_address,
                        name=f"slot_{index}_{column}" if stride > 1 else f"slot_{index}",
                    )
                )
            rows.append(delay(m, Cat(columns), way))
        return rows

    def _rotate(self, m: Module, rows: list[Value]) -> None:
        """Bring the slots into the order of the window's rows, and blank rows outside the frame."""
        cycles = latency(self._shapes.target)
        slot = delay(m, self.i_slot, cycles - 2)
        valid = delay(m, self.i_row_valid, cycles - 1)
        centres = self._shapes.centre_slots
        for index, dy in enumerate(self._shapes.geometry.rows):
            select = Signal(index_shape(self._slots), reset_less=True, name=f"select_{index}")
            m.d.sync += select.eq(wrap_increment(slot, dy, self._slots, centres))
            selected = pick(rows, select, {(centre + dy) % self._slots for centre in centres})
            row = Signal(self._shapes.column_group, reset_less=True, name=f"row_{index}")
            m.d.sync += row.eq(Mux(valid[index], selected, 0))
            m.d.comb += self.o_column[index].eq(row)


def read_columns(shapes: Shapes) -> list[int]:
    """The columns of a group that a tap reads."""
    return sorted({shapes.geometry.cell(dx)[1] for _, dx in shapes.geometry.offsets})


def read_slots(shapes: Shapes) -> set[int]:
    """The slots that are read. With stride 2 rows may lie in slots that only rows lie in that no tap reads."""
    return {(centre + dy) % shapes.schedule.slots for centre in shapes.centre_slots for dy in shapes.geometry.rows}


def stored_parts(shapes: Shapes) -> int:
    """Parts of the words of the one memory that holds all slots; 0 where each slot has memories of its own."""
    byte, parts = shapes.target.fabric.block_byte, shapes.schedule.slots * len(read_columns(shapes))
    if not byte:
        return 0
    # Each part has write enables of its own, so it takes whole bytes.
    width = parts * -(-shapes.pixel.size // byte) * byte
    return parts if memory.kind(shapes.target, shapes.row_depth, width, read_only=False) == "block" else 0


def latency(target: Target) -> int:
    """Cycles from address to column."""
    return memory.LATENCY + _way(target) + 1


def _way(target: Target) -> int:
    """Cycles of the way to a memory, and of the way back.

    A block RAM may be far from the logic. Where the clock counts, each way is a cycle of its own.
    """
    return int(target.fast)
