"""Programs: a bench and a unit are compiled once, then run as often as needed."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from xml.etree import ElementTree

from golden.support.cache import cached
from golden.support.cli import UserError, replacing, sha256_of, write_files
from hw.blocks.memory_file import whole_verilog
from sim.simulator.simulators import DUMP, PRIMITIVES, SIM, TIMESCALE, VISIBLE, Simulator

#: The file that a unit is compiled from.
UNIT_FILE = "unit.v"
SIMULATION_LOG = "simulation.log"
#: A model of a primitive that is used as it does not model prints a line that begins so, and ends the simulation.
REFUSED = "error: "


class SimulationError(UserError):
    """A simulation ended without a verdict: the simulator was stopped, or crashed."""


class Named(Protocol):
    """A config that names the top module."""

    @property
    def name(self) -> str: ...


class Design(Protocol):
    """Generated gateware."""

    @property
    def config(self) -> Named: ...

    @property
    def verilog(self) -> str: ...

    @property
    def memories(self) -> Mapping[str, bytes]: ...


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Cocotb test modules and the top module that they drive.

    Attributes:
        modules: names of the Python modules that hold the cocotb tests, in the order in which they run.
        top: top module, a wrapper around the unit; None where the top module is the unit itself.
        source: Verilog file of the wrapper, relative to ``sim``; None without a wrapper. The wrapper
            instantiates the macro ``UNIT``.
        optimise: whether the program is worth optimising. It is not where Python looks at every cycle.
        drives_itself: whether the wrapper drives the unit and ends the simulation, so that simulators that can do
            without the Python modules do.
    """

    modules: Sequence[str]
    top: str | None = None
    source: str | None = None
    optimise: bool = False
    drives_itself: bool = False

    @property
    def environment(self) -> dict[str, str]:
        """Variables that let a simulation's Python start in a third of a second.

        Without them, the start takes most of the time.
        """
        # By default cocotb has pytest rewrite the assertions of all that is imported, NumPy included.
        own = " ".join(f"*/{module.replace('.', '/')}.py" for module in self.modules)
        alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "OPENBLAS_NUM_THREADS": "1"}
        return {"COCOTB_REWRITE_ASSERTION_FILES": own, **alone}


@dataclass(frozen=True, kw_only=True)
class Program:
    """A unit and a bench, compiled into ``folder``.

    Attributes:
        memories: folders in ``folder`` with memory files, which the unit reads when it is run.
    """

    simulator: Simulator
    bench: Bench
    top: str
    folder: Path
    memories: Sequence[str] = ()

    @classmethod
    def build(
        cls,
        simulator: Simulator,
        bench: Bench,
        unit: Design,
        parameters: Mapping[str, int] | None = None,
        waves: bool = False,
        coverage: bool = False,
    ) -> Program:
        """Compile a unit with ``bench`` and the primitives that it names, or take it from the cache.

        Args:
            parameters: Verilog parameters of the wrapper.
            waves: whether `run` is to record waveforms.
            coverage: whether `run` is to leave `sim.simulator.simulators.COVERAGE_FILE` in its folder.
        """
        whole = whole_verilog(unit.verilog, unit.memories)
        others = [path for name, path in PRIMITIVES.items() if re.search(rf"\b{name}\b", whole)]
        if bench.source:
            others.append(SIM / bench.source)
        parameters = parameters or {}
        name, verilog = unit.config.name, unit.verilog
        top = bench.top or name

        def make(folder: Path) -> None:
            write_files(folder, unit.memories)  # some are compiled, programs read the others when they run
            (folder / UNIT_FILE).write_text(verilog)
            for path in others:
                shutil.copy(path, folder)
            simulator.compile(
                [UNIT_FILE, *(path.name for path in others)],
                top=top,
                unit=name,
                parameters=parameters,
                waves=waves,
                coverage=coverage,
                optimise=bench.optimise,
                folder=folder,
            )

        texts = [verilog, *(path.read_text() for path in (*others, VISIBLE, DUMP))]
        options = [str(sorted(parameters.items())), str(waves and TIMESCALE), str(coverage), str(bench.optimise)]
        words = sorted(map(str, sha256_of(unit.memories).items()))
        key = [simulator.name, simulator.version(), top, name, *options, *texts, *words]
        folders = sorted({Path(name).parts[0] for name in unit.memories})
        return cls(simulator=simulator, bench=bench, top=top, folder=cached(key, make), memories=folders)

    def run(
        self,
        folder: Path,
        plusargs: Mapping[str, int] | None = None,
        environment: Mapping[str, str] | None = None,
        seed: int = 0,
        waves: Path | None = None,
    ) -> dict[str, str | None]:
        """Run the cocotb tests of the bench in ``folder``.

        Args:
            folder: working directory, which also takes the log.
            plusargs: ``+name=value`` for the Verilog side.
            environment: variables for the Python side.
            seed: seed of cocotb's random generator.
            waves: waveform file to write.

        Returns:
            The failure message of each test; None for a test that passed. Nothing for a wrapper that ran by itself.

        Raises:
            SimulationError: if the simulator ended before its tests did, or a primitive is used in a way
                that its model does not cover.
        """
        for name in self.memories:
            _link(folder / name, self.folder / name)
        # Simulators cannot cope with every path, so they write to a plain name.
        trace = f"waves{self.simulator.wave_suffix}"
        arguments = [f"+{name}={value}" for name, value in (plusargs or {}).items()]
        arguments += self.simulator.wave_arguments(trace) if waves else []
        command = self.simulator.command(self.folder, arguments) if self.bench.drives_itself else None
        if command:
            ended, results = self._run_alone(command, folder), None
        else:
            results = self._run_tests(arguments, folder, environment, seed, waves is not None)
            ended = results.exists()
        said = (folder / SIMULATION_LOG).read_text(errors="replace").strip().splitlines() or ["nothing"]
        for line in said:
            if line.startswith(REFUSED):
                raise SimulationError(f"{self.simulator.name} ended: {line.removeprefix(REFUSED)}")
        if not ended:
            raise SimulationError(f"{self.simulator.name} ended without results, the last it said was: {said[-1]}")
        if waves:
            if not (folder / trace).exists():
                raise SimulationError(f"{self.simulator.name} left no waveforms, the last it said was: {said[-1]}")
            _move(folder / trace, waves)
        return _verdicts(results) if results else {}

    def _run_alone(self, command: Sequence[str], folder: Path) -> bool:
        """Run ``command`` in ``folder``. Returns whether it ended by itself."""
        with (folder / SIMULATION_LOG).open("wb") as log:
            return not subprocess.run(command, cwd=folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL).returncode

    def _run_tests(
        self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str] | None, seed: int, waves: bool
    ) -> Path:
        """Run the tests of the bench in ``folder``. Returns where their results are, if they ended."""
        from cocotb_tools.runner import get_runner

        runner = get_runner(self.simulator.name)
        results = folder / "results.xml"
        with (
            _importable(folder),
            contextlib.suppress(RuntimeError, SystemExit),  # the results say what failed, or are missing
        ):
            runner.test(
                test_module=list(self.bench.modules),
                hdl_toplevel=self.top,
                hdl_toplevel_lang="verilog",
                build_dir=self.folder,
                test_dir=folder,
                results_xml=str(results.resolve()),
                log_file=str(folder / SIMULATION_LOG),
                plusargs=list(arguments),
                extra_env={**self.bench.environment, **(environment or {})},
                seed=seed,
                waves=waves,
            )
        return results


@contextlib.contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Have the Python of a simulator that runs in ``folder`` find what this one finds.

    cocotb hands `sys.path` on in a variable. There an empty name would mean another folder, and a name with the
    separator in it would mean two others: links in ``folder`` stand for such names.
    """
    before = list(sys.path)
    for number, entry in enumerate(dict.fromkeys([*map(os.path.abspath, before), str(SIM.parent)])):
        if os.pathsep in entry:
            link = folder / f"python-{number}"
            _link(link, Path(entry))
            sys.path.append(link.name)
        elif entry not in sys.path:
            sys.path.append(entry)
    try:
        yield
    finally:
        sys.path[:] = before


def _link(link: Path, target: Path) -> None:
    """Make ``link`` lead to ``target``. The folder that it lies in may have been used before, also by another unit."""
    link.unlink(missing_ok=True)
    link.symlink_to(target)


def _move(source: Path, path: Path) -> None:
    """Move the file ``source`` to ``path``, whole or not at all, also to another file system."""
    with source.open("rb") as old:
        source.unlink()  # now, as ``path`` may be its name
        with replacing(path, "wb") as new:
            shutil.copyfileobj(old, new)


def _verdicts(results: Path) -> dict[str, str | None]:
    verdicts: dict[str, str | None] = {}
    for case in ElementTree.parse(results).getroot().iter("testcase"):
        failures = [*case.iter("failure"), *case.iter("error")]
        verdicts[case.get("name", "")] = failures[0].get("message", "failed") if failures else None
    return verdicts
