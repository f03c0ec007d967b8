"""A netlist as Yosys writes it: one flat module of cells, and the nets between them."""

from __future__ import annotations

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
        """The highest number that a net has."""
        wires = (wire["bits"] for wire in self.module["netnames"].values())
        return max(net for bits in wires for net in bits if isinstance(net, int))

    @cached_property
    def driver(self) -> Mapping[int, str]:
        """The cell that drives a net; a module's input has none."""
        return {net: name for name in self.cells for net in self.outputs(name)}

    @cached_property
    def names(self) -> Mapping[int, list[str]]:
        """The designer's names of a net: hierarchical, with the index where it is one of a vector; else none."""
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
