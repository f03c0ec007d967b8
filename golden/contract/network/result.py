"""The result of a step, or the image: its shape and number format."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from golden.contract.fields import LayerError, check_boolean, check_integer, check_scale
from golden.contract.ranges import Range
from golden.support.arrays import plain

#: Most channels, rows and columns that a result may have.
MOST = 4096
#: Bits of the image.
IMAGE_BITS = (2, 8)


@dataclass(frozen=True, kw_only=True)
class Result:
    """Shape and number format of frames ``[channels, height, width]``.

    Attributes:
        channels, height, width: 1 to 4096 each.
        bits, signed: format of an element.
        scale: value of one step, or None where the file records none.

    Raises `LayerError` for a shape outside these limits.
    """

    channels: int
    height: int
    width: int
    bits: int
    signed: bool
    scale: float | None = None

    def __post_init__(self) -> None:
        for f in dataclasses.fields(self):
            object.__setattr__(self, f.name, plain(getattr(self, f.name)))
        for name in ("channels", "height", "width"):
            size = getattr(self, name)
            if not 1 <= size <= MOST:
                raise LayerError(f"the result has {name} {size}, allowed are 1 to {MOST}")

    @property
    def shape(self) -> tuple[int, int, int]:
        """``(channels, height, width)``."""
        return self.channels, self.height, self.width

    @property
    def limits(self) -> Range:
        """Range of an element by its format. That a ReLU made it is not taken into account."""
        return Range.of_format(self.bits, self.signed)


def check_image(image: Result) -> None:
    """Raise `LayerError` for an image outside the contract, naming the field."""
    for name in ("channels", "height", "width"):
        check_integer(f"input {name}", getattr(image, name), (1, MOST))
    check_integer("input bits", image.bits, IMAGE_BITS)
    check_boolean("input signed", image.signed)
    check_scale("input scale", image.scale)
