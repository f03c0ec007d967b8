"""Unit config: what the unit of a step is asked to be."""

from __future__ import annotations

from dataclasses import replace

from golden.contract.folding import Folding
from golden.contract.layer import Layer
from golden.contract.network.layer import LayerStep
from golden.contract.network.linear import Linear
from hw.network.config import NetworkConfig
from hw.network.linear_layer import linear_layer
from hw.plan.config import UnitConfig
from hw.plan.made_of import USUAL, Material
from hw.targets.families import Target


def unit_config(config: NetworkConfig, number: int, step: LayerStep | Linear) -> UnitConfig:
    """The unit of a step, the network's node ``number``. The name of its module begins with the network's.

    The number comes before the step's name, so that no step's modules have the names of another's.
    """
    (x,) = (config.network.results[name] for name in step.inputs)
    layer, folding = step.layer if isinstance(step, LayerStep) else linear_layer(step, x), config.foldings[step.name]
    asked = config.made_of.get(step.name, USUAL)
    return UnitConfig(
        layer=layer,
        folding=folding,
        target=config.target,
        pack=config.pack,
        made_of=replace(asked, requantise=asked.requantise or _requantise(layer, folding, config.target)),
        name=f"{config.name}_{number}_{step.name}",
    )


def _requantise(layer: Layer, folding: Folding, target: Target) -> Material:
    """What sums are multiplied by where nobody asks: adders that take turns, where a target has named DSPs to save."""
    taking_turns = not layer.config.depthwise and folding.simd < layer.config.in_channels
    return "adders" if target.a_bits is not None and taking_turns else "dsp"
