"""Taps: which inputs take their beats from the window of a unit that takes the same beats.

The unit of a layer holds the pixels that it takes until its windows are on them. A step that takes the same result,
and can do nothing before the layer's result is there, would hold them a second time. Instead it takes the centres of
the layer's windows, from a second output of the unit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from golden.contract.network.concat import Concat
from golden.contract.network.layer import LayerStep
from golden.contract.network.network import IntegerNetwork
from golden.contract.network.step import Step
from hw.plan.geometry import Geometry

#: An input of a step: the step's name, and the number of the input.
Taken = tuple[str, int]


def find_taps(network: IntegerNetwork, saved: Callable[[LayerStep], int]) -> Mapping[Taken, LayerStep]:
    """For each input that takes its beats from a tap, the layer whose unit has it: the one that saves most.

    There are two kinds of them, behind a layer that takes the same result and does not change its frame but for
    the stride:

    - A step that adds what comes of the layer to the result.
    - A 1x1 layer of the same stride to whose own result it is added. It takes only the pixels in the centres.

    Args:
        network: the network.
        saved: beats that a layer's tap saves. Only those that save any are used.
    """
    found = {}
    for step in network.steps:
        for place, name in enumerate(step.inputs):
            layers = [
                layer
                for layer in network.steps
                if isinstance(layer, LayerStep) and layer is not step and layer.inputs == (name,)
                if layer.layer.config.padding == "same" and _waits(network, step, layer)
            ]
            best = max(layers, key=saved, default=None)
            if best is not None and saved(best) > 0:
                found[step.name, place] = best
    return found


def held_beats(geometry: Geometry) -> int:
    """Beats that a unit holds for a window beyond that in its centre."""
    return (geometry.down * geometry.config.width + geometry.right) * geometry.channel_beats


def is_projection(step: Step) -> bool:
    """Whether each pixel of the step's result follows from one pixel that it takes."""
    return isinstance(step, LayerStep) and step.layer.config.kernel == 1 and not step.layer.config.attn_offsets


def _waits(network: IntegerNetwork, step: Step, layer: LayerStep) -> bool:
    """Whether nothing that follows from ``step`` is there before the pixel of the layer's result in the same place."""
    behind = _behind(network, layer)
    stride = layer.layer.config.stride
    if step.name in behind:
        return stride == 1
    if not isinstance(step, LayerStep) or not is_projection(step) or step.layer.config.stride != stride:
        return False
    takers = {taker.name for taker in network.steps if step.name in taker.inputs}
    return bool(takers) and takers <= behind


def _behind(network: IntegerNetwork, layer: LayerStep) -> set[str]:
    """Names of the steps of which every pixel waits for the layer's pixel in the same place.

    A way leads to them from the layer on which no frame has another size than its result, and nothing is put in
    front of anything: a `concat` passes on what comes of one input before it has what comes of another.
    """
    frame = network.results[layer.name].shape[1:]
    behind = {layer.name}
    for step in network.steps:
        keeps = network.results[step.name].shape[1:] == frame and not isinstance(step, Concat)
        if keeps and behind.intersection(step.inputs):
            behind.add(step.name)
    return behind - {layer.name}
