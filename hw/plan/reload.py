"""What software may change in a reloadable unit, and within which limits."""

from __future__ import annotations

from dataclasses import dataclass

from golden.contract.ranges import Range


@dataclass(frozen=True, kw_only=True)
class Reload:
    """Build options of a unit whose weights, constants, geometry and shifts come at run time.

    The layer that the unit is built from gives the upper limits of height and width. It also gives all
    that is frozen: channels, kernel, stride, padding, offsets, number formats.

    Attributes:
        attn_shift, out_shift: allowed values of the layer fields of these names.
        single_buffered: whether weights and constants have memory for one set only. Then they can
            be loaded only while the unit is held idle.
    """

    attn_shift: Range
    out_shift: Range
    single_buffered: bool = False

    @property
    def set_bits(self) -> int:
        """Bits that choose between the sets of weights and constants in memory."""
        return 0 if self.single_buffered else 1
