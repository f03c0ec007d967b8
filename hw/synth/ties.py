"""Ties: constants for the multipliers of an ECP5 from where they are used.

The control pins of a MULT18X18D (clock enable, reset, signedness, source) are routed like all others,
even where they never change. nextpnr drives each of the two constants in a device from one LUT.
Routing these two nets through what a full device leaves free took longer than routing all other nets
together, and often did not end. Here each block of multipliers has LUTs of its own for the constants.
Multipliers that the floor plan leaves to the placer share such LUTs by fours.
"""

from __future__ import annotations

import re
from itertools import count
from typing import Any

from hw.synth.netlist import Bit, Netlist, new_lut

#: Pins whose constants are routed. nextpnr sets constants of operand pins in place.
_CONTROL = re.compile(r"(CE|RST|SIGNED|SOURCE).")
#: A place as `hw.synth.floorplan` names it: column, row, and number of the multiplier in its block.
_PLACE = re.compile(r"X(\d+)/Y(\d+)/MULT18_(\d)")
_TRUTH = {"0": "0" * 16, "1": "1" * 16}


#: Multipliers of a block. As many multipliers without a place share their constants.
_BLOCK = 4


def tied(netlist: Netlist) -> Netlist:
    """``netlist`` with constants of its own for every block of multipliers."""
    free, unplaced = count(1 + netlist.last_net), count()
    drivers: dict[tuple[str, Bit], int] = {}
    cells: dict[str, Any] = dict(netlist.cells)
    for name, content in netlist.cells.items():
        if content["type"] != "MULT18X18D":
            continue
        block = _block(content["attributes"].get("BEL", "")) or f"{next(unplaced) // _BLOCK}"
        connections = dict(content["connections"])
        for port, bits in connections.items():
            if _CONTROL.fullmatch(port) and bits[0] in _TRUTH:
                if (block, bits[0]) not in drivers:
                    drivers[block, bits[0]] = next(free)
                connections[port] = [drivers[block, bits[0]]]
        cells[name] = {**content, "connections": connections}
    for (block, value), net in drivers.items():
        cells[f"tie_{value}_{block}"] = new_lut(_TRUTH[str(value)], {}, net)
    return Netlist({**netlist.module, "cells": cells})


def _block(place: str) -> str | None:
    """The block that a place is in; None where there is no place."""
    found = _PLACE.fullmatch(place)
    if found is None:
        return None
    column, row, position = map(int, found.groups())
    return f"X{column - position}_Y{row}"
