"""What the layers of a network take of an FPGA, by the estimator, and which trade-offs are the best ones.

Each layer is a unit of its own, all of them working at once on frames that follow each other: areas add up, and
the slowest unit says how often a frame is done. Of a layer that is only known by its formats, estimates take
random weights that use them fully.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from golden.contract.folding import Folding
from golden.contract.layer import Layer
from golden.contract.layer_config import LayerConfig
from golden.layers.random_layer import random_layer
from golden.support.cli import UserError
from hw.estimate.estimate import estimate
from hw.plan.config import UnitConfig
from hw.targets.families import find_target

#: Lanes at each end of a unit, at most, from the smallest to the fastest.
LANES = (1, 2, 4, 8)
#: Of the weights where there are none.
SEED = 16
#: What a network costs; less is better of all.
COSTS = ("dsp", "lut", "bram", "cycles")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a network takes.

    Attributes:
        lanes: input and output channels that each unit takes a cycle, at most.
        dsp, lut, ff, bram: of all its units, in the units of `hw.targets.area.Area`; the multipliers and block
            RAMs are None where synthesis is free to choose.
        cycles: from frame to frame.
    """

    lanes: int
    dsp: int | None
    lut: int
    ff: int
    bram: float | None
    cycles: int


def network_costs(layers: Iterable[Layer | LayerConfig], lanes: Sequence[int] = LANES, *, target: str) -> list[Cost]:
    """The costs of a network of ``layers`` on ``target``, for each number of ``lanes`` that changes any of its units.

    Raises `UserError` for a target that there is not, a network without layers, and a layer that cannot be built.
    """
    find_target(target)
    units = list(layers)
    if not units:
        raise UserError("a network without layers costs nothing")
    foldings = {tuple(Folding.up_to(_config(unit), most) for unit in units): most for most in reversed(lanes)}
    return [_cost(units, count, target) for count in reversed(foldings.values())]


def _cost(layers: Sequence[Layer | LayerConfig], lanes: int, target: str) -> Cost:
    figures = [_unit(_weighted(layer), lanes, target) for layer in layers]
    dsp, bram = [[unit[name] for unit in figures] for name in ("dsp", "bram")]
    return Cost(
        lanes=lanes,
        dsp=None if None in dsp else sum(dsp),
        lut=sum(unit["lut"] for unit in figures),
        ff=sum(unit["ff"] for unit in figures),
        bram=None if None in bram else sum(bram),
        cycles=max(unit["cycles"] for unit in figures),
    )


def _weighted(layer: Layer | LayerConfig) -> Layer:
    """``layer`` itself, or if it is only formats, random weights; the same ones whatever its integers mean."""
    if isinstance(layer, Layer):
        return layer
    return _random(replace(layer, in_scale=None, out_scale=None))


@cache
def _random(config: LayerConfig) -> Layer:
    return random_layer(np.random.default_rng(SEED), **vars(config))


@cache
def _unit(layer: Layer, lanes: int, target: str) -> dict[str, Any]:
    folding = Folding.up_to(layer.config, lanes)
    unit = estimate(UnitConfig(layer=layer, folding=folding, target=find_target(target)))
    return {"dsp": unit.dsp, "lut": unit.lut, "ff": unit.ff, "bram": unit.bram, "cycles": unit.frame_cycles}


def _config(layer: Layer | LayerConfig) -> LayerConfig:
    return layer if isinstance(layer, LayerConfig) else layer.config


def non_dominated(points: Sequence[Mapping[str, float]], *, less: Sequence[str], more: Sequence[str]) -> list[bool]:
    """Which of ``points`` no other one beats: as good in all of ``less`` and ``more``, and better in one."""
    if not points:
        return []
    table = np.array([[*(point[key] for key in less), *(-point[key] for key in more)] for point in points])
    no_worse = np.all(table[:, None] <= table[None], axis=2)
    better = np.any(table[:, None] < table[None], axis=2)
    beaten: np.ndarray = np.any(no_worse & better, axis=0)
    return [not flag for flag in beaten.tolist()]
