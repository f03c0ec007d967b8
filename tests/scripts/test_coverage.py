"""The coverage command's own figures."""

from __future__ import annotations

import pytest

from scripts.coverage import module


@pytest.mark.parametrize(
    ("place", "name"),
    [
        (":131 i_row_valid[1]:1->0", "top"),
        ("row_store:767 _039_[2]:0->1", "row_store"),
        ("sequencer.input_walk:1404 _025_[4]:0->1", "sequencer.input_walk"),
        ("lane_0.tap_macs:12 a:0->1", "lane.tap_macs"),
        ("lane_11.requantise:12 a:0->1", "lane.requantise"),
        ("lane_*.requantise:12 a:0->1", "lane.requantise"),
    ],
)
def test_module_of_a_missed_point(place: str, name: str) -> None:
    assert module(place) == name
