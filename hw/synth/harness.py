"""What surrounds an ECP5 unit in place-and-route, so that few pins are enough and every path has a register.

    in ─▶ way ─▶ shift register ─▶ registers ─▶ unit ─▶ registers ─▶ registers ─▶ signature register ─▶ way ─▶ out

Each input of the unit, also the reset, comes from a register of its own. Each output goes into a
register of its own. No harness path has more than one LUT between registers. No register of the
harness drives more than two. Only ``aclk`` stays the pin that it was. The harness is added to the
netlist after synthesis. So nothing is optimised across its border, and the unit's cells stay what
they are without it.

The placer takes any pins. A network lies across the whole device, and its first and last steps may be far from them.
So there are further registers on the way. They keep what they join from being drawn apart.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from typing import Any

from hw.synth.netlist import Bit, Netlist, new_cell, new_lut

#: Names of all cells of the harness begin with it.
PREFIX = "harness."
#: Pins beside the clock.
PIN_IN, PIN_OUT = "harness_in", "harness_out"
CLOCK = "aclk"

#: Truth table of A xor B.
_XOR = "0110" * 4
#: Registers between each pin and a network.
WAY = 8
_FF_PARAMETERS = {"CEMUX": "1 ", "CLKMUX": "CLK", "GSR": "DISABLED", "LSRMUX": "LSR", "REGSET": "RESET"}


def harnessed(unit: Netlist, *, way: int = 0) -> Netlist:
    """``unit``, synthesised for ECP5, between registers. Its ports are ``aclk``, `PIN_IN` and `PIN_OUT`.

    Args:
        way: further registers at each pin, see `WAY`.
    """
    ports = unit.module["ports"]
    clock = ports[CLOCK]["bits"][0]
    cells: dict[str, Any] = dict(unit.cells)
    free = count(1 + unit.last_net)

    def register(data: Bit, out: int) -> int:
        cells[f"{PREFIX}ff_{out}"] = _flip_flop(clock, data, out)
        return out

    def far(data: Bit) -> Bit:
        for _ in range(way):
            data = register(data, next(free))
        return data

    pin_in = next(free)
    link = far(pin_in)
    for net in _nets(ports, "input"):
        link = register(link, next(free))
        register(register(link, next(free)), net)

    signature: Bit = "0"
    for net in _nets(ports, "output"):
        captured = register(register(net, next(free)), next(free))
        mixed = next(free)
        cells[f"{PREFIX}xor_{mixed}"] = new_lut(_XOR, {"A": signature, "B": captured}, mixed)
        signature = register(mixed, next(free))
    signature = far(signature)

    return Netlist(
        {
            "attributes": unit.module["attributes"],
            "ports": {
                CLOCK: ports[CLOCK],
                PIN_IN: {"direction": "input", "bits": [pin_in]},
                PIN_OUT: {"direction": "output", "bits": [signature]},
            },
            "cells": cells,
            "netnames": unit.module["netnames"],
        }
    )


def _nets(ports: dict[str, Any], direction: str) -> Iterator[int]:
    """Nets of the unit's ports but the clock. Padding bits are constants and need no register."""
    for name, port in ports.items():
        if port["direction"] == direction and name != CLOCK:
            yield from (bit for bit in port["bits"] if isinstance(bit, int))


def _flip_flop(clock: int, data: Bit, out: int) -> dict[str, Any]:
    connections: dict[str, list[Bit]] = {"CLK": [clock], "DI": [data], "LSR": ["0"], "Q": [out]}
    return new_cell("TRELLIS_FF", _FF_PARAMETERS, connections, "Q")
