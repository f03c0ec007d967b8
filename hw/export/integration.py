"""Integration: files that other tools need to take a unit in, made of its manifest and written beside the Verilog.

Everything follows from the names in the manifest's ``ports``, so a new port needs no change here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from golden.support import cli
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


def build_files(
    verilog: str, manifest: dict[str, Any], memories: Mapping[str, bytes], registers: Mapping[str, str] | None = None
) -> dict[str, str | bytes]:
    """All files of a build by their names: Verilog and manifest first, then memory files and those of other tools.

    The manifest that is written also names the other files, with their sha256.

    Args:
        registers: files of the registers that a reloadable unit has.
    """
    name = manifest["top"]
    others: dict[str, str | bytes] = {**memories, **integration_files(manifest), **(registers or {})}
    listed = manifest | {"files": cli.sha256_of({f"{name}.v": verilog, **others})}
    return {f"{name}.v": verilog, f"{name}.json": json.dumps(listed, indent=2) + "\n", **others}
