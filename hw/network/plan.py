"""Plan: what follows from a network's config, before any gateware is made."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hw.network.backpressure import least_fifos
from hw.network.config import NetworkConfig, multiplying
from hw.network.graph import Graph
from hw.network.ideal import ideal_cycles
from hw.network.lower import lower
from hw.network.nodes.unit import UnitNode
from hw.network.schedule import NetworkSchedule, find_schedule, interval_of, node_cycles
from hw.network.taps import find_taps


@dataclass(frozen=True)
class NetworkPlan:
    """Graph, cycles and schedule of the network ``config``."""

    config: NetworkConfig

    @cached_property
    def graph(self) -> Graph:
        """The nodes, before it is known when beats move."""
        return self._full_rate[0]

    @cached_property
    def _full_rate(self) -> tuple[Graph, NetworkSchedule | None]:
        """The graph, and its run at full rate if it was needed to choose it.

        Projections take their pixels from windows only where no output comes later for that.
        """
        taps, network = find_taps(self.config), self.config.network
        identities = {(name, place): layer for (name, place), layer in taps.items() if name not in multiplying(network)}
        graph = lower(self.config, taps)
        if len(identities) == len(taps):
            return graph, None
        plain = lower(self.config, identities)
        found, other = self._run(graph), self._run(plain)
        return (graph, found) if found.keeps_pace_with(other) else (plain, other)

    def _run(self, graph: Graph) -> NetworkSchedule:
        return find_schedule(graph, interval_of(graph, max(self.ideals.values())), self.config.target)

    @cached_property
    def ideals(self) -> dict[str, int]:
        """Ideal cycles of each step."""
        c = self.config
        return {step.name: ideal_cycles(c.network, step, c.foldings[step.name]) for step in c.network.steps}

    @cached_property
    def ideal_frame_cycles(self) -> int:
        """Cycles of a frame where none is lost: those of the slowest step, or the beats of a port."""
        return max(*self.ideals.values(), self.graph.image_beats, self.graph.output_beats)

    @cached_property
    def step_cycles(self) -> dict[str, int]:
        """Cycles of a frame of each step that its nodes need."""
        found = dict(self.ideals)
        for placed in self.graph.nodes:
            found[placed.step] = max(found[placed.step], node_cycles(placed))
        return found

    @cached_property
    def schedule(self) -> NetworkSchedule:
        graph, found = self._full_rate
        return least_fifos(found or self._run(graph), self.config.target)

    @property
    def timing(self) -> dict[str, Any]:
        """The predicted figures, as the manifest has them."""
        return {
            "predicted_latency": self.schedule.latency,
            "predicted_frame_cycles": self.schedule.interval,
            "predicted_first_intervals": list(self.schedule.first_intervals),
            "ideal_frame_cycles": self.ideal_frame_cycles,
        }

    @property
    def units(self) -> list[UnitNode]:
        """The units, as the schedule has them."""
        return [placed.node for placed in self.schedule.graph.nodes if isinstance(placed.node, UnitNode)]
