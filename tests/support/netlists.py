"""Small netlists for tests, as Yosys would write them."""

from __future__ import annotations

from typing import Any

from hw.synth.netlist import Bit, Netlist


def cell(kind: str, inputs: dict[str, Bit], outputs: dict[str, Bit], **attributes: str) -> dict[str, Any]:
    """A cell of type ``kind`` whose ports are single nets."""
    return {
        "hide_name": 0,
        "type": kind,
        "parameters": {},
        "attributes": attributes,
        "port_directions": dict.fromkeys(inputs, "input") | dict.fromkeys(outputs, "output"),
        "connections": {port: [bit] for port, bit in (inputs | outputs).items()},
    }


def netlist(
    cells: dict[str, Any],
    names: dict[str, list[Bit]] | None = None,
    hidden: dict[str, list[Bit]] | None = None,
    **ports: Any,
) -> Netlist:
    """A module of ``cells``.

    Args:
        cells: the cells by name.
        names: nets that the designer named.
        hidden: nets that a tool named.
        ports: ``(direction, bits)`` of each port.
    """
    wires = {
        name: {"hide_name": hide, "bits": bits, "attributes": {}}
        for hide, some in ((0, names or {}), (1, hidden or {}))
        for name, bits in some.items()
    }
    wires |= {name: {"hide_name": 0, "bits": bits, "attributes": {}} for name, (_, bits) in ports.items()}
    return Netlist(
        {
            "attributes": {},
            "ports": {name: {"direction": direction, "bits": bits} for name, (direction, bits) in ports.items()},
            "cells": cells,
            "netnames": wires,
        }
    )
