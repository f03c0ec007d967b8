"""Bits that a network stores."""

from __future__ import annotations

from hw.network.graph import Graph
from hw.network.nodes.unit import UnitNode
from hw.network.schedule import NetworkSchedule


def fifo_bits(schedule: NetworkSchedule) -> int:
    """Bits in the FIFOs of all edges."""
    return sum(edge.depth * edge.fifo_beat.size for edge in schedule.edges)


def row_bits(graph: Graph) -> int:
    """Bits in the row stores of all units."""
    units = [placed.node for placed in graph.nodes if isinstance(placed.node, UnitNode)]
    rows = [(unit.shapes.schedule.slots, unit.config.layer.config) for unit in units]
    return sum(slots * c.width * c.in_channels * c.in_bits for slots, c in rows)
