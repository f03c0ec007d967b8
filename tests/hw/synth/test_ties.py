"""Ties: constants of control pins come from LUTs of the multiplier's own block, and nothing else changes."""

from __future__ import annotations

from typing import Any

from hw.synth.floorplan import SITES
from hw.synth.netlist import Netlist
from hw.synth.ties import tied


def multiplier(place: str | None, **control: Any) -> dict[str, Any]:
    """A multiplier with two operand bits, one of them constant, and ``control`` pins."""
    connections = {"A0": [2], "A1": ["0"], "P0": [3], **{pin: [bit] for pin, bit in control.items()}}
    directions = {pin: "output" if pin == "P0" else "input" for pin in connections}
    attributes = {} if place is None else {"BEL": place}
    return {
        "type": "MULT18X18D",
        "attributes": attributes,
        "connections": connections,
        "port_directions": directions,
    }


def netlist(**cells: dict[str, Any]) -> Netlist:
    return Netlist({"cells": cells, "ports": {"clock": {"direction": "input", "bits": [90]}}, "netnames": {}})


CONTROL = {"CE0": "1", "RST0": "0", "SIGNEDA": "1", "SIGNEDB": "1", "SOURCEA": "0", "SOURCEB": "0"}


def value(after: Netlist, net: Any) -> str:
    """The constant that a LUT drives ``net`` with, whatever its inputs."""
    cell = after.cells[after.driver[net]]
    assert (
        cell["type"] == "LUT4" and len(set(cell["parameters"]["INIT"])) == 1 and len(cell["parameters"]["INIT"]) == 16
    )
    assert not list(after.inputs(after.driver[net]))
    return cell["parameters"]["INIT"][0]


def test_constants_keep_their_value_and_come_from_the_block() -> None:
    row = SITES["ecp5-85f"].row(34)
    before = netlist(a=multiplier(row[0], **CONTROL), b=multiplier(row[3], **CONTROL), c=multiplier(row[4], **CONTROL))
    after = tied(before)
    for name in "abc":
        pins = after.cells[name]["connections"]
        assert {pin: value(after, pins[pin][0]) for pin in CONTROL} == CONTROL
        # What nextpnr sets in place stays, and so do nets.
        assert (pins["A0"], pins["A1"], pins["P0"]) == ([2], ["0"], [3])
    nets = {
        name: {bits[0] for pin, bits in after.cells[name]["connections"].items() if pin in CONTROL} for name in "abc"
    }
    assert nets["a"] == nets["b"] and len(nets["a"]) == 2, "two nets for the four multipliers of a block"
    assert not nets["a"] & nets["c"]
    assert len(after.cells) == 3 + 4
    assert not {2, 3, 90} & (nets["a"] | nets["c"])
    assert before.cells["a"]["connections"]["CE0"] == ["1"], "what came in is as it was"


def test_nets_on_control_pins_stay() -> None:
    before = netlist(a=multiplier("X4/Y34/MULT18_0", CE0=7, RST0="0"))
    after = tied(before)
    assert after.cells["a"]["connections"]["CE0"] == [7]
    assert value(after, after.cells["a"]["connections"]["RST0"][0]) == "0"
    assert len(after.cells) == 2


def test_unplaced_multipliers_share_constants_four_by_four() -> None:
    names = "abcdef"
    before = netlist(**{name: multiplier(None, **CONTROL) for name in names})
    after = tied(before)
    nets = [after.cells[name]["connections"]["CE0"][0] for name in names]
    assert len(set(nets[:4])) == len(set(nets[4:])) == 1 and nets[0] != nets[4]
    assert all(
        value(after, after.cells[name]["connections"][pin][0]) == CONTROL[pin] for name in names for pin in CONTROL
    )
    assert all(after.cells[name]["attributes"] == {} for name in names)
