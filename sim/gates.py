"""A unit as gates and flip-flops, and as clauses for a SAT solver."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hw.synth.toolchain import YOSYS
from hw.verilog import TOP_MODULE

_SCRIPT = (
    "read_verilog unit.v",
    f"hierarchy -top {TOP_MODULE}",
    "proc",
    "flatten",
    "cutpoint t:$mul",
    "memory -nordff",
    "opt_expr",
    "techmap",
    "dffunmap",
    "aigmap",
    "clean",
    "write_json -noscopeinfo gates.json",
)


@dataclass(frozen=True, kw_only=True)
class Gates:
    """A flat netlist of ANDs, inverters and flip-flops of one clock.

    Bits are numbers, or the constants ``"0"``, ``"1"``, ``"x"``, as Yosys writes them.

    Attributes:
        ands: output: its two inputs.
        nots: output: its input.
        flip_flops: output: its input.
        signals: the bits of each signal by its hierarchical name, least significant first.
        initial: of flip-flops that have one.
        inputs, outputs: bits of the ports.
    """

    ands: Mapping[int, tuple[Any, Any]]
    nots: Mapping[int, Any]
    flip_flops: Mapping[int, Any]
    signals: Mapping[str, Sequence[Any]]
    initial: Mapping[int, int]
    inputs: Mapping[str, Sequence[Any]]
    outputs: Mapping[str, Sequence[Any]]

    @cached_property
    def order(self) -> list[int]:
        """All gates, each behind those that it reads."""
        order: list[int] = []
        seen: set[int] = set()
        for root in (*self.ands, *self.nots):
            stack = [(root, False)]
            while stack:
                bit, done = stack.pop()
                if done:
                    order.append(bit)
                elif bit not in seen:
                    seen.add(bit)
                    stack.append((bit, True))
                    reads = self.ands.get(bit) or (self.nots[bit],)
                    stack += [(b, False) for b in reads if b not in seen and (b in self.ands or b in self.nots)]
        return order


def read_gates(verilog: str) -> Gates:
    """The gates of a unit's Verilog, with the models of the primitives that it names."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "unit.v").write_text(verilog)
        YOSYS.run("-q", "-p", "; ".join(_SCRIPT), folder=folder)
        module = json.loads((folder / "gates.json").read_text())["modules"][TOP_MODULE]
    ands, nots, flip_flops = {}, {}, {}
    for cell in module["cells"].values():
        pins = {port: bits[0] for port, bits in cell["connections"].items()}
        match cell["type"]:
            case "$_AND_":
                ands[pins["Y"]] = pins["A"], pins["B"]
            case "$_NOT_":
                nots[pins["Y"]] = pins["A"]
            case "$_DFF_P_":
                flip_flops[pins["Q"]] = pins["D"]
    initial = {}
    for wire in module["netnames"].values():
        for bit, value in zip(wire["bits"], reversed(wire["attributes"].get("init", "")), strict=False):
            if value in "01" and bit in flip_flops:
                initial[bit] = int(value)
    ports = module["ports"].items()
    return Gates(
        ands=ands,
        nots=nots,
        flip_flops=flip_flops,
        signals={name: wire["bits"] for name, wire in module["netnames"].items()},
        initial=initial,
        inputs={name: port["bits"] for name, port in ports if port["direction"] == "input"},
        outputs={name: port["bits"] for name, port in ports if port["direction"] == "output"},
    )
