"""Case: a node of a network alone, and what is expected of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from amaranth.back import rtlil
from amaranth.lib import wiring

from golden.contract.rounding import round_quotient
from golden.contract.streams import from_beats, to_beats
from golden.model import integer
from hw.export.verilog import generate, write_verilog
from hw.network.beat import Beat
from hw.network.edges import adapter
from hw.network.edges import relay as relay_times
from hw.network.edges.adapter import Adapter
from hw.network.edges.fifo import Fifo, fifo_latency
from hw.network.edges.fork import Fork
from hw.network.edges.pacer import Pacer, pace
from hw.network.edges.relay import Relay
from hw.network.node import Node, Times, one_a_cycle
from hw.network.nodes.argmax import Argmax
from hw.network.nodes.merge import Merge
from hw.network.nodes.reduce import Reduce
from hw.network.nodes.replay import Replay
from hw.network.nodes.rescale import Rescale
from hw.network.nodes.unit import UnitNode
from hw.targets.families import Target

#: Beats of each stream, int64 ``[n, lanes]``.
Beats = Sequence[np.ndarray]
#: Name of the top module.
TOP = "node"
#: Verilog names of a stream's valid, ready and payload.
Ports = tuple[str, str, str]


@dataclass(frozen=True, kw_only=True)
class NodeCase:
    """A node.

    Attributes:
        inputs, outputs: its beats.
        frame_inputs: beats of a frame of each input.
        make: its Verilog, of the top module `TOP`.
        model: the beats that come out of these beats.
        times: when beats move that arrive in these cycles; None where no model says that.
        ports: names of the ports of each input, then of each output.
        axi: whether clock and reset are those of AXI, not Amaranth's.
    """

    inputs: tuple[Beat, ...]
    outputs: tuple[Beat, ...]
    frame_inputs: tuple[int, ...]
    make: Callable[[], str]
    model: Callable[[Beats], Beats]
    times: Callable[[Beats], Times | None]
    ports: tuple[Ports, ...]
    axi: bool = False


def node_case(node: Node, model: Callable[[Beats], Beats]) -> NodeCase:
    """The case of a primitive node."""
    names = [*(f"i_{port}" for port in range(len(node.inputs))), *(f"o_{port}" for port in range(len(node.outputs)))]
    return NodeCase(
        inputs=node.inputs,
        outputs=node.outputs,
        frame_inputs=node.frame_inputs,
        make=lambda: _verilog(node.component()),
        model=model,
        times=node.times,
        ports=tuple(map(_ports, names)),
    )


def edge_case(
    make: Callable[[], wiring.Component],
    taken: Beat,
    given: Beat,
    frame_beats: int,
    model: Callable[[Beats], Beats],
    times: Callable[[Beats], Times | None],
    outputs: Sequence[str] = ("o",),
) -> NodeCase:
    """The case of what stands on an edge."""
    return NodeCase(
        inputs=(taken,),
        outputs=(given,) * len(outputs),
        frame_inputs=(frame_beats,),
        make=lambda: _verilog(make()),
        model=model,
        times=times,
        ports=tuple(map(_ports, ("i", *outputs))),
    )


def _verilog(component: wiring.Component) -> str:
    return write_verilog(rtlil.convert(component, name=TOP, emit_src=False))


def _ports(name: str) -> Ports:
    return f"{name}__valid", f"{name}__ready", f"{name}__payload"


def rescale(node: Rescale) -> NodeCase:
    def model(beats: Beats) -> Beats:
        total = np.sum([m * x.astype(object) for m, x in zip(node.multipliers, beats, strict=True)], axis=0)
        low, high = node.limits.low, node.limits.high
        rounded = [[min(max(round_quotient(x, node.shift, node.rounding), low), high) for x in row] for row in total]
        return [np.array(rounded, np.int64)]

    return node_case(node, model)


def reduce(node: Reduce) -> NodeCase:
    def model(beats: Beats) -> Beats:
        rows = beats[0].reshape(-1, node.items, node.item_beats, node.beat.lanes)
        combine = np.max if node.operation == "max" else np.sum
        outputs: list[list[np.ndarray]] = [[] for _ in node.outputs]
        for row in rows:
            for window in range(node.windows):
                start = window * node.stride - node.pad
                items = row[max(0, start) : start + node.kernel]
                # Each of the last windows has an output of its own.
                outputs[max(0, window - (node.windows - node.extra) + 1)].append(combine(items, axis=0))
        return [np.concatenate(windows) for windows in outputs]

    return node_case(node, model)


def merge(node: Merge) -> NodeCase:
    def model(beats: Beats) -> Beats:
        rests = [list(stream) for stream in beats]
        frames = len(beats[0]) // node.frame_inputs[0]
        return [
            np.array(
                [rests[port].pop(0) for _ in range(frames * node.periods) for port, n in node.runs for _ in range(n)]
            )
        ]

    return node_case(node, model)


def replay(node: Replay) -> NodeCase:
    def model(beats: Beats) -> Beats:
        frames = beats[0].reshape(-1, node.width, node.pixel_beats * node.beat.lanes)
        return [frames.repeat(node.factor, axis=1).repeat(node.factor, axis=0).reshape(-1, node.beat.lanes)]

    return node_case(node, model)


def argmax(node: Argmax) -> NodeCase:
    return node_case(node, lambda beats: [beats[0].reshape(-1, node.elements).argmax(axis=1)[:, None]])


def fork(beat: Beat, consumers: int) -> NodeCase:
    def times(arrivals: Beats) -> Times:
        moves = one_a_cycle(arrivals[0])
        return Times(taken=[moves], given=[moves] * consumers)

    outputs = [f"o_{number}" for number in range(consumers)]
    return edge_case(lambda: Fork(beat, consumers), beat, beat, 5, lambda beats: [*beats] * consumers, times, outputs)


def fifo(beat: Beat, depth: int, target: Target) -> NodeCase:
    latency = fifo_latency(beat, depth, target)

    def times(arrivals: Beats) -> Times | None:
        moves = one_a_cycle(arrivals[0])
        # A FIFO of no more beats than its latency cannot take one in every cycle.
        return Times(taken=[moves], given=[moves + latency]) if depth > latency else None

    return edge_case(lambda: Fifo(beat, depth, target), beat, beat, 5, lambda beats: beats, times)


def relay(beat: Beat) -> NodeCase:
    def times(arrivals: Beats) -> Times:
        taken = relay_times.taken(arrivals[0])
        return Times(taken=[taken], given=[relay_times.given(taken)])

    return edge_case(lambda: Relay(beat), beat, beat, 5, lambda beats: beats, times)


def width_adapter(beat: Beat, lanes: int) -> NodeCase:
    def times(arrivals: Beats) -> Times:
        given = adapter.offered(beat.lanes, lanes, arrivals[0])
        return Times(taken=[adapter.taken(beat.lanes, lanes, arrivals[0], given)], given=[given])

    given = Beat(lanes=lanes, bits=beat.bits, signed=beat.signed)
    frame = int(np.lcm(beat.lanes, lanes)) // beat.lanes
    return edge_case(
        lambda: Adapter(beat, lanes), beat, given, frame, lambda beats: [beats[0].reshape(-1, lanes)], times
    )


def pacer(beat: Beat, frame_beats: int, interval: int) -> NodeCase:
    def times(arrivals: Beats) -> Times | None:
        moves = pace(frame_beats, interval, len(arrivals[0]))
        # Its model is that of a source that never pauses.
        return Times(taken=[moves], given=[moves]) if (arrivals[0] <= moves).all() else None

    return edge_case(lambda: Pacer(beat, frame_beats, interval), beat, beat, frame_beats, lambda beats: beats, times)


def unit(node: UnitNode) -> NodeCase:
    c, folding = node.config.layer.config, node.config.folding

    def model(beats: Beats) -> Beats:
        frames = from_beats(beats[0], c.in_channels, c.height, c.width)
        outputs = [to_beats(integer.run(node.config.layer, frames), folding.pe)]
        return [*outputs, to_beats(frames[:, :, :: c.stride, :: c.stride], folding.simd)] if node.tap else outputs

    return NodeCase(
        inputs=node.inputs,
        outputs=node.outputs,
        frame_inputs=node.frame_inputs,
        make=lambda: generate(node.config, flush=node.flush, tap=node.tap, inline=True).verilog,
        model=model,
        times=node.times,
        ports=tuple(
            (f"{name}_tvalid", f"{name}_tready", f"{name}_tdata")
            for name in ("s_axis", "m_axis", *(["m_axis_tap"] if node.tap else []))
        ),
        axi=True,
    )
