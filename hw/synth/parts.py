"""Parts: what area and critical path are told of. A unit has stages, a network has steps."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Protocol

from hw.synth.netlist import Netlist

#: Attribute that tells a cell's part. It must be set before synthesis. Synthesis keeps it on flip-flops
#: and loses it on cells that are made anew.
ATTRIBUTE = "xvolution_stage"


class Parts(Protocol):
    """How a design is divided: `hw.synth.stages` or `hw.synth.steps`."""

    @property
    def names(self) -> Sequence[str]:
        """All parts in data-flow order. The last one has what belongs to no other."""

    def of_module(self, module: str) -> str:
        """The part that a module of the Verilog belongs to."""

    def of_name(self, name: str) -> str | None:
        """The part in a hierarchical name of a cell or a net; None where it names no part.

        A part's input names no part: what drives it belongs to a part before.
        """


def cell_parts(netlist: Netlist, parts: Parts) -> Mapping[str, str]:
    """The part of every cell.

    A cell belongs where its attribute says, else where its name says, else where the name of a
    net that it drives says. LUTs whose names got lost in optimisation belong to the nearest
    cell forward of them that has a part. What leads to no such cell belongs to the last part.
    """
    found = {cell: part for cell in netlist.cells if (part := _said(netlist, cell, parts)) is not None}
    nearest = deque(found)
    while nearest:
        reader = nearest.popleft()
        for net in netlist.inputs(reader):
            cell = netlist.driver.get(net)
            if cell is not None and cell not in found:
                found[cell] = found[reader]
                nearest.append(cell)
    return {cell: found.get(cell, parts.names[-1]) for cell in netlist.cells}


def scope_and_name(name: str) -> tuple[list[str], str]:
    """The instances that a hierarchical name such as ``lane_0.tap_macs.sum`` leads through, and what it names there."""
    *scope, own = name.removeprefix("$flatten").replace("\\", "").split(".")
    return scope, own


def _said(netlist: Netlist, cell: str, parts: Parts) -> str | None:
    attribute = netlist.cells[cell]["attributes"].get(ATTRIBUTE)
    if attribute is not None:
        return attribute
    names = [cell, *(name for net in netlist.outputs(cell) for name in netlist.names.get(net, ()))]
    return next((part for name in names if (part := parts.of_name(name)) is not None), None)
