"""A netlist as Yosys writes it: one flat module of cells, and the nets between them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

#: A net's number, or a constant "0", "1", "x".
Bit = int | str


@dataclass(frozen=True)
class Netlist:
    """A flat module.

    Attributes:
        module: the module as ``write_json`` writes it: ``ports``, ``cells``, ``netnames``.
    """

    module: Mapping[str, Any]

    def as_json(self, name: str) -> str:
        """The module under ``name`` in a file as Yosys writes it and other tools read it."""
        return json.dumps({"creator": "Yosys", "modules": {name: self.module}})

    @property
    def cells(self) -> Mapping[str, Any]:
        return self.module["cells"]

    def outputs(self, cell: str) -> Iterator[int]:
        """Nets that ``cell`` drives."""
        yield from self._bits(cell, "output")

    def inputs(self, cell: str) -> Iterator[int]:
        """Nets that ``cell`` reads, constants left out."""
        yield from self._bits(cell, "input")

    @cached_property
    def last_net(self) -> int:
        """The highest number that a net of a cell or a port has."""
        ports = [port["bits"] for port in self.module["ports"].values()]
        pins = [bits for content in self.cells.values() for bits in content["connections"].values()]
        return max(net for bits in (*ports, *pins) for net in bits if isinstance(net, int))

    @cached_property
    def driver(self) -> Mapping[int, str]:
        """The cell that drives a net. A module's input has none."""
        return {net: name for name in self.cells for net in self.outputs(name)}

    @cached_property
    def names(self) -> Mapping[int, list[str]]:
        """The designer's names of each net that has any: hierarchical, with the index where the net is of a vector."""
        names: dict[int, list[str]] = {}
        for name, wire in self.module["netnames"].items():
            if not wire["hide_name"]:
                bits, first = wire["bits"], wire.get("offset", 0)
                for index, net in enumerate(bits):
                    if isinstance(net, int):
                        names.setdefault(net, []).append(name if len(bits) == 1 else f"{name}[{first + index}]")
        return names

    def _bits(self, cell: str, direction: str) -> Iterator[int]:
        content = self.cells[cell]
        for port, bits in content["connections"].items():
            if content["port_directions"][port] == direction:
                yield from (bit for bit in bits if isinstance(bit, int))


def new_cell(kind: str, parameters: dict[str, str], connections: dict[str, list[Bit]], output: str) -> dict[str, Any]:
    """A cell as ``write_json`` would write it, with one output port."""
    return {
        "hide_name": 0,
        "type": kind,
        "parameters": parameters,
        "attributes": {},
        "port_directions": {port: "output" if port == output else "input" for port in connections},
        "connections": connections,
    }


def new_lut(truth: str, inputs: dict[str, Bit], out: int) -> dict[str, Any]:
    """An ECP5's LUT4 with ``truth`` table and ``inputs`` at some of its ports ``A`` to ``D``."""
    pins = {port: [inputs.get(port, "0")] for port in "ABCD"}
    return new_cell("LUT4", {"INIT": truth}, {**pins, "Z": [out]}, "Z")
