"""Lanes: the multipliers of a unit in an order in which those that work on the same lie beside each other."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

#: The type of a multiplier.
MULTIPLIER = "MULT18X18D"
#: A multiplier that the generator has instantiated: the unit in a network, its lane, stage, part of it and number.
_MULTIPLIER = re.compile(
    r"(?:\\?\d+_\w+\.)?(?:lane_(?P<lane>\d+)\.)?"
    r"(?P<stage>similarity|tap_macs|attention_combine|requantise)(?P<part>_\d+)?\.U\$(?P<number>\d+)"
)
#: Number of the similarities among the lanes, which all share them. It comes first.
_SHARED = -1


def lanes_of(cells: Iterable[str]) -> list[list[str]]:
    """The multipliers among the cells of one unit, lane by lane, each lane's in order. Similarities come first."""
    lanes: dict[int, list[re.Match[str]]] = defaultdict(list)
    for cell in cells:
        if found := _MULTIPLIER.fullmatch(cell):
            lanes[int(found["lane"] or _SHARED)].append(found)
    return [_in_order(lanes[lane]) for lane in sorted(lanes)]


def _in_order(found: Sequence[re.Match[str]]) -> list[str]:
    """A lane's multipliers: those of each channel's taps and its centre, then the requantiser's."""
    stages: dict[str, list[str]] = defaultdict(list)
    for match in sorted(found, key=lambda match: (match["part"] or "", int(match["number"]))):
        stages[match["stage"]].append(match[0])
    taps, centres = stages["tap_macs"], stages["attention_combine"]
    share = -(-len(taps) // max(1, len(centres)))
    channels = [[*taps[n * share : (n + 1) * share], *centres[n : n + 1]] for n in range(max(1, len(centres)))]
    return [*stages["similarity"], *(cell for channel in channels for cell in channel), *stages["requantise"]]
