"""What the layers of a network take of an FPGA, by the estimator, and which trade-offs are the best.

Each layer is a unit. All units work at once, on frames that follow each other. So areas add up, and the
slowest unit sets the initiation interval. A layer that is known only by its formats gets random weights
that use the formats fully.
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

#: Choices for the most lanes at each end of a unit, from the smallest to the fastest.
LANES = (1, 2, 4, 8)
#: Seed of the weights of layers that have none.
SEED = 16
#: The costs of a network that count. Less is better of each.
COSTS = ("dsp", "lut", "bram", "cycles")


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a network takes.

    Attributes:
        lanes: the most input channels, and output channels, of each unit in a cycle.
        dsp, lut, ff, bram: area of all its units together, see `hw.targets.area.Area`. ``dsp`` and ``bram`` are
            None where synthesis is free to choose.
        cycles: initiation interval of the network.
    """

    lanes: int
    dsp: int | None
    lut: int
    ff: int
    bram: float | None
    cycles: int


def network_costs(layers: Iterable[Layer | LayerConfig], lanes: Sequence[int] = LANES, *, target: str) -> list[Cost]:
    """The costs of a network of ``layers`` on ``target``, for each number of ``lanes`` that changes one of its units.

    Raises:
        UserError: for an unknown target, a network without layers, and a layer that cannot be built.
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
    """``layer`` itself, or a layer of its formats with random weights. The weights do not depend on its scales."""
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
