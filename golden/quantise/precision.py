"""How many bits the weights and activations of a network get, and which scales."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from golden.contract.network.network import IMAGE
from golden.contract.rounding import HALF_EVEN, Rounding
from golden.operators.dynamic_conv import DynamicConv2d
from golden.operators.network import Network
from golden.operators.step import Step
from golden.quantise.calibration import Scales

#: Bits of images, and of the residual stream of pre-activation networks: no single layer owns them.
STREAM_BITS = 8
#: A result that is only added to another has this many bits more than a layer's input, up to 16. As
#: an operand of the sum it is rounded once more.
BRANCH_BITS = 4
MOST_BITS = 16


@dataclass(frozen=True, kw_only=True)
class Precision:
    """Bits of each layer, of its weights and of the activations it takes; and which scales there are.

    Images have 8 bits. A batch norm that stands alone has 8 bits, too, for its weights and for what it
    takes, the residual stream of a pre-activation network.

    Attributes:
        bits: of all weights and activations that nothing else decides.
        edge_bits: of the weights of the first layer and of linear maps; None: ``bits``.
        layers: bits of single layers, by name.
        scales: ``po2`` makes the value of a step of each requantised result, and all multipliers of layers,
            additions and requantised linear maps, powers of two. An average pool's multiplier is one where its
            window has a power of two of pixels.
        rounding: of all results that are requantised (`golden.contract.rounding`).
    """

    bits: int
    edge_bits: int | None = 8
    layers: Mapping[str, int] = field(default_factory=dict)
    scales: Scales = "float"
    rounding: Rounding = HALF_EVEN

    def weights(self, network: Network, step: Step) -> int:
        """Bits of the weights of ``step``."""
        if _is_norm(network, step):
            return self.layers.get(step.name, STREAM_BITS)
        edge = step.op == "linear" or IMAGE in step.inputs
        return self.layers.get(step.name, self.edge_bits if edge and self.edge_bits is not None else self.bits)

    def result(self, network: Network, name: str) -> int:
        """Bits of the result of a step (or the images): the most that any layer which takes it asks for."""
        if name == IMAGE:
            return STREAM_BITS
        wanted = [self._taken(network, step) for step in _takers(network, name)]
        return max(wanted) if wanted else min(self.bits + BRANCH_BITS, MOST_BITS)

    def only_added(self, network: Network, name: str) -> bool:
        """Whether no layer takes the result of a step, only additions."""
        return name != IMAGE and not _takers(network, name)

    def _taken(self, network: Network, step: Step) -> int:
        return self.layers.get(step.name, STREAM_BITS if _is_norm(network, step) else self.bits)


def _takers(network: Network, name: str) -> list[Step]:
    """Layers and linear maps that take a result, also through steps that only carry values."""
    takers = []
    for step in network.steps:
        if name not in step.inputs:
            continue
        if step.op in ("layer", "linear"):
            takers.append(step)
        elif step.op != "add":
            takers += _takers(network, step.name)
    return takers


def _is_norm(network: Network, step: Step) -> bool:
    if step.op != "layer":
        return False
    part = network.parts[step.name]
    return isinstance(part, DynamicConv2d) and part.kernel_size == 1 and part.groups > 1
