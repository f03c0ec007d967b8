"""Ports: what goes into a layer or a network, and what comes out."""

from __future__ import annotations

from golden.contract.layer import Layer
from golden.contract.layer_config import LayerConfig
from golden.contract.network.network import IntegerNetwork
from golden.contract.network.result import Result


def ports(model: Layer | IntegerNetwork) -> tuple[Result, Result]:
    """Shape and format of the input frames of ``model``, and of its output frames."""
    if isinstance(model, IntegerNetwork):
        return model.image, model.results[model.output]
    c = model.config
    output = Result(
        channels=c.out_channels, height=c.out_height, width=c.out_width, bits=c.out_bits, signed=c.out_signed
    )
    return image_of(c), output


def image_of(config: LayerConfig) -> Result:
    """Shape and format of a layer's input frames."""
    return Result(
        channels=config.in_channels,
        height=config.height,
        width=config.width,
        bits=config.in_bits,
        signed=config.in_signed,
    )
