"""A unit as gates and flip-flops, and as clauses for a SAT solver."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pysat.solvers import Solver

from hw.plan.config import DEFAULT_NAME
from hw.synth.toolchain import YOSYS
from sim.simulator.simulators import PRIMITIVES

_SCRIPT = (
    "read_verilog unit.v",
    "hierarchy -top {top}",
    "proc",
    "flatten",
    # Every signal keeps its name, used or not, but for those that Yosys adds to write memories.
    "setattr -set keep 1 w:* w:$memwr$* %d",
    # A netlist with mutants writes each bit of a word by itself. These steps join them to one write again. Address and
    # value are undefined while nothing is written.
    "opt_expr -mux_undef",
    "opt_merge",
    "opt_reduce",
    "opt_expr",
    "memory -nordff",
    "setundef -zero",  # Verilator, too, takes undriven bits and registers without an initial value as 0
    "opt_expr",
    "techmap -map constant_product.v",
    "opt_expr",
    "techmap {gates}",
    "dffunmap",
    "aigmap {gates}",
    "clean",
    "write_json -noscopeinfo gates.json",
)
_CONSTANT_PRODUCT = Path(__file__).with_name("constant_product.v")
#: Selects all cells but multipliers, which would be most of the gates.
_GATES = "t:* t:$mul %d"
TRUE = 1

#: A net's number, or a constant ``"0"`` or ``"1"``, as Yosys writes them.
Bit = int | str


@dataclass(frozen=True, kw_only=True)
class Gates:
    """A flat netlist of ANDs, inverters, flip-flops of one clock, and cells that are left as they are.

    Attributes:
        ands: the two inputs of each AND, by its output.
        nots: the input of each inverter, by its output.
        flip_flops: the input of each flip-flop, by its output.
        opaque: for each multiplier or primitive, the bits that it reads and the bits that it drives.
        initial: outputs of the flip-flops that power up with 1.
        signals: the bits of each signal by its hierarchical name, least significant first.
        inputs, outputs: the bits of each port by its name, least significant first.
    """

    ands: Mapping[int, tuple[Bit, Bit]]
    nots: Mapping[int, Bit]
    flip_flops: Mapping[int, Bit]
    opaque: Sequence[tuple[Sequence[Bit], Sequence[int]]]
    initial: frozenset[int]
    signals: Mapping[str, Sequence[Bit]]
    inputs: Mapping[str, Sequence[int]]
    outputs: Mapping[str, Sequence[Bit]]

    @cached_property
    def free(self) -> frozenset[int]:
        """Bits that may have any value in a cycle, whatever the state: inputs, and what opaque cells drive."""
        return frozenset(
            bit for bits in (*self.inputs.values(), *(drives for _, drives in self.opaque)) for bit in bits
        )

    @cached_property
    def order(self) -> list[int]:
        """Outputs of all gates; each comes after the outputs that its gate reads."""
        order: list[int] = []
        seen: set[Bit] = set()
        for root in (*self.ands, *self.nots):
            stack: list[tuple[int, bool]] = [(root, False)]
            while stack:
                bit, done = stack.pop()
                if done:
                    order.append(bit)
                elif bit not in seen:
                    seen.add(bit)
                    stack.append((bit, True))
                    for read in self.ands.get(bit) or (self.nots[bit],):
                        if isinstance(read, int) and read not in seen and (read in self.ands or read in self.nots):
                            stack.append((read, False))
        return order


def read_gates(verilog: str, *, top: str = DEFAULT_NAME) -> Gates:
    """The gates of module ``top``.

    The primitives of `sim.simulator.simulators.PRIMITIVES` stay opaque, and so do multipliers, but for narrow
    ones by constants.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / "unit.v").write_text(verilog)
        (folder / _CONSTANT_PRODUCT.name).write_text(_CONSTANT_PRODUCT.read_text())
        script = "; ".join([*read_primitives(verilog, folder), *_SCRIPT]).format(top=top, gates=_GATES)
        YOSYS.run("-q", "-p", script, folder=folder)
        module = json.loads((folder / "gates.json").read_text())["modules"][top]
    ands: dict[int, tuple[Bit, Bit]] = {}
    nots: dict[int, Bit] = {}
    flip_flops: dict[int, Bit] = {}
    opaque: list[tuple[list[Bit], list[int]]] = []
    for cell in module["cells"].values():
        pins = cell["connections"]
        match cell["type"]:
            case "$_AND_":
                ands[pins["Y"][0]] = pins["A"][0], pins["B"][0]
            case "$_NOT_":
                nots[pins["Y"][0]] = pins["A"][0]
            case "$_DFF_P_":
                flip_flops[pins["Q"][0]] = pins["D"][0]
            case _:
                ways = cell["port_directions"]
                reads = [bit for port, bits in pins.items() if ways[port] == "input" for bit in bits]
                drives = [bit for port, bits in pins.items() if ways[port] == "output" for bit in bits]
                opaque.append((reads, drives))
    ports = module["ports"].items()
    inputs = {name: port["bits"] for name, port in ports if port["direction"] == "input"}
    initial = set()
    for wire in module["netnames"].values():
        for bit, value in zip(wire["bits"], reversed(wire["attributes"].get("init", "")), strict=False):
            if value == "1" and bit in flip_flops:
                initial.add(bit)
    return Gates(
        ands=ands,
        nots=nots,
        flip_flops=flip_flops,
        opaque=opaque,
        initial=frozenset(initial),
        # In JSON, names that begin with a digit keep their backslash.
        signals={name.removeprefix("\\"): wire["bits"] for name, wire in module["netnames"].items()},
        inputs=inputs,
        outputs={name: port["bits"] for name, port in ports if port["direction"] == "output"},
    )


def read_primitives(verilog: str, folder: Path) -> list[str]:
    """Yosys commands that tell it the ports of the primitives in ``verilog``. They must be run in ``folder``."""
    names = [name for name in PRIMITIVES if re.search(rf"\b{name}\b", verilog)]
    for name in names:
        # Yosys gets the ports alone: it does not accept the messages of the model to the simulator's user.
        header = re.match(r".*?^\);", PRIMITIVES[name].read_text(), re.DOTALL | re.MULTILINE)
        assert header, name
        (folder / f"{name}.v").write_text(f"{header[0]}\nendmodule\n")
    return [f"read_verilog -lib {name}.v" for name in names]


class Clauses:
    """Cycles of a unit in a SAT solver. Gates of one kind with the same inputs are there once.

    Attributes:
        solver: a solver of python-sat.
    """

    def __init__(self) -> None:
        self.solver = Solver("cadical153")
        self.solver.add_clause([TRUE])
        self._last = TRUE
        self._hashed: dict[tuple[int, int], int] = {}

    def new(self) -> int:
        """A new literal."""
        self._last += 1
        return self._last

    def cycle(self, gates: Gates, known: Mapping[int, int]) -> dict[Bit, int]:
        """The literals of all bits in a cycle.

        Args:
            known: literals of some inputs and flip-flops. All others are free, and so are bits that opaque
                cells drive.
        """
        literals: dict[Bit, int] = {"0": -TRUE, "1": TRUE} | dict(known)
        for bit in (*gates.free, *gates.flip_flops):
            if bit not in literals:
                literals[bit] = self.new()
        for bit in gates.order:
            if bit in gates.nots:
                literals[bit] = -self.literal(literals, gates.nots[bit])
            else:
                a, b = gates.ands[bit]
                literals[bit] = self.both(self.literal(literals, a), self.literal(literals, b))
        return literals

    def literal(self, literals: dict[Bit, int], bit: Bit) -> int:
        """The literal of ``bit``. A bit that nothing drives is 0, as in Verilator."""
        return literals.get(bit, -TRUE)

    def both(self, a: int, b: int) -> int:
        """A literal that is true where ``a`` and ``b`` are both true."""
        if a == -TRUE or b == -TRUE or a == -b:
            return -TRUE
        if a in (TRUE, b):
            return b
        if b == TRUE:
            return a
        key = (a, b) if a < b else (b, a)
        if key not in self._hashed:
            self._hashed[key] = out = self.new()
            self.solver.append_formula([[-out, a], [-out, b], [out, -a, -b]])
        return self._hashed[key]

    def differ(self, a: int, b: int) -> int:
        """A literal that is true where ``a`` and ``b`` differ."""
        return -self.both(-self.both(a, -b), -self.both(-a, b))
