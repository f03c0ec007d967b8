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
#: How read-only memories of few words are mapped where LUTs have two outputs.
_SHORT_ROMS = "short_roms.v"


def parts_of(core: Core | NetworkCore) -> Parts:
    """The stages of a unit, or the steps of a network."""
    return NetworkSteps(core.plan) if isinstance(core, NetworkCore) else UnitStages(core.config.name)


def map_to_cells(core: Core | NetworkCore) -> Netlist:
    """The netlist of ``core`` in cells of its target's family, from the cache if it is there.

    Raises `hw.synth.toolchain.ToolError` where Yosys fails.
    """
    script = _script(core)
    maps = _maps(core.config.target)

    def make(folder: Path) -> None:
        write_files(folder, {_VERILOG: core.verilog, **maps, **core.memories})
        YOSYS.run("-q", "-p", script, folder=folder)
        module = json.loads((folder / _JSON).read_text())["modules"][core.config.name]
        with gzip.open(folder / _NETLIST, "wt", compresslevel=1) as stream:
            json.dump(module, stream)
        for name in (_VERILOG, _JSON, *maps, *core.memories):
            (folder / name).unlink()

    words = sorted(map(str, sha256_of(core.memories).items()))
    folder = cached(["map_to_cells", YOSYS.version, script, core.verilog, *maps.values(), *words], make)
    with gzip.open(folder / _NETLIST, "rt") as stream:
        return Netlist(json.load(stream))


def synthesis_commands(target: Target, top: str) -> list[str]:
    """What maps the module ``top`` to cells of ``target``: `synthesis_command`, and what goes before it."""
    return [*_short_roms(target), synthesis_command(target, top)]


def synthesis_command(target: Target, top: str) -> str:
    """The Yosys command that synthesises the module ``top`` for ``target``. A target that is no family gets ECP5's."""
    if _is_xilinx(target):
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
        *_resets(core),
        *(f"setattr -mod -set keep_hierarchy 1 {module}" for module in _apart(core)),
        *synthesis_commands(core.config.target, core.config.name),
        # Modules that synthesis had to leave alone are dissolved after it. So every netlist is flat.
        "blackbox =A:whitebox",
        f"setattr -mod -unset keep_hierarchy {core.config.name}*",
        "flatten",
        "clean",
        f"write_json -noscopeinfo {_JSON}",
    ]
    return "; ".join(commands)


def _resets(core: Core | NetworkCore) -> list[str]:
    """Commands that leave each region of a network that is optimised as a whole the registers of its own reset.

    All are alike, and one of them could be all. But it would have to reach the whole device in a cycle.
    """
    if not isinstance(core, NetworkCore) or _apart(core):
        return []
    return ["setattr -set keep 1 */w:reset* %ci1 */t:$dff %i"]


def _apart(core: Core | NetworkCore) -> list[str]:
    """Modules that are optimised each by itself: the units of a network on a family with large devices.

    Optimising takes more time than in proportion to what is optimised, and units have registers at their borders.
    What is placed on an ECP5 is small, and optimised as a whole.
    """
    if not isinstance(core, NetworkCore) or not _is_xilinx(core.config.target):
        return []
    return [unit.config.name for unit in core.plan.units]


def _is_xilinx(target: Target) -> bool:
    return target.name.startswith("xc")


def _maps(target: Target) -> dict[str, str]:
    """Files of technology mapping that Yosys does not have itself, by name."""
    return {_SHORT_ROMS: Path(__file__).with_name(_SHORT_ROMS).read_text()} if target.fabric.rom_pairs else {}


def _short_roms(target: Target) -> list[str]:
    """Commands that map a family's read-only memories of few words, if its LUTs have two outputs."""
    words = target.fabric.rom_pairs
    if not words:
        return []
    roms = f"t:$mem_v2 r:WR_PORTS=0 %i r:SIZE>={words[0]} %i r:SIZE<={words[-1]} %i"
    return ["memory_collect", f"techmap -map {_SHORT_ROMS} {roms}"]
