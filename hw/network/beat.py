"""Beat: what one transfer of a stream carries."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import Shape
from amaranth.lib import data, stream


@dataclass(frozen=True, kw_only=True)
class Beat:
    """Elements of ``lanes`` consecutive channels of a pixel.

    Attributes:
        lanes: elements.
        bits, signed: format of an element.
    """

    lanes: int
    bits: int
    signed: bool

    @property
    def shape(self) -> Shape:
        """One element."""
        return Shape(self.bits, signed=self.signed)

    @property
    def layout(self) -> data.ArrayLayout:
        """All elements, the first channel in the lowest bits."""
        return data.ArrayLayout(self.shape, self.lanes)

    @property
    def signature(self) -> stream.Signature:
        """A stream of such beats."""
        return stream.Signature(self.layout)

    @property
    def size(self) -> int:
        """Bits of a beat."""
        return self.lanes * self.bits
