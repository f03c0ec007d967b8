"""Mutants: a unit's netlist with one small fault each, all of them in one program.

Yosys draws the faults over the unit's flat netlist (``mutate -list``). In a mutant, a bit of a cell's port is
stuck, inverted, or inverted where another bit of the port is 0 or 1. All mutants of a unit go into one
Verilog text, so that one compiled program runs them all. The plusarg ``mutant`` of a simulation chooses a
mutant by its number; 0 chooses the unit without a fault.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hw.export.network_verilog import NetworkCore
from hw.export.verilog import Core
from hw.plan.config import DEFAULT_NAME
from hw.synth.netlist import Netlist
from hw.synth.parts import ATTRIBUTE, Parts, cell_parts
from hw.synth.stages import UnitStages
from hw.synth.toolchain import YOSYS
from sim.evidence.gates import read_primitives
from sim.evidence.node_kinds import NodeKinds

#: The plusarg, and the signal, with the number of the mutant to run.
SELECT = "mutant"
#: Bits of the signal `SELECT`.
SELECT_BITS = 16
#: Name of the netlist's module; ``xvolution`` is the wrapper that reads the plusarg.
INNER = "mutated"
#: Clock ports, whose faults are no faults of the unit's logic.
CLOCK = re.compile(r"CLK\w?|\w+_CLK")
#: Ports that the asynchronous read ports of a memory have only in Yosys, where they are constant.
SYNCHRONOUS = ("RD_EN", "RD_ARST", "RD_SRST")
#: Factor by which more mutants are drawn than wanted, as those of clocks are dropped.
SURPLUS = 1.5

_UNIT = "unit.v"
_DRAWN = "drawn.txt"
_MUTANTS = "mutants.v"
_NETLIST = "netlist.json"
_WRAPPER = f"""
module {DEFAULT_NAME} (
    {{declarations}}
);
    reg [{SELECT_BITS - 1}:0] {SELECT} = 0;
    initial if (!$value$plusargs("{SELECT}=%d", {SELECT})) {SELECT} = 0;
    {INNER} unit (.{SELECT}({SELECT}), {{connections}});
endmodule
"""


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """A fault.

    Attributes:
        mode: what happens to the bit: ``inv``, ``const0``, ``const1``, ``cnot0``, ``cnot1`` (inverted where the
            control bit is 0 or 1).
        cell: name of the cell in the flat netlist.
        port, bit: the bit of the cell that has the fault.
        control: the control bit, in the same port; None where ``mode`` has none.
        wire: the designer's signal at the bit; empty if there is none.
        stage: the part that the cell is in: of a unit one of `hw.synth.stages.STAGES`, of a network one of the names
            of `sim.evidence.node_kinds.NodeKinds`.
    """

    mode: str
    cell: str
    port: str
    bit: int
    control: int | None
    wire: str
    stage: str

    def __str__(self) -> str:
        control = f" by bit {self.control}" if self.control is not None else ""
        return f"{self.mode}{control} at {self.port}[{self.bit}] of {readable(self.cell)}" + (
            f" ({self.wire})" if self.wire else ""
        )

    def command(self, select: int) -> str:
        """The Yosys command that builds the fault in, for the value ``select`` of the signal `SELECT`."""
        control = "" if self.control is None else f" -ctrlbit {self.control}"
        return (
            f"mutate -ctrl {SELECT} {SELECT_BITS} {select} -mode {self.mode} -module {DEFAULT_NAME} -cell {self.cell} "
            f"-port {self.port} -portbit {self.bit}{control}"
        )


def readable(cell: str) -> str:
    """A cell's name for people: ``window.and line 1284`` for ``$flatten\\window.$and$unit.v:1284$870``."""
    scope, _, rest = cell.removeprefix("$flatten").rpartition("$" + _UNIT + ":")
    if not scope:
        return cell.removeprefix("$flatten").replace("\\", "").replace("$", "")
    return f"{scope.replace(chr(92), '').replace('$', '')} line {rest.split('$')[0]}"


def draw(core: Core | NetworkCore, count: int, *, seed: int) -> list[Mutant]:
    """``count`` different mutants of a unit, or fewer where Yosys finds fewer. ``seed`` decides which."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        listing = f"mutate -list {round(SURPLUS * count)} -seed {seed} -o {_DRAWN}"
        _yosys(core, [f"write_json -noscopeinfo {_NETLIST}", listing], folder)
        module = json.loads((folder / _NETLIST).read_text())["modules"][DEFAULT_NAME]
        lines = (folder / _DRAWN).read_text().splitlines()
    # In JSON, names that begin with a digit keep their backslash.
    parts = cell_parts(Netlist(module), _parts(core)).items()
    stages = {cell.removeprefix("\\"): part for cell, part in parts}
    drawn = dict.fromkeys(_mutant(line, stages) for line in lines)
    cells = {cell.removeprefix("\\"): content for cell, content in module["cells"].items()}
    return [mutant for mutant in drawn if _is_in_logic(mutant, cells[mutant.cell.removeprefix("\\")])][:count]


def mutated(core: Core | NetworkCore, mutants: Sequence[Mutant]) -> str:
    """Verilog of a unit with all ``mutants``.

    The plusarg `SELECT` chooses one, counted from 1; 0 chooses the unit itself.
    """
    ports = core.manifest["ports"]
    declarations = [f"{port['direction']} [{port['width'] - 1}:0] {port['name']}" for port in ports]
    connections = [f".{port['name']}({port['name']})" for port in ports]
    wrapper = _WRAPPER.format(declarations=",\n    ".join(declarations), connections=", ".join(connections))
    return mutated_netlist(core, mutants) + wrapper


def mutated_netlist(core: Core | NetworkCore, mutants: Sequence[Mutant]) -> str:
    """Verilog of a unit with all ``mutants``, as the module `INNER`. Its input `SELECT` chooses as in `mutated`."""
    assert len(mutants) < 2**SELECT_BITS
    commands = [mutant.command(number) for number, mutant in enumerate(mutants, start=1)]
    commands += ["delete =A:blackbox", f"rename {DEFAULT_NAME} {INNER}", f"write_verilog -noattr {_MUTANTS}"]
    with tempfile.TemporaryDirectory() as scratch:
        _yosys(core, commands, Path(scratch))
        return (Path(scratch) / _MUTANTS).read_text()


def _yosys(core: Core | NetworkCore, commands: Sequence[str], folder: Path) -> None:
    """Run ``commands`` on the flat netlist of a unit. Each cell has its stage as an attribute."""
    (folder / _UNIT).write_text(core.verilog)
    modules = re.findall(r"^module (\w+)", core.verilog, re.MULTILINE)
    parts = _parts(core)
    script = [
        *read_primitives(core.verilog, folder),
        f"read_verilog {_UNIT}",
        "proc",
        *(f'setattr -set {ATTRIBUTE} "{parts.of_module(module)}" {module}/c:*' for module in modules),
        f"hierarchy -top {DEFAULT_NAME}",
        "flatten",
        "opt_clean",
        "memory_collect",
        *commands,
    ]
    (folder / "script.ys").write_text("\n".join(script) + "\n")
    YOSYS.run("-q", "-s", "script.ys", folder=folder)


def _parts(core: Core | NetworkCore) -> Parts:
    return NodeKinds(core.plan) if isinstance(core, NetworkCore) else UnitStages(DEFAULT_NAME)


def _is_in_logic(mutant: Mutant, cell: Mapping[str, Any]) -> bool:
    """Whether there is hardware at the bit of a mutant of ``cell``, and no clock."""
    if mutant.port in SYNCHRONOUS and cell["parameters"]["RD_CLK_ENABLE"][-1 - mutant.bit] == "0":
        return False
    return not CLOCK.fullmatch(mutant.port)


def _mutant(line: str, stages: Mapping[str, str]) -> Mutant:
    """The mutant of one line of Yosys' list."""
    words = line.split()
    fields = dict(zip(words[1::2], words[2::2], strict=True))
    return Mutant(
        mode=fields["-mode"],
        cell=fields["-cell"],
        port=fields["-port"].removeprefix("\\"),
        bit=int(fields["-portbit"]),
        control=int(fields["-ctrlbit"]) if "-ctrlbit" in fields else None,
        wire=fields.get("-wire", "").removeprefix("\\"),
        stage=stages[fields["-cell"].removeprefix("\\")],
    )
