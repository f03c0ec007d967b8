"""Reference: what must come out of generated gateware, and how its beats are packed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from golden.contract.streams import Payload
from golden.model import integer
from golden.model.network import network as network_model
from hw.export.network_verilog import NetworkCore
from hw.export.verilog import Core


@dataclass(frozen=True, kw_only=True)
class Reference:
    """The integer model of a unit or a network.

    Attributes:
        check_input: frames as int64 ``[N, C, H, W]``; raises `UserError` for frames outside the format.
        run: the output frames, int64 ``[N, K, Ho, Wo]``, of such frames.
        source, sink: packing of input and output beats.
        shape: ``(K, Ho, Wo)``.
    """

    check_input: Callable[[np.ndarray], np.ndarray]
    run: Callable[[np.ndarray], np.ndarray]
    source: Payload
    sink: Payload
    shape: tuple[int, int, int]


def reference(core: Core | NetworkCore) -> Reference:
    """The reference of generated gateware."""
    if isinstance(core, NetworkCore):
        return _of_network(core)
    layer, folding = core.config.layer, core.config.folding
    c = layer.config
    return Reference(
        check_input=layer.check_input,
        run=lambda frames: integer.run(layer, frames),
        source=Payload.of_input(c, folding),
        sink=Payload.of_output(c, folding),
        shape=(c.out_channels, c.out_height, c.out_width),
    )


def _of_network(core: NetworkCore) -> Reference:
    network, graph = core.config.network, core.plan.graph
    return Reference(
        check_input=network.check_input,
        run=lambda frames: network_model.run(network, frames),
        source=graph.image,
        sink=graph.output_beat,
        shape=network.output_result.shape,
    )
