"""The slowest path of a placed unit in words of its parts and signals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hw.synth.harness import PREFIX
from hw.synth.netlist import Netlist
from hw.synth.parts import Parts, cell_parts

#: Stage of the registers around the unit.
HARNESS = "harness"


@dataclass(frozen=True, kw_only=True)
class CriticalPath:
    """A path from register to register.

    Attributes:
        stages: stages that the path passes, from its start to its end.
        start, end: the registers' signals, or the names of cells that are no flip-flops.
        cells: number of the netlist's cells that the path passes, both ends included.
        logic_ns: delay of the cells, with clock-to-output and setup times.
        routing_ns: delay of the wires.
    """

    stages: list[str]
    start: str
    end: str
    cells: int
    logic_ns: float
    routing_ns: float

    @property
    def delay_ns(self) -> float:
        return self.logic_ns + self.routing_ns


def critical_path(segments: list[dict[str, Any]], unit: Netlist, parts: Parts) -> CriticalPath:
    """The path of nextpnr's ``segments`` through the cells of ``unit`` and of its harness."""
    routing = [segment for segment in segments if segment["type"] == "routing"]
    packed = [routing[0]["from"]["cell"], *(segment["to"]["cell"] for segment in routing)]
    cells = [cell for name in packed if (cell := _unpacked(name, unit)) is not None]
    known = cell_parts(unit, parts)
    stages = [HARNESS if cell.startswith(PREFIX) else known[cell] for cell in cells]
    routing_ns = sum(segment["delay"] for segment in routing)
    return CriticalPath(
        stages=[stage for before, stage in zip([None, *stages], stages, strict=False) if stage != before],
        start=_signal(cells[0], unit),
        end=_signal(cells[-1], unit),
        cells=len(cells),
        logic_ns=sum(segment["delay"] for segment in segments) - routing_ns,
        routing_ns=routing_ns,
    )


def _unpacked(name: str, unit: Netlist) -> str | None:
    """The netlist's cell that nextpnr calls ``name``, None for a cell that nextpnr added.

    nextpnr splits some cells and appends ``$`` and a word to their names.
    """
    while name and name not in unit.cells and not name.startswith(PREFIX):
        name = name.rpartition("$")[0]
    return name or None


def _signal(cell: str, unit: Netlist) -> str:
    """What a designer would call ``cell``: the shortest name of a net that it drives, or its own name."""
    if cell not in unit.cells or not cell.startswith("$"):
        return cell
    names = [name for net in unit.outputs(cell) for name in unit.names.get(net, ())]
    return min(names, key=len, default=cell)
