"""Plain convolutions, as the layers of this package express them."""

from __future__ import annotations

from typing import Any

from torch import nn

from golden.operators.parts import plain_type
from golden.operators.sliding import SlidingModule, check_choice
from golden.support.cli import UserError


def geometry(conv: nn.Conv2d) -> dict[str, Any]:
    """``kernel_size``, ``stride``, ``padding`` and ``groups`` of a `SlidingModule` that slides as ``conv`` does.

    Raises `UserError` for a subclass of Conv2d, and for what no `SlidingModule` has. That module's
    own checks come afterwards.
    """
    if plain_type(conv) is not nn.Conv2d:
        # A subclass may compute something else: it may be lazy, or quantisation-aware.
        raise UserError(f"is a {plain_type(conv).__name__}, allowed is Conv2d itself, not a subclass")
    check_choice("dilation", conv.dilation, ((1, 1),))
    check_choice("padding_mode", conv.padding_mode, ("zeros",))
    for name, (vertical, horizontal) in (("kernel_size", conv.kernel_size), ("stride", conv.stride)):
        if vertical != horizontal:
            raise UserError(f"{name} {(vertical, horizontal)} is not the same in both directions")
    kernel_size = conv.kernel_size[0]
    return {
        "kernel_size": kernel_size,
        "stride": conv.stride[0],
        "padding": _padding(conv, kernel_size),
        "groups": conv.groups,
    }


def check_static_branch(conv: nn.Module, layer: SlidingModule) -> None:
    """Raise `UserError` unless ``conv`` is the kind of convolution that ``layer`` was made with."""
    pair = {"kernel_size": layer.kernel_size, "stride": layer.stride, "padding": layer.pad, "dilation": 1}
    wanted = {name: (size, size) for name, size in pair.items()} | {
        "in_channels": layer.in_channels,
        "out_channels": layer.out_channels,
        "groups": layer.groups,
        "padding_mode": "zeros",
    }
    if plain_type(conv) is not nn.Conv2d:
        raise UserError(f"conv is a {plain_type(conv).__name__}, allowed is Conv2d itself")
    for name, value in wanted.items():
        if getattr(conv, name) != value:
            raise UserError(f"conv has {name} {getattr(conv, name)}, allowed is {value}, as the layer was made")


def _padding(conv: nn.Conv2d, kernel_size: int) -> str:
    if isinstance(conv.padding, str):
        return conv.padding
    half = kernel_size // 2
    for padding, zeros in (("same", half), ("valid", 0)):
        if tuple(conv.padding) == (zeros, zeros):
            return padding
    raise UserError(f"padding {tuple(conv.padding)} is neither {(half, half)} ('same') nor (0, 0) ('valid')")
