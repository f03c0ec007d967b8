"""Taps: which inputs take their beats from the window of a unit that takes the same beats.

The unit of a layer holds the pixels that it takes until its windows are on them. A step that takes the same result,
and can do nothing before the layer's result is there, would hold them a second time. Instead it takes the centres of
the layer's windows, from a second output of the unit.
"""

from __future__ import annotations

from golden.contract.network.concat import Concat
from golden.contract.network.layer import LayerStep
from golden.contract.network.network import IntegerNetwork, naming
from golden.contract.network.step import Step
from hw.network.config import NetworkConfig
from hw.network.unit_config import unit_config
from hw.plan.geometry import Geometry
from hw.plan.shapes import Shapes
from hw.unit.timetable import Timetable

#: An input of a step: the step's name, and the number of the input.
Taken = tuple[str, int]


def find_taps(config: NetworkConfig, of: Step | None = None) -> dict[Taken, LayerStep]:
    """For each input that takes its beats from a tap, the layer whose unit has it: the one that saves most.

    Args:
        config: the network.
        of: a step; then only taps that it takes beats from or that its unit may have.
    """
    found = {}
    for taken, layers in possible_taps(config.network).items():
        if of is not None and of.name not in {taken[0], *(layer.name for layer in layers)}:
            continue
        # Only of these: to know the queue of a tap takes the plan of the whole unit.
        saved = [saved_beats(config, layer) for layer in layers]
        if max(saved) > 0:
            found[taken] = layers[saved.index(max(saved))]
    return found


def possible_taps(network: IntegerNetwork) -> dict[Taken, list[LayerStep]]:
    """For each input that may take its beats from a tap under some folding, the layers whose units may have it.

    The layer takes the same result. Its own is as large, or smaller by its stride. There are two kinds of such inputs:

    - *Identities* are operands of a sum whose other operand comes of the layer.
    - *Projections* are 1x1 layers of the layer's stride. Only the pixels in the centres matter to them. Their result
      goes into sums whose other operand has been through another window behind the layer, so that there is time.
    """
    layers = [s for s in network.steps if isinstance(s, LayerStep) and s.layer.config.padding == "same"]
    found = {}
    for step in network.steps:
        for place, name in enumerate(step.inputs):
            tapped = [
                layer
                for layer in layers
                if layer is not step and layer.inputs == (name,)
                if is_identity(network, step, layer) or is_projection(network, step, layer)
            ]
            if tapped:
                found[step.name, place] = tapped
    return found


def saved_beats(config: NetworkConfig, layer: LayerStep) -> int:
    """Beats that a layer's unit holds until their window comes, less those that the queue of its tap has room for."""
    geometry = Geometry(config=layer.layer.config, folding=config.foldings[layer.name])
    held = (geometry.down * geometry.config.width + geometry.right) * geometry.channel_beats
    if not held:
        return 0
    with naming(layer.name):
        return held - Timetable(Shapes(unit_config(config, 0, layer))).tap_depth


def is_identity(network: IntegerNetwork, step: Step, layer: LayerStep) -> bool:
    """Whether ``step``, which takes what ``layer`` takes, gives no pixel before the layer gives that in its place."""
    return layer.layer.config.stride == 1 and step.name in _behind(network, layer)


def is_projection(network: IntegerNetwork, step: Step, layer: LayerStep) -> bool:
    """Whether all that follows from ``step`` waits for a window behind ``layer``, whose centres are all it needs."""
    if not isinstance(step, LayerStep) or step.layer.config.kernel > 1 or step.layer.config.attn_offsets:
        return False
    behind = _behind(network, layer)
    windows = [s for s in network.steps if s.name in behind and isinstance(s, LayerStep) and s.layer.config.kernel > 1]
    late = set().union(*(_behind(network, window) for window in windows))
    takers = {taker.name for taker in network.steps if step.name in taker.inputs}
    return step.layer.config.stride == layer.layer.config.stride and bool(takers) and takers <= late


def _behind(network: IntegerNetwork, layer: LayerStep) -> set[str]:
    """Names of the steps of which every pixel waits for the layer's pixel in the same place.

    A way leads to them from the layer on which all frames have the size of its result. There is no `concat` on it,
    which passes on what comes of one input before it has what comes of another.
    """
    frame = network.results[layer.name].shape[1:]
    behind = {layer.name}
    for step in network.steps:
        keeps = network.results[step.name].shape[1:] == frame and not isinstance(step, Concat)
        if keeps and behind.intersection(step.inputs):
            behind.add(step.name)
    return behind - {layer.name}
