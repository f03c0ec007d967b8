"""The layers of an experiment's integer networks in the generated Verilog: both must agree on every image.

The network is trained again from its settings, which gives the same network. The X-volution layers of each of
its integer networks become units. Verilator simulates the units on the inputs that the images of the split
give to the layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from golden.contract.folding import Folding
from golden.experiments.experiment import check_settings, measured_examples, run_experiment, task_of
from golden.quantise.quantised import QuantisedNetwork
from golden.support.cli import UserError
from hw.export.verilog import generate
from hw.plan.config import UnitConfig
from scripts.studies.functions import Advance, Settings
from scripts.studies.grid import Run
from sim.bulk.result import SimulationResult
from sim.bulk.simulate import simulate
from sim.simulator.simulators import find_simulator

#: Names of this function and of the function of experiments.
NAME, EXPERIMENT = "rtl", "experiment"
#: The only setting beside those of an experiment: the number of images; null for all of the split.
IMAGES = "rtl_images"
NOTHING = "nothing to simulate: no X-volution is quantised, which settings variant, bits and qat_bits decide"
#: Number of images at a time: the layers' inputs for more would not fit into memory.
BATCH = 500
#: Rough share of the training in the work of a run.
TRAINING = 0.5


def check(settings: Settings) -> dict[str, Any]:
    """``settings`` with all defaults: those of `golden.experiments.experiment.check_settings`, and `IMAGES`.

    Raises:
        UserError: for a setting that is not allowed, and where nothing would be simulated.
    """
    images = settings.get(IMAGES)
    if images is not None and (type(images) is not int or images < 1):
        raise UserError(f"setting {IMAGES} {images!r} is not allowed, allowed is null or an integer from 1 up")
    checked = check_settings({key: value for key, value in settings.items() if key != IMAGES})
    if not _has_units(checked):
        raise UserError(NOTHING)
    return {**checked, IMAGES: images}


def simulations(runs: Sequence[Run], images: int | None) -> list[Run]:
    """For each experiment among ``runs`` with X-volution layers in integers, the run that simulates these layers.

    Args:
        runs: runs of a study.
        images: number of images; None for all that an experiment is measured on.

    Raises:
        UserError: if there is no such experiment.
    """
    names = {run.function_name for run in runs}
    if EXPERIMENT not in names:
        raise UserError(f"nothing to simulate: all runs are of {', '.join(sorted(names))}, none is of {EXPERIMENT}")
    found = [
        Run(function_name=NAME, settings=check({**run.settings, IMAGES: images}), point=run.point)
        for run in runs
        if run.function_name == EXPERIMENT and _has_units(run.settings)
    ]
    if not found:
        raise UserError(NOTHING)
    return found


def _has_units(settings: Settings) -> bool:
    return settings["variant"] == "xvolution" and bool(settings["bits"] or settings["qat_bits"])


def ready(settings: Settings) -> None:
    """Raise `UserError` where Verilator is not installed."""
    find_simulator("verilator")


def run(settings: Settings, *, advance: Advance) -> dict[str, Any]:
    """The figures of a run with checked ``settings``::

    units         those of `simulated`, by integer network
    mismatches    number of wrong output elements of all units
    """
    experiment = {key: value for key, value in settings.items() if key != IMAGES}
    networks: dict[str, QuantisedNetwork] = {}

    def keep(how: str, bits: int, network: QuantisedNetwork) -> None:
        networks[f"{how}.{bits}"] = network

    run_experiment(experiment, advance=lambda share: advance(share * TRAINING), keep=keep)
    images = measured_examples(task_of(experiment), experiment).images(slice(settings[IMAGES])).numpy()
    units = {}
    for place, network in networks.items():
        units[place] = simulated(network, images)
        advance((1 - TRAINING) / len(networks))
    return {"units": units, "mismatches": sum(u["mismatches"] for layers in units.values() for u in layers.values())}


def simulated(network: QuantisedNetwork, images: np.ndarray) -> dict[str, dict[str, Any]]:
    """What the unit of each X-volution layer of ``network`` makes of ``images`` ``[N, C, H, W]``, by layer.

    The figures are the number of images, of output elements and of wrong ones, complaints, and cycles.
    """
    layers = {name: layer for name, layer in network.layers.items() if name in network.attended}
    cores = {
        name: generate(UnitConfig(layer=layer, folding=Folding.choose(layer.config))) for name, layer in layers.items()
    }
    sources = {step.name: step.inputs[0] for step in network.integers.steps}
    found: dict[str, dict[str, Any]] = {}
    for start in range(0, len(images), BATCH):
        values = network.values(network.quantise_images(images[start : start + BATCH]))
        for name in layers:
            frames = values[sources[name]]
            result = simulate(cores[name], frames, simulator="verilator")
            unit = found.setdefault(name, {"images": 0, "elements": 0, "mismatches": 0, "complaints": [], "cycles": 0})
            unit["images"] += len(frames)
            unit["elements"] += result.expected.size
            unit["mismatches"] += _mismatches(result, values[name])
            unit["complaints"] += result.complaints()
            unit["cycles"] += result.cycles
    return found


def _mismatches(result: SimulationResult, outputs: np.ndarray) -> int:
    """Number of elements that differ from the network's own integers. All count where the streams broke a rule."""
    if result.faults or result.frames is None:
        return result.expected.size
    return int(np.count_nonzero(result.frames != outputs))


def complaints(figures: dict[str, Any]) -> Iterator[str]:
    """A line for each unit that differs from the integer model."""
    for place, layers in figures["units"].items():
        for name, unit in layers.items():
            if unit["mismatches"]:
                yield f"{place}, {name}: {unit['mismatches']} of {unit['elements']} elements differ: " + "; ".join(
                    unit["complaints"]
                )


def elements(figures: dict[str, Any]) -> int:
    """Number of output elements that were compared."""
    return sum(unit["elements"] for layers in figures["units"].values() for unit in layers.values())
