"""Steps: the parts of a network."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from hw.network.nodes.unit import UnitNode
from hw.network.plan import NetworkPlan
from hw.network.top import node_name
from hw.synth.parts import scope_and_name

#: What belongs to no step: forks, relays, width adapters, FIFOs, the pacer. No step can have this name.
BETWEEN = "(edges)"
#: Name of an edge's instance.
_EDGE = re.compile(r"(pacer|(fork|fifo|adapter|relay)_\w+)")
#: Inputs of a unit, of another node, and of an edge.
_INPUT = re.compile(
    r"(s_axis_tvalid|s_axis_tdata|m_axis_tready|aclk|aresetn|i(_\d+)?__(valid|payload)|o(_\d+)?__ready)\b"
)


@dataclass(frozen=True)
class NetworkSteps:
    """The `hw.synth.parts.Parts` of the network ``plan``."""

    plan: NetworkPlan

    @cached_property
    def names(self) -> tuple[str, ...]:
        return (*(step.name for step in self.plan.config.network.steps), BETWEEN)

    def of_module(self, module: str) -> str:
        own = [name for name in self._modules if module == name or module.startswith(f"{name}_")]
        return self._modules[max(own, key=len)] if own else BETWEEN

    def of_name(self, name: str) -> str | None:
        scope, own = scope_and_name(name)
        if not scope or (len(scope) == 1 and _INPUT.match(own)):
            return None
        return self._instances.get(scope[0], BETWEEN if _EDGE.fullmatch(scope[0]) else None)

    @cached_property
    def _instances(self) -> Mapping[str, str]:
        """The step of each node, by the name of the node's instance."""
        nodes = enumerate(self.plan.graph.nodes)
        return {node_name(number, placed): placed.step for number, placed in nodes}

    @cached_property
    def _modules(self) -> Mapping[str, str]:
        """The step of each node, by the name of the node's module."""
        config, found = self.plan.config, {}
        for number, placed in enumerate(self.plan.graph.nodes):
            own = placed.node.config.name if isinstance(placed.node, UnitNode) else None
            found[own or f"{config.name}_{node_name(number, placed)}"] = placed.step
        return found
