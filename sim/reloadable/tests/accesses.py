"""Accesses of the registers that must be refused."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.triggers import ClockCycles

from hw.control.register_table import WORD_BYTES, Access, RegisterTable, Window
from hw.plan.weight_layout import weight_image
from sim.reloadable.tests.unit import SHAPES, SINGLE_BUFFERED, generator, loaded


def one_bit_away(table: RegisterTable) -> list[int]:
    """All unmapped addresses that differ from a register's in one bit; they show that each bit is decoded."""
    mapped = {register.address for register in table.registers}
    for window in table.windows:
        mapped.update(range(window.address, window.end, WORD_BYTES))
    bits = range(WORD_BYTES.bit_length() - 1, table.address_bits)
    return sorted({register.address ^ 1 << bit for register in table.registers for bit in bits} - mapped)


@cocotb.test()
async def bad_accesses(dut: Any) -> None:
    """An access that is not possible is answered with SLVERR, sets ``bad_access`` and changes nothing."""
    rng = generator("bad_accesses")
    bench, layer = await loaded(dut, rng)
    board, table = bench.board, bench.table
    bench.send(rng, layer, 4)
    read_only = [r.address for r in table.registers if not r.access.writable]
    write_only = [r.address for r in table.registers if not r.access.readable]
    windows = [w.address for w in table.windows]
    last = max(r.address for r in table.registers)
    unmapped = [last + 4, 0x4000, *(w.end for w in table.windows if w.end < 2**table.address_bits), 0x1FFFC]
    unmapped += one_bit_away(table)
    height = table["height"].address
    for address in (*read_only[:3], *read_only[-3:], *unmapped):
        await bench.refused(board.write(address, 1))
    for address in (*write_only, *windows, *unmapped):
        await bench.refused(board.read(address))
    await bench.expect_errors("bad_access")
    for offset in range(1, 4):
        await bench.within(board.control.write(height + offset, b"\1"))  # the address is not aligned
        await bench.within(board.control.read(height + offset, 1))
    await bench.expect_errors("bad_access")
    writable = [r.address for r in table.registers if r.access.writable]
    for address in (*writable, *windows):
        length = int(rng.integers(1, 4))
        await bench.within(board.control.write(address, b"\1" * length))  # not all byte strobes
        await bench.expect_errors("bad_access")
    await bench.settle()
    assert bench.reference.completed == 4


@cocotb.test()
async def bad_values(dut: Any) -> None:
    """Settings outside the limits of the build, and bits without a meaning, are refused and change nothing."""
    rng = generator("bad_values")
    bench, layer = await loaded(dut, rng)
    for entry in bench.table.entries:
        values: list[int] = []
        if isinstance(entry, Window):
            if entry.allowed is not None:
                values = [entry.allowed.low - 1, entry.allowed.high + 1, 2**32 - 1]
        elif entry.access.writable:
            for field in entry.fields:
                limits = field.allowed
                beyond = () if limits is None else (limits.low - 1, limits.high + 1)
                values += [value << field.low for value in beyond if 0 <= value << field.low < 2**32]
            if entry.mask != 2**32 - 1:
                values += [2**31, entry.mask + 1]
        for value in values:
            await bench.refused(bench.board.write(entry.address, value))
        if values:
            await bench.expect_errors("bad_value")
    for register in bench.table.of_access(Access.READ_WRITE, Access.CONSTANT):
        await bench.board.read(register.address)
    bench.send(rng, layer, 2)
    await bench.settle()


@cocotb.test()
async def busy(dut: Any) -> None:
    """While an apply is pending, nothing of the next set can be written, and no other apply is taken."""
    rng = generator("busy")
    bench, layer = await loaded(dut, rng)
    driver, table = bench.driver, bench.table
    await bench.refused(driver.apply(()))
    await bench.refused(driver.apply(("weights",)))  # they are in force already
    await bench.expect_errors("apply_refused")
    changed = bench.changed(rng, layer)
    await bench.apply_settings(changed, at=3)
    await bench.refused(driver.write_settings(layer.config))
    await bench.refused(bench.board.write(table["apply_at"].address, 7))
    for window in table.windows:
        await bench.refused(bench.board.write(window.address, 1))
    bench.send_image(weight_image(SHAPES)[:1])
    await ClockCycles(dut.aclk, 50)
    assert not bench.board.weights.idle(), "a weight is taken while an apply is pending"
    await bench.expect_errors("busy")
    await bench.refused(driver.apply(("settings",)))
    await bench.expect_errors("apply_refused")
    bench.send(rng, layer, 3)
    bench.send(rng, changed, 2)
    if SINGLE_BUFFERED:
        await bench.until(lambda: bench.reference.completed == 5)
        await bench.within(driver.hold(True))
    await bench.settle()
    assert bench.reference.completed == 5


@cocotb.test()
async def control_in_mid_frame(dut: Any) -> None:
    """Settings written while frames run mean nothing until they are applied. A held unit still completes its frame."""
    rng = generator("control_in_mid_frame")
    bench, layer = await loaded(dut, rng)
    driver = bench.driver
    for _ in range(3):
        bench.send(rng, layer, 6)
        before = len(bench.reference.begun)
        await bench.until(lambda before=before: len(bench.reference.begun) > before)  # type: ignore[misc]
        await bench.within(driver.write_settings(bench.changed(rng, layer).config))
        await bench.within(driver.hold(True))
        await ClockCycles(dut.aclk, 2 * SHAPES.schedule.frame_cycles + bench.patience // 20)
        assert bench.reference.idle, "a frame that has begun is not completed"
        held = len(bench.reference.begun)
        await ClockCycles(dut.aclk, 50)
        assert len(bench.reference.begun) == held
        await bench.within(driver.hold(False))
        await bench.settle()
    assert bench.reference.completed == 18
    await bench.check_counters()
    await bench.expect_errors()
