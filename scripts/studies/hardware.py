"""What the network of an experiment takes of an FPGA, whole: layers, additions, pools, classifier, FIFOs.

Weights are random (`golden.experiments.structure`). A network is estimated at several speeds. At each, every step
takes at most so many cycles a frame, with as few DSPs, and then LUTs, as it can. At one of them it may be
synthesised, too.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from golden.contract.network.layer import LayerStep
from golden.contract.network.network import IntegerNetwork
from golden.contract.powers import are_powers
from golden.experiments import structure
from golden.support.cli import UserError
from hw.estimate.choose_network_folding import cheapest_within
from hw.estimate.network import estimate_network
from hw.export.network_verilog import generate_network
from hw.network.config import NetworkConfig
from hw.network.folding import up_to_lanes
from hw.network.plan import NetworkPlan
from hw.plan.made_of import MadeOf
from hw.synth.mapping import map_to_cells
from hw.synth.resources import total_area
from hw.synth.toolchain import YOSYS, require
from hw.targets.area import URAM_KBIT, Area
from hw.targets.families import TARGETS, Target
from scripts.studies.costs import CYCLES, TARGET
from scripts.studies.functions import Advance, Settings

#: A network is estimated at the speed that it has with at most so many lanes at both ends of each step.
LANES = (1, 2, 4, 8)
DEFAULT_TARGET = "xcup"
#: Rough seconds of one core that a ResNet-8 takes, at all speeds and at one.
ESTIMATE_S, SYNTHESIS_S = 14.0, 150.0


def check(settings: Settings) -> dict[str, Any]:
    """``settings`` of `estimate` with all defaults: those of `golden.experiments.structure.check`, and `TARGET`.

    Raises:
        UserError: for a setting that is not allowed.
    """
    target = settings.get(TARGET, DEFAULT_TARGET)
    if target not in list(TARGETS):
        raise UserError(f"setting {TARGET} {target!r} is not one of {', '.join(TARGETS)}")
    rest = {name: value for name, value in settings.items() if name != TARGET}
    return {**structure.check(rest), TARGET: target}


def check_synthesis(settings: Settings) -> dict[str, Any]:
    """``settings`` of `synthesise` with all defaults: those of `check`, and `CYCLES`, which has none.

    Raises:
        UserError: for a setting that is not allowed.
    """
    cycles = settings.get(CYCLES)
    if type(cycles) is not int or cycles < 1:
        raise UserError(f"setting {CYCLES} {cycles!r} is not an integer from 1 up")
    return {**check({name: value for name, value in settings.items() if name != CYCLES}), CYCLES: cycles}


def seconds_of_estimates(settings: Settings) -> float:
    """Rough time in seconds that `estimate` takes of one core."""
    return ESTIMATE_S


def seconds_of_synthesis(settings: Settings) -> float:
    """Rough time in seconds that `synthesise` takes of one core."""
    return SYNTHESIS_S


def ready(settings: Settings) -> None:
    """Raise `UserError` where Yosys is not installed."""
    require(YOSYS.package)


def estimate(settings: Settings, *, advance: Advance) -> dict[str, Any]:
    """``speeds``: for each speed, from the slowest to the fastest, the figures of `_figures` by the estimator."""
    network, target = structure.structure(settings), TARGETS[settings[TARGET]]
    found, speeds = [], _speeds(network)
    for cycles in speeds:
        plan = _plan(network, target, cycles)
        found.append(_figures(plan, estimate_network(plan).area))
        advance(1 / len(speeds))
    return {"speeds": found}


def synthesise(settings: Settings, *, advance: Advance) -> dict[str, Any]:
    """The figures of `_figures` by Yosys, at the speed that is asked for."""
    plan = _plan(structure.structure(settings), TARGETS[settings[TARGET]], settings[CYCLES])
    # Workers of a study may have no further processes.
    area = total_area(map_to_cells(generate_network(plan, jobs=1)))
    advance(1)
    return _figures(plan, area)


def _speeds(network: IntegerNetwork) -> list[int]:
    """Cycles of a frame with each number of lanes that changes them."""
    configs = (NetworkConfig(network=network, foldings=up_to_lanes(network, lanes)) for lanes in LANES)
    return list(dict.fromkeys(max(NetworkPlan(config).ideals.values()) for config in configs))


def _plan(network: IntegerNetwork, target: Target, cycles: int) -> NetworkPlan:
    """Each step within so many cycles, as cheap as it can be. Where multipliers are powers of two, it shifts."""
    shifts = {
        step.name: MadeOf(requantise="adders")
        for step in network.steps
        if isinstance(step, LayerStep) and are_powers(step.layer.multiplier)
    }
    base = NetworkConfig(network=network, foldings=up_to_lanes(network, 1), target=target, made_of=shifts)
    return NetworkPlan(replace(base, foldings=cheapest_within(base, cycles)))


def _figures(plan: NetworkPlan, area: Area) -> dict[str, Any]:
    """Cycles of a frame and area. An UltraRAM counts for as many block RAMs as hold its bits.

    ``dsp`` and ``bram`` are None where synthesis is free to choose.
    """
    target = plan.config.target
    free = target.dsp is None
    return {
        "cycles": plan.schedule.interval,
        "dsp": None if free else area.dsp,
        "lut": area.lut,
        "ff": area.ff,
        "bram": None if free else area.bram + area.uram * URAM_KBIT / target.fabric.block_kbit,
    }
