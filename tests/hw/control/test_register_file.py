"""Register file: every access against a model that knows the table and nothing else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hw.control.register_file import RegisterFile
from hw.control.register_table import Access, Register, RegisterTable, Window
from hw.control.registers import register_table
from tests.support.components import simulate
from tests.support.control_bench import reloadable

#: Odd numbers of lanes and rows leave gaps in the windows.
UNITS: dict[str, dict[str, Any]] = {
    "default": {},
    "gaps": {"out_channels": 15, "pe": 3},
    "one_lane": {"out_channels": 3, "pe": 1},
    "one_row": {"out_channels": 3, "pe": 3, "single_buffered": True},
    "valid": {"padding": "valid"},
}


class Model:
    """What a register file does, word by word."""

    def __init__(self, table: RegisterTable) -> None:
        self.table = table
        self.words = {r.name: r.reset for r in table.of_access(Access.CONSTANT, Access.READ_WRITE, Access.CLEAR)}

    def find(self, address: int) -> Register | tuple[Window, int, int] | None:
        for register in self.table.registers:
            if register.address == address:
                return register
        for window in self.table.windows:
            for row in range(window.rows):
                for lane in range(window.lanes):
                    if window.word_address(row * window.lanes + lane) == address:
                        return window, row, lane
        return None

    @staticmethod
    def allows(entry: Register | Window, word: int) -> bool:
        if isinstance(entry, Window):
            return entry.allowed is None or entry.allowed.low <= word <= entry.allowed.high
        values = entry.unpack(word)
        limits = [(values[f.name], f.allowed) for f in entry.fields if f.allowed is not None]
        return entry.pack(values) == word and all(limit.low <= value <= limit.high for value, limit in limits)


def addresses(table: RegisterTable, rng: np.random.Generator) -> int:
    """An address: mostly one that there is, else one beside it, or any."""
    known = [register.address for register in table.registers]
    for window in table.windows:
        known += [
            window.address,
            window.end - 4,
            window.end,
            window.address + int(rng.integers(window.rows * window.stride)),
        ]
        known += [window.word_address(int(rng.integers(window.rows * window.lanes))) for _ in range(4)]
    address = int(rng.choice(known))
    kind = rng.random()
    if kind < 0.05:
        return int(rng.integers(1 << table.address_bits))
    if kind < 0.1:
        return address ^ (1 << int(rng.integers(table.address_bits)))
    return address


def word_for(entry: Register | Window | None, rng: np.random.Generator) -> int:
    """A value at or beyond the limits of what may be written there, or any."""
    ends = [0, 1, 2**32 - 1, 2**16 - 1, 2**16]
    if isinstance(entry, Register):
        for field in entry.fields:
            limits = [] if field.allowed is None else [field.allowed.low, field.allowed.high]
            ends += [(limit + d) << field.low & 0xFFFFFFFF for limit in limits for d in (-1, 0, 0, 1)]
        ends += [int(rng.integers(1 << 32)) & entry.mask for _ in range(6)]
    elif entry is None or rng.random() < 0.3:
        return int(rng.integers(1 << 32))
    return int(rng.choice(ends))


def values_of(view: Any, ctx: Any) -> dict[str, int]:
    return {name: ctx.get(view[name]) for name in view.shape().members}


@pytest.mark.parametrize("unit", UNITS)
def test_every_access(unit: str) -> None:
    seed = list(UNITS).index(unit)
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    table = register_table(reloadable(**UNITS[unit]))
    dut, model = RegisterFile(table), Model(table)
    guarded = list(dut.i_refuse.shape().members)

    async def bench(ctx: Any) -> None:
        for step in range(700):
            where = f"seed {seed}, step {step}"
            # What the hardware says: values to read, errors to set, writes to refuse.
            shown = {
                r.name: r.pack({f.name: int(rng.integers(1 << f.bits)) for f in r.fields})
                for r in table.of_access(Access.READ_ONLY)
            }
            for name, word in shown.items():
                for field, value in table[name].unpack(word).items():
                    ctx.set(dut.i_values[name][field], value)
            refuse = {name: int(rng.random() < 0.3) for name in guarded}
            for name, value in refuse.items():
                ctx.set(dut.i_refuse[name], value)

            address = addresses(table, rng)
            found = model.find(address)
            entry = found[0] if isinstance(found, tuple) else found
            if rng.random() < 0.5:
                ctx.set(dut.bus.read, 1)
                ctx.set(dut.bus.read_address, address)
                await ctx.tick()
                ctx.set(dut.bus.read, 0)
                # The address counts in the first cycle, the values do in the second.
                ctx.set(dut.bus.read_address, addresses(table, rng))
                readable = isinstance(entry, Register) and entry.access.readable
                assert ctx.get(dut.bus.read_ok) == readable, f"{where}: read of {address:#x}"
                assert ctx.get(dut.o_bad_access) == (not readable), where
                if readable:
                    expected = shown[entry.name] if entry.access is Access.READ_ONLY else model.words[entry.name]
                    assert ctx.get(dut.bus.read_data) == expected, f"{where}: {entry.name}"
                await ctx.tick()
                continue

            word, partial = word_for(entry, rng), rng.random() < 0.05
            ctx.set(dut.bus.write, 1)
            ctx.set(dut.bus.write_address, address)
            ctx.set(dut.bus.write_data, word)
            ctx.set(dut.bus.write_partial, partial)
            for _cycle in ("addressed", "judged"):
                assert not any(values_of(dut.o_write, ctx).values()), f"{where}: done before it was judged"
                assert ctx.get(dut.o_writing), where
                await ctx.tick()
                ctx.set(dut.bus.write, 0)
            # What would refuse the write counts no more.
            for name in guarded:
                ctx.set(dut.i_refuse[name], int(rng.random() < 0.3))
            assert ctx.get(dut.o_writing), where
            set_now = int(rng.integers(256)) if rng.random() < 0.3 else 0
            for name, value in table["errors"].unpack(set_now).items():
                ctx.set(dut.i_set.errors[name], value)

            writable = not partial and (
                isinstance(entry, Window) or (isinstance(entry, Register) and entry.access.writable)
            )
            allowed = writable and Model.allows(entry, word)
            refused = allowed and bool(refuse.get(entry.name))
            done = allowed and not refused
            assert ctx.get(dut.bus.write_ok) == done, f"{where}: write of {word:#x} to {address:#x}"
            assert ctx.get(dut.o_bad_access) == (not writable), where
            assert ctx.get(dut.o_bad_value) == (writable and not allowed), where
            assert values_of(dut.o_refused, ctx) == {name: int(refused and name == entry.name) for name in guarded}, (
                where
            )
            strobes = values_of(dut.o_write, ctx)
            assert strobes == {name: int(done and name == entry.name) for name in strobes}, where
            if isinstance(found, tuple) and done:
                assert (ctx.get(dut.o_row), ctx.get(dut.o_lane), ctx.get(dut.o_data)) == (found[1], found[2], word), (
                    where
                )
            if isinstance(entry, Register) and done:
                if entry.access is Access.READ_WRITE:
                    model.words[entry.name] = word
                elif entry.access is Access.CLEAR:
                    model.words[entry.name] &= ~word
            changes = values_of(dut.o_changes, ctx)
            assert changes == {name: int(done and name == entry.name) for name in changes}, where
            model.words["errors"] |= set_now
            await ctx.tick()
            assert not ctx.get(dut.o_writing), where
            for name in table["errors"].unpack(0):
                ctx.set(dut.i_set.errors[name], 0)
            for register in table.of_access(Access.READ_WRITE):
                shown_fields = values_of(dut.o_values[register.name], ctx)
                assert register.pack(shown_fields) == model.words[register.name], f"{where}: {register.name}"

    simulate(dut, bench)


def test_reset_values() -> None:
    table = register_table(reloadable())
    dut = RegisterFile(table)

    async def bench(ctx: Any) -> None:
        for register in table.of_access(Access.CONSTANT, Access.READ_WRITE, Access.CLEAR):
            ctx.set(dut.bus.read_address, register.address)
            ctx.set(dut.bus.read, 1)
            await ctx.tick()
            assert ctx.get(dut.bus.read_data) == register.reset, register.name

    simulate(dut, bench)
