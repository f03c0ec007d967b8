"""Several units in one design: two different builds, one of them with two instances."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from hw.export.verilog import Core, generate
from hw.synth.toolchain import YOSYS
from hw.targets.families import ECP5
from sim.cases.frozen import named_case
from sim.simulator.job import JOB_VARIABLE, Job
from sim.simulator.program import Bench, Program
from sim.simulator.simulators import SIMULATORS
from sim.tests.support import check_verdicts, installed

TOP = "several"


def build(case: str, **changes: Any) -> Core:
    return generate(dataclasses.replace(named_case(case), **changes))


@pytest.fixture(scope="module")
def units() -> dict[str, Core]:
    """The units by their place in the design.

    The two builds differ in layer, folding and target. They have the same stages.
    """
    first = build("ecp5_2_bit_depthwise", name="first")
    second = build("stride_2_even", name="second")
    return {"left": first, "middle": second, "right": first}


def shell(place: str, core: Core) -> str:
    """A module that leaves the ports of a unit to a test bench."""
    ports = core.manifest["ports"]
    kinds = {"input": "reg", "output": "wire"}
    declared = [
        f"    {kinds[port['direction']]} [{port['width'] - 1}:0] {port['name']} /* verilator public_flat_rw */;"
        for port in ports
    ]
    connected = ", ".join(f".{port['name']}({port['name']})" for port in ports)
    return "\n".join(
        [f"module {place}_shell;", *declared, f"    {core.config.name} unit ({connected});", "endmodule\n"]
    )


def design(units: dict[str, Core]) -> str:
    """The Verilog of each build once, and a top module with all units."""
    builds = {core.config.name: core.verilog for core in units.values()}
    shells = [shell(place, core) for place, core in units.items()]
    instances = [f"    {place}_shell {place} ();" for place in units]
    return "\n".join([*builds.values(), *shells, f"module {TOP};", *instances, "endmodule\n"])


def test_no_module_is_defined_twice(units: dict[str, Core]) -> None:
    modules = re.findall(r"^module (\w+)", design(units), re.MULTILINE)
    assert len(modules) == len(set(modules))
    for name in ("first", "second"):
        core = next(core for core in units.values() if core.config.name == name)
        own = re.findall(r"^module (\w+)", core.verilog, re.MULTILINE)
        assert own and all(module == name or module.startswith(f"{name}_") for module in own)


@pytest.mark.thorough
@pytest.mark.parametrize("simulator", SIMULATORS)
def test_simulated(units: dict[str, Core], simulator: str, seed: int, tmp_path: Path) -> None:
    jobs = tmp_path / "jobs"
    for place, core in units.items():
        (jobs / place).mkdir(parents=True)
        Job.of(core, seed=seed).save(jobs / place)
    one = dataclasses.replace(units["left"], verilog=design(units))
    program = Program.build(installed(simulator), Bench(modules=["sim.tests.several_bench"], top=TOP), one)
    verdicts = program.run(tmp_path, environment={JOB_VARIABLE: str(jobs)}, seed=seed)
    check_verdicts(verdicts, 1, f"{simulator}, seed {seed}, log in {tmp_path}")


@pytest.mark.thorough
def test_synthesised(units: dict[str, Core], tmp_path: Path) -> None:
    """No instance is lost: the design has as many multipliers as all its units alone together."""
    ports = {
        place: [
            f"{port['direction']} [{port['width'] - 1}:0] {place}_{port['name']}" for port in core.manifest["ports"]
        ]
        for place, core in units.items()
    }
    instances = [
        f"    {core.config.name} {place} ("
        + ", ".join(f".{port['name']}({place}_{port['name']})" for port in core.manifest["ports"])
        + ");"
        for place, core in units.items()
    ]
    header = f"module {TOP} ({', '.join(port for own in ports.values() for port in own)});"
    builds = {core.config.name: core.verilog for core in units.values()}
    (tmp_path / "several.v").write_text("\n".join([*builds.values(), header, *instances, "endmodule\n"]))

    def multipliers(top: str) -> int:
        script = f"read_verilog several.v; synth_ecp5 -top {top} -run :map_ram; flatten; tee -o {top}.json stat -json"
        YOSYS.run("-q", "-p", script, folder=tmp_path)
        found = json.loads((tmp_path / f"{top}.json").read_text())["design"]["num_cells_by_type"]
        return found.get("MULT18X18D", 0)

    alone = {name: multipliers(name) for name in builds}
    assert units["left"].config.target == ECP5 and all(alone.values())
    assert multipliers(TOP) == 2 * alone["first"] + alone["second"]
