"""Synthesis with Yosys: the Verilog of a unit or a network becomes a flat netlist of an FPGA family's cells."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

from golden.support.cache import cached
from golden.support.cli import sha256_of, write_files
from hw.blocks.memory_file import whole_verilog
from hw.export.network_verilog import NetworkCore
from hw.export.verilog import Core
from hw.synth.netlist import Netlist
from hw.synth.parts import ATTRIBUTE, Parts
from hw.synth.stages import UnitStages
from hw.synth.steps import NetworkSteps
from hw.synth.toolchain import YOSYS
from hw.targets.families import Target

_VERILOG, _JSON, _NETLIST = "unit.v", "netlist.json", "netlist.json.gz"


def parts_of(core: Core | NetworkCore) -> Parts:
    """The stages of a unit, or the steps of a network."""
    return NetworkSteps(core.plan) if isinstance(core, NetworkCore) else UnitStages(core.config.name)


def map_to_cells(core: Core | NetworkCore) -> Netlist:
    """The netlist of ``core`` in cells of its target's family, from the cache if it is there.

    Raises `hw.synth.toolchain.ToolError` where Yosys fails.
    """
    script = _script(core)

    def make(folder: Path) -> None:
        write_files(folder, {_VERILOG: core.verilog, **core.memories})
        YOSYS.run("-q", "-p", script, folder=folder)
        module = json.loads((folder / _JSON).read_text())["modules"][core.config.name]
        with gzip.open(folder / _NETLIST, "wt", compresslevel=1) as stream:
            json.dump(module, stream)
        for name in (_VERILOG, _JSON, *core.memories):
            (folder / name).unlink()

    words = sorted(map(str, sha256_of(core.memories).items()))
    folder = cached(["map_to_cells", YOSYS.version, script, core.verilog, *words], make)
    with gzip.open(folder / _NETLIST, "rt") as stream:
        return Netlist(json.load(stream))


def synthesis_command(target: Target, top: str) -> str:
    """The Yosys command that synthesises the module ``top`` for ``target``. A target that is no family gets ECP5's."""
    if target.name.startswith("xc"):
        return f"synth_xilinx -family {target.name} -flatten -noiopad -noclkbuf -top {top} -run :check"
    return f"synth_ecp5 -top {top} -run :check"


def _script(core: Core | NetworkCore) -> str:
    """Commands of one run.

    Synthesis' last named step is left out. It would give tool-made names to nets that have none.
    """
    parts = parts_of(core)
    modules = re.findall(r"^module (\w+)", whole_verilog(core.verilog, core.memories), re.MULTILINE)
    commands = [
        f"read_verilog {_VERILOG}",
        "proc",
        *(f'setattr -set {ATTRIBUTE} "{parts.of_module(module)}" {module}/c:*' for module in modules),
        synthesis_command(core.config.target, core.config.name),
        # Modules that synthesis had to leave alone are dissolved after it. So every netlist is flat.
        "blackbox =A:whitebox",
        f"setattr -mod -unset keep_hierarchy {core.config.name}*",
        "flatten",
        "clean",
        f"write_json -noscopeinfo {_JSON}",
    ]
    return "; ".join(commands)
