"""The manifest of a network: what a user, a test bench or a script must know of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.lib import wiring

from golden.contract.network.layer import LayerStep
from golden.contract.network.step import Step
from golden.contract.rounding import HALF_EVEN, Rounding
from hw.export.manifest import FORMAT, port_entry, proven_widths, stream_entry
from hw.network.beat import Beat
from hw.network.edges.fifo import memory_kind
from hw.network.edges.relay import PLACES
from hw.network.graph import IMAGE, Placed, Port
from hw.network.nodes.unit import UnitNode
from hw.network.plan import NetworkPlan
from hw.network.schedule import Edge


def network_manifest(plan: NetworkPlan, ports: wiring.Signature) -> dict[str, Any]:
    """Plain data of a network behind these ports: configuration, ports, streams, steps, edges, cycles."""
    config, schedule = plan.config, plan.schedule
    graph = schedule.graph
    return {
        "format": FORMAT,
        "kind": "network",
        "top": config.name,
        "folding": {"simd": graph.image.lanes, "pe": graph.output_beat.lanes},
        "target": {"name": config.target.name, "pack": config.pack},
        "ports": [port_entry(name, member) for name, member in ports.members.items()],
        "streams": {
            "s_axis": stream_entry(graph.image, graph.image_beats * graph.image.lanes),
            "m_axis": stream_entry(graph.output_beat, graph.output_beats * graph.output_beat.lanes),
        },
        "steps": [_step(plan, step.name) for step in config.network.steps],
        "edges": [_edge(plan, edge) for edge in schedule.edges],
        "timing": plan.timing,
    }


def _step(plan: NetworkPlan, name: str) -> dict[str, Any]:
    config, graph = plan.config, plan.schedule.graph
    (step,) = (step for step in config.network.steps if step.name == name)
    folding, result = config.foldings[name], config.network.results[name]
    own = [number for number, placed in enumerate(graph.nodes) if placed.step == name]
    return {
        "name": name,
        "op": step.op,
        "simd": folding.simd,
        "pe": folding.pe,
        "ideal_cycles": plan.ideals[name],
        "cycles": plan.step_cycles[name],
        "latency": _latency(plan, own),
        "result": {"shape": list(result.shape), "bits": result.bits, "signed": result.signed},
        **_rounding(step),
        "nodes": [_node(plan, number, graph.nodes[number]) for number in own],
    }


def _rounding(step: Step) -> dict[str, Rounding]:
    """How the results are rounded, where that is not the usual."""
    rounding: Rounding = getattr(step.layer.config if isinstance(step, LayerStep) else step, "rounding", HALF_EVEN)
    return {} if rounding == HALF_EVEN else {"rounding": rounding}


def _node(plan: NetworkPlan, number: int, placed: Placed) -> dict[str, Any]:
    def beats(sides: tuple[Beat, ...]) -> list[dict[str, Any]]:
        return [{"lanes": beat.lanes, "bits": beat.bits, "signed": beat.signed} for beat in sides]

    return {
        "number": number,
        "part": placed.part,
        "inputs": beats(placed.node.inputs),
        "outputs": beats(placed.node.outputs),
        "latency": _latency(plan, [number]),
        **({"widths": proven_widths(placed.node.shapes)} if isinstance(placed.node, UnitNode) else {}),
    }


def _latency(plan: NetworkPlan, nodes: Sequence[int]) -> int:
    """Cycles from the first beat that the nodes take to the first that the last of them gives, at full rate."""
    if not nodes:
        return 0
    schedule = plan.schedule
    return schedule.first_given[nodes[-1]] - min(schedule.first_taken[number] for number in nodes)


def _edge(plan: NetworkPlan, edge: Edge) -> dict[str, Any]:
    graph = plan.schedule.graph
    return {
        "from": _name(plan, edge.source),
        "to": "m_axis" if edge.taker is None else graph.nodes[edge.taker].step,
        "input": edge.place,
        "tap": graph.is_tap(edge.source),
        "width": edge.fifo_beat.size,
        "relays": 2 * PLACES if plan.config.target.relays else 0,
        "depth": edge.depth,
        "memory": memory_kind(edge.fifo_beat, edge.depth, plan.config.target) if edge.depth else "none",
        "why": edge.why,
    }


def _name(plan: NetworkPlan, port: Port) -> str:
    return "s_axis" if port.node == IMAGE else plan.schedule.graph.nodes[port.node].step
