"""Ports: what goes into a layer or a network, and what comes out."""

from __future__ import annotations

from golden.contract.layer import Layer
from golden.contract.network.network import IntegerNetwork
from golden.contract.network.result import Result


def ports(model: Layer | IntegerNetwork) -> tuple[Result, Result]:
    """Shape and format of the input frames of ``model``, and of its output frames."""
    if isinstance(model, IntegerNetwork):
        return model.image, model.results[model.output]
    c = model.config
    image = Result(channels=c.in_channels, height=c.height, width=c.width, bits=c.in_bits, signed=c.in_signed)
    output = Result(
        channels=c.out_channels, height=c.out_height, width=c.out_width, bits=c.out_bits, signed=c.out_signed
    )
    return image, output
