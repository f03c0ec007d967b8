"""Storage: every word after the declared latency, from the memory that the target keeps it in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from amaranth.back import rtlil
from amaranth.hdl import Module, Signal, Value, unsigned
from amaranth.lib import memory

from golden.contract.streams import Payload
from hw.blocks import memory as storage
from hw.blocks.memory import LATENCY, dp16kd_layout, kind, random_access, read_only
from hw.blocks.pipeline import delay, index_shape
from hw.targets.families import ECP5, GENERIC, TARGETS, XC7, XCUP, Target
from hw.targets.primitives import DP16KD_SHAPES
from tests.support.components import show
from tests.support.tiers import in_turn, nightly, thorough
from tests.support.units import SIMULATED

#: On both sides of every shape of a block, of half of one, and of several on top of each other.
DEPTHS = (2, 3, 16, 17, 64, 65, 512, 513, 1024, 1025, 2048, 2049, 4097, 8193, 16384, 16385, 32768, 32769, 50000)
WIDTHS = (1, 2, 3, 4, 5, 8, 9, 10, 18, 19, 36, 72, 73, 136)


def random_image(rng: np.random.Generator, depth: int, width: int) -> list[int]:
    """Words that use all their bits, the first two at their limits."""
    bits = rng.integers(0, 1, (depth, width), endpoint=True)
    bits[0], bits[1] = 0, 1
    packed = Payload(lanes=width, bits=1, signed=False).pack(bits)
    return [int.from_bytes(word, "little") for word in packed]


def some_addresses(rng: np.random.Generator, depth: int) -> list[int]:
    """All of a small memory; of a large one those around its limits and around every power of two, and random ones."""
    powers = [2**n + d for n in range(depth.bit_length()) for d in (-1, 0)]
    edges = [*range(min(depth, 70)), *(n for n in powers if n < depth), depth - 1]
    return edges + rng.integers(0, depth, 60).tolist()


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("is_rom", [False, True])
def test_layout_holds_every_bit_in_the_fewest_blocks(depth: int, is_rom: bool) -> None:
    deepest = max(DP16KD_SHAPES)
    for width in WIDTHS:
        layout = dp16kd_layout(depth, width, read_only=is_rom)
        [words] = [words for words, bits in DP16KD_SHAPES.items() if bits == layout.bits]
        assert layout.banks * words >= depth * layout.ports
        assert layout.columns * layout.bits >= width > (layout.columns - 1) * layout.bits
        assert layout.ports == 1 or (is_rom and layout.ports == 2)
        if depth > deepest:
            # No choice by address where one block is deep enough.
            assert (layout.banks, layout.bits, layout.ports) == (-(-depth // deepest), 1, 1)
            assert layout.blocks == layout.banks * width
            continue
        possible = [
            -(-width // (bits * ports))
            for words, bits in DP16KD_SHAPES.items()
            for ports in ((1, 2) if is_rom else (1,))
            if depth * ports <= words
        ]
        assert layout.banks == 1
        assert layout.blocks == min(possible)


@pytest.mark.parametrize(
    ("depth", "width", "is_rom", "blocks"),
    [
        (512, 36, True, 1),
        (512, 36, False, 2),
        (513, 36, True, 2),
        (1024, 19, False, 2),
        (1025, 9, False, 1),
        (1025, 10, True, 2),
        (16384, 1, False, 1),
        (16385, 3, False, 6),
    ],
)
def test_blocks(depth: int, width: int, is_rom: bool, blocks: int) -> None:
    assert dp16kd_layout(depth, width, read_only=is_rom).blocks == blocks


@pytest.mark.parametrize(
    ("target", "width", "rom", "ram"),
    [
        (GENERIC, 8, 64, 32),
        (ECP5, 8, 16, 16),
        (XC7, 1, 256, 256),
        (XC7, 8, 256, 256),
        (XC7, 36, 128, 64),
        (XC7, 37, 256, 128),
        (XCUP, 8, 256, 256),
        (XCUP, 18, 256, 128),
        (XCUP, 19, 192, 128),
        (XCUP, 36, 128, 64),
        (XCUP, 64, 128, 64),
        (XCUP, 576, 128, 64),
    ],
    ids=lambda value: getattr(value, "name", value),
)
def test_kinds(target: Target, width: int, rom: int, ram: int) -> None:
    """The most words that are kept in LUTs. Where LUTs have a price, the width counts: a block has few bits a cycle."""
    assert [kind(target, depth, width, read_only=True) for depth in (1, 2, rom, rom + 1)] == [
        "constant",
        "lut",
        "lut",
        "block",
    ]
    kinds = [kind(target, depth, width, read_only=False) for depth in (1, 2, ram, ram + 1)]
    assert kinds == ["lut", "lut", "lut", "block"]


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
@pytest.mark.parametrize("is_rom", [False, True])
def test_no_memory_moves_to_luts_as_it_grows(target: Target, is_rom: bool) -> None:
    """The schedule makes FIFOs deeper step by step, and counts on it."""
    for width in (*range(1, 80), 576, 1000):
        kinds = [kind(target, depth, width, read_only=is_rom) for depth in range(2, 600)]
        assert kinds == sorted(kinds, reverse=True)


def check_rom(target: Target, depth: int, width: int) -> None:
    rng = np.random.default_rng(depth * 100 + width)
    image = random_image(rng, depth, width)
    m, address = Module(), Signal(index_shape(depth))
    word = read_only(m, target, image, width, address, name="store")
    assert len(word) == width
    addresses = some_addresses(rng, depth)
    shown = show(m, [address], word, [[a] for a in addresses], LATENCY)
    assert shown[LATENCY:] == [image[a] for a in addresses], f"seed {depth * 100 + width}"


def check_ram(target: Target, depth: int, width: int) -> None:
    """Writes and reads at random, never the same word at once; words read before they are written are not looked at."""
    rng = np.random.default_rng(depth * 100 + width)
    m = Module()
    enable, place, content = Signal(), Signal(index_shape(depth)), Signal(width)
    address = Signal(index_shape(depth))
    word = random_access(
        m, target, depth=depth, width=width, write=(enable, place, content), address=address, name="store"
    )
    assert len(word) == width
    used = sorted(set(some_addresses(rng, depth)))
    random = random_image(rng, 700, width)
    held: dict[int, int] = {}
    rows: list[list[int]] = []
    expected: list[int | None] = []
    # First all words are written, then some again, and some that are not enabled.
    for cycle in range(len(used) + 400):
        where = used[cycle] if cycle < len(used) else int(rng.choice(used))
        read = int(rng.choice([a for a in used if a != where] or [where]))
        enabled = int(cycle < len(used) or rng.random() < 0.5)
        rows.append([enabled, where, random[cycle], read])
        expected.append(held.get(read) if read != where else None)
        if enabled:
            held[where] = random[cycle]
    shown = show(m, [enable, place, content, address], word, rows, LATENCY)[LATENCY:]
    seen = [(got, wanted) for got, wanted in zip(shown, expected, strict=True) if wanted is not None]
    assert len(seen) > 300 and all(got == wanted for got, wanted in seen), f"seed {depth * 100 + width}"


def check_held(target: Target, depth: int, width: int) -> None:
    """Memory and register behind it each keep what they have while they are not enabled."""
    rng = np.random.default_rng(depth * 100 + width)
    m, address, content = Module(), Signal(index_shape(depth)), Signal(width)
    write, reads, moves = Signal(), Signal(), Signal()
    port = (write, address, content)
    enables = (reads, moves)
    word = random_access(
        m, target, depth=depth, width=width, write=port, address=address, name="store", enables=enables
    )
    used, random = sorted(set(some_addresses(rng, depth))), random_image(rng, 700, width)
    rows = [[1, 0, 0, place, random[number]] for number, place in enumerate(used)]
    held = dict(zip(used, random, strict=False))
    read, moved, expected = None, None, []
    for _cycle in range(400):
        place, flags = int(rng.choice(used)), rng.integers(0, 2, 2).tolist()
        rows.append([0, *flags, place, 0])
        expected.append(moved)
        read, moved = held[place] if flags[0] else read, read if flags[1] else moved
    shown = show(m, [write, reads, moves, address, content], word, rows, 0)[len(used) :]
    assert all(wanted in (None, got) for got, wanted in zip(shown, expected, strict=True)), (
        f"seed {depth * 100 + width}"
    )
    assert expected.count(None) < 30


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("depth", [2, 17, 65])
def test_inferred_memory_is_held(target: str, depth: int) -> None:
    check_held(SIMULATED[target], depth, 9)


@in_turn
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("depth", [2, 3, 16, 17, 64, 65, 513])
@pytest.mark.parametrize("width", [1, 9, 73])
def test_inferred_memory(target: str, depth: int, width: int) -> None:
    check_rom(SIMULATED[target], depth, width)
    check_ram(SIMULATED[target], depth, width)


def model_rom(m: Module, *, bits: int, addresses: Sequence[Value], image: Sequence[int]) -> list[Value]:
    """What `hw.targets.primitives.dp16kd_rom` promises."""
    words = next(words for words, width in DP16KD_SHAPES.items() if width == bits)
    assert len(image) <= words and len(addresses) <= 2 and all(0 <= word < 2**bits for word in image)
    m.submodules += (store := memory.Memory(shape=unsigned(bits), depth=words, init=image))
    read = []
    for address in addresses:
        port = store.read_port()
        m.d.comb += [port.addr.eq(address), port.en.eq(1)]
        read.append(delay(m, port.data, 1))
    return read


def model_ram(
    m: Module,
    *,
    bits: int,
    write: tuple[Value, Value, Value],
    read_address: Value,
    enables: tuple[Value, Value],
) -> Value:
    """What `hw.targets.primitives.dp16kd_ram` promises."""
    words = next(words for words, width in DP16KD_SHAPES.items() if width == bits)
    enable, address, content = write
    assert len(content) == bits
    m.submodules += (store := memory.Memory(shape=unsigned(bits), depth=words, init=[]))
    writer, port = store.write_port(), store.read_port()
    m.d.comb += [writer.en.eq(enable), writer.addr.eq(address), writer.data.eq(content)]
    m.d.comb += [port.addr.eq(read_address), port.en.eq(enables[0])]
    held = Signal(bits)
    with m.If(enables[1]):
        m.d.sync += held.eq(port.data)
    return held


@in_turn
@thorough
@pytest.mark.parametrize(
    "depth", [17, 512, 513, 1024, 1025, 4096, 8192, 16384, 16385, pytest.param(32769, marks=nightly)]
)
@pytest.mark.parametrize("width", [1, 9, 19])
def test_blocks_side_by_side_and_on_top_of_each_other(depth: int, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Around blocks that are models: which bits of which words are in which block, at which port."""
    monkeypatch.setattr(storage, "dp16kd_rom", model_rom)
    monkeypatch.setattr(storage, "dp16kd_ram", model_ram)
    check_rom(ECP5, depth, width)
    check_ram(ECP5, depth, width)
    check_held(ECP5, depth, width)


def built(target: Target, depth: int, width: int, *, is_rom: bool) -> str:
    """The generated text of a memory."""
    m, address, word = Module(), Signal(index_shape(depth)), Signal(width)
    enable, place, content = Signal(), Signal(index_shape(depth)), Signal(width)
    write = (enable, place, content)
    if is_rom:
        result = read_only(m, target, random_image(np.random.default_rng(19), depth, width), width, address, name="s")
    else:
        result = random_access(m, target, depth=depth, width=width, write=write, address=address, name="s")
    m.d.comb += word.eq(result)
    return rtlil.convert(m, ports=[address, *write, word])


@pytest.mark.parametrize("depth", [2, 16, 17, 32, 33, 64, 65, 1025])
@pytest.mark.parametrize("is_rom", [False, True])
def test_every_memory_is_what_its_kind_says(depth: int, is_rom: bool) -> None:
    """Instances in the number of the layout, or a memory with the attribute that synthesis looks for."""
    style = "rom_style" if is_rom else "ram_style"
    for target in TARGETS.values():
        text = built(target, depth, 20, is_rom=is_rom)
        where = kind(target, depth, 20, read_only=is_rom)
        if target.block_memory and where == "block":
            assert text.count(f"cell \\{target.block_memory} ") == dp16kd_layout(depth, 20, read_only=is_rom).blocks
            assert "memory " not in text
            continue
        assert not any(f"cell \\{other.block_memory} " in text for other in TARGETS.values() if other.block_memory)
        if is_rom and where == "lut":
            # Few constants need no telling.
            wanted, told = 'rom_style "logic"', depth > target.rom_depth
        else:
            wanted, told = f'{style} "{"block" if where == "block" else "distributed"}"', True
        assert (wanted in text) == (target is not GENERIC and told)
        assert text.count("_style") == (wanted in text)
