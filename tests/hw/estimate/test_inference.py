"""Inference: memories in as many RAMs as Yosys makes of them, of any depth and width."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from amaranth.back import rtlil
from amaranth.hdl import Module
from amaranth.lib import memory as amaranth_memory
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.blocks import memory
from hw.blocks.pipeline import delay, index_shape
from hw.estimate.cells import Cells
from hw.synth.mapping import synthesis_command
from hw.synth.resources import area
from hw.synth.toolchain import YOSYS
from hw.targets.area import Area
from hw.targets.families import TARGETS, Target
from tests.support.tiers import by_day, nightly, thorough

#: Memories of a few thousand words, where banks share RAMs, and at the borders of what LUTs hold.
SIZES = [(300, 64), (1100, 14), (5200, 5)]
#: More of them, of several blocks side by side and on top of each other, which take Yosys longest.
LARGER = [(600, 33), (2500, 64), (5200, 33)]
SMALL = [(17, 20), (32, 56), (64, 84), (65, 14), (96, 36), (128, 36), (128, 56), (200, 20)]


class Kept(wiring.Component):
    """One memory: constants (``read_only``), written (``block``), or written and left to synthesis (``free``)."""

    def __init__(self, target: Target, kind: str, depth: int, width: int) -> None:
        self._target, self._kind, self._depth, self._width = target, kind, depth, width
        address = index_shape(depth)
        members = {"read": In(address), "write": In(address), "enable": In(1), "data": In(width), "word": Out(width)}
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if self._kind == "read_only":
            rng = np.random.default_rng(self._depth)
            image = [int.from_bytes(rng.bytes(-(-self._width // 8)), "little") for _ in range(self._depth)]
            image = [word % 2**self._width for word in image]
            word = memory.read_only(m, self._target, image, self._width, self.read, name="kept")
        elif self._kind == "block":
            port = (self.enable, self.write, self.data)
            word = memory.random_access(
                m, self._target, depth=self._depth, width=self._width, write=port, address=self.read, name="kept"
            )
        else:
            m.submodules.kept = store = amaranth_memory.Memory(shape=self._width, depth=self._depth, init=[])
            read, write = store.read_port(domain="comb"), store.write_port()
            m.d.comb += [read.addr.eq(self.read), write.addr.eq(self.write), write.data.eq(self.data)]
            m.d.comb += write.en.eq(self.enable)
            word = delay(m, read.data, 1)
        m.d.comb += self.word.eq(word)
        return m


def synthesised(target: Target, parts: dict[str, Kept], folder: Path) -> dict[str, Area]:
    """The area of each part, all synthesised in one run, each in a module of its own."""
    for name, part in parts.items():
        (folder / f"{name}.il").write_text(rtlil.convert(part, name=name))
    (folder / "top.v").write_text("".join(_top(parts)))
    reads = [f"read_rtlil {name}.il" for name in parts]
    commands = ["read_verilog top.v", *reads, "proc", "hierarchy -top top"]
    commands += [f"flatten {' '.join(parts)}", "setattr -mod -set keep_hierarchy 1 * top %d"]
    command = synthesis_command(target, "top").replace(" -flatten", "")
    YOSYS.run("-q", "-p", "; ".join([*commands, command, "tee -q -o stat.json stat -json"]), folder=folder)
    modules = json.loads((folder / "stat.json").read_text())["modules"]
    counts = {name: modules[f"\\{name}"]["num_cells_by_type"] for name in parts}
    return {name: area(kind for kind, count in own.items() for _ in range(count)) for name, own in counts.items()}


def _top(parts: dict[str, Kept]) -> Iterator[str]:
    """A module that has each part once, with ports of their own."""
    ports, instances = ["input clk", "input rst"], []
    for name, part in parts.items():
        connections = [".clk(clk)"]
        for member, port in part.signature.members.items():
            way = "input" if port.flow is In else "output"
            ports.append(f"{way} [{getattr(part, member).shape().width - 1}:0] {name}_{member}")
            connections.append(f".{member}({name}_{member})")
        instances.append(f"{name} i_{name} ({', '.join(connections)});\n")
    yield f"module top ({', '.join(ports)});\n"
    yield from instances
    yield "endmodule\n"


@thorough
@pytest.mark.parametrize("sizes", [SIZES, pytest.param(LARGER, marks=nightly)], ids=["large", "larger"])
@pytest.mark.parametrize(
    ("kind", "target"),
    by_day(itertools.product(["read_only", "block"], ["xc7", "xcup"]), [("block", "xcup")]),
)
def test_block_rams(kind: str, target: str, sizes: list[tuple[int, int]], tmp_path: Path) -> None:
    cells = Cells(TARGETS[target])
    parts = {f"part_{depth}_{width}": Kept(TARGETS[target], kind, depth, width) for depth, width in sizes}
    found = synthesised(TARGETS[target], parts, tmp_path)
    blocks = [cells.block(depth, width, read_only=kind == "read_only").bram for depth, width in sizes]
    assert dict(zip(parts, blocks, strict=True)) == {name: part.bram for name, part in found.items()}


@thorough
@pytest.mark.parametrize(
    ("target", "sizes"),
    by_day(
        itertools.product(["ecp5", "xc7", "xcup"], [SMALL, SIZES, LARGER]),
        [("ecp5", SMALL), ("xcup", SMALL)],
    ),
    ids=[f"{size}-{target}" for target in ("ecp5", "xc7", "xcup") for size in ("small", "large", "larger")],
)
def test_memories_without_attribute(sizes: list[tuple[int, int]], target: str, tmp_path: Path) -> None:
    cells = Cells(TARGETS[target])
    parts = {f"part_{depth}_{width}": Kept(TARGETS[target], "free", depth, width) for depth, width in sizes}
    found = synthesised(TARGETS[target], parts, tmp_path)
    blocks = [cells.memory(depth, width).bram for depth, width in sizes]
    assert dict(zip(parts, blocks, strict=True)) == {name: part.bram for name, part in found.items()}
