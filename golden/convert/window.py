"""Windows as sources describe them, by numbers for each axis: honoured, or refused by the attribute's name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from golden.contract.layer_config import FIELD_CHOICES
from golden.contract.network.pooling import SIZES
from golden.support.cli import UserError

KERNELS: tuple[int, ...] = FIELD_CHOICES["kernel"]
STRIDES: tuple[int, ...] = FIELD_CHOICES["stride"]


def one_for_all(name: str, values: Any) -> int:
    """The one value of an attribute with a value for each axis, or for each side."""
    listed = list(values) if isinstance(values, (list, tuple)) else [values]
    if not listed or any(value != listed[0] for value in listed):
        raise UserError(f"{name} {listed} differs between axes or sides, allowed is one value for all")
    if type(listed[0]) is not int:
        raise UserError(f"{name} {listed} is no integer")
    return listed[0]


def no_dilation(name: str, values: Any) -> None:
    """Raise `UserError` for a dilation, whatever axis it is of."""
    if one_for_all(name, values) != 1:
        raise UserError(f"{name} {list(values)} is not allowed, allowed is 1")


def conv_kernel(name: str, sides: Sequence[int]) -> int:
    """The side of a convolution's kernel."""
    return _chosen(name, one_for_all(name, list(sides)), KERNELS)


def conv_stride(name: str, values: Any) -> int:
    """The stride of a convolution."""
    return _chosen(name, one_for_all(name, values), STRIDES)


def conv_padding(name: str, values: Any, kernel: int) -> str:
    """``same`` or ``valid``, of zeros on each side of the frame."""
    pad = one_for_all(name, values)
    if pad not in (0, kernel // 2):
        raise UserError(f"{name} {pad} is neither 0 nor {kernel // 2}, half of kernel {kernel}")
    return "same" if pad == kernel // 2 else "valid"


def conv_groups(name: str, groups: int, weight_shape: Sequence[int]) -> int:
    """1, or as many groups as there are channels. ``weight_shape`` is ``[O, C/groups, K, K]``."""
    outputs, own = weight_shape[:2]
    channels = own * groups
    if groups not in (1, channels):
        raise UserError(f"{name} {groups} is neither 1 nor the number of channels, {channels}")
    if groups > 1 and outputs != channels:
        raise UserError(f"{name} {groups} makes {outputs} of {channels} channels, allowed is one of each")
    return groups


def pool_kernel(name: str, values: Any) -> int:
    """The side of a pool's window."""
    return _within(name, one_for_all(name, values), SIZES)


def pool_stride(name: str, values: Any) -> int:
    """The stride of a pool."""
    return _within(name, one_for_all(name, values), SIZES)


def max_pool_pad(name: str, values: Any, kernel: int) -> int:
    """The padding of a maximum pool, which no element of it ever wins."""
    return _within(name, one_for_all(name, values), (0, kernel // 2))


def no_padding(name: str, values: Any) -> None:
    """Raise `UserError` for an average pool that sees zeros around the frame."""
    if one_for_all(name, values) != 0:
        raise UserError(f"{name} {list(values)} of an average pool is not allowed, allowed is 0")


def whole_windows(name: str, ceil: Any, sides: Sequence[int], kernel: int, stride: int, pad: int) -> None:
    """Raise `UserError` where rounding up would add windows that reach over the frame's end."""
    if ceil and any((size + 2 * pad - kernel) % stride for size in sides):
        raise UserError(
            f"{name} {ceil} adds windows that are not whole to {list(sides)} pixels, allowed is {type(ceil)(0)}"
        )


def upsample_factor(name: str, factors: Sequence[float]) -> int:
    """The whole factor of an upsampling, the same for rows and columns."""
    if any(factor not in range(2, 5) for factor in factors):
        raise UserError(f"{name} {list(factors)} are not allowed, allowed are 2, 3 and 4")
    return one_for_all(name, list(map(int, factors)))


def adaptive_kernel(name: str, sides: Sequence[int], wanted: Sequence[int]) -> int:
    """The side of the windows, all alike, that part frames of ``sides`` into ``wanted`` windows."""
    if any(size % count for size, count in zip(sides, wanted, strict=True)):
        raise UserError(f"{name} {list(wanted)} does not divide frames of {list(sides)}, allowed are sizes that do")
    return _within("kernel", one_for_all("kernel", [a // b for a, b in zip(sides, wanted, strict=True)]), SIZES)


def _chosen(name: str, value: int, choices: Sequence[int]) -> int:
    if value not in choices:
        raise UserError(f"{name} {value} is not one of {', '.join(map(str, choices))}")
    return value


def _within(name: str, value: int, limits: tuple[int, int]) -> int:
    if not limits[0] <= value <= limits[1]:
        raise UserError(f"{name} {value} is not allowed, allowed are {limits[0]} to {limits[1]}")
    return value
