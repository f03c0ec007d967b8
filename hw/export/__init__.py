"""What other tools need to take a unit in: texts made of its manifest, written beside the Verilog.

===============  ==================================================
`interfaces`     which ports belong to which bus, clock and reset
`fusesoc`        ``xvolution.core`` for FuseSoC
`ipxact`         ``component.xml`` for Vivado and other IP catalogues
`vivado`         ``package_ip.tcl``, which has Vivado package it
===============  ==================================================

Everything follows from the names in the manifest's ``ports``, so a new port needs no change here.
"""

from __future__ import annotations

from typing import Any

from hw.export.fusesoc import core_file
from hw.export.ipxact import component
from hw.export.vivado import packaging_script


def integration_files(manifest: dict[str, Any]) -> dict[str, str]:
    """Text of each file by name."""
    return {
        "xvolution.core": core_file(manifest),
        "component.xml": component(manifest),
        "package_ip.tcl": packaging_script(manifest),
    }
