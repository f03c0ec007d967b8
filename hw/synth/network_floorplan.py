"""Floor plan of a network: where an ECP5's multipliers and block RAMs go, so that each step lies together.

The steps lie along a line in the order of the data flow. The line is folded into the rows of multipliers: one from
left to right, the next from right to left. Each step has as much of it as it takes of the registers. So everything
else, which is placed around them, finds room beside them. A step's multipliers and block RAMs are drawn to points along
its part. Each gets a place of its own, so that the sum of the squares of all distances is the least.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from math import inf

import numpy as np

from hw.synth.lanes import MULTIPLIER, lanes_of
from hw.synth.netlist import Netlist
from hw.synth.parts import ATTRIBUTE
from hw.synth.sites import Sites

MEMORY, REGISTER = "DP16KD", "TRELLIS_FF"
#: A cell of a node, and one of a FIFO before it: the node's number.
_NODE = re.compile(r"\\?(\d+)_\w+\.")
_FIFO = re.compile(r"\\?fifo_(\d+)_\d+\.")
#: A memory that all lanes read.
_OF_LANES = ".row_store."
#: What a device's place is called.
_PLACE = re.compile(r"X(\d+)/Y(\d+)/\w+")


@dataclass
class _Step:
    """A step's cells by type, and the number of its first node: no number where none of its cells has a name."""

    first: float = inf
    cells: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def in_order(self, kind: str) -> list[str]:
        """Its multipliers, or its block RAMs: what works on the same is beside each other."""
        if kind == MULTIPLIER:
            return [cell for lane in lanes_of(self.cells[kind]) for cell in lane]
        memories = sorted(self.cells[kind], key=lambda cell: [int(number) for number in re.findall(r"\d+", cell)])
        lanes = [cell for cell in memories if _OF_LANES not in cell]
        # What all lanes read lies in their middle.
        lanes[len(lanes) // 2 : len(lanes) // 2] = [cell for cell in memories if _OF_LANES in cell]
        return lanes

    @property
    def length(self) -> int:
        """What its part of the line is in proportion to."""
        return len(self.cells[REGISTER])


def is_network(netlist: Netlist) -> bool:
    """Whether a netlist is one of a network, in which cells have the names of nodes."""
    return any(_NODE.match(cell) for cell in netlist.cells)


def along_the_rows(netlist: Netlist, sites: Sites) -> Mapping[str, str]:
    """A place for each multiplier and block RAM of a network's steps; of none of a kind that there is too much of."""
    steps = _steps(netlist)
    ends = list(accumulate((step.length for step in steps), initial=0))
    rows = {
        MULTIPLIER: [place for y in sites.rows for place in sites.row(y)],
        MEMORY: [place for y in sites.memory_rows for place in sites.memory_row(y)],
    }
    places: dict[str, str] = {}
    for kind, free in rows.items():
        wanted: dict[str, tuple[float, float]] = {}
        for step, start, end in zip(steps, ends, ends[1:], strict=False):
            own = step.in_order(kind)
            for number, cell in enumerate(own):
                wanted[cell] = _point(sites, (start + (number + 0.5) / len(own) * (end - start)) / ends[-1])
        if wanted and len(wanted) <= len(free):
            places |= _nearest(wanted, free)
    return places


def _steps(netlist: Netlist) -> list[_Step]:
    """The steps in the order of the data flow. What has no cell with a name is left out.

    Each has the FIFOs that are before its nodes, or before nodes behind it that are left out. The first one also has
    those before nodes in front of it.
    """
    found: dict[str, _Step] = defaultdict(_Step)
    for cell, content in netlist.cells.items():
        if ATTRIBUTE in content["attributes"]:
            step = found[content["attributes"][ATTRIBUTE]]
            step.cells[content["type"]].append(cell)
            if match := _NODE.match(cell):
                step.first = min(step.first, int(match[1]))
    steps = sorted((step for step in found.values() if step.first < inf), key=lambda step: step.first)
    for cell, content in netlist.cells.items():
        if match := _FIFO.match(cell):
            taker = ([step for step in steps if step.first <= int(match[1])] or steps[:1])[-1]
            taker.cells[content["type"]].append(cell)
    return steps


def _point(sites: Sites, position: float) -> tuple[float, float]:
    """Column and row of a place on the line, from 0 at its beginning to 1 at its end."""
    row, along = divmod(position * len(sites.rows), 1)
    return sites.width * (1 - along if row % 2 else along), sites.rows[int(row)]


def _nearest(wanted: Mapping[str, tuple[float, float]], free: Sequence[str]) -> dict[str, str]:
    """A place for each cell."""
    # Half a second that only place-and-route needs.
    from scipy.optimize import linear_sum_assignment

    found = [match for place in free if (match := _PLACE.fullmatch(place))]
    places = np.array([(int(match[1]), int(match[2])) for match in found])
    points = np.array(list(wanted.values()))
    cells, taken = linear_sum_assignment(((points[:, None] - places) ** 2).sum(axis=2))
    names = list(wanted)
    return {names[cell]: free[place] for cell, place in zip(cells, taken, strict=True)}
