"""Storage: memories with a registered output, each in what the target keeps it in best.

    words                     1          few                 more
    read-only (weights)    constant   LUTs (`rom_depth`)   block RAM
    row store                 -       LUT RAM (`ram_depth`)  block RAM

On a target with DSPs, memories that are left to synthesis carry the attribute that synthesis
tools look for. Read-only memories in LUTs need none. Every word comes `LATENCY` cycles after its
address.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Value, unsigned
from amaranth.lib import memory

from hw.blocks.pipeline import delay, index_shape, pick
from hw.targets.families import Target
from hw.targets.primitives import DP16KD_SHAPES, dp16kd_ram, dp16kd_rom

#: Cycles from address to word: the memory's own, and a register behind it. A block RAM's bare output is slow.
LATENCY = 2


@dataclass(frozen=True, kw_only=True)
class Block:
    """How a memory is made of block RAMs of one shape.

    Attributes:
        banks: blocks on top of each other, chosen by the upper bits of the address.
        columns: blocks side by side.
        bits: word of one block.
        ports: columns that one block holds, each read at a port of its own; 2 only in read-only memories.
    """

    banks: int
    columns: int
    bits: int
    ports: int

    @property
    def blocks(self) -> int:
        return self.banks * -(-self.columns // self.ports)


def kind(target: Target, depth: int, *, read_only: bool) -> str:
    """``constant``, ``lut`` or ``block``: what a memory of ``depth`` words is kept in."""
    if read_only and depth == 1:
        return "constant"
    return "lut" if depth <= (target.rom_depth if read_only else target.ram_depth) else "block"


def dp16kd_layout(depth: int, width: int, *, read_only: bool) -> Block:
    """The DP16KD blocks of a memory of ``depth`` words of ``width`` bits."""
    deepest = max(DP16KD_SHAPES)
    words, bits = next(((d, b) for d, b in DP16KD_SHAPES.items() if d >= depth), (deepest, DP16KD_SHAPES[deepest]))
    # Of a read-only memory of at most half a block's words, two columns share a block, one half for each port.
    ports = 2 if read_only and depth <= words // 2 else 1
    return Block(banks=-(-depth // deepest), columns=-(-width // bits), bits=bits, ports=ports)


def read_only(
    m: Module,
    target: Target,
    image: Sequence[int],
    width: int,
    address: Value,
    *,
    name: str,
    where: str | None = None,
) -> Value:
    """The word of ``image`` at ``address``, `LATENCY` cycles later.

    ``image`` has at least two words, unsigned and of ``width`` bits each. ``where`` is what they are kept in, ``lut``
    or ``block``; by default `kind` says that.
    """
    depth = len(image)
    where = where or kind(target, depth, read_only=True)
    if target.block_memory is None or where == "lut":
        store = memory.Memory(
            shape=unsigned(width), depth=depth, init=image, attrs=style(target, depth, read_only=True, where=where)
        )
        m.submodules[name] = store
        read = store.read_port()
        m.d.comb += [read.addr.eq(address), read.en.eq(1)]
        return delay(m, read.data, 1)
    layout = dp16kd_layout(depth, width, read_only=True)
    half = next(d for d, bits in DP16KD_SHAPES.items() if bits == layout.bits) // 2
    banks = []
    for bank in range(layout.banks):
        rows = image[bank * max(DP16KD_SHAPES) :][: max(DP16KD_SHAPES)]
        columns: list[Value] = []
        for first in range(0, layout.columns, layout.ports):
            slices = [_column(rows, layout.bits, column) for column in range(first, first + layout.ports)]
            content = slices[0] if layout.ports == 1 else [*slices[0], *[0] * (half - len(rows)), *slices[1]]
            ports = [address] if layout.ports == 1 else [_in_half(address, half, n) for n in range(2)]
            columns += dp16kd_rom(m, bits=layout.bits, addresses=ports, image=content)
        banks.append(Cat(columns)[:width])
    return _choose(m, banks, address)


def random_access(
    m: Module,
    target: Target,
    *,
    depth: int,
    width: int,
    write: tuple[Value, Value, Value],
    address: Value,
    name: str,
    enables: tuple[Value, Value] | None = None,
) -> Value:
    """The word at ``address``, `LATENCY` cycles later, of a memory that ``write`` (enable, address, data) fills.

    A word that is written in the cycle of its address may come as it was before, or torn.

    Args:
        enables: whether the memory reads, and whether the register behind it takes what was read. Without an
            enable each keeps what it has. By default both always go on.
    """
    enable, write_address, data = write
    reads, moves = enables or (Const(1), Const(1))
    if target.block_memory is None or kind(target, depth, read_only=False) == "lut":
        attrs = style(target, depth, read_only=False)
        store = memory.Memory(shape=unsigned(width), depth=depth, init=[], attrs=attrs)
        m.submodules[name] = store
        writer, read = store.write_port(), store.read_port()
        m.d.comb += [writer.en.eq(enable), writer.addr.eq(write_address), writer.data.eq(data)]
        m.d.comb += [read.addr.eq(address), read.en.eq(reads)]
        return _held(m, read.data, moves)
    layout = dp16kd_layout(depth, width, read_only=False)
    banks = []
    for bank in range(layout.banks):
        here = enable if layout.banks == 1 else enable & (write_address[14:] == bank)
        columns = []
        for column in range(layout.columns):
            bits = data[column * layout.bits : (column + 1) * layout.bits]
            padded = Cat(bits, Const(0, layout.bits))[: layout.bits]
            port = (here, write_address, padded)
            columns.append(dp16kd_ram(m, bits=layout.bits, write=port, read_address=address, enables=(reads, moves)))
        banks.append(Cat(columns)[:width])
    return _choose(m, banks, address, reads, moves)


def lut_style(target: Target) -> dict[str, str]:
    """The attribute that keeps a memory in LUT RAM; none where synthesis is left to choose."""
    return {} if target.dsp is None else {"ram_style": "distributed"}


def style(target: Target, depth: int, *, read_only: bool, where: str | None = None) -> dict[str, str]:
    """The attribute that tells synthesis where a memory belongs; none where it is left to choose.

    Args:
        where: what the memory is kept in, where `kind` does not say it.
    """
    where = where or kind(target, depth, read_only=read_only)
    if target.dsp is None:
        return {}
    if read_only and where == "lut":
        # Constants in LUTs are logic. Where they are few, that needs no telling.
        return {} if kind(target, depth, read_only=True) == "lut" else {"rom_style": "logic"}
    return {"rom_style" if read_only else "ram_style": "block" if where == "block" else "distributed"}


def _column(rows: Sequence[int], bits: int, column: int) -> list[int]:
    return [row >> column * bits & (1 << bits) - 1 for row in rows]


def _in_half(address: Value, half: int, number: int) -> Value:
    low = index_shape(half).width
    return Cat(Cat(address, Const(0, low))[:low], Const(number, 1))


def _choose(m: Module, banks: Sequence[Value], address: Value, *enables: Value) -> Value:
    """The word of the bank that ``address`` is in, `LATENCY` cycles later."""
    if len(banks) == 1:
        return banks[0]
    bank: Value = address[14:]
    for enable in enables or (Const(1),) * LATENCY:
        bank = _held(m, bank, enable)
    return pick(banks, bank)


def _held(m: Module, value: Value, enable: Value) -> Value:
    """``value`` as it was in the last cycle with ``enable``."""
    if isinstance(enable, Const):
        return delay(m, value, 1)
    with m.If(enable):
        return delay(m, value, 1)
