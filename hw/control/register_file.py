"""Register file: any `RegisterTable` as gateware.

A write takes three cycles. In the first cycle it is found out which register is meant and whether the
value is allowed. In the second cycle it is judged whether the write is refused, according to what holds
in that cycle. In the third cycle it is done. A read takes two cycles: in the first cycle it is found out
which register is meant, in the second cycle the word is there.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import or_

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.contract.ranges import Range
from hw.blocks.pipeline import index_shape, pick
from hw.control.axi_lite import RegisterBus
from hw.control.register_table import WORD, WORD_BYTES, Access, Register, RegisterTable, Window


class RegisterFile(wiring.Component):
    """The registers of ``table``. A layout has a member for each register, which has a member for each field.

    Members:
        bus: what software reads and writes.
        i_values: values of the read-only registers.
        i_set: strobes that set bits of the registers that are cleared by writing 1. Setting wins over clearing.
        i_refuse: for each register or window with ``refused_while``, whether a write would be refused. It counts in
            the cycle before the write is done.
        o_values: values of the read-write registers.
        o_changes: strobe: a read-write register has another value from the next cycle on, `o_data`.
        o_writing: a write is in any of its three cycles.
        o_write: strobe: an allowed and not refused write to a write-only register or a window.
        o_refused: strobe: `i_refuse` has refused a write.
        o_data: the word written, in the cycle of ``o_write`` or ``o_refused`` and in the cycle after.
        o_row, o_lane: the word's place in the window, in the same cycles as ``o_data``.
        o_bad_access: strobe: an access is refused, as there is nothing that could be read or written so.
        o_bad_value: strobe: a write is refused because of its value.
    """

    def __init__(self, table: RegisterTable) -> None:
        self._table = table
        clear = list(table.of_access(Access.CLEAR))
        windows = table.windows
        guarded = [entry.name for entry in table.entries if entry.refused_while]
        written = [register.name for register in table.of_access(Access.WRITE_ONLY)]
        written += [window.name for window in windows]
        rows, lanes = windows[0].rows, windows[0].lanes
        assert all((window.rows, window.lanes) == (rows, lanes) for window in windows), "windows of one shape"
        stored = list(table.of_access(Access.READ_WRITE))
        init = {register.name: {field.name: field.reset for field in register.fields} for register in stored}
        super().__init__(
            {
                "bus": In(RegisterBus(table.address_bits)),
                "i_values": In(_layout(table.of_access(Access.READ_ONLY))),
                "i_set": In(_layout(clear)),
                "i_refuse": In(_flags(guarded)),
                "o_values": Out(_layout(stored), init=init),
                "o_changes": Out(_flags(register.name for register in stored)),
                "o_writing": Out(1),
                "o_write": Out(_flags(written)),
                "o_refused": Out(_flags(guarded)),
                "o_data": Out(WORD),
                "o_row": Out(index_shape(rows)),
                "o_lane": Out(index_shape(lanes)),
                "o_bad_access": Out(1),
                "o_bad_value": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        sticky = Signal(_layout(self._table.of_access(Access.CLEAR)))
        bad_read = self._read(m, sticky)
        bad_write = self._write(m, sticky)
        m.d.comb += self.o_bad_access.eq(bad_read | bad_write)
        return m

    def _read(self, m: Module, sticky: data.View) -> Value:
        """Answer a read. Returns whether a read is refused."""
        bus = self.bus
        # A reset of the registers leaves the slave without its answer if it drops a read.
        reading, known, constant = Signal(reset_less=True), Signal(reset_less=True), Signal(WORD, reset_less=True)
        sources = {Access.READ_ONLY: self.i_values, Access.READ_WRITE: self.o_values, Access.CLEAR: sticky}
        readable = {register.address: register for register in self._table.registers if register.access.readable}
        count = max(readable) // WORD_BYTES + 1
        constants: list[Value] = [Const(0, WORD)] * count
        shown: list[Value] = [constant]
        for address, register in readable.items():
            if register.access is Access.CONSTANT:
                constants[address // WORD_BYTES] = Const(register.reset, WORD)
                continue
            chosen = Signal(name=f"{register.name}_read", reset_less=True)
            m.d.sync += chosen.eq(bus.read_address == address)
            shown.append(_word(register, sources[register.access]) & chosen.replicate(WORD))
        exists = [Const(int(index * WORD_BYTES in readable), 1) for index in range(count)]
        place, index = bus.read_address[:_ALIGNED], bus.read_address[_ALIGNED:]
        m.d.sync += [
            reading.eq(bus.read),
            known.eq((place == 0) & (index < count) & pick(exists, index)),
            constant.eq(pick(constants, index)),
        ]
        m.d.comb += [bus.read_ok.eq(known), bus.read_data.eq(reduce(or_, shown))]
        return reading & ~known

    def _write(self, m: Module, sticky: data.View) -> Value:
        """Do a write. Returns whether there is a write to where nothing can be written."""
        bus = self.bus
        judged, done = Signal(), Signal()
        m.d.sync += [judged.eq(bus.write), done.eq(judged)]
        hits, misfits, accepted = [], [], {}
        for entry in self._table.entries:
            if isinstance(entry, Register) and not entry.access.writable:
                continue
            hit = Signal(name=f"{entry.name}_hit", reset_less=True)
            # The two conditions are registers of their own, as all bits of the word count.
            fits = Signal(2, name=f"{entry.name}_fits", reset_less=True)
            m.d.sync += [
                hit.eq(~bus.write_partial & _addressed(entry, bus.write_address)),
                fits.eq(Cat(_allowed(entry, bus.write_data))),
            ]
            allowed: Value = judged & hit & fits.all()
            accepted[entry.name] = Signal(name=f"{entry.name}_accepted")
            if entry.refused_while:
                m.d.sync += self.o_refused[entry.name].eq(allowed & self.i_refuse[entry.name])
                allowed = allowed & ~self.i_refuse[entry.name]
            m.d.sync += accepted[entry.name].eq(allowed)
            hits.append(hit)
            misfits.append(hit & ~fits.all())
        bad_access = Signal()
        m.d.sync += [
            self.o_bad_value.eq(judged & Cat(misfits).any()),
            bad_access.eq(judged & ~Cat(hits).any()),
        ]
        m.d.comb += [
            bus.write_ok.eq(Cat(accepted.values()).any()),
            self.o_writing.eq(bus.write | judged | done),
            self.o_data.eq(bus.write_data),
        ]
        for strobes in (self.o_write, self.o_changes):
            m.d.comb += [strobes[name].eq(accepted[name]) for name in strobes.shape().members]
        window = self._table.windows[0]
        above_lane = _ALIGNED + window.lane_bits
        m.d.comb += [
            self.o_lane.eq(bus.write_address[_ALIGNED:above_lane]),
            self.o_row.eq(bus.write_address[above_lane : above_lane + _row_bits(window)]),
        ]
        for register in self._table.of_access(Access.READ_WRITE, Access.CLEAR):
            for field in register.fields:
                value = bus.write_data[field.low : field.low + field.bits]
                if register.access is Access.READ_WRITE:
                    with m.If(accepted[register.name]):
                        m.d.sync += self.o_values[register.name][field.name].eq(value)
                else:
                    bits = sticky[register.name][field.name]
                    cleared = bits & ~(value & accepted[register.name].replicate(field.bits))
                    m.d.sync += bits.eq(cleared | self.i_set[register.name][field.name])
        return bad_access


#: Lowest address bit that is not 0 for every word.
_ALIGNED = (WORD_BYTES - 1).bit_length()


def _layout(registers: Iterable[Register]) -> data.StructLayout:
    return data.StructLayout(
        {r.name: data.StructLayout({field.name: field.bits for field in r.fields}) for r in registers}
    )


def _flags(names: Iterable[str]) -> data.StructLayout:
    return data.StructLayout(dict.fromkeys(names, 1))


def _word(register: Register, values: data.View) -> Value:
    """The word that a read of ``register`` shows."""
    parts: list[Value] = []
    end = 0
    for field in sorted(register.fields, key=lambda field: field.low):
        parts += [Const(0, field.low - end), Value.cast(values[register.name][field.name])]
        end = field.low + field.bits
    return Cat(*parts, Const(0, WORD - end))


def _row_bits(window: Window) -> int:
    return (window.rows - 1).bit_length()


def _addressed(entry: Register | Window, address: Value) -> Value:
    """Whether ``address`` is that of the register, or of a word of the window."""
    if isinstance(entry, Register):
        return address == entry.address
    above_lane = _ALIGNED + entry.lane_bits
    above_row = above_lane + _row_bits(entry)
    assert entry.address % (1 << above_row) == 0, "a window begins where its upper address bits do"
    return (
        (address[:_ALIGNED] == 0)
        & (address[_ALIGNED:above_lane] < entry.lanes)
        & (address[above_lane:above_row] < entry.rows)
        & (address[above_row:] == entry.address >> above_row)
    )


def _allowed(entry: Register | Window, word: Value) -> tuple[Value, Value]:
    """Whether ``word`` may be written: fields within their limits, 0 everywhere else. Both conditions must hold."""
    if isinstance(entry, Window):
        return _inside(entry.allowed, word)
    inside: list[Value] = [Const(1)]
    for field in entry.fields:
        inside += _inside(field.allowed, word[field.low : field.low + field.bits])
    return (word & (~entry.mask & (2**WORD - 1))) == 0, Cat(inside).all()


def _inside(limits: Range | None, value: Value) -> tuple[Value, Value]:
    """Whether an unsigned value is not below ``limits``, and whether it is not above."""
    if limits is None:
        return Const(1), Const(1)
    # Comparisons with 1 and with 2^n - 1 need no carry.
    above: Value = Const(1)
    if limits.low > 0:
        above = value.any() if limits.low == 1 else value >= limits.low
    bits = limits.high.bit_length()
    below = ~value[bits:].any() if limits.high == 2**bits - 1 else value <= limits.high
    return above, below
