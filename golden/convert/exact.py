"""The integer network of a graph that says itself how each result is quantised.

Nothing is chosen here: every step takes and gives the integers that the source has. Where a ratio of scales is no
multiplier of 16 bits, the step is off the source's by a part of a step before it is rounded. This part is proven
from the actual weights, for any input. A step for which it reaches a whole one is refused.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from golden.contract.bounds import accumulator_ranges
from golden.contract.layer import Layer
from golden.contract.layer_config import FIELD_RANGES, LayerConfig
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
from golden.convert.build import step_names, unused_name
from golden.convert.fitted import Fitted, check_bias, reach, taken_bias, weight_bits
from golden.convert.graph import Graph, Node
from golden.convert.held import ZEROS, Form, Held, form_of, limited, truncated
from golden.convert.multipliers import Multipliers
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
    Round,
    Upsample,
    WeightLevels,
)
from golden.convert.reading import naming
from golden.convert.sums import summands
from golden.support.cli import UserError

#: Bits of scores whose channels have steps of different size. One step for all of them stands for them.
SCORE_BITS = 16


@dataclass(frozen=True, kw_only=True, eq=False)
class Exact:
    """An integer network, the node of the source's graph that each step is, and how near each is.

    Attributes:
        network: the network.
        nodes: by the names of the steps; that of the image, too. A step without one holds another's result otherwise.
        bounds: how many steps of its result each step may be off before it rounds, for the same input; 0 is exact.
        held: what the integers of each step stand for, and of the image.
    """

    network: IntegerNetwork
    nodes: Mapping[str, Node]
    bounds: Mapping[str, float]
    held: Mapping[str, Held]


def build_exact(graph: Graph) -> Exact:
    """The network of a rewritten ``graph`` in which results are quantised. Raises `UserError` as this module says."""
    image, *others = _image_first(graph)
    with naming(" + ".join(image.origins)):
        assert isinstance(image.op, Quant)
        form = form_of(image, image.op)
        if form.rounding != HALF_EVEN:
            raise UserError(f"rounding {form.rounding} of the image is not allowed, allowed is {HALF_EVEN}")
        if not form.held.plain:
            raise UserError(f"zero point {image.op.zero} of the image is not allowed, {ZEROS}")
        channels, height, width = graph.image_shape
        taken = Result(
            channels=channels,
            height=height,
            width=width,
            bits=form.bits,
            signed=form.signed,
            scale=form.held.recorded,
        )
        check_image(taken)
    builder, places, held = NetworkBuilder(taken), {image.name: IMAGE}, {IMAGE: form.held}
    maker = _Maker(graph=graph, builder=builder, names=step_names(others), places=places, held=held)
    nodes = {IMAGE: image}
    for node in others:
        with naming(" + ".join(node.origins)):
            made = MAKERS[type(node.op)](maker, node)
            if made is not None:
                step, own = made
                places[node.name] = builder.append(step)
                nodes[step.name], held[step.name] = node, own
    last = graph.by_name[graph.output]
    with naming(" + ".join(last.origins)):
        output = maker.plain(places[last.name])
    network = builder.network(output)
    return Exact(network=network, nodes=nodes, bounds=maker.bounds, held=held)


def _image_first(graph: Graph) -> list[Node]:
    """All nodes, the one that quantises the image before all others."""
    takers = graph.takers(graph.image)
    if len(takers) != 1 or not isinstance(takers[0].op, Quant):
        named = ", ".join(" + ".join(node.origins) for node in takers)
        raise UserError(f"the image {graph.image!r} goes to {named}, allowed is one Quant or QuantizeLinear of it")
    return [takers[0], *(node for node in graph.nodes if node is not takers[0])]


#: A step, and what its integers stand for.
_Made = tuple[Step, Held]


@dataclass(frozen=True, kw_only=True, eq=False)
class _Maker:
    """What steps are made from.

    Attributes:
        graph: of the source.
        builder: has all steps so far.
        names: what each node's step is called.
        places: the step that has each node's result.
        held: what the integers of each step stand for.
        bounds: collects those of `Exact`.
        shifted: steps that hold the result of another step as something else.
    """

    graph: Graph
    builder: NetworkBuilder
    names: Mapping[str, str]
    places: dict[str, str]
    held: dict[str, Held]
    bounds: dict[str, float] = field(default_factory=dict)
    shifted: dict[tuple[str, Held], str] = field(default_factory=dict)

    def inputs(self, node: Node) -> tuple[str, ...]:
        """The steps that have what ``node`` takes."""
        return tuple(self.places[name] for name in node.inputs)

    def taken(self, node: Node) -> list[tuple[Result, Held]]:
        """What ``node`` takes, and what its integers stand for."""
        return [(self.builder.results[name], self.held[name]) for name in self.inputs(node)]

    def common(self, node: Node, held: Held, inputs: tuple[str, ...] | None = None) -> dict[str, Any]:
        """The fields that all steps have."""
        return {"name": self.names[node.name], "inputs": inputs or self.inputs(node), "scale": held.recorded}

    def plain(self, place: str) -> str:
        """A step with the result of ``place`` without its zero point."""
        held, x = self.held[place], self.builder.results[place]
        return self.holding(place, Held(scale=abs(held.scale)), held.limits(x.limits).signed_bits)

    def holding(self, place: str, wanted: Held, bits: int) -> str:
        """A step with the result of ``place`` that is held as ``wanted``: a depthwise 1x1 layer, where it is not.

        Its steps are finer by a power of two, if they are other steps.
        """
        held, x = self.held[place], self.builder.results[place]
        if held == wanted:
            return place
        if x.bits > FIELD_RANGES["in_bits"][1]:
            raise UserError(f"zero point {held.point} of a result of {x.bits} bits is not allowed, {ZEROS}")
        if (place, wanted) not in self.shifted:
            suffix = "plain" if wanted.plain else "shifted"
            name = unused_name(f"{place}_{suffix}", {*self.names.values(), *self.builder.results})
            form = Form(bits=bits, signed=True, held=wanted)
            common = {"name": name, "inputs": (place,), "scale": wanted.recorded}
            finer = round(abs(held.scale / wanted.scale))
            levels = _each(np.full(x.channels, 1 / finer), finer)
            step = self._layer(common, (x, held), levels, np.zeros(x.channels), _pointwise(x.channels), form, False)
            self.shifted[place, wanted] = self.builder.append(step)
            self.held[name] = wanted
        return self.shifted[place, wanted]

    def keep(self, name: str, bound: float) -> None:
        """Keep how far a step may be off. Raises `UserError` where that is a whole step."""
        if not bound < 1:
            raise UserError(f"no multiplier is near enough, it may be off by {bound:.3g} steps, allowed is below 1")
        self.bounds[name] = bound

    def conv(self, node: Node) -> _Made:
        op = node.op
        assert isinstance(op, Conv)
        ((x, held),) = self.taken(node)
        kernel = op.weight.shape[-1]
        if held.zero and op.padding == "same" and kernel > 1:
            raise UserError(f"pads what has zero point {held.point}, {ZEROS}")
        form = self._form(node)
        geometry = {"kernel": kernel, "stride": op.stride, "padding": op.padding, "groups": op.groups}
        common = self.common(node, form.held)
        return self._layer(common, (x, held), _levels(op), op.bias, geometry, form, node.rectifies), form.held

    def pointwise(self, node: Node) -> _Made | None:
        """Each channel by itself: a scale and a shift, a ReLU, or other steps."""
        ((x, held),) = self.taken(node)
        scale, shift = np.ones(x.channels), np.zeros(x.channels)
        form, given = Form(bits=x.bits, signed=x.signed, held=held), held
        if isinstance(node.op, Affine):
            scale, shift = node.op.scale, node.op.shift
            if node.quant is None:
                raise _unquantised()
        quant = node.op if isinstance(node.op, Quant) else node.quant
        if quant is not None:
            if isinstance(node.op, Quant) and _changes_nothing(held.limits(x.limits), held, quant):
                self.places[node.name] = self.places[node.inputs[0]]
                return None
            form, given = _quantised(node, quant, held, held.limits(x.limits), scale, shift)
        elif not held.plain:
            raise UserError(f"takes what has zero point {held.point}, {ZEROS}")
        elif node.limit is not None and node.limit < x.limits.high * held.scale:
            raise limited(node.limit, x.limits.high * held.scale)
        geometry = _pointwise(x.channels)
        common = self.common(node, form.held)
        step = self._layer(common, (x, held), _each(scale), shift, geometry, form, node.rectifies, given)
        return step, form.held

    def _layer(
        self,
        common: Mapping[str, Any],
        taken: tuple[Result, Held],
        levels: WeightLevels,
        bias: np.ndarray,
        geometry: Mapping[str, Any],
        form: Form,
        relu: bool,
        given: Held | None = None,
    ) -> Step:
        """A layer whose result is of ``form``; ``given`` is what its integers stand for exactly, where that differs."""
        x, held = taken
        outputs = len(levels.integers)
        fitted = Fitted(levels, bias, held, 1, given or form.held, FIELD_RANGES["attn_shift"][1])
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
            out_bits=form.bits,
            out_signed=form.signed,
            relu=relu,
            attn_shift=fitted.fine,
            out_shift=fitted.multipliers.shift,
            rounding=form.rounding,
            in_scale=held.recorded,
            out_scale=form.held.recorded,
        )
        layer = Layer(
            config=config,
            conv_weight=fitted.integers,
            attn_weight=np.zeros((outputs, x.channels // config.groups, 0), np.int64),
            bias=fitted.bias,
            multiplier=fitted.multipliers.values,
        )
        self.keep(common["name"], fitted.bound(accumulator_ranges(layer), config.out_range))
        return LayerStep(**common, layer=layer)

    def linear(self, node: Node) -> _Made:
        op = node.op
        assert isinstance(op, Linear)
        ((x, held),) = self.taken(node)
        means = op.weight.shape[1] == x.channels
        pixels = x.height * x.width
        shape = (len(op.weight), x.channels) if means else (len(op.weight), *x.shape)
        levels = _levels(op)
        levels = dataclasses.replace(levels, integers=levels.integers.reshape(shape))
        count = pixels if means else 1
        scored = node.quant is None and node.name in self._scored()
        if scored and not node.relu and _alike(levels.scales):
            return self._raw(node, x, held, levels, op.bias, count)
        form = _scores(held.limits(x.limits), held, levels, op.bias) if scored else self._form(node)
        fitted = Fitted(levels, op.bias, held, count, form.held, 0)
        step = LinearStep(
            **self.common(node, form.held),
            weight_bits=fitted.weight_bits,
            weight=fitted.integers,
            bias=fitted.bias,
            multiplier=fitted.multipliers.values,
            out_bits=form.bits,
            out_signed=form.signed,
            out_shift=fitted.multipliers.shift,
            relu=node.relu,
            rounding=form.rounding,
        )
        self.keep(step.name, fitted.bound(step.accumulator_ranges(x), step.limits))
        return step, form.held

    def _raw(self, node: Node, x: Result, held: Held, levels: WeightLevels, bias: np.ndarray, count: int) -> _Made:
        """Scores as they are summed. Half a step of a bias is the most that they are off."""
        unit = float(levels.scales[0]) * held.scale / count
        steps = taken_bias(levels, bias, held) / abs(unit)
        check_bias(steps)
        self.keep(self.names[node.name], float(np.abs(steps - np.rint(steps)).max()))
        own = Held(scale=abs(unit))
        raw = LinearStep(
            **self.common(node, own),
            weight_bits=weight_bits(levels),
            weight=levels.integers * int(np.sign(unit)),
            bias=np.rint(steps).astype(np.int64),
            out_bits=48,
            out_signed=True,
        )
        return raw.as_narrow_as_its_bound(x), own

    def _scored(self) -> set[str]:
        """Names of results that come out, or of which the largest does."""
        last = self.graph.by_name[self.graph.output]
        return {last.name, *(last.inputs if isinstance(last.op, Argmax) else ())}

    def add(self, node: Node) -> _Made:
        form, op = self._form(node), node.op
        assert isinstance(op, Add)
        values = [abs(held.scale) * factor for (_, held), factor in zip(self.taken(node), op.factors, strict=True)]
        inputs, ratios = self._summands(node, form, values, 1)
        first, second = ratios.values.tolist()
        step = AddStep(
            **self.common(node, form.held, inputs),
            multipliers=(first, second),
            shift=ratios.shift,
            out_bits=form.bits,
            out_signed=form.signed,
            relu=node.relu,
            rounding=form.rounding,
        )
        return step, form.held

    def avg_pool(self, node: Node) -> _Made:
        op = node.op
        assert isinstance(op, AvgPool)
        ((x, held),) = self.taken(node)
        pixels = x.height * x.width if op.kernel == FRAME else int(op.kernel) ** 2
        value = abs(held.scale) * op.factor / pixels
        if node.quant is not None and node.quant.dropped is not None:
            form, value = truncated(node, node.quant, held.limits(x.limits).times(pixels), value)
        else:
            form = self._form(node)
        inputs, ratios = self._summands(node, form, (value,), pixels)
        step = AvgPoolStep(
            **self.common(node, form.held, inputs),
            kernel=op.kernel,
            stride=op.stride,
            multiplier=int(ratios.values[0]),
            shift=ratios.shift,
            out_bits=form.bits,
            out_signed=form.signed,
            rounding=form.rounding,
        )
        return step, form.held

    def _summands(
        self, node: Node, form: Form, values: Sequence[float], count: int
    ) -> tuple[tuple[str, ...], Multipliers]:
        """What a sum takes whose result is of ``form``, and its multipliers; see `summands`."""
        limits = [held.limits(x.limits) for x, held in self.taken(node)]
        units = [abs(held.scale) for _, held in self.taken(node)]
        found = summands(limits, units, values, form.held, count)
        if found is None:
            raise UserError(f"zero point {form.held.point} of its result is not allowed, {ZEROS}")
        self.keep(self.names[node.name], found.bound)
        places = zip(self.inputs(node), found.held, found.bits, strict=True)
        return tuple(self.holding(*place) for place in places), found.multipliers

    def _form(self, node: Node) -> Form:
        """How the result of ``node`` is held."""
        if node.quant is None:
            raise _unquantised()
        if node.quant.dropped is not None:
            raise UserError("drops bits of sums, allowed is a Trunc of means, or of what a Quant gives")
        return form_of(node, node.quant)

    def max_pool(self, node: Node) -> _Made:
        op = node.op
        assert isinstance(op, MaxPool)
        ((_, held),) = self.taken(node)
        if held.scale < 0:
            raise UserError(f"takes what has zero point {held.point}, {ZEROS}")
        return MaxPoolStep(**self.common(node, held), kernel=op.kernel, stride=op.stride, pad=op.pad), held

    def upsample(self, node: Node) -> _Made:
        op = node.op
        assert isinstance(op, Upsample)
        ((_, held),) = self.taken(node)
        return UpsampleStep(**self.common(node, held), factor=op.factor), held

    def concat(self, node: Node) -> _Made:
        held = [held for _, held in self.taken(node)]
        if len(set(held)) > 1:
            scales = ", ".join(f"{own.scale:g}" for own in held)
            raise UserError(f"joins results of scales {scales}, allowed is one for all, and one zero point")
        return ConcatStep(**self.common(node, held[0])), held[0]

    def argmax(self, node: Node) -> _Made:
        inputs = tuple(map(self.plain, self.inputs(node)))
        return ArgmaxStep(name=self.names[node.name], inputs=inputs), Held(scale=1.0)

    def flatten(self, node: Node) -> _Made:
        ((x, _),) = self.taken(node)
        raise UserError(f"flattens {list(x.shape)}, allowed is before a linear map, or frames of one pixel")

    def round(self, node: Node) -> _Made:
        assert isinstance(node.op, Round)
        raise UserError(f"rounds to whole numbers ({node.op.rounding}), allowed is before a Quant of scale 1")


#: What makes a step of each op. None: it is what it takes.
MAKERS: Mapping[type[Op], Callable[[_Maker, Node], _Made | None]] = {
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
    Round: _Maker.round,
}


def _levels(op: Conv | Linear) -> WeightLevels:
    if op.levels is None:
        raise UserError("weight is not quantised, allowed is a Quant of it, or a DequantizeLinear")
    return op.levels


def _alike(scales: np.ndarray) -> bool:
    return bool((scales == scales[0]).all()) and scales[0] != 0


def _pointwise(channels: int) -> dict[str, Any]:
    """The geometry of a layer that sees each pixel of each channel by itself."""
    return {"kernel": 1, "stride": 1, "padding": "same", "groups": channels}


def _each(scales: np.ndarray, integer: int = 1) -> WeightLevels:
    """Weights of a depthwise 1x1 layer that are an integer times ``scales``."""
    return WeightLevels(integers=np.full((len(scales), 1, 1, 1), integer), scales=scales, bits=2)


def _scores(limits: Range, held: Held, levels: WeightLevels, bias: np.ndarray) -> Form:
    """The format of scores that are not quantised: one that no input within ``limits`` saturates."""
    sums = np.abs(levels.integers).reshape(len(bias), -1).sum(axis=1) * np.abs(levels.scales)
    most = float((sums * abs(held.scale) * reach(limits) + np.abs(bias)).max())
    scale = 2.0 ** np.ceil(np.log2(most / Range.of_format(SCORE_BITS, True).high)) if most else 1.0
    return Form(bits=SCORE_BITS, signed=True, held=Held(scale=float(scale)))


def _quantised(
    node: Node, quant: Quant, held: Held, limits: Range, scale: np.ndarray, shift: np.ndarray
) -> tuple[Form, Held]:
    """How ``scale x + shift`` of what is ``held`` is held, and what its integers stand for to be exact."""
    if quant.dropped is None:
        form = form_of(node, quant)
        return form, form.held
    if shift.any() or len(set(scale)) > 1 or min(scale) <= 0:
        raise UserError("drops bits of sums, allowed is a Trunc of means, or of what a Quant gives")
    unit = abs(held.scale) * float(scale[0])
    form, near = truncated(node, quant, limits, unit)
    # What is near a whole number of steps is one.
    return form, dataclasses.replace(form.held, scale=form.held.scale * unit / near)


def _unquantised() -> UserError:
    return UserError("its result is not quantised, allowed is a Quant or a QuantizeLinear behind it")


def _changes_nothing(limits: Range, held: Held, quant: Quant) -> bool:
    if abs(held.scale) != quant.scale or quant.dropped not in (None, 0):
        return False
    return not quant.saturates or (quant.low <= limits.low and limits.high <= quant.high)
