"""Where things are."""

from __future__ import annotations

from pathlib import Path

#: The repository.
ROOT = Path(__file__).parents[2]
#: What `hw.build` writes for a frozen unit.
UNIT_FILES = ("xvolution.v", "xvolution.json", "xvolution.core", "component.xml", "package_ip.tcl")
