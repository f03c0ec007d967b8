"""Floor plan: where an ECP5's multipliers go, so that what they feed lies beside them.

The multipliers of an ECP5 lie in rows that run across the whole device, four to a block. The
placer treats them one by one. In a device that is nearly full of them a lane ends up scattered. Here
each lane gets a stretch of a row, its multipliers in the order of channels and taps. Lanes for which
no row has room share what is left, column by column. Similarities, which all lanes share, have a
stretch of their own in the middle row. Everything else is placed around the multipliers. An 85F with
152 of 156 multipliers in use was measured to run half as fast again.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hw.synth.netlist import Netlist

#: Columns of a block's four multipliers, from its first one. They are also the multipliers' numbers.
_PLACES = (0, 1, 4, 5)
#: A multiplier that the generator has instantiated: its lane, stage and number.
_MULTIPLIER = re.compile(r"(?:lane_(\d+)\.)?(similarity|tap_macs|attention_combine|requantise)(_\d+)?\.U\$(\d+)")
#: Number of the similarities among the lanes. It comes first, so they get the middle row.
_SHARED = -1


@dataclass(frozen=True)
class Sites:
    """Places of a device's multipliers, from Project Trellis' database.

    Attributes:
        rows: rows of blocks.
        columns: column of each block's first multiplier.
    """

    rows: tuple[int, ...]
    columns: tuple[int, ...]

    def row(self, y: int) -> list[str]:
        """nextpnr's names of the multipliers of a row, from left to right."""
        return [f"X{x + place}/Y{y}/MULT18_{place}" for x in self.columns for place in _PLACES]

    @property
    def from_the_middle(self) -> list[int]:
        middle = sum(self.rows) / len(self.rows)
        return sorted(self.rows, key=lambda y: abs(y - middle))


_SMALLEST = Sites((13,), (4, 13, 22, 33, 42, 51, 60))
SITES = {
    "ecp5-12f": _SMALLEST,
    "ecp5-25f": _SMALLEST,
    "ecp5-45f": Sites((22, 46), (4, 13, 22, 31, 42, 51, 60, 69, 78)),
    "ecp5-85f": Sites((10, 34, 58), (4, 13, 22, 31, 40, 49, 58, 69, 78, 87, 96, 105, 114)),
}


def floorplanned(netlist: Netlist, device: str) -> Netlist:
    """``netlist`` with its lanes' multipliers tied to places of ``device``. It is unchanged where they do not fit."""
    lanes: dict[int, list[str]] = defaultdict(list)
    for cell in netlist.cells:
        if netlist.cells[cell]["type"] == "MULT18X18D" and (found := _MULTIPLIER.fullmatch(cell)):
            lanes[int(found[1] or _SHARED)].append(cell)
    sites = SITES[device]
    if sum(map(len, lanes.values())) > len(sites.rows) * len(sites.row(0)):
        return netlist
    places = _assign([_in_order(lanes[lane]) for lane in sorted(lanes)], sites)
    cells: dict[str, Any] = dict(netlist.cells)
    for cell, place in places.items():
        cells[cell] = {**cells[cell], "attributes": {**cells[cell]["attributes"], "BEL": place}}
    return Netlist({**netlist.module, "cells": cells})


def _in_order(cells: Sequence[str]) -> list[str]:
    """A lane's multipliers: those of each channel's taps and its centre, then the requantiser's."""
    stages: dict[str, list[str]] = defaultdict(list)
    found = [match for cell in cells if (match := _MULTIPLIER.fullmatch(cell))]
    for match in sorted(found, key=lambda match: (match[3] or "", int(match[4]))):
        stages[match[2]].append(match[0])
    taps, centres = stages["tap_macs"], stages["attention_combine"]
    share = -(-len(taps) // max(1, len(centres)))
    channels = [[*taps[n * share : (n + 1) * share], *centres[n : n + 1]] for n in range(max(1, len(centres)))]
    return [*stages["similarity"], *(cell for channel in channels for cell in channel), *stages["requantise"]]


def _assign(lanes: Sequence[Sequence[str]], sites: Sites) -> dict[str, str]:
    """A place for every multiplier."""
    free = {y: sites.row(y) for y in sites.from_the_middle}
    places: dict[str, str] = {}
    left_over: list[str] = []
    for number, lane in enumerate(lanes):
        # Rows take turns, so that few lanes lie on top of each other and not side by side.
        turn = number % len(free)
        rows = [*list(free)[turn:], *list(free)[:turn]]
        row = next((y for y in rows if len(free[y]) >= len(lane)), None)
        if row is None:
            left_over += lane
            continue
        # A lane that has a row for itself lies in the row's middle.
        first = (len(free[row]) - len(lane)) // 2 if len(lanes) <= len(free) else 0
        places |= zip(lane, free[row][first : first + len(lane)], strict=True)
        del free[row][first : first + len(lane)]

    def column(place: str) -> tuple[int, str]:
        x, y = place.split("/")[:2]
        return int(x[1:]) // (sites.columns[1] - sites.columns[0]), y

    rest = sorted((place for row in free.values() for place in row), key=column)
    return places | dict(zip(left_over, rest, strict=False))
