"""Verilog of a unit: conversion, tidy module names, and a header that says what it is."""

from __future__ import annotations

import contextlib
import gc
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from amaranth.back import rtlil
from amaranth.hdl import ClockDomain

from hw.blocks.memory_file import INCLUDED, MemoryFiles, MemoryFolder
from hw.export.axi_ports import axi_unit
from hw.export.manifest import manifest
from hw.export.yosys import run_yosys
from hw.plan.config import UnitConfig
from hw.plan.flush import Flush
from hw.plan.shapes import Shapes

#: Attributes that mean something to Yosys or Amaranth only.
INTERNAL_ATTRIBUTE = r"^ *\(\* (?!rom_style|ram_style|keep_hierarchy)[^\n]*\*\)\n"

#: Findings of ``verilator -Wall`` that are this generator's style, and why each is harmless.
LINT_OFF = {
    "DECLFILENAME": "all modules are in one file",
    "WIDTHEXPAND": "operands of different widths are extended by Verilog's own rules, as intended",
    "PROCASSINIT": "registers have an initial value and a clocked one, for FPGAs without reset",
    "UNUSEDSIGNAL": "upper bits of exact products and sums whose range is proven narrower",
}


@dataclass(frozen=True, kw_only=True)
class Core:
    """A generated unit.

    Attributes:
        config: what was asked for.
        verilog: the Verilog text.
        manifest: see `hw.export.manifest`.
        memories: files that the Verilog reads, by path relative to its own (`hw.blocks.memory_file`).
    """

    config: UnitConfig
    verilog: str
    manifest: dict[str, Any]
    memories: Mapping[str, bytes] = field(default_factory=dict)


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    """Have Python not look for garbage in cycles. All objects of a design live until it is written."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@_without_collector()
def generate(
    config: UnitConfig,
    *,
    flush: Flush | None = None,
    tap: bool = False,
    inline: bool = False,
    design: str | None = None,
    inside: bool = False,
) -> Core:
    """The unit that ``config`` asks for. The texts are always the same for the same arguments.

    Args:
        config: what is asked for.
        flush: how the unit completes a frame, where what stands around it decides that.
        tap: whether the pixels in the centres of its windows come out of a stream of their own.
        inline: whether all words stand in the Verilog, so that it needs no memory files.
        design: name of the design that the unit is a part of, whose folder takes its memory files; by default
            the unit's own.
        inside: whether all around a frozen unit is reset in the cycle in which it is. Then beats may pass while the
            reset is on its way, and no path leads from the reset through a port.
    """
    shapes = Shapes(config, flush, tap)
    files = None if inline else MemoryFiles(config.name, MemoryFolder(design or config.name))
    top = axi_unit(shapes, files, inside=inside)
    lane = rtlil.convert(
        top.unit.lane,
        name=top.unit.lane_module,
        emit_src=False,
        # A lane has no state that outlives its beat, so nothing in it needs a reset.
        missing_domain=lambda name: ClockDomain(name, reset_less=True),
    )
    text = write_verilog(rtlil.convert(top, name=config.name, emit_src=False), lane)
    memories: dict[str, bytes] = {}
    if files is not None:
        text = files.default + text + files.verilog
        for path, content in files.contents.items():
            is_verilog = path.endswith(INCLUDED)
            memories[path] = _keep_copies(config, content.decode()).encode() if is_verilog else content
    return Core(
        config=config,
        verilog=_header(shapes) + lint_pragmas() + _keep_copies(config, text),
        manifest=manifest(top.unit, top.signature, files),
        memories=memories,
    )


def _keep_copies(config: UnitConfig, text: str) -> str:
    """``text`` with a mark at modules that hold copies of registers, near to what reads them.

    Synthesis must not merge the copies.
    """
    if not config.target.lane_registers:
        return text
    kept = rf"^module (?={config.name}_lane\(|{config.name}_weights_\w+ \()"
    return re.sub(kept, '(* keep_hierarchy = "yes" *)\nmodule ', text, flags=re.MULTILINE)


def write_verilog(*designs: str) -> str:
    """Verilog of RTLIL texts.

    Unlike `amaranth.back.verilog` this leaves no combinational process. An ``always @*`` whose inputs
    do not change at time 0 never runs in Icarus, and its outputs stay unknown.
    """
    script = [f"read_rtlil <<end_of_rtlil\n{design}\nend_of_rtlil" for design in designs]
    script += ["proc", "opt_clean -purge", "memory_collect", "write_verilog"]
    text = re.sub(INTERNAL_ATTRIBUTE, "", run_yosys("\n".join(script)), flags=re.MULTILINE)
    text = text[text.index("module ") :]
    # A test for zero is written as the logical not of a vector, which lint calls a truncation.
    text = re.sub(r"= ! (\S+(?: \[[\d:]+\])? ?);", r"= ~(| \1);", text)
    text = re.sub(r"= ! (\{[^;]*\}) ?;", r"= \1 == 0;", text)
    text = re.sub(r"\{ ([^{}]*) \}", _fold_runs, text)
    # Names of inner modules have dots, which Verilog allows only escaped.
    modules = {name for design in designs for name in re.findall(r"^module \\(\S+)$", design, re.MULTILINE)}

    def plain(match: re.Match[str]) -> str:
        return match[1].replace(".", "_") + " " if match[1] in modules else match[0]

    return re.sub(r"\\(\S+)\s", plain, text)


def _fold_runs(concatenation: re.Match[str]) -> str:
    """``{ x[7], x[7], x[7], x }`` as ``{ {3{x[7]}}, x }``, which simulators are quick with."""
    runs = [(item, len(list(alike))) for item, alike in groupby(concatenation[1].split(", "))]
    return "{ " + ", ".join(item if count == 1 else f"{{{count}{{{item}}}}}" for item, count in runs) + " }"


def _header(shapes: Shapes) -> str:
    c = shapes.layer.config
    lines = [
        f"X-volution unit: {c.in_channels} -> {c.out_channels} channels, {c.height}x{c.width}, kernel {c.kernel}, "
        f"stride {c.stride}, padding {c.padding}, {len(c.attn_offsets)} attention offsets,",
        f"simd {shapes.folding.simd}, pe {shapes.folding.pe}. Generated by hw.build: do not edit.",
    ]
    return "".join(f"// {line}\n" for line in lines)


def lint_pragmas() -> str:
    """Comments that tell Verilator of the generator's style."""
    return "".join(f"/* verilator lint_off {name} */ // {why}\n" for name, why in LINT_OFF.items())
