"""An integer layer among float layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from golden.contract.layer import Layer
from golden.contract.scales import dequantise_output, quantise_input
from golden.model import integer
from golden.support.cli import UserError


class IntegerLayer(nn.Module):
    """Runs a quantised layer inside a float network, exactly as its hardware would.

    What comes in is rounded to the layer's steps, and saturates. What goes out is a number of the
    layer's output steps. No gradient passes.

    Args:
        layer: a layer whose file records ``in_scale`` and ``out_scale``.

    Attributes:
        layer: the given layer.

    Raises:
        UserError: for a layer without one of the scales.
    """

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        for name in ("in_scale", "out_scale"):
            if getattr(layer.config, name) is None:
                raise UserError(f"the layer records no {name}, which a layer inside a float network needs")
        self.layer = layer

    @torch.compiler.disable  # what runs here is numpy's
    def forward(self, x: Tensor) -> Tensor:
        """Real frames ``[N, C, H, W]`` to real frames ``[N, O, Ho, Wo]`` of the same dtype on the same device.

        Raises `UserError` for frames that are not the layer's.
        """
        y = integer.run(self.layer, quantise_input(self.layer, x))
        return torch.from_numpy(dequantise_output(self.layer, y)).to(x)

    def extra_repr(self) -> str:
        """The layer, in one line."""
        return repr(self.layer)
