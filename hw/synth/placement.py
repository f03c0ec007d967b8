"""Place-and-route with nextpnr: how fast an ECP5 runs a netlist, and what limits it."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from golden.support.cache import cached
from golden.support.cli import UserError
from hw.synth.floorplan import floorplanned
from hw.synth.netlist import Netlist
from hw.synth.network_floorplan import is_network
from hw.synth.ties import tied
from hw.synth.toolchain import NEXTPNR

#: What the user calls a device, and nextpnr's option for it.
DEVICES = {"ecp5-12f": "--12k", "ecp5-25f": "--25k", "ecp5-45f": "--45k", "ecp5-85f": "--85k"}
SPEEDS = (6, 7, 8)
#: Of the packages that all devices come in, the one with most pins.
PACKAGE = "CABGA381"

#: What nextpnr is given, and what it writes: the netlist with everything around the unit, its own report, and the
#: configuration of the device as text, of which ``ecppack`` makes a bitstream.
PLACED_NETLIST, REPORT, CONFIGURATION = "placed.json", "nextpnr.json", "unit.config"
#: A clock that is not reached is a result, not an error. Pins go wherever there is room. The router takes up again
#: what makes a path too slow: so 198 MHz became 205.
_OPTIONS = ("--timing-allow-fail", "--lpf-allow-unconstrained", "--tmg-ripup", "--package", PACKAGE)
#: Few paths of a network are much too long: those between parts that lie apart. So timing counts more for the placer
#: than it does by default (10).
_NETWORK_OPTIONS = ("--placer-heap-timingweight", "30")


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What place-and-route is to do. Raises `UserError` where nextpnr could not.

    Attributes:
        device: one of `DEVICES`.
        speed: speed grade, one of `SPEEDS`; 8 is the fastest.
        seeds: number of runs, with seeds from 1. The fastest run counts.
        clock_mhz: clock to aim for. Where it is out of reach, the result is as fast as it gets.
    """

    device: str = "ecp5-85f"
    speed: int = 6
    seeds: int = 1
    clock_mhz: float = 200

    def __post_init__(self) -> None:
        for name, allowed in (("device", DEVICES), ("speed", SPEEDS)):
            value = getattr(self, name)
            if value not in allowed:
                raise UserError(f"{name} {value} is not one of {', '.join(map(str, allowed))}")
        if self.seeds < 1:
            raise UserError(f"seeds {self.seeds}: at least 1 is needed")
        if self.clock_mhz <= 0:
            raise UserError(f"clock {self.clock_mhz} MHz: more than 0 is needed")


@dataclass(frozen=True, kw_only=True)
class Placement:
    """One run of nextpnr.

    Attributes:
        fmax_mhz: highest clock of paths from register to register.
        path: the slowest of these paths as nextpnr reports it, segment by segment.
        files: `PLACED_NETLIST`, `REPORT` and `CONFIGURATION`, by name.
    """

    fmax_mhz: float
    path: list[dict[str, Any]]
    files: Mapping[str, str]


def place_options(goal: Goal, seed: int, *, network: bool) -> list[str]:
    """What nextpnr is told, names of files included."""
    files = ["--json", PLACED_NETLIST, "--report", REPORT, "--textcfg", CONFIGURATION]
    asked = [f"--speed={goal.speed}", f"--freq={goal.clock_mhz:g}", f"--seed={seed}"]
    return [DEVICES[goal.device], *asked, *_OPTIONS, *(_NETWORK_OPTIONS if network else ()), *files]


def place(netlist: Netlist, goal: Goal, seed: int) -> Placement:
    """Place and route ``netlist``, whose ports are pins, or take what the cache has.

    Raises `hw.synth.toolchain.ToolError` where nextpnr fails, for instance because the device is too small.
    """
    text = tied(floorplanned(netlist, goal.device)).as_json("unit")
    options = place_options(goal, seed, network=is_network(netlist))

    def make(folder: Path) -> None:
        (folder / PLACED_NETLIST).write_text(text)
        NEXTPNR.run("-q", *options, folder=folder)
        (folder / PLACED_NETLIST).unlink()
        for name in (REPORT, CONFIGURATION):
            (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes(), compresslevel=1))
            (folder / name).unlink()

    folder = cached(["place", NEXTPNR.version, *options, text], make)
    found = {name: gzip.decompress((folder / f"{name}.gz").read_bytes()).decode() for name in (REPORT, CONFIGURATION)}
    report = json.loads(found[REPORT])
    ((name, clock),) = report["fmax"].items()
    (path,) = [p["path"] for p in report["critical_paths"] if p["from"] == p["to"] == f"posedge {name}"]
    return Placement(fmax_mhz=clock["achieved"], path=path, files={PLACED_NETLIST: text, **found})
