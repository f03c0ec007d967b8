"""What the networks of a study take of an FPGA: which runs tell it, and which trade-offs are the best."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from golden.contract.layer_config import LayerConfig
from golden.experiments.structure import SHAPING, outputs_of
from scripts.studies.functions import find_function
from scripts.studies.grid import Run, Study
from scripts.studies.metrics import kind_and_number
from scripts.studies.rows import Row

#: Names of the functions that tell costs, see `scripts.studies.hardware`.
ESTIMATE, SYNTHESIS = "estimate", "synthesis"
#: Their settings beside those of a structure: FPGA family, and for a synthesis cycles of a frame.
TARGET, CYCLES = "target", "cycles"
#: Settings that tell runs of a row from each other.
TOLD = ("bits", CYCLES)
#: Name of the figures with the layers' formats, see `scripts.studies.experiment`.
LAYERS = "layers"
#: The costs of a network that count. Less is better of each.
COSTS = ("dsp", "lut", "bram", "cycles")
#: Its area.
AREAS = ("dsp", "lut", "ff", "bram")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a network takes.

    Attributes:
        cycles: of a frame.
        dsp, lut, ff, bram: its area, see `scripts.studies.hardware`. ``dsp`` and ``bram`` are None where synthesis is
            free to choose.
    """

    cycles: int
    dsp: int | None
    lut: int
    ff: int
    bram: float | None


def estimates(study: Study, row: Row) -> dict[str, Run]:
    """The runs that estimate the networks of ``row``, by metric. None where the study names no target."""
    if study.target is None:
        return {}
    return {metric: _run(ESTIMATE, row, {**network, TARGET: study.target}) for metric, network in _networks(row)}


def syntheses(study: Study, row: Row) -> dict[str, Run]:
    """The runs that synthesise networks of ``row``, by metric."""
    found = {}
    for metric, run in estimates(study, row).items():
        if metric in study.synthesised:
            found[metric] = _run(SYNTHESIS, row, {**run.settings, CYCLES: study.synthesised[metric]})
    return found


def cost_runs(study: Study, rows: Iterable[Row]) -> list[Run]:
    """All runs that tell what networks of ``rows`` take. Some may be the same."""
    return [run for row in rows for runs in (estimates(study, row), syntheses(study, row)) for run in runs.values()]


def _networks(row: Row) -> Iterator[tuple[str, dict[str, Any]]]:
    """The metric of each integer network of a row, and the settings that shape the network."""
    run, result = row.first
    for metric, layers in result.figures.get(LAYERS, {}).items():
        first = LayerConfig.from_json(layers[0])
        shaping = {name: run.settings[name] for name in SHAPING if name in run.settings}
        image = [first.in_channels, first.height, first.width]
        outputs = outputs_of(run.settings, first.in_channels, result.figures["parameters"])
        yield metric, {**shaping, "image": image, "outputs": outputs, "bits": kind_and_number(metric)[1]}


def _run(function: str, row: Row, settings: dict[str, Any]) -> Run:
    """A run of a function of `scripts.studies.hardware`. Its label tells it from others of the row."""
    checked = find_function(function).checked(settings)
    told = {name: checked[name] for name in TOLD if name in checked}
    return Run(function_name=function, settings=checked, point={**row.point, **told})


def non_dominated(points: Sequence[Mapping[str, float]], *, less: Sequence[str], more: Sequence[str]) -> list[bool]:
    """Whether each of ``points`` is beaten by no other.

    A point beats another if it is as good in all of ``less`` and ``more``, and better in one.
    """
    if not points:
        return []
    table = np.array([[*(point[key] for key in less), *(-point[key] for key in more)] for point in points])
    no_worse = np.all(table[:, None] <= table[None], axis=2)
    better = np.any(table[:, None] < table[None], axis=2)
    beaten: np.ndarray = np.any(no_worse & better, axis=0)
    return [not flag for flag in beaten.tolist()]
