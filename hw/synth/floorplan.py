"""Floor plan: where an ECP5's multipliers go, so that what they feed lies beside them.

The multipliers of an ECP5 lie in rows that run across the whole device, four to a block. The
placer treats them one by one. In a device that is nearly full of them a lane ends up scattered. Here
each lane gets a stretch of a row, its multipliers in the order of channels and taps. Lanes for which
no row has room share what is left, column by column. Similarities, which all lanes share, have a
stretch of their own in the middle row. Everything else is placed around the multipliers. An 85F with
152 of 156 multipliers in use was measured to run half as fast again.

That is for a unit. What a network's steps get says `hw.synth.network_floorplan`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hw.synth.lanes import MULTIPLIER, lanes_of
from hw.synth.netlist import Netlist
from hw.synth.network_floorplan import along_the_rows, is_network
from hw.synth.sites import SITES, Sites


def floorplanned(netlist: Netlist, device: str) -> Netlist:
    """``netlist`` with its multipliers, and the block RAMs of a network, tied to places of ``device``.

    What there is more of than places is free.
    """
    sites = SITES[device]
    places = along_the_rows(netlist, sites) if is_network(netlist) else _of_unit(netlist, sites)
    cells: dict[str, Any] = dict(netlist.cells)
    for cell, place in places.items():
        cells[cell] = {**cells[cell], "attributes": {**cells[cell]["attributes"], "BEL": place}}
    return Netlist({**netlist.module, "cells": cells})


def _of_unit(netlist: Netlist, sites: Sites) -> Mapping[str, str]:
    lanes = lanes_of(cell for cell, content in netlist.cells.items() if content["type"] == MULTIPLIER)
    return _assign(lanes, sites) if sum(map(len, lanes)) <= len(sites.rows) * len(sites.row(0)) else {}


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
