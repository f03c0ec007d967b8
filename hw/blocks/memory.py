"""Storage: memories with a registered output, each in what the target keeps it in best.

    words                     1          few                 more
    read-only (weights)    constant   LUTs (`rom_depth`)   block RAM
    row store                 -       LUT RAM (`ram_depth`)  block RAM

A block RAM gives a few bits a cycle, however few words it has. So a wide memory of few words leaves most of it empty.
Where LUTs have a price in block RAMs (`Fabric.block_luts`), a memory that is deeper than "few" is in LUTs if these are
cheaper.

On a target with DSPs, memories that are left to synthesis carry the attribute that synthesis
tools look for. Read-only memories in LUTs need none. Every word comes `LATENCY` cycles after its
address.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Cat, Const, Module, Value, unsigned
from amaranth.lib import memory

from hw.blocks.pipeline import delay, index_shape, pick
from hw.targets.families import Fabric, Target
from hw.targets.primitives import DP16KD_SHAPES, dp16kd_ram, dp16kd_rom

#: Cycles from address to word: the memory's own, and a register behind it. A block RAM's bare output is slow.
LATENCY = 2
#: Words of the deepest memory that is kept in LUTs for its width. A block RAM of twice the words has its widest words.
DEEPEST = 256


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
    def words(self) -> int:
        """Words of one block."""
        return next(words for words, bits in DP16KD_SHAPES.items() if bits == self.bits)

    @property
    def blocks(self) -> int:
        return self.banks * -(-self.columns // self.ports)


def kind(target: Target, depth: int, width: int, *, read_only: bool) -> str:
    """``constant``, ``lut`` or ``block``: what a memory of ``depth`` words of ``width`` bits is kept in."""
    if read_only and depth == 1:
        return "constant"
    few = depth <= (target.rom_depth if read_only else target.ram_depth)
    return "lut" if few or _luts_are_cheaper(target.fabric, depth, width, read_only=read_only) else "block"


def _luts_are_cheaper(fabric: Fabric, depth: int, width: int, *, read_only: bool) -> bool:
    """Whether LUTs cost no more than the block RAMs that words of so many bits take. Deep memories in LUTs are slow."""
    if depth > DEEPEST:
        return False
    banks = -(-depth // 2**fabric.lut_inputs)
    if read_only:
        luts = banks * width
    else:
        luts = banks * -(-(2**fabric.lut_inputs) * width * fabric.ram_luts // (fabric.ram_words * fabric.ram_bits))
        luts += -(-(banks - 1) // 3) * width  # a LUT chooses between four banks
    return luts <= -(-2 * width // fabric.block_bits) * fabric.block_luts / 2


def spare_bits(target: Target, depth: int, width: int) -> int:
    """Bits that the block RAMs of a read-only memory could add to its words; 0 where it is not in such."""
    fabric = target.fabric
    if not fabric.block_byte or kind(target, depth, width, read_only=True) != "block":
        return 0
    # Half a block RAM has half the widest word. With twice the words it has half of these bits.
    words = fabric.block_kbit * 1024 // fabric.block_bits
    bits = (fabric.block_bits // 2) >> (-(-depth // words) - 1).bit_length()
    return -(-width // bits) * bits - width if bits >= fabric.block_byte else 0


def dp16kd_layout(depth: int, width: int, *, read_only: bool) -> Block:
    """The DP16KD blocks of a memory of ``depth`` words of ``width`` bits."""
    deepest = max(DP16KD_SHAPES)
    words, bits = next(((d, b) for d, b in DP16KD_SHAPES.items() if d >= depth), (deepest, DP16KD_SHAPES[deepest]))
    # Of a read-only memory of at most half a block's words, two columns share a block, one half for each port.
    ports = 2 if read_only and depth <= words // 2 else 1
    return Block(banks=-(-depth // deepest), columns=-(-width // bits), bits=bits, ports=ports)


def read_only(m: Module, target: Target, image: Sequence[int], width: int, address: Value, *, name: str) -> Value:
    """The word of ``image`` at ``address``, `LATENCY` cycles later.

    ``image`` has at least two words, unsigned and of ``width`` bits each.
    """
    depth = len(image)
    where = kind(target, depth, width, read_only=True)
    if target.block_memory is None or where == "lut":
        store = memory.Memory(
            shape=unsigned(width), depth=depth, init=image, attrs=style(target, depth, where, read_only=True)
        )
        m.submodules[name] = store
        read = store.read_port()
        m.d.comb += [read.addr.eq(address), read.en.eq(1)]
        return delay(m, read.data, 1)
    layout = dp16kd_layout(depth, width, read_only=True)
    words = b"".join(word.to_bytes(-(-width // 8), "little") for word in image)
    banks = []
    for blocks in dp16kd_images(layout, np.frombuffer(words, np.uint8).reshape(depth, -1)):
        columns: list[Value] = []
        for content in blocks:
            ports = [address] if layout.ports == 1 else [_in_half(address, layout.words // 2, n) for n in range(2)]
            columns += dp16kd_rom(m, bits=layout.bits, addresses=ports, image=content.tolist())
        banks.append(Cat(columns)[:width])
    return _choose(m, banks, address)


def dp16kd_images(layout: Block, words: np.ndarray) -> Iterator[list[np.ndarray]]:
    """What the blocks of a read-only memory hold: for each bank the words of each of its blocks, as integers.

    Args:
        words: words of the memory as little-endian bytes, uint8 ``[depth, n]``.
    """
    columns = -(-layout.columns // layout.ports) * layout.ports
    for first in range(0, len(words), layout.words):
        known = np.unpackbits(
            words[first : first + layout.words], axis=1, count=columns * layout.bits, bitorder="little"
        )
        values = known.reshape(len(known), columns, layout.bits) @ (1 << np.arange(layout.bits, dtype=np.int32))
        yield [_shared(layout, values[:, n : n + layout.ports]) for n in range(0, columns, layout.ports)]


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
    where: str | None = None,
) -> Value:
    """The word at ``address``, `LATENCY` cycles later, of a memory that ``write`` (enable, address, data) fills.

    A word that is written in the cycle of its address may come as it was before, or torn.

    Args:
        write: an enable of several bits is that of as many equal parts of the word, where the target's block RAMs have
            such enables.
        enables: whether the memory reads, and whether the register behind it takes what was read. Without an
            enable each keeps what it has. By default both always go on.
        where: ``lut`` or ``block``, by default as `kind` says.
    """
    enable, write_address, data = write
    reads, moves = enables or (Const(1), Const(1))
    where = where or kind(target, depth, width, read_only=False)
    if target.block_memory is None or where == "lut":
        attrs = style(target, depth, where, read_only=False)
        store = memory.Memory(shape=unsigned(width), depth=depth, init=[], attrs=attrs)
        m.submodules[name] = store
        parts = len(enable)
        writer, read = store.write_port(granularity=width // parts if parts > 1 else None), store.read_port()
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


def style(target: Target, depth: int, where: str, *, read_only: bool) -> dict[str, str]:
    """The attribute that tells synthesis that a memory is kept in ``where``; none where it is left to choose."""
    if target.dsp is None:
        return {}
    if read_only and where == "lut":
        # Constants in LUTs are logic. Where they are few, that needs no telling.
        return {} if depth <= target.rom_depth else {"rom_style": "logic"}
    return {"rom_style" if read_only else "ram_style": "block" if where == "block" else "distributed"}


def _shared(layout: Block, columns: np.ndarray) -> np.ndarray:
    """The words of one block, which holds ``columns``, integers ``[depth, ports]``."""
    image = np.zeros((layout.ports, layout.words // layout.ports), np.int32)
    image[:, : len(columns)] = columns.T
    return image.reshape(-1)


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
