"""A C++ compiler for programs that run once."""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def unoptimised(folder: Path) -> str:
    """A PATH whose ``g++``, a script in ``folder``, does not optimise, whatever it is told.

    What Verilator makes takes far longer to compile than a few frames take to run.
    """
    folder.mkdir()
    compiler = folder / "g++"
    compiler.write_text(f'#!/bin/sh\nexec {shutil.which("g++")} "$@" -O0\n')
    compiler.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"
