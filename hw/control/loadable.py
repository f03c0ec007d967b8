"""Loadable: whether a layer fits a reloadable unit, and what is written to load it."""

from __future__ import annotations

import dataclasses

import numpy as np

from golden.contract.layer import Layer
from golden.contract.layer_config import LayerConfig
from golden.support.cli import UserError
from hw.plan.sizes import Sizes
from hw.plan.weight_layout import weight_image

#: Layer fields that are written as registers of these names.
SETTINGS = ("height", "width", "relu", "attn_shift", "out_shift")
#: Layer fields that must equal those of the unit.
_FROZEN = (
    "product",
    "in_channels",
    "out_channels",
    "kernel",
    "stride",
    "padding",
    "groups",
    "in_bits",
    "in_signed",
    "out_bits",
    "out_signed",
    "rounding",
    "heads",
    "sim_bits",
    "sim_shift",
)


def check_layer(sizes: Sizes, c: LayerConfig) -> None:
    """Raise `UserError` if a layer does not fit the unit. The message names the field, its value and what fits."""
    built, limits = sizes.layer.config, sizes.config.limits
    for name in _FROZEN:
        if getattr(c, name) != getattr(built, name):
            raise UserError(
                f"{name} {getattr(c, name)!r} of the layer does not fit the unit, built for {getattr(built, name)!r}"
            )
    allowed = {
        "height": (built.smallest_frame, built.height),
        "width": (built.smallest_frame, built.width),
        "weight_bits": (2, built.weight_bits),
        "attn_shift": (limits.attn_shift.low, limits.attn_shift.high),
        "out_shift": (limits.out_shift.low, limits.out_shift.high),
    }
    for name, (low, high) in allowed.items():
        if not low <= getattr(c, name) <= high:
            raise UserError(
                f"{name} {getattr(c, name)} of the layer does not fit the unit, allowed are {low} to {high}"
            )
    if set(c.attn_offsets) != set(built.attn_offsets):
        raise UserError(
            f"attn_offsets {c.attn_offsets} of the layer do not fit the unit, built for {built.attn_offsets}"
        )


def settings_of(c: LayerConfig) -> dict[str, int]:
    """The words of the registers `SETTINGS`, by name."""
    return {name: int(getattr(c, name)) for name in SETTINGS}


def layer_image(sizes: Sizes, layer: Layer) -> np.ndarray:
    """The weight image of a layer that `check_layer` lets pass: uint32 ``[beats]``."""
    # The image has the taps in the order that the unit was built for.
    built = sizes.layer.config
    order = [layer.config.attn_offsets.index(offset) for offset in built.attn_offsets]
    config = dataclasses.replace(built, attn_shift=layer.config.attn_shift)
    weights = dataclasses.replace(layer, config=config, attn_weight=layer.attn_weight[..., order])
    return weight_image(Sizes(sizes.config.of_layer(weights)))
