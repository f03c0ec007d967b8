"""A graph as steps of ours would do it: what one step can do with another becomes part of it.

Each rule keeps the function that the graph computes. All of them together leave convolutions, linear maps,
additions and what stands alone.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import torch

from golden.contract.network.avg_pool import FRAME
from golden.contract.network.concat import Concat as ConcatStep
from golden.contract.rounding import Rounding
from golden.convert.graph import Graph, Node
from golden.convert.ops import (
    Add,
    Affine,
    AvgPool,
    Concat,
    Conv,
    Dynamic,
    Flatten,
    Identity,
    Linear,
    MaxPool,
    Op,
    Quant,
    Relu,
    Round,
    Upsample,
)
from golden.operators.dynamic_conv import DynamicConv2d
from golden.operators.merge import filled
from golden.operators.parts import in_float64
from golden.support.cli import UserError

#: What can do a ReLU with its own work.
RECTIFIERS = (Conv, Dynamic, Linear, Add, Affine)
#: What gives the same whether a ReLU comes before or after it.
CARRIERS = (MaxPool, Upsample, Flatten)
#: What can quantise its result.
QUANTISERS = (Conv, Linear, Add, Affine, AvgPool, Relu)


def rewritten(graph: Graph) -> Graph:
    """``graph`` with everything folded that can be."""
    for rule in RULES:
        graph = rule(graph)
    return graph


def folded_quants(graph: Graph) -> Graph:
    """Where a source quantises what a step gives, that step does it."""

    def fold(earlier: Node, quant: Node) -> Node | None:
        if not isinstance(quant.op, Quant):
            return None
        if isinstance(earlier.op, Quant):
            narrow = _narrowed(earlier.op, quant.op)
            # An image that is only quantised leaves nothing to do.
            alone = earlier.inputs == (graph.image,) and quant.name == graph.output
            return None if narrow is None or alone else _joined(earlier, quant, narrow)
        if not isinstance(earlier.op, QUANTISERS):
            return None
        own = quant.op if earlier.quant is None else _narrowed(earlier.quant, quant.op)
        return None if own is None else dataclasses.replace(_joined(earlier, quant, earlier.op), quant=own)

    return _folded(graph, fold)


def without_identities(graph: Graph) -> Graph:
    """Drop what gives what it takes, a flattened pixel among it."""
    names: dict[str, str] = {}
    nodes: dict[str, Node] = {}
    shapes = graph.shapes
    for node in graph.nodes:
        inputs = tuple(names.get(name, name) for name in node.inputs)
        if isinstance(node.op, Identity) or (isinstance(node.op, Flatten) and shapes[inputs[0]][1:] == (1, 1)):
            before = nodes.get(inputs[0])
            # Where the source has no result of that name, it has one of this name.
            names[node.name] = node.name if before is not None and not before.origins else inputs[0]
            if before is not None:
                if not before.origins:
                    del nodes[before.name]
                origins = tuple(dict.fromkeys((*before.origins, *node.origins)))
                nodes[names[node.name]] = dataclasses.replace(before, name=names[node.name], origins=origins)
        else:
            nodes[node.name] = dataclasses.replace(node, inputs=inputs)
    output = names.get(graph.output, graph.output)
    if output == graph.image:
        raise UserError("gives the image itself, allowed is at least one operation")
    return dataclasses.replace(graph, nodes=tuple(nodes.values()), output=output)


def whole_numbers(graph: Graph) -> Graph:
    """A rounding to whole numbers, where the steps of the `Quant` behind it are 1, is that of the `Quant`."""

    def fold(earlier: Node, quant: Node) -> Node | None:
        if not isinstance(quant.op, Quant) or not isinstance(earlier.op, Round) or quant.op.scale != 1:
            return None
        return _with_rounding(earlier, quant, quant.op, earlier.op.rounding)

    return _folded(graph, fold)


def half_ups(graph: Graph) -> Graph:
    """Half a step more before a `Quant` that floors is rounding half up."""

    def fold(earlier: Node, quant: Node) -> Node | None:
        if not isinstance(quant.op, Quant) or quant.op.rounding != "floor" or not isinstance(earlier.op, Affine):
            return None
        if (earlier.op.scale != 1).any() or (earlier.op.shift != quant.op.scale / 2).any():
            return None
        return _with_rounding(earlier, quant, quant.op, "half_up")

    return _folded(graph, fold)


def _with_rounding(earlier: Node, quant: Node, op: Quant, rounding: Rounding) -> Node:
    """``quant`` instead of both."""
    origins = (*earlier.origins, *quant.origins)
    return dataclasses.replace(
        quant, op=dataclasses.replace(op, rounding=rounding), inputs=earlier.inputs, origins=origins
    )


def whole_frames(graph: Graph) -> Graph:
    """An average over as much as the frame is one over the frame."""
    shapes = graph.shapes

    def whole(node: Node) -> Node:
        sides = shapes[node.inputs[0]][1:]
        if isinstance(node.op, AvgPool) and (node.op.kernel,) * 2 == sides:
            return dataclasses.replace(node, op=AvgPool(kernel=FRAME, stride=1))
        return node

    return dataclasses.replace(graph, nodes=tuple(map(whole, graph.nodes)))


def merged_quants(graph: Graph) -> Graph:
    """What is quantised twice alike is quantised once."""
    names: dict[str, str] = {}
    nodes: dict[tuple[Any, ...], Node] = {}
    for node in graph.nodes:
        node = dataclasses.replace(node, inputs=tuple(names.get(name, name) for name in node.inputs))
        key = (node.inputs, *dataclasses.astuple(node.op)) if isinstance(node.op, Quant) else (node.name,)
        names[node.name] = nodes.setdefault(key, node).name
    return dataclasses.replace(graph, nodes=tuple(nodes.values()), output=names.get(graph.output, graph.output))


def nested_concats(graph: Graph) -> Graph:
    """More results than one step joins are joined in groups first."""
    most, nodes, shapes = ConcatStep.takes[1], [], dict(graph.shapes)
    for node in graph.nodes:
        while isinstance(node.op, Concat) and len(node.inputs) > most:
            taken, others = node.inputs[:most], node.inputs[most:]
            name = f"{taken[0]} to {taken[-1]} for {node.name}"
            shapes[name] = node.op.result([shapes[own] for own in taken])
            nodes.append(dataclasses.replace(node, name=name, origins=(), inputs=taken, shape=shapes[name]))
            node = dataclasses.replace(node, inputs=(name, *others))
        nodes.append(node)
    return dataclasses.replace(graph, nodes=tuple(nodes))


def early_relus(graph: Graph) -> Graph:
    """A ReLU, or a rounding, behind a maximum is one before it, where another step can do it.

    A ReLU behind a rounding is one before it, too, where that helps, if its limits are steps: 0 is one.
    """
    while True:
        nodes, by_name = list(graph.nodes), graph.by_name
        places = {node.name: index for index, node in enumerate(nodes)}
        for index, relu in enumerate(nodes):
            carrier = by_name.get(relu.inputs[0])
            if not isinstance(relu.op, (Relu, Quant)) or carrier is None or not _passes(relu.op, carrier.op):
                continue
            if isinstance(carrier.op, Quant):
                rounded = by_name.get(carrier.inputs[0])
                if rounded is None or not isinstance(rounded.op, (*RECTIFIERS, Relu, Quant)):
                    continue
            if graph.sole_taker(carrier.name) is None:
                continue
            shape = graph.shapes[carrier.inputs[0]]
            early = f"{relu.name} before {carrier.name}"
            nodes[places[carrier.name]] = dataclasses.replace(relu, name=early, inputs=carrier.inputs, shape=shape)
            nodes[index] = dataclasses.replace(carrier, name=relu.name, inputs=(early,))
            graph = dataclasses.replace(graph, nodes=tuple(nodes))
            break
        else:
            return graph


def early_quants(graph: Graph) -> Graph:
    """Results that are joined, and rounded then, are rounded first."""
    nodes: list[Node] = []
    for node in graph.nodes:
        joined = next((own for own in nodes if own.name == node.inputs[0]), None)
        alone = joined is not None and graph.sole_taker(joined.name) is not None
        if joined is None or not alone or not isinstance(joined.op, Concat) or not isinstance(node.op, Quant):
            nodes.append(node)
            continue
        nodes.remove(joined)
        parts = [
            dataclasses.replace(node, name=f"{node.name} of {name}", inputs=(name,), shape=graph.shapes[name])
            for name in dict.fromkeys(joined.inputs)
        ]
        inputs = tuple(f"{node.name} of {name}" for name in joined.inputs)
        nodes += [*parts, dataclasses.replace(joined, name=node.name, inputs=inputs)]
    return dataclasses.replace(graph, nodes=tuple(nodes))


def folded_affines(graph: Graph) -> Graph:
    """A scale and a shift behind weights are in these weights."""

    def fold(earlier: Node, affine: Node) -> Node | None:
        if not isinstance(affine.op, Affine) or not isinstance(earlier.op, (Conv, Linear, Affine, Dynamic)):
            return None
        return _joined(earlier, affine, scaled(earlier.op, affine.op))

    return _folded(graph, fold)


def forward_affines(graph: Graph) -> Graph:
    """A scale and a shift before a linear map are in its weights. A convolution's padding would see the shift.

    Weights that are quantised are integers, and take a scale that all channels share.
    """

    def fold(affine: Node, taker: Node) -> Node | None:
        if not isinstance(affine.op, Affine) or not isinstance(taker.op, Linear):
            return None
        own, before, levels = taker.op, affine.op, taker.op.levels
        if levels is not None:
            factor = _one_factor(affine)
            if factor is None:
                return None
            levels = dataclasses.replace(levels, scales=levels.scales * factor)
        op = Linear(weight=own.weight * before.scale, bias=own.bias + own.weight @ before.shift, levels=levels)
        return dataclasses.replace(taker, op=op, inputs=affine.inputs, origins=(*affine.origins, *taker.origins))

    return _folded(graph, fold)


def folded_relus(graph: Graph) -> Graph:
    """A ReLU behind a step that can do it is that step's own."""

    def fold(earlier: Node, relu: Node) -> Node | None:
        if not isinstance(relu.op, Relu) or not (isinstance(earlier.op, RECTIFIERS) or earlier.rectifies):
            return None
        ceiling = min((limit for limit in (earlier.limit, relu.op.ceiling) if limit is not None), default=None)
        if isinstance(earlier.op, Relu):
            return _joined(earlier, relu, Relu(ceiling=ceiling))
        return dataclasses.replace(_joined(earlier, relu, earlier.op), relu=True, ceiling=ceiling)

    return _folded(graph, fold)


def needless_relus(graph: Graph) -> Graph:
    """A ReLU before what saturates to its limits is nothing."""

    def fold(relu: Node, quant: Node) -> Node | None:
        if not isinstance(relu.op, Relu) or not isinstance(quant.op, Quant) or quant.op.low < 0:
            return None
        if relu.op.ceiling is not None and not quant.op.reaches(relu.op.ceiling):
            return None
        return dataclasses.replace(quant, inputs=relu.inputs, origins=(*relu.origins, *quant.origins))

    return _folded(graph, fold)


def late_relus(graph: Graph) -> Graph:
    """A ReLU of a mean comes behind what rounds the mean, if its limits are steps."""
    nodes, by_name = {node.name: node for node in graph.nodes}, graph.by_name
    for relu in graph.nodes:
        mean, quant = by_name.get(relu.inputs[0]), graph.sole_taker(relu.name)
        if mean is None or quant is None or not isinstance(mean.op, AvgPool) or not isinstance(relu.op, Relu):
            continue
        if isinstance(quant.op, Quant) and (relu.op.ceiling is None or quant.op.reaches(relu.op.ceiling)):
            early = f"{quant.name} before {relu.name}"
            nodes[relu.name] = dataclasses.replace(quant, name=early, inputs=relu.inputs)
            nodes[quant.name] = dataclasses.replace(relu, name=quant.name, inputs=(early,))
    return dataclasses.replace(graph, nodes=tuple(nodes.values()))


def scaled_operands(graph: Graph) -> Graph:
    """Factors of what an addition takes are its own, where its result is quantised."""
    nodes: dict[str, Node] = {}
    for node in graph.nodes:
        if isinstance(node.op, Add) and node.quant is not None:
            inputs, factors, origins = list(node.inputs), [1.0, 1.0], node.origins
            for index, name in enumerate(node.inputs):
                before = nodes.get(name)
                factor = None if before is None or graph.sole_taker(name) is None else _one_factor(before)
                if before is not None and factor is not None:
                    (inputs[index],), factors[index] = before.inputs, factor
                    origins = (*before.origins, *origins)
                    del nodes[name]
            op = Add(factors=(factors[0], factors[1]))
            node = dataclasses.replace(node, op=op, inputs=tuple(inputs), origins=origins)
        nodes[node.name] = node
    return dataclasses.replace(graph, nodes=tuple(nodes.values()))


def scaled_means(graph: Graph) -> Graph:
    """A factor between a mean and its rounding is the mean's."""

    def fold(mean: Node, affine: Node) -> Node | None:
        if not isinstance(mean.op, AvgPool) or mean.quant is not None or affine.quant is None:
            return None
        factor = _one_factor(dataclasses.replace(affine, quant=None))
        if not factor:
            return None
        joined = _joined(mean, affine, dataclasses.replace(mean.op, factor=factor))
        return dataclasses.replace(joined, quant=affine.quant)

    return _folded(graph, fold)


def _one_factor(node: Node) -> float | None:
    """What ``node`` multiplies all channels with, not below 0, if it does nothing else."""
    op = node.op
    if not isinstance(op, Affine) or node.relu or node.quant is not None:
        return None
    factor = float(op.scale[0])
    return factor if (op.scale == factor).all() and not op.shift.any() and factor >= 0 else None


def means(graph: Graph) -> Graph:
    """A linear map of flattened frames, or of the mean of each channel, takes the frames themselves."""
    gone = {
        node.name: node
        for node in graph.nodes
        if (isinstance(node.op, Flatten) or (isinstance(node.op, AvgPool) and node.op.kernel == FRAME))
        and node.name != graph.output
        and node.quant is None
        and all(isinstance(taker.op, Linear) for taker in graph.takers(node.name))
    }
    nodes = []
    for node in graph.nodes:
        before = gone.get(node.inputs[0])
        if node.name in gone:
            continue
        if before is not None:
            node = dataclasses.replace(node, inputs=before.inputs, origins=(*before.origins, *node.origins))
        nodes.append(node)
    return dataclasses.replace(graph, nodes=tuple(nodes))


def scaled(op: Conv | Linear | Affine | Dynamic, affine: Affine) -> Conv | Linear | Affine | Dynamic:
    """``op``, then ``affine``."""
    scale, shift = affine.scale, affine.shift
    if isinstance(op, Affine):
        return Affine(scale=op.scale * scale, shift=op.shift * scale + shift)
    if isinstance(op, Dynamic):
        return Dynamic(part=_scaled_part(op.part, torch.from_numpy(scale), torch.from_numpy(shift)))
    by_output = scale.reshape(-1, *[1] * (op.weight.ndim - 1))
    levels = op.levels and dataclasses.replace(op.levels, scales=op.levels.scales * scale)
    return dataclasses.replace(op, weight=op.weight * by_output, bias=op.bias * scale + shift, levels=levels)


def _scaled_part(part: DynamicConv2d, scale: torch.Tensor, shift: torch.Tensor) -> DynamicConv2d:
    return filled(
        copy.deepcopy(part),
        conv_weight=in_float64(part.conv_weight) * scale[:, None, None, None],
        attn_weight=in_float64(part.attn_weight) * scale[:, None, None],
        bias=in_float64(part.bias) * scale + shift,
    )


def _passes(op: Op, carrier: Op) -> bool:
    """Whether ``op``, behind ``carrier``, may come before it."""
    if isinstance(carrier, Quant) and isinstance(op, Relu):
        return op.ceiling is None or carrier.reaches(op.ceiling)
    return isinstance(carrier, CARRIERS)


def _narrowed(first: Quant, second: Quant) -> Quant | None:
    """Both as one, where the second saturates to less and does nothing else. None: it does, or nothing at all."""
    alike = (first.scale, first.zero, first.dropped) == (second.scale, second.zero, second.dropped)
    within = first.low <= second.low and second.high <= first.high and first.high - first.low > second.high - second.low
    if not alike or not within or first.dropped is not None:
        return None
    return dataclasses.replace(second, rounding=first.rounding, odd=first.odd)


def _folded(graph: Graph, fold: Callable[[Node, Node], Node | None]) -> Graph:
    """Fold each node into its sole taker where ``fold`` makes one of both."""
    nodes: dict[str, Node] = {}
    for node in graph.nodes:
        earlier = nodes.get(node.inputs[0])
        made = None
        if earlier is not None and len(node.inputs) == 1 and graph.sole_taker(earlier.name) is not None:
            made = fold(earlier, node)
        if made is not None:
            assert earlier is not None
            del nodes[earlier.name]
        nodes[node.name] = made or node
    return dataclasses.replace(graph, nodes=tuple(nodes.values()))


def _joined(earlier: Node, later: Node, op: Op) -> Node:
    """Both as one node, with the earlier one's label and the later one's result."""
    return dataclasses.replace(
        earlier, name=later.name, op=op, origins=(*earlier.origins, *later.origins), shape=later.shape
    )


#: In the order in which they help each other.
RULES = (
    without_identities,
    whole_numbers,
    half_ups,
    whole_frames,
    merged_quants,
    early_quants,
    nested_concats,
    early_relus,
    folded_affines,
    forward_affines,
    folded_relus,
    needless_relus,
    late_relus,
    folded_quants,
    scaled_operands,
    scaled_means,
    means,
)
