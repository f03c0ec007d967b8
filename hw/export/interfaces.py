"""Buses, clocks and resets of a unit, read off the names of its ports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hw.plan.config import DEFAULT_NAME

#: Name of a unit in a catalogue: vendor, library, and version.
VENDOR, LIBRARY, VERSION = "xvolution", "units", "1.0"
#: Families that a unit of each target may be placed in, by Vivado's names.
VIVADO_FAMILIES: Mapping[str, Sequence[str]] = {
    "xc7": ("artix7", "kintex7", "virtex7", "zynq"),
    "xcup": ("kintexuplus", "virtexuplus", "zynquplus"),
}

_STREAM = ("tvalid", "tready", "tdata", "tstrb", "tkeep", "tlast", "tid", "tdest", "tuser")
_LITE = (
    *("awaddr", "awprot", "awvalid", "awready", "wdata", "wstrb", "wvalid", "wready", "bresp", "bvalid", "bready"),
    *("araddr", "arprot", "arvalid", "arready", "rdata", "rresp", "rvalid", "rready"),
)
#: The signal that a bus of each kind cannot do without, and all signals that the bus may have.
_KINDS = {"axis": ("tvalid", _STREAM), "axi_lite": ("awvalid", _LITE)}


@dataclass(frozen=True, kw_only=True)
class Bus:
    """An AXI4-Stream (``axis``) or AXI4-Lite (``axi_lite``) interface.

    Attributes:
        name: what the names of the bus's ports begin with.
        kind: ``axis`` or ``axi_lite``.
        slave: whether the other side starts transfers.
        ports: the bus's ports in the manifest, by signal (``tvalid``).
    """

    name: str
    kind: str
    slave: bool
    ports: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Interfaces:
    """All interfaces of a unit.

    Attributes:
        clock: name of the clock's port.
        reset: name of the reset's port.
        reset_active_low: polarity of the reset.
        interrupts: names of ports that interrupt a processor while they are high.
        buses: in the order of the ports.
    """

    clock: str
    reset: str
    reset_active_low: bool
    interrupts: Sequence[str]
    buses: Sequence[Bus]


def kind(manifest: Mapping[str, Any]) -> str:
    """What the manifest is of, as users call it."""
    return "network" if "steps" in manifest else "unit"


def interfaces(manifest: Mapping[str, Any]) -> Interfaces:
    """The interfaces of a manifest's ``ports``. A port may belong to no interface.

    Raises `ValueError` unless there is one clock and one reset.
    """
    ports = {port["name"]: port for port in manifest["ports"]}
    buses = []
    left = dict(ports)  # ports that belong to no bus
    for name in ports:
        prefix, _, signal = name.rpartition("_")
        for kind, (needed, signals) in _KINDS.items():
            if signal == needed:
                own = {s: ports[f"{prefix}_{s}"] for s in signals if f"{prefix}_{s}" in ports}
                buses.append(Bus(name=prefix, kind=kind, slave=own[needed]["direction"] == "input", ports=own))
                for port in own.values():
                    del left[port["name"]]
    clock = _only([name for name in left if name.endswith("clk")], "clock", left)
    reset = _only([name for name in left if name.endswith(("rst", "reset", "rstn", "resetn"))], "reset", left)
    interrupts = [name for name in left if name.endswith(("irq", "interrupt"))]
    return Interfaces(
        clock=clock, reset=reset, reset_active_low=reset.endswith("n"), interrupts=interrupts, buses=buses
    )


def companion(top: str, file: str) -> str:
    """Name of a file or folder of the unit ``top``.

    The default unit's files have the plain names, as Vivado looks for ``component.xml``. Names of other units' files
    begin with the unit's name, so that several units can lie in one folder.
    """
    return file if top == DEFAULT_NAME else f"{top}_{file}"


def _only(found: Sequence[str], what: str, ports: Mapping[str, Any]) -> str:
    if len(found) != 1:
        raise ValueError(f"one {what} is needed among ports {', '.join(ports)}")
    return found[0]
