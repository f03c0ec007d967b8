"""What the layers of a network take of an FPGA, by the estimator, and which trade-offs are the best.

Each layer is a unit, as it is in a network. All units work at once, on frames that follow each other. So areas add
up, and the slowest unit sets the initiation interval. A layer that is known only by its formats gets random weights
that use the formats fully, and random multipliers. Where these are powers of two, requantising is a shift.
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
from golden.contract.network.layer import LayerStep
from golden.contract.network.network import IMAGE, IntegerNetwork
from golden.contract.network.result import Result
from golden.contract.powers import are_powers, least_power
from golden.layers.random_layer import random_layer
from golden.quantise.calibration import Scales
from golden.support.cli import UserError
from hw.estimate.estimate import estimate
from hw.network.config import NetworkConfig
from hw.network.lower import unit_config
from hw.plan.made_of import MadeOf
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


def network_costs(
    layers: Iterable[Layer | LayerConfig], lanes: Sequence[int] = LANES, *, target: str, scales: Scales = "float"
) -> list[Cost]:
    """The costs of a network of ``layers`` on ``target``, for each number of ``lanes`` that changes one of its units.

    Multipliers of layers that are known only by their formats are powers of two if ``scales`` are.

    Raises:
        UserError: for an unknown target, a network without layers, and a layer that cannot be built.
    """
    find_target(target)
    units = [_weighted(layer, scales) for layer in layers]
    if not units:
        raise UserError("a network without layers costs nothing")
    foldings = {tuple(Folding.up_to(unit.config, most) for unit in units): most for most in reversed(lanes)}
    return [_cost(units, count, target) for count in reversed(foldings.values())]


def _cost(layers: Sequence[Layer], lanes: int, target: str) -> Cost:
    figures = [_unit(layer, lanes, target) for layer in layers]
    dsp, bram = [[unit[name] for unit in figures] for name in ("dsp", "bram")]
    return Cost(
        lanes=lanes,
        dsp=None if None in dsp else sum(dsp),
        lut=sum(unit["lut"] for unit in figures),
        ff=sum(unit["ff"] for unit in figures),
        bram=None if None in bram else sum(bram),
        cycles=max(unit["cycles"] for unit in figures),
    )


def _weighted(layer: Layer | LayerConfig, scales: Scales) -> Layer:
    """``layer`` itself, or a layer of its formats with random weights. The weights do not depend on its scales."""
    if isinstance(layer, Layer):
        return layer
    return _random(replace(layer, in_scale=None, out_scale=None), scales)


@cache
def _random(config: LayerConfig, scales: Scales) -> Layer:
    layer = random_layer(np.random.default_rng(SEED), **vars(config))
    if scales == "po2":
        # The powers of two from above, halved: the largest multiplier keeps its bits.
        return replace(layer, multiplier=least_power(layer.multiplier + 1).astype(np.int64) // 2)
    return layer


@cache
def _unit(layer: Layer, lanes: int, target: str) -> dict[str, Any]:
    """The layer as a network's only unit."""
    c = layer.config
    image = Result(channels=c.in_channels, height=c.height, width=c.width, bits=c.in_bits, signed=c.in_signed)
    layer = replace(layer, config=replace(c, in_scale=None, out_scale=None))
    step = LayerStep(name="layer", inputs=(IMAGE,), layer=layer)
    network = IntegerNetwork(image=image, steps=(step,), output=step.name)
    folding = Folding.up_to(c, lanes)
    shifts = {step.name: MadeOf(requantise="adders")} if are_powers(layer.multiplier) else {}
    config = NetworkConfig(network=network, foldings={step.name: folding}, target=find_target(target), made_of=shifts)
    unit = estimate(unit_config(config, 0, step))
    return {"dsp": unit.dsp, "lut": unit.lut, "ff": unit.ff, "bram": unit.bram, "cycles": unit.frame_cycles}


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
