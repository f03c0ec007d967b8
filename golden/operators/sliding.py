"""How a kernel slides over frames: the geometry that the float modules share."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from torch import Tensor, nn

from golden.contract.layer_config import FIELD_CHOICES
from golden.support.arrays import plain
from golden.support.cli import UserError

#: Rows and columns of pixels.
Centres = tuple[slice, slice]


class SlidingModule(nn.Module):
    """Maps frames ``[N, C, H, W]`` to ``[N, O, Ho, Wo]`` where `torch.nn.Conv2d` would.

    The kernel of output position ``q`` is centred on ``p = stride*q - pad + kernel_size//2``
    of the input, and an element outside the frame is 0.

    Args:
        in_channels: C.
        out_channels: O.
        kernel_size: K, one of 1, 3, 5, 7.
        stride: 1 or 2.
        padding: ``"same"`` for K//2 zeros on each side, with stride 2, too, or ``"valid"`` for none.
        groups: 1 (dense) or ``in_channels`` (depthwise, then O = C).

    Raises:
        UserError: naming the argument, its value and what is allowed.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, kernel_size: int, stride: int, padding: str, groups: int
    ) -> None:
        super().__init__()
        in_channels = check_count("in_channels", in_channels)
        out_channels = check_count("out_channels", out_channels)
        groups = plain(groups)
        if type(groups) is not int or groups not in (1, in_channels):
            raise UserError(f"groups {groups!r} is neither 1 nor in_channels ({in_channels})")
        if groups > 1 and out_channels != in_channels:
            raise UserError(
                f"out_channels {out_channels} differs from in_channels {in_channels}, "
                f"which groups {groups} (depthwise) does not allow"
            )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size: int = check_choice("kernel_size", kernel_size, FIELD_CHOICES["kernel"])
        self.stride: int = check_choice("stride", stride, FIELD_CHOICES["stride"])
        self.padding: str = check_choice("padding", padding, FIELD_CHOICES["padding"])
        self.groups = groups

    @property
    def pad(self) -> int:
        """Zeros on each side of the frame."""
        return self.kernel_size // 2 if self.padding == "same" else 0

    def centres(self, x: Tensor) -> Centres:
        """Rows and columns of the kernel centres in frames ``[N, C, H, W]``.

        Raises `UserError` for frames of another shape, or smaller than a ``valid`` kernel.
        """
        smallest = self.kernel_size if self.padding == "valid" else 1
        if x.ndim != 4 or x.shape[1] != self.in_channels or min(x.shape[2:]) < smallest:
            raise UserError(
                f"input has shape {list(x.shape)}, allowed is [N, {self.in_channels}, H, W] "
                f"with H and W at least {smallest} (padding {self.padding!r}, kernel_size {self.kernel_size})"
            )
        # No centre lies nearer to the end of the frame than the first does to its start.
        first = self.kernel_size // 2 - self.pad
        height, width = x.shape[2:]
        return slice(first, height - first, self.stride), slice(first, width - first, self.stride)

    def check_heads(self, product: str, heads: int | None) -> int | None:
        """The number of heads, None for the ``hadamard`` product. Raises `UserError` where ``heads`` is not allowed."""
        if product == "hadamard":
            if heads is not None:
                raise UserError(f"heads {heads!r} is not for product {product!r}, allowed is None")
            return None
        if product != "inner" and self.groups > 1:
            raise UserError(f"groups {self.groups} (depthwise) is not for product {product!r}, allowed is 1")
        if heads is None:
            return self.groups
        heads = check_count("heads", heads)
        if self.in_channels % heads:
            raise UserError(f"heads {heads} does not divide in_channels {self.in_channels}")
        if self.groups > 1 and heads != self.groups:
            raise UserError(f"heads {heads} differs from groups {self.groups}, which a depthwise layer does not allow")
        return heads

    def extra_repr(self) -> str:
        """The geometry, as ``repr`` shows it."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}, padding={self.padding!r}, groups={self.groups}"
        )


def every_pixel(x: Tensor) -> Centres:
    """All rows and columns of frames ``[N, C, H, W]``."""
    return slice(0, x.shape[2], 1), slice(0, x.shape[3], 1)


def check_choice(name: str, value: Any, choices: Collection[Any]) -> Any:
    """``value``, where it is one of ``choices`` and of the same type (True is not 1). A numpy scalar becomes plain.

    Raises `UserError` for any other.
    """
    value = plain(value)
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        raise UserError(f"{name} {value!r} is not one of {', '.join(map(repr, choices))}")
    return value


def check_count(name: str, value: Any) -> int:
    """``value``, where it is an integer of at least 1. A numpy scalar becomes plain.

    Raises `UserError` for any other.
    """
    value = plain(value)
    if type(value) is not int or value < 1:
        raise UserError(f"{name} {value!r} is not an integer from 1 up")
    return value
