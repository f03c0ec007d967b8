"""Beat: what one transfer of a stream carries."""

from __future__ import annotations

from amaranth.hdl import Shape
from amaranth.lib import data, stream

from golden.contract.streams import Payload


class Beat(Payload):
    """Elements of ``lanes`` consecutive channels of a pixel, as gateware sees them.

    Inside a network a beat has no padding. Only at the network's ports it is padded to whole ``bytes``.
    """

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
        """Bits of a beat, without padding."""
        return self.lanes * self.bits
