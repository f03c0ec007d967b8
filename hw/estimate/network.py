"""Estimate of a network: its units, its other nodes, and its edges."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from golden.support.cli import UserError
from golden.support.numbers import number
from hw.estimate.edges import edge_area
from hw.estimate.fit import uses
from hw.estimate.nodes import node_area
from hw.network.plan import NetworkPlan
from hw.targets.area import Area


@dataclass(frozen=True, kw_only=True)
class NetworkEstimate:
    """What a network will cost.

    Attributes:
        steps: estimated area of each step's nodes.
        edges: estimated area of forks, width adapters, FIFOs and the pacer.
        dsp, bram: numbers of multipliers and block RAMs; None where synthesis is free to choose.
    """

    steps: Mapping[str, Area]
    edges: Area
    dsp: int | None
    bram: float | None

    @property
    def area(self) -> Area:
        """All of it. Where synthesis is free to choose multipliers and memories, these are an ECP5's."""
        return sum(self.steps.values(), start=self.edges)

    @property
    def lut(self) -> int:
        return self.area.lut

    @property
    def ff(self) -> int:
        return self.area.ff

    @property
    def uram(self) -> int:
        return self.area.uram


def estimate_network(plan: NetworkPlan) -> NetworkEstimate:
    """The figures of a network, without generating it."""
    steps = {step.name: Area() for step in plan.config.network.steps}
    free = plan.config.target.dsp is None
    for placed in plan.schedule.graph.nodes:
        steps[placed.step] += node_area(placed.node, plan.config.target)
    edges = edge_area(plan.schedule, plan.config.target)
    total = sum(steps.values(), start=edges)
    return NetworkEstimate(steps=steps, edges=edges, dsp=None if free else total.dsp, bram=None if free else total.bram)


def check_network_fit(plan: NetworkPlan, device: str) -> None:
    """Raise `UserError` where ``device`` cannot hold the network, whatever synthesis makes of it.

    As in `hw.estimate.layer_space.check_fit`, LUTs and flip-flops decide only where no doubt is left. The
    message names the step that takes most of what lacks.
    """
    network = estimate_network(plan)
    for use in uses(network, device):
        if use.surely_lacks:
            largest = max(network.steps, key=lambda step: getattr(network.steps[step], use.key))
            most = number(getattr(network.steps[largest], use.key))
            raise UserError(
                f"the network does not fit {device}: {use}, of which step {largest!r} takes {most}; "
                "fewer lanes or more cycles take less"
            )
