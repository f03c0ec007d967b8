"""Lowering: each step of a network becomes nodes.

`LOWER` has a function for each op. It appends the step's nodes to the graph and returns where the
step's result comes out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from golden.contract.folding import Folding
from golden.contract.layer import Layer
from golden.contract.network.add import Add
from golden.contract.network.argmax import Argmax
from golden.contract.network.avg_pool import AvgPool
from golden.contract.network.concat import Concat
from golden.contract.network.layer import LayerStep
from golden.contract.network.linear import Linear
from golden.contract.network.max_pool import MaxPool
from golden.contract.network.network import IMAGE as IMAGE_NAME
from golden.contract.network.network import naming
from golden.contract.network.result import Result
from golden.contract.network.step import Step
from golden.contract.network.upsample import Upsample
from hw.network.beat import Beat
from hw.network.config import NetworkConfig
from hw.network.graph import IMAGE, Graph, Placed, Port
from hw.network.nodes.argmax import Argmax as ArgmaxNode
from hw.network.nodes.merge import Merge
from hw.network.nodes.reduce import Reduce
from hw.network.nodes.replay import Replay
from hw.network.nodes.rescale import Rescale
from hw.network.nodes.unit import TAP, UnitNode
from hw.network.taps import Taken
from hw.network.unit_config import unit_config


def lower(config: NetworkConfig, taps: Mapping[Taken, LayerStep]) -> Graph:
    """The graph of a network under its folding.

    Args:
        config: the network.
        taps: for each input that takes its beats from a tap, the layer that has it (`hw.network.taps`).

    Raises `UserError`, naming the step, where a unit cannot be built.
    """
    return _Lowering(config, taps).run()


Operation = Literal["max", "sum"]


def step_graph(config: NetworkConfig, step: Step, taps: Mapping[Taken, LayerStep]) -> Graph:
    """The nodes of one step alone. All that it takes comes from the input of their graph, the result is its output.

    With ``taps``, a unit is what it is between them: it has one, or takes the pixels of one.

    Raises `UserError`, naming the step, where a unit cannot be built.
    """
    lowering = _Lowering(config, taps)
    first, folding = config.network.results[step.inputs[0]], config.foldings[step.name]
    lowering.graph.image = Beat(lanes=folding.simd, bits=first.bits, signed=first.signed)
    lowering.ports = dict.fromkeys(config.network.results, Port(node=IMAGE))
    with naming(step.name):
        lowering.graph.output = LOWER[step.op](step, Context(lowering, step, folding))
    return lowering.graph


def of_centres(layer: Layer) -> Layer:
    """The layer that does the same with every pixel as ``layer``, of 1x1, with every ``stride``-th."""
    c = layer.config
    return replace(layer, config=replace(c, height=c.out_height, width=c.out_width, stride=1))


class _Lowering:
    """The graph so far.

    Attributes:
        taps: for each input that takes its beats from a tap, the layer that has it.
        ports: where each result comes out, by name.
    """

    def __init__(self, config: NetworkConfig, taps: Mapping[Taken, LayerStep]) -> None:
        self.config, self.network, self.taps = config, config.network, taps
        image = self.network.image
        lanes = max(config.foldings[s.name].simd for s in self.network.steps if IMAGE_NAME in s.inputs)
        beats = image.channels * image.height * image.width // lanes
        self.graph = Graph(image=Beat(lanes=lanes, bits=image.bits, signed=image.signed), image_beats=beats)
        self.ports = {IMAGE_NAME: Port(node=IMAGE)}

    def run(self) -> Graph:
        for step in self.network.steps:
            self._lower(step)
        result = self.network.output_result
        pe = self.config.foldings[self.network.output].pe
        self.graph.output = self.ports[self.network.output]
        self.graph.output_beat = Beat(lanes=pe, bits=result.bits, signed=result.signed)
        self.graph.output_beats = result.channels * result.height * result.width // pe
        return self.graph

    def _lower(self, step: Step) -> None:
        if step.name in self.ports:
            return
        for place in range(len(step.inputs)):
            if (step.name, place) in self.taps:
                self._lower(self.taps[step.name, place])
        with naming(step.name):
            context = Context(self, step, self.config.foldings[step.name])
            self.ports[step.name] = LOWER[step.op](step, context)


@dataclass(frozen=True)
class Context:
    """What lowering one step needs."""

    lowering: _Lowering
    step: Any
    folding: Folding

    @property
    def config(self) -> NetworkConfig:
        return self.lowering.config

    @property
    def taken(self) -> list[Result]:
        return [self.lowering.network.results[name] for name in self.step.inputs]

    @property
    def given(self) -> Result:
        return self.lowering.network.results[self.step.name]

    @property
    def sources(self) -> tuple[Port, ...]:
        return tuple(self._source(place, name) for place, name in enumerate(self.step.inputs))

    def _source(self, place: int, name: str) -> Port:
        layer = self.lowering.taps.get((self.step.name, place))
        port = self.lowering.ports[name if layer is None else layer.name]
        return port if layer is None else replace(port, output=TAP)

    def beat(self, result: Result, lanes: int) -> Beat:
        return Beat(lanes=lanes, bits=result.bits, signed=result.signed)

    @property
    def lanes(self) -> int:
        """Elements of a beat within a step that moves elements of one result: enough for both sides' cycles."""
        (x,), simd, pe = self.taken, self.folding.simd, self.folding.pe
        taken, given = (r.channels * r.height * r.width for r in (x, self.given))
        return simd if given // simd <= max(taken // simd, given // pe) else pe

    def place(self, part: str, node: Any, *sources: Port) -> Port:
        return self.lowering.graph.append(Placed(step=self.step.name, part=part, node=node, sources=sources))

    def unit(self, *sources: Port) -> Port:
        config, taps = unit_config(self.config, len(self.lowering.graph.nodes), self.step), self.lowering.taps
        if (self.step.name, 0) in taps:
            # Only the pixels come that it multiplies.
            config = config.of_layer(of_centres(config.layer))
        tap = any(layer is self.step for layer in taps.values())
        return self.place("unit", UnitNode(config=config, tap=tap), *sources)

    def windows(self, operation: Operation, lanes: int, sides: tuple[int, int], stride: int, pad: int) -> Port:
        """Reduce windows of the one result taken, in beats of ``lanes``: along the rows, then along the columns."""
        (x,), (port,) = self.taken, self.sources
        beat, beats = self.beat(x, lanes), x.channels // lanes
        kernel_height, kernel_width = sides
        port, beat, width = self._reduce(
            "columns", port, beat, operation, x.width, beats, kernel_width, stride, pad, x.height
        )
        port, _, _ = self._reduce("rows", port, beat, operation, x.height, width * beats, kernel_height, stride, pad, 1)
        return port

    def _reduce(
        self,
        part: str,
        port: Port,
        beat: Beat,
        operation: Operation,
        items: int,
        item_beats: int,
        kernel: int,
        stride: int,
        pad: int,
        repeats: int,
    ) -> tuple[Port, Beat, int]:
        """One dimension. Returns where it comes out, its beats and its windows."""
        if kernel == 1 and stride == 1:
            return port, beat, items
        node = Reduce(
            beat=beat,
            operation=operation,
            items=items,
            item_beats=item_beats,
            kernel=kernel,
            stride=stride,
            pad=pad,
            target=self.config.target,
            repeats=repeats,
        )
        port = self.place(part, node, port)
        (reduced, *_) = node.outputs
        if node.extra:
            runs = ((0, (node.windows - node.extra) * item_beats), *((1 + n, item_beats) for n in range(node.extra)))
            sources = [Port(node=port.node, output=output) for output, _ in runs]
            port = self.place(f"{part}_in_order", Merge(beat=reduced, runs=runs, periods=repeats), *sources)
        return port, reduced, node.windows


def _layer(step: LayerStep, context: Context) -> Port:
    return context.unit(*context.sources)


def _add(step: Add, context: Context) -> Port:
    lanes, given = context.folding.pe, context.given
    node = Rescale(
        inputs=tuple(context.beat(x, lanes) for x in context.taken),
        multipliers=step.multipliers,
        shift=step.shift,
        limits=step.limits,
        rounding=step.rounding,
        output=context.beat(given, lanes),
        frame_beats=given.channels * given.height * given.width // lanes,
        target=context.config.target,
    )
    return context.place("sum", node, *context.sources)


def _max_pool(step: MaxPool, context: Context) -> Port:
    return context.windows("max", context.lanes, (step.kernel, step.kernel), step.stride, step.pad)


def _avg_pool(step: AvgPool, context: Context) -> Port:
    (x,), given, lanes = context.taken, context.given, context.lanes
    port = context.windows("sum", lanes, step.window(x.height, x.width), step.stride, 0)
    node = Rescale(
        inputs=(replace(context.lowering.graph.beat(port), lanes=lanes),),
        multipliers=(step.multiplier,),
        shift=step.shift,
        limits=step.limits,
        rounding=step.rounding,
        output=context.beat(given, lanes),
        frame_beats=given.channels * given.height * given.width // lanes,
        target=context.config.target,
    )
    return context.place("average", node, port)


def _linear(step: Linear, context: Context) -> Port:
    (x,), (port,) = context.taken, context.sources
    if step.weight.ndim == 2:
        port = context.windows("sum", context.folding.simd, (x.height, x.width), 1, 0)
    return context.unit(port)


def _concat(step: Concat, context: Context) -> Port:
    lanes, given = context.folding.simd, context.given
    runs = tuple((number, x.channels // lanes) for number, x in enumerate(context.taken))
    merge = Merge(beat=context.beat(given, lanes), runs=runs, periods=given.height * given.width)
    return context.place("channels", merge, *context.sources)


def _upsample(step: Upsample, context: Context) -> Port:
    (x,), lanes = context.taken, context.lanes
    node = Replay(
        beat=context.beat(x, lanes),
        pixel_beats=x.channels // lanes,
        width=x.width,
        height=x.height,
        factor=step.factor,
        # The schedule makes it as deep as the run fills it.
        depth=max(2, x.width * x.channels // lanes),
        target=context.config.target,
    )
    return context.place("pixels", node, *context.sources)


def _argmax(step: Argmax, context: Context) -> Port:
    (x,) = context.taken
    beat, late = context.beat(x, context.folding.simd), context.config.target.relays
    return context.place("largest", ArgmaxNode(input=beat, elements=x.channels, late=late), *context.sources)


#: The lowering of each op.
LOWER: Mapping[str, Callable[[Any, Context], Port]] = {
    LayerStep.op: _layer,
    Add.op: _add,
    MaxPool.op: _max_pool,
    AvgPool.op: _avg_pool,
    Linear.op: _linear,
    Concat.op: _concat,
    Upsample.op: _upsample,
    Argmax.op: _argmax,
}
