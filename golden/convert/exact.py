"""The integer network of a graph that says itself how each result is quantised.

Nothing is chosen here: every step takes and gives the integers that the source has. Where a ratio of scales is no
multiplier of 16 bits, the step is off the source's by a part of a step before it is rounded. This part is proven
from the actual weights, for any input. A step for which it reaches a whole one is refused.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from golden.contract.bounds import accumulator_ranges
from golden.contract.layer import Layer
from golden.contract.layer_config import BIAS_BITS, FIELD_RANGES, LayerConfig
from golden.contract.network.add import Add as AddStep
from golden.contract.network.argmax import Argmax as ArgmaxStep
from golden.contract.network.avg_pool import FRAME
from golden.contract.network.avg_pool import AvgPool as AvgPoolStep
from golden.contract.network.builder import NetworkBuilder
from golden.contract.network.concat import Concat as ConcatStep
from golden.contract.network.layer import LayerStep
from golden.contract.network.linear import Linear as LinearStep
from golden.contract.network.max_pool import MaxPool as MaxPoolStep
from golden.contract.network.network import IMAGE, IntegerNetwork
from golden.contract.network.result import Result, check_image
from golden.contract.network.step import Step
from golden.contract.network.upsample import Upsample as UpsampleStep
from golden.contract.ranges import Range
from golden.contract.rounding import HALF_EVEN
from golden.convert.build import step_names
from golden.convert.graph import Graph, Node
from golden.convert.multipliers import Multipliers, multipliers_for
from golden.convert.ops import (
    Add,
    Affine,
    Argmax,
    AvgPool,
    Concat,
    Conv,
    Flatten,
    Linear,
    MaxPool,
    Op,
    Quant,
    Relu,
    Upsample,
    WeightLevels,
)
from golden.convert.reading import naming
from golden.support.cli import UserError

#: How far the bias of a channel may be off before its accumulator gets finer steps, in steps of the result. It is less
#: than what a multiplier of 16 bits is off for a result of 8 bits.
BIAS_SLACK = 2.0**-12
#: The largest magnitude of a bias, in steps of the sums that it is added to.
LARGEST_BIAS = 2 ** (BIAS_BITS - 1) - 1
#: Bits of scores whose channels have steps of different size. One step for all of them stands for them.
SCORE_BITS = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class Exact:
    """An integer network, the node of the source's graph that each step is, and how near each is.

    Attributes:
        network: the network.
        nodes: by the names of the steps; that of the image, too.
        bounds: how many steps of its result each step may be off before it rounds, for the same input; 0 is exact.
    """

    network: IntegerNetwork
    nodes: Mapping[str, Node]
    bounds: Mapping[str, float]


def build_exact(graph: Graph) -> Exact:
    """The network of a rewritten ``graph`` in which results are quantised. Raises `UserError` as this module says."""
    image, *others = _image_first(graph)
    with naming(" + ".join(image.origins)):
        assert isinstance(image.op, Quant)
        form = _format(image, image.op)
        if (rounding := form.pop("rounding")) != HALF_EVEN:
            raise UserError(f"rounding {rounding} of the image is not allowed, allowed is {HALF_EVEN}")
        channels, height, width = graph.image_shape
        taken = Result(channels=channels, height=height, width=width, **form)
        check_image(taken)
    maker = _Maker(graph=graph, builder=NetworkBuilder(taken), names=step_names(others), places={image.name: IMAGE})
    nodes = {IMAGE: image}
    for node in others:
        with naming(" + ".join(node.origins)):
            step = MAKERS[type(node.op)](maker, node)
            if step is not None:
                maker.places[node.name] = maker.builder.append(step)
                nodes[step.name] = node
    return Exact(network=maker.builder.network(maker.places[graph.output]), nodes=nodes, bounds=maker.bounds)


def _image_first(graph: Graph) -> list[Node]:
    """All nodes, the one that quantises the image before all others."""
    takers = graph.takers(graph.image)
    if len(takers) != 1 or not isinstance(takers[0].op, Quant):
        named = ", ".join(" + ".join(node.origins) for node in takers)
        raise UserError(f"the image {graph.image!r} goes to {named}, allowed is one Quant of it")
    return [takers[0], *(node for node in graph.nodes if node is not takers[0])]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Maker:
    """What steps are made from.

    Attributes:
        graph: of the source.
        builder: has all steps so far.
        names: what each node's step is called.
        places: the step that has each node's result.
        bounds: collects those of `Exact`.
    """

    graph: Graph
    builder: NetworkBuilder
    names: Mapping[str, str]
    places: dict[str, str]
    bounds: dict[str, float] = field(default_factory=dict)

    def taken(self, node: Node) -> list[Result]:
        return [self.builder.results[self.places[name]] for name in node.inputs]

    def common(self, node: Node, scale: float | None) -> dict[str, Any]:
        inputs = tuple(self.places[name] for name in node.inputs)
        return {"name": self.names[node.name], "inputs": inputs, "scale": scale}

    def scale(self, node: Node, index: int = 0) -> float:
        scale = self.taken(node)[index].scale
        assert scale is not None
        return scale

    def keep(self, node: Node, bound: float) -> None:
        """Keep how far a step may be off. Raises `UserError` where that is a whole step."""
        if not bound < 1:
            raise UserError(f"no multiplier is near enough, it may be off by {bound:.3g} steps, allowed is below 1")
        self.bounds[self.names[node.name]] = bound

    def conv(self, node: Node) -> Step:
        op = node.op
        assert isinstance(op, Conv)
        (x,) = self.taken(node)
        levels = _levels(op)
        form = self._form(node, levels, op.bias, self.scale(node))
        outputs, _, kernel, _ = op.weight.shape
        geometry = {"kernel": kernel, "stride": op.stride, "padding": op.padding, "groups": op.groups}
        return self._layer(node, x, levels, op.bias, outputs, geometry, form)

    def pointwise(self, node: Node) -> Step | None:
        """Each channel by itself: a scale and a shift, a ReLU, or other steps."""
        (x,) = self.taken(node)
        scale, shift = np.ones(x.channels), np.zeros(x.channels)
        form: dict[str, Any] = {"bits": x.bits, "signed": x.signed, "scale": x.scale, "rounding": HALF_EVEN}
        if isinstance(node.op, Affine):
            scale, shift = node.op.scale, node.op.shift
            if node.quant is None:
                raise UserError("its result is not quantised, allowed is a Quant behind it")
        quant = node.op if isinstance(node.op, Quant) else node.quant
        if quant is not None:
            if isinstance(node.op, Quant) and _changes_nothing(x, quant):
                self.places[node.name] = self.places[node.inputs[0]]
                return None
            if quant.exact:
                raise UserError(f"truncates from scale {quant.scale:g}, its input has {x.scale:g} in {x.bits} bits")
            form = _format(node, quant)
        levels = WeightLevels(integers=np.ones((x.channels, 1, 1, 1), np.int64), scales=scale, bits=2)
        geometry = {"kernel": 1, "stride": 1, "padding": "same", "groups": x.channels}
        return self._layer(node, x, levels, shift, x.channels, geometry, form)

    def _layer(
        self,
        node: Node,
        x: Result,
        levels: WeightLevels,
        bias: np.ndarray,
        outputs: int,
        geometry: Mapping[str, Any],
        form: Mapping[str, Any],
    ) -> Step:
        fitted = _Fitted(levels, bias, self.scale(node), form["scale"], FIELD_RANGES["attn_shift"][1])
        config = LayerConfig(
            product="hadamard",
            in_channels=x.channels,
            out_channels=outputs,
            height=x.height,
            width=x.width,
            **geometry,
            attn_offsets=(),
            in_bits=x.bits,
            in_signed=x.signed,
            weight_bits=fitted.weight_bits,
            out_bits=form["bits"],
            out_signed=form["signed"],
            relu=node.rectifies,
            attn_shift=fitted.fine,
            out_shift=fitted.multipliers.shift,
            rounding=form["rounding"],
            in_scale=x.scale,
            out_scale=form["scale"],
        )
        layer = Layer(
            config=config,
            conv_weight=fitted.integers,
            attn_weight=np.zeros((outputs, x.channels // config.groups, 0), np.int64),
            bias=fitted.bias,
            multiplier=fitted.multipliers.values,
        )
        self.keep(node, fitted.bound(accumulator_ranges(layer), config.out_range))
        return LayerStep(**self.common(node, form["scale"]), layer=layer)

    def linear(self, node: Node) -> Step:
        op = node.op
        assert isinstance(op, Linear)
        (x,) = self.taken(node)
        means = op.weight.shape[1] == x.channels
        worth = self.scale(node) / (x.height * x.width if means else 1)
        shape = (len(op.weight), x.channels) if means else (len(op.weight), *x.shape)
        levels = _levels(op)
        levels = dataclasses.replace(levels, integers=levels.integers.reshape(shape))
        if node.quant is None and not node.relu and node.name in self._scored() and _alike(levels.scales):
            return self._raw(node, x, levels, op.bias, worth)
        form = self._form(node, levels, op.bias, worth)
        fitted = _Fitted(levels, op.bias, worth, form["scale"], 0)
        step = LinearStep(
            **self.common(node, form["scale"]),
            weight_bits=fitted.weight_bits,
            weight=fitted.integers,
            bias=fitted.bias,
            multiplier=fitted.multipliers.values,
            out_bits=form["bits"],
            out_signed=form["signed"],
            out_shift=fitted.multipliers.shift,
            relu=node.relu,
            rounding=form["rounding"],
        )
        self.keep(node, fitted.bound(step.accumulator_ranges(x), step.limits))
        return step

    def _raw(self, node: Node, x: Result, levels: WeightLevels, bias: np.ndarray, worth: float) -> Step:
        """Scores as they are summed. Half a step of a bias is the most that they are off."""
        unit = float(levels.scales[0]) * worth
        steps = bias / abs(unit)
        _check_bias(steps)
        self.keep(node, float(np.abs(steps - np.rint(steps)).max()))
        raw = LinearStep(
            **self.common(node, abs(unit)),
            weight_bits=_weight_bits(levels),
            weight=levels.integers * int(np.sign(unit)),
            bias=np.rint(steps).astype(np.int64),
            out_bits=48,
            out_signed=True,
        )
        return raw.as_narrow_as_its_bound(x)

    def _scored(self) -> set[str]:
        """Names of results that come out, or of which the largest does."""
        last = self.graph.by_name[self.graph.output]
        return {last.name, *(last.inputs if isinstance(last.op, Argmax) else ())}

    def _form(self, node: Node, levels: WeightLevels, bias: np.ndarray, worth: float) -> dict[str, Any]:
        """The format of a result; for scores that are not quantised, one that no input saturates."""
        if node.quant is not None or node.name not in self._scored():
            return self._quantised(node)
        (x,) = self.taken(node)
        largest = _reach(x.limits) * (x.height * x.width if levels.integers.ndim == 2 else 1)
        sums = np.abs(levels.integers).reshape(len(bias), -1).sum(axis=1) * np.abs(levels.scales) * worth * largest
        most = float((sums + np.abs(bias)).max())
        limits = Range.of_format(SCORE_BITS, True)
        scale = 2.0 ** np.ceil(np.log2(most / limits.high)) if most else 1.0
        return {"bits": SCORE_BITS, "signed": True, "scale": scale, "rounding": HALF_EVEN}

    def add(self, node: Node) -> Step:
        form = self._quantised(node)
        ratios = multipliers_for(np.array([self.scale(node, index) / form["scale"] for index in (0, 1)]))
        a, b = self.taken(node)
        reach = np.array([_reach(x.limits) for x in (a, b)])
        self.keep(node, float((reach * ratios.errors).sum()))
        first, second = ratios.values.tolist()
        return AddStep(
            **self.common(node, form["scale"]),
            multipliers=(first, second),
            shift=ratios.shift,
            out_bits=form["bits"],
            out_signed=form["signed"],
            relu=node.relu,
            rounding=form["rounding"],
        )

    def avg_pool(self, node: Node) -> Step:
        op = node.op
        assert isinstance(op, AvgPool)
        (x,) = self.taken(node)
        form = self._quantised(node)
        pixels = x.height * x.width if op.kernel == FRAME else int(op.kernel) ** 2
        ratio = multipliers_for(np.array([self.scale(node) / pixels / form["scale"]]))
        reach = _reach(x.limits) * pixels
        self.keep(node, float(reach * ratio.errors[0]))
        return AvgPoolStep(
            **self.common(node, form["scale"]),
            kernel=op.kernel,
            stride=op.stride,
            multiplier=int(ratio.values[0]),
            shift=ratio.shift,
            out_bits=form["bits"],
            out_signed=form["signed"],
            rounding=form["rounding"],
        )

    def _quantised(self, node: Node) -> dict[str, Any]:
        if node.quant is None:
            raise UserError("its result is not quantised, allowed is a Quant behind it")
        return _format(node, node.quant)

    def max_pool(self, node: Node) -> Step:
        op = node.op
        assert isinstance(op, MaxPool)
        return MaxPoolStep(**self.common(node, self.scale(node)), kernel=op.kernel, stride=op.stride, pad=op.pad)

    def upsample(self, node: Node) -> Step:
        op = node.op
        assert isinstance(op, Upsample)
        return UpsampleStep(**self.common(node, self.scale(node)), factor=op.factor)

    def concat(self, node: Node) -> Step:
        scales = [self.scale(node, index) for index in range(len(node.inputs))]
        if len(set(scales)) > 1:
            raise UserError(f"joins results of scales {', '.join(f'{s:g}' for s in scales)}, allowed is one for all")
        return ConcatStep(**self.common(node, self.scale(node)))

    def argmax(self, node: Node) -> Step:
        return ArgmaxStep(**self.common(node, None))

    def flatten(self, node: Node) -> Step:
        shape = self.taken(node)[0].shape
        raise UserError(f"flattens {list(shape)}, allowed is before a linear map, or frames of one pixel")


#: What makes a step of each op. None: it is what it takes.
MAKERS: Mapping[type[Op], Callable[[_Maker, Node], Step | None]] = {
    Conv: _Maker.conv,
    Affine: _Maker.pointwise,
    Relu: _Maker.pointwise,
    Quant: _Maker.pointwise,
    Linear: _Maker.linear,
    Add: _Maker.add,
    Concat: _Maker.concat,
    MaxPool: _Maker.max_pool,
    AvgPool: _Maker.avg_pool,
    Upsample: _Maker.upsample,
    Argmax: _Maker.argmax,
    Flatten: _Maker.flatten,
}


class _Fitted:
    """Weights, bias and multipliers of a step with weights.

    Args:
        levels: the weights.
        bias: ``[O]``, real.
        worth: value of one step of what a weight multiplies.
        scale: value of one step of the result.
        finest: the most bits by which an accumulator may be finer than a product, for its bias.

    Attributes:
        integers: weights, int64.
        fine: the bits that were taken of ``finest``.
        bias: int64.
        multipliers: from steps of the accumulators to steps of the result.
    """

    def __init__(self, levels: WeightLevels, bias: np.ndarray, worth: float, scale: float, finest: int) -> None:
        self.weight_bits = _weight_bits(levels)
        by_output = np.sign(levels.scales).astype(np.int64).reshape(-1, *[1] * (levels.integers.ndim - 1))
        self.integers = levels.integers * by_output
        # A channel that a batch norm scales with 0 has no step of its own.
        unit = np.where(levels.scales == 0, scale, np.abs(levels.scales) * worth)
        for fine in range(finest + 1):
            steps = bias * 2.0**fine / unit
            if fine and np.abs(steps).max() > LARGEST_BIAS:
                break
            _check_bias(steps)
            self.fine, self.bias = fine, np.rint(steps).astype(np.int64)
            ratios = unit / 2.0**fine / scale
            self._bias_errors = np.abs(steps - self.bias)
            if float((self._bias_errors * ratios).max()) <= BIAS_SLACK:
                break
        self._ratios = unit / 2.0**self.fine / scale
        self.multipliers: Multipliers = multipliers_for(self._ratios)

    def bound(self, accumulators: tuple[np.ndarray, np.ndarray], limits: Range) -> float:
        """The most that a result may be off before it is rounded, in its steps. Beyond ``limits`` nothing counts."""
        low, high = accumulators
        reach = np.maximum(-low, high)
        inside = (_reach(limits) + 1) / np.minimum(self._ratios, self.multipliers.ratios)
        off = np.minimum(reach, inside) * self.multipliers.errors + self._bias_errors * self.multipliers.ratios
        return float(off.max())


def _levels(op: Conv | Linear) -> WeightLevels:
    if op.levels is None:
        raise UserError("weight is not quantised, allowed is a Quant of it")
    return op.levels


def _weight_bits(levels: WeightLevels) -> int:
    """The bits of a symmetric format that holds all weights; those of the source if these do."""
    largest = int(np.abs(levels.integers).max(initial=0))
    needed = largest.bit_length() + 1
    if needed > 8:
        raise UserError(f"weight reaches a magnitude of {largest} steps, allowed are 127 (narrow 1 does without -128)")
    return max(2, needed, min(levels.bits, 8))


def _check_bias(steps: np.ndarray) -> None:
    most = float(np.abs(steps).max())
    if most > LARGEST_BIAS:
        raise UserError(f"bias reaches {most:.4g} steps of its sums, allowed are {LARGEST_BIAS}")


def _reach(limits: Range) -> int:
    """The largest magnitude of ``limits``, which hold 0."""
    return max(-limits.low, limits.high)


def _alike(scales: np.ndarray) -> bool:
    return bool((scales == scales[0]).all()) and scales[0] != 0


def _format(node: Node, quant: Quant) -> dict[str, Any]:
    """Bits, sign, scale and rounding of ``quant``. Raises `UserError` for limits that no format of ours has."""
    limits = Range.of_format(quant.bits, quant.signed)
    if quant.high != limits.high or (quant.low != limits.low and not node.rectifies):
        raise UserError(f"narrow 1 of a result is not allowed ({quant.low} to {quant.high}), allowed is 0")
    if node.limit is not None and quant.high * quant.scale > node.limit:
        raise UserError(f"a limit of {node.limit:g} is below {quant.high * quant.scale:g}, where its format ends")
    return {"bits": quant.bits, "signed": quant.signed, "scale": quant.scale, "rounding": quant.rounding}


def _changes_nothing(x: Result, quant: Quant) -> bool:
    return x.scale == quant.scale and quant.low <= x.limits.low and x.limits.high <= quant.high
