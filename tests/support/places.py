"""Places of files."""

from __future__ import annotations

from pathlib import Path

#: The folder of the repository.
ROOT = Path(__file__).parents[2]
#: Names of the files that `hw.build` writes for a frozen unit.
UNIT_FILES = ("xvolution.v", "xvolution.json", "xvolution.core", "component.xml", "package_ip.tcl")
