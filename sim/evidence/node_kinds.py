"""Node kinds: the parts of a network that its mutants are told apart by."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pkgutil import iter_modules
from typing import Any

from hw.network import edges, nodes
from hw.network.plan import NetworkPlan
from hw.network.top import node_name
from hw.synth.parts import scope_and_name
from hw.synth.stages import TOP

#: Modules of `hw.network.nodes`, and of `hw.network.edges`.
NODES, EDGES = (tuple(module.name for module in iter_modules(room.__path__)) for room in (nodes, edges))
_EDGE = re.compile(rf"({'|'.join(EDGES)})(_.*)?")


@dataclass(frozen=True)
class NodeKinds:
    """The `hw.synth.parts.Parts` of the network ``plan``, which has no units: one for all nodes of a kind."""

    plan: NetworkPlan

    @property
    def names(self) -> tuple[str, ...]:
        return (*NODES, *EDGES, TOP)

    def of_module(self, module: str) -> str:
        return self._of_instance(module.removeprefix(f"{self.plan.config.name}_")) or TOP

    def of_name(self, name: str) -> str | None:
        scope, _ = scope_and_name(name)
        return self._of_instance(scope[0]) if scope else None

    def _of_instance(self, instance: str) -> str | None:
        edge = _EDGE.fullmatch(instance)
        return edge[1] if edge else self._nodes.get(instance)

    @cached_property
    def _nodes(self) -> Mapping[str, str]:
        """The kind of each node, by the name of the node's instance."""
        return {node_name(number, placed): kind_of(placed.node) for number, placed in enumerate(self.plan.graph.nodes)}


def kind_of(node: Any) -> str:
    """The module that a node is of, one of `NODES`."""
    return type(node).__module__.rpartition(".")[2]
