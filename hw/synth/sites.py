"""Sites: the places of an ECP5's multipliers and block RAMs, from Project Trellis' database."""

from __future__ import annotations

from dataclasses import dataclass

#: Columns of a block's four multipliers, from its first one. They are also the multipliers' numbers.
_MULTIPLIERS = (0, 1, 4, 5)
#: The same of block RAMs, whose numbers are 0 to 3.
_MEMORIES = (0, 2, 4, 6)


@dataclass(frozen=True)
class Sites:
    """Places of a device.

    Attributes:
        rows: rows of blocks of multipliers.
        memory_rows: rows of blocks of block RAMs.
        columns: column of each block's first multiplier, or block RAM.
        width: columns of the device.
    """

    rows: tuple[int, ...]
    memory_rows: tuple[int, ...]
    columns: tuple[int, ...]
    width: int

    def row(self, y: int) -> list[str]:
        """nextpnr's names of the multipliers of a row, from left to right."""
        return [f"X{x + place}/Y{y}/MULT18_{place}" for x in self.columns for place in _MULTIPLIERS]

    def memory_row(self, y: int) -> list[str]:
        """nextpnr's names of the block RAMs of a row, from left to right."""
        return [f"X{x + place}/Y{y}/EBR{number}" for x in self.columns for number, place in enumerate(_MEMORIES)]

    @property
    def from_the_middle(self) -> list[int]:
        middle = sum(self.rows) / len(self.rows)
        return sorted(self.rows, key=lambda y: abs(y - middle))


_SMALLEST = Sites((13,), (25, 37), (4, 13, 22, 33, 42, 51, 60), 72)
SITES = {
    "ecp5-12f": _SMALLEST,
    "ecp5-25f": _SMALLEST,
    "ecp5-45f": Sites((22, 46), (10, 34, 58), (4, 13, 22, 31, 42, 51, 60, 69, 78), 90),
    "ecp5-85f": Sites((10, 34, 58), (22, 46, 70, 82), (4, 13, 22, 31, 40, 49, 58, 69, 78, 87, 96, 105, 114), 126),
}
