"""Floor plan: every multiplier of the lanes has a place of its own that the device has, lane by lane."""

from __future__ import annotations

from typing import Any

import pytest

from hw.synth.floorplan import floorplanned
from hw.synth.netlist import Netlist
from hw.synth.sites import SITES
from hw.targets.devices import CAPACITY


def netlist(lanes: int, taps: int, centres: int = 0, requantisers: int = 0) -> Netlist:
    """Multipliers named as the generator's text makes them, and cells that are none of its."""
    stages = {"tap_macs": taps, "attention_combine": centres, "requantise": requantisers}
    names = [
        f"lane_{lane}.{stage}.U${n}" for lane in range(lanes) for stage, count in stages.items() for n in range(count)
    ]
    cells: dict[str, Any] = {name: {"type": "MULT18X18D", "attributes": {"kept": "1"}} for name in reversed(names)}
    cells |= {"lane_0.tap_macs.other": {"type": "MULT18X18D", "attributes": {}}}
    cells |= {"lane_0.tap_macs.U$0.ff": {"type": "TRELLIS_FF", "attributes": {}}}
    return Netlist({"cells": cells, "ports": {}, "netnames": {}})


def places(plan: Netlist) -> dict[str, str]:
    return {name: cell["attributes"]["BEL"] for name, cell in plan.cells.items() if "BEL" in cell["attributes"]}


@pytest.mark.parametrize("device", SITES)
def test_as_many_places_as_the_vendor_says(device: str) -> None:
    sites = SITES[device]
    every = [place for y in sites.rows for place in sites.row(y)]
    assert len(set(every)) == len(every) == CAPACITY[device].dsp
    memories = [place for y in sites.memory_rows for place in sites.memory_row(y)]
    # A 12F is a 25F of which the vendor sells a part.
    assert len(set(memories)) == len(memories) == CAPACITY["ecp5-25f" if device == "ecp5-12f" else device].bram


@pytest.mark.parametrize(("lanes", "taps"), [(1, 34), (2, 34), (3, 34), (4, 34), (8, 12)])
def test_every_multiplier_has_a_place_of_its_own(lanes: int, taps: int) -> None:
    before = netlist(lanes, taps, 2, 2)
    found = places(floorplanned(before, "ecp5-85f"))
    sites = SITES["ecp5-85f"]
    every = {place for y in sites.rows for place in sites.row(y)}
    assert set(found) == {name for name in before.cells if "U$" in name and not name.endswith("ff")}
    assert len(set(found.values())) == len(found) and set(found.values()) <= every
    # The netlist that came in is as it was, and nothing else about a cell has changed.
    assert not places(before)
    assert all(cell["attributes"].get("kept") == "1" for name, cell in before.cells.items() if name in found)


def test_a_lane_lies_in_one_row_channel_by_channel() -> None:
    found = places(floorplanned(netlist(3, 34, 2, 2), "ecp5-85f"))
    for lane in range(3):
        own = {name: place for name, place in found.items() if name.startswith(f"lane_{lane}.")}
        assert len({place.split("/")[1] for place in own.values()}) == 1
        order = sorted(own, key=lambda name: int(own[name].split("/")[0][1:]))
        stage = "tap_macs"
        first, second = ([f"lane_{lane}.{stage}.U${n}" for n in range(17 * c, 17 * c + 17)] for c in range(2))
        centres = [f"lane_{lane}.attention_combine.U${n}" for n in range(2)]
        last = [f"lane_{lane}.requantise.U${n}" for n in range(2)]
        assert order == [*first, centres[0], *second, centres[1], *last]


def test_lanes_without_a_row_share_what_is_left() -> None:
    """Four lanes of 38 in three rows of 52: the fourth lies at the ends of all three."""
    found = places(floorplanned(netlist(4, 34, 2, 2), "ecp5-85f"))
    assert len(found) == 152
    assert len({place.split("/")[1] for name, place in found.items() if name.startswith("lane_3.")}) == 3


def test_more_than_the_device_has_is_left_to_the_placer() -> None:
    assert not places(floorplanned(netlist(1, 29), "ecp5-25f"))
