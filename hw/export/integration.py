"""Integration: files that other tools need to take a unit in, made of its manifest and written beside the Verilog.

Everything follows from the names in the manifest's ``ports``, so a new port needs no change here.
"""

from __future__ import annotations

from typing import Any

from hw.export.fusesoc import core_file
from hw.export.interfaces import companion
from hw.export.ipxact import component
from hw.export.vivado import SCRIPT, packaging_script


def integration_files(manifest: dict[str, Any]) -> dict[str, str]:
    """Text of each file by the file's name."""
    name = manifest["top"]
    return {
        f"{name}.core": core_file(manifest),
        companion(name, "component.xml"): component(manifest),
        companion(name, SCRIPT): packaging_script(manifest),
    }
