"""What a unit or a network costs and how fast it is: Yosys, then for ECP5 nextpnr, and the figures of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from golden.support.cli import UserError
from golden.support.numbers import number
from hw.estimate.layer_space import check_fit
from hw.estimate.network import check_network_fit
from hw.export.network_verilog import NetworkCore
from hw.export.verilog import Core
from hw.network.plan import NetworkPlan
from hw.plan.config import UnitConfig
from hw.synth.critical_path import CriticalPath, critical_path
from hw.synth.harness import WAY, harnessed
from hw.synth.mapping import map_to_cells, parts_of
from hw.synth.netlist import Netlist
from hw.synth.network_floorplan import is_network
from hw.synth.parts import Parts
from hw.synth.placement import Goal, place
from hw.synth.resources import area_of_parts
from hw.synth.toolchain import NEXTPNR, YOSYS, Tool, require
from hw.targets.area import RESOURCES, Area
from hw.targets.devices import CAPACITY, find_device

#: Targets that can be placed and routed. The generic target is placed as on an ECP5.
PLACEABLE = ("ecp5", "generic")
#: Said with a tool's name while it runs.
_PATIENCE = "(its first run on a machine compiles it and takes a minute more)"


@dataclass(frozen=True, kw_only=True)
class Timing:
    """What place-and-route found.

    Attributes:
        goal: what was asked for.
        seeds: Fmax in MHz of each seed.
        critical_path: critical path of the best seed.
        files: what nextpnr took and wrote at the best seed, by name (`Placement`).
    """

    goal: Goal
    seeds: Mapping[int, float]
    critical_path: CriticalPath
    files: Mapping[str, str]

    @property
    def best_seed(self) -> int:
        return max(self.seeds, key=lambda seed: self.seeds[seed])

    @property
    def fmax_mhz(self) -> float:
        return self.seeds[self.best_seed]


@dataclass(frozen=True, kw_only=True)
class Synthesis:
    """A synthesised unit or network.

    Attributes:
        parts: area of each stage of a unit (`hw.synth.stages.STAGES`), or of each step of a network, in order.
        netlist: the whole as Yosys left it.
        device: what it is for; None where nothing was said and nothing is placed.
        timing: None where the target cannot be placed.
        versions: version of each tool that ran, by the tool's name.
    """

    parts: Mapping[str, Area]
    netlist: Netlist
    device: str | None
    timing: Timing | None
    versions: Mapping[str, str]

    @property
    def area(self) -> Area:
        return sum(self.parts.values(), Area())

    @property
    def fmax_mhz(self) -> float | None:
        return None if self.timing is None else self.timing.fmax_mhz


def synthesise(
    core: Core | NetworkCore,
    *,
    device: str | None = None,
    speed: int | None = None,
    seeds: int | None = None,
    clock_mhz: float | None = None,
    status: Callable[[str], None] = lambda text: None,
) -> Synthesis:
    """Synthesise ``core`` for its target and, where that can be placed, find its highest clock.

    Args:
        device: what must hold it, one of `hw.targets.devices.DEVICES` and of its target.
        speed, seeds, clock_mhz: see `Goal`, which has the defaults.
        status: told what is being done.

    Raises `UserError` as `find_goal` does, and where the device has fewer multipliers, block RAMs or
    flip-flops than Yosys took. Raises `hw.synth.toolchain.ToolError` where a tool fails.
    """
    asked = core.plan if isinstance(core, NetworkCore) else core.config
    goal = find_goal(asked, device=device, speed=speed, seeds=seeds, clock_mhz=clock_mhz)
    status(f"yosys synthesises {_PATIENCE}")
    netlist = map_to_cells(core)
    parts = parts_of(core)
    areas = area_of_parts(netlist, parts)
    device = device if goal is None else goal.device
    if device is not None:
        _check_room(sum(areas.values(), Area()), device)
    return Synthesis(
        parts=areas,
        netlist=netlist,
        device=device,
        timing=None if goal is None else _time(netlist, parts, goal, status),
        versions={tool.name: tool.version for tool in _tools(goal)},
    )


def find_goal(asked: UnitConfig | NetworkPlan, *, device: str | None = None, **given: Any) -> Goal | None:
    """What place-and-route is to do for a unit or a network, or None where its target cannot be placed.

    Args:
        device: what must hold it; None stands for the default of `Goal`, or for any device of another target.
        given: other fields of `Goal`; None stands for the default.

    Raises `UserError` for values that `Goal` refuses, for any values with a target that cannot be placed, for a
    device of another target, and for what the device surely cannot hold (`hw.estimate.layer_space.check_fit`,
    `hw.estimate.network.check_network_fit`). Raises `hw.synth.toolchain.MissingTool` unless the tools are there.
    """
    given = {name: value for name, value in given.items() if value is not None}
    target = asked.config.target.name if isinstance(asked, NetworkPlan) else asked.target.name
    goal = None
    if target in PLACEABLE:
        goal = Goal(**given) if device is None else Goal(device=device, **given)
        device = goal.device
    elif device is not None and find_device(device).target.name != target:
        raise UserError(f"device {device} is of target {find_device(device).target.name}, not of {target}")
    elif given:
        name, value = next(iter(given.items()))
        placed = " and ".join(PLACEABLE)
        raise UserError(f"{name} {value} is for place-and-route, which targets {placed} have; {target} has none")
    require(*(tool.package for tool in _tools(goal)))
    if device is None:
        return goal
    if isinstance(asked, NetworkPlan):
        check_network_fit(asked, device)
    else:
        check_fit(asked, device)
    return goal


def _tools(goal: Goal | None) -> Sequence[Tool]:
    return (YOSYS,) if goal is None else (YOSYS, NEXTPNR)


def _check_room(area: Area, device: str) -> None:
    """Raise `UserError` where ``device`` has less of a resource. nextpnr would notice after minutes.

    LUTs are left to nextpnr: what it packs into them differs from their number.
    """
    for name, key in RESOURCES.items():
        takes, has = getattr(area, key), getattr(CAPACITY[device], key)
        if key != "lut" and takes > has:
            raise UserError(f"the design does not fit {device}, it takes {number(takes)} {name} of {number(has)}")


def _time(netlist: Netlist, parts: Parts, goal: Goal, status: Callable[[str], None]) -> Timing:
    surrounded = harnessed(netlist, way=WAY if is_network(netlist) else 0)
    runs = {}
    for seed in range(1, goal.seeds + 1):
        status(f"nextpnr-ecp5 places and routes, seed {seed} of {goal.seeds} {_PATIENCE}")
        runs[seed] = place(surrounded, goal, seed)
    best = max(runs.values(), key=lambda run: run.fmax_mhz)
    return Timing(
        goal=goal,
        seeds={seed: run.fmax_mhz for seed, run in runs.items()},
        critical_path=critical_path(best.path, netlist, parts),
        files=best.files,
    )
