"""How much of an FPGA a netlist takes: what counts as a LUT, a flip-flop, a DSP, a block RAM, an UltraRAM."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from hw.synth.netlist import Netlist
from hw.synth.parts import Parts, cell_parts
from hw.targets.area import Area

#: LUTs of one cell, for each type of cell that takes any.
_LUTS = {
    # ECP5
    "LUT4": 1,
    "CCU2C": 2,
    "TRELLIS_DPR16X4": 6,
    # Xilinx logic and shift registers
    **{f"LUT{inputs}": 1 for inputs in (1, 2, 3, 5, 6)},
    "LUT6_2": 1,
    "SRL16E": 1,
    "SRLC32E": 1,
    # Xilinx RAM: S has one port, D two, Q four. M and similar ones are four or eight LUTs with one write address.
    "RAM32X1S": 1,
    "RAM64X1S": 1,
    "RAM128X1S": 2,
    "RAM256X1S": 4,
    "RAM512X1S": 8,
    "RAM32X1D": 2,
    "RAM64X1D": 2,
    "RAM128X1D": 4,
    "RAM256X1D": 8,
    "RAM32M": 4,
    "RAM64M": 4,
    "RAM32M16": 8,
    "RAM64M8": 8,
    "RAM64X8SW": 8,
    "RAM32X16DR8": 8,
}
_FFS = ("TRELLIS_FF", "FDRE", "FDSE", "FDCE", "FDPE", "FDRE_1", "FDSE_1", "FDCE_1", "FDPE_1")
_DSPS = ("MULT18X18D", "DSP48E1", "DSP48E2")
_BRAMS = {"DP16KD": 1, "PDPW16KD": 1, "RAMB36E1": 1, "RAMB36E2": 1, "RAMB18E1": 0.5, "RAMB18E2": 0.5}
_URAMS = ("URAM288", "URAM288_BASE")

_AREA = {
    **{kind: Area(lut=luts) for kind, luts in _LUTS.items()},
    **{kind: Area(ff=1) for kind in _FFS},
    **{kind: Area(dsp=1) for kind in _DSPS},
    **{kind: Area(bram=blocks) for kind, blocks in _BRAMS.items()},
    **{kind: Area(uram=1) for kind in _URAMS},
}
#: Types of cells that take nothing of what is counted.
_FREE = {
    *("PFUMX", "L6MUX21", "INV", "VCC", "GND", "MUXF7", "MUXF8", "MUXF9", "CARRY4", "CARRY8"),
    *("IBUF", "OBUF", "BUFG", "$scopeinfo"),
}


def area(kinds: Iterable[str]) -> Area:
    """The area of cells of these types. Raises ``ValueError`` for a type nobody has counted yet."""
    total = Area()
    for kind, count in Counter(kinds).items():
        if kind in _AREA:
            total += _AREA[kind].times(count)
        elif kind not in _FREE:
            raise ValueError(f"cell type {kind} is not in the count of resources")
    return total


def area_of_parts(netlist: Netlist, parts: Parts) -> dict[str, Area]:
    """The area of each of ``parts`` in a netlist."""
    kinds: dict[str, list[str]] = {part: [] for part in parts.names}
    for cell, part in cell_parts(netlist, parts).items():
        kinds[part].append(netlist.cells[cell]["type"])
    return {part: area(cells) for part, cells in kinds.items()}


def total_area(netlist: Netlist) -> Area:
    """The area of a netlist."""
    return area(cell["type"] for cell in netlist.cells.values())
