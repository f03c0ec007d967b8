"""What pools have in common: windows that slide over a frame."""

from __future__ import annotations

from golden.contract.fields import LayerError

#: Sides, and strides, of a pool's window.
SIZES = (1, 7)


def positions(name: str, size: int, kernel: int, stride: int, pad: int = 0) -> int:
    """How many windows of ``kernel`` there are along a side of ``size`` elements, with ``pad`` more at both ends.

    Raises `LayerError` where there are none.
    """
    if size + 2 * pad < kernel:
        padding = f" and pad {pad}" if pad else ""
        raise LayerError(f"kernel {kernel} is larger than what it takes, which has {name} {size}{padding}")
    return (size + 2 * pad - kernel) // stride + 1
