"""Merge: beats of several inputs on one output, in an order that is always the same.

Channels of several results become one (`concat`), and the outputs of a node come into the order of the frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.blocks import skid_buffer
from hw.blocks.pipeline import index_shape, pick, wrap_increment
from hw.blocks.skid_buffer import SkidBuffer
from hw.network.beat import Beat
from hw.network.node import Times, behind, offered_behind, one_a_cycle


@dataclass(frozen=True, kw_only=True)
class Merge:
    """Runs of beats, one after the other, again and again.

    Attributes:
        beat: what is taken and given.
        runs: in the order of the output: an input, and the number of its next beats that follow.
        periods: how often a frame has all runs.
    """

    beat: Beat
    runs: tuple[tuple[int, int], ...]
    periods: int

    def __post_init__(self) -> None:
        used = sorted({port for port, _ in self.runs})
        if not used or used != list(range(len(used))):
            raise ValueError(f"runs take the inputs {used}, not all from 0")
        if min(beats for _, beats in self.runs) < 1 or self.periods < 1:
            raise ValueError(f"runs are {self.runs}, {self.periods} times: each has at least 1 beat, at least once")

    @property
    def inputs(self) -> tuple[Beat, ...]:
        return (self.beat,) * len(self.frame_inputs)

    @property
    def outputs(self) -> tuple[Beat, ...]:
        return (self.beat,)

    @property
    def frame_inputs(self) -> tuple[int, ...]:
        ports = 1 + max(port for port, _ in self.runs)
        return tuple(self.periods * sum(beats for port, beats in self.runs if port == own) for own in range(ports))

    @property
    def frame_outputs(self) -> tuple[int, ...]:
        return (sum(self.frame_inputs),)

    def component(self) -> wiring.Component:
        return _Component(self)

    def times(self, arrivals: Sequence[np.ndarray], left: Sequence[np.ndarray] | None = None) -> Times:
        sources = np.repeat(*np.array(self.runs).T)
        ports = range(len(self.inputs))
        periods = len(arrivals[0]) // np.count_nonzero(sources == 0)
        merged = np.empty((periods, len(sources)), np.int64)
        for port in ports:
            merged[:, sources == port] = arrivals[port].reshape(periods, -1)
        earliest = merged.ravel()
        if left is not None:
            earliest = np.maximum(earliest, behind(left[0], skid_buffer.BEATS))
        taken = one_a_cycle(earliest)
        by_period = taken.reshape(periods, -1)
        return Times(
            taken=[by_period[:, sources == port].ravel() for port in ports],
            given=offered_behind([taken + skid_buffer.LATENCY], left),
        )


class _Component(wiring.Component):
    def __init__(self, merge: Merge) -> None:
        self._merge = merge
        inputs = {f"i_{port}": In(beat.signature) for port, beat in enumerate(merge.inputs)}
        super().__init__({**inputs, "o_0": Out(merge.beat.signature)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        sources = [getattr(self, f"i_{port}") for port in range(len(self._merge.inputs))]
        step = Signal()
        port = self._follow(m, step)
        valid = pick([source.valid for source in sources], port)
        payload = pick([Value.cast(source.payload) for source in sources], port)
        buffer = SkidBuffer(m, self.o_0, valid=valid, payload=payload)
        m.d.comb += step.eq(valid & buffer.ready)
        m.d.comb += [source.ready.eq(buffer.ready & (port == index)) for index, source in enumerate(sources)]
        return m

    def _follow(self, m: Module, step: Value) -> Value:
        """The input whose turn it is."""
        runs = self._merge.runs
        if len(runs) == 1:
            return Const(0)
        lengths = [beats for _, beats in runs]
        run = Signal(index_shape(len(runs)))
        port = Signal(index_shape(len(self._merge.inputs)), init=runs[0][0])
        # Beats of the run behind this one, and whether there is none.
        behind, last = Signal(range(max(lengths)), init=lengths[0] - 1), Signal(init=lengths[0] == 1)
        following = wrap_increment(run, 1, len(runs))
        next_port, next_behind, next_last = (
            pick([Const(value, shape) for value in values], following)
            for values, shape in (
                ([own for own, _ in runs], port.shape()),
                ([beats - 1 for beats in lengths], behind.shape()),
                ([int(beats == 1) for beats in lengths], 1),
            )
        )
        with m.If(step):
            m.d.sync += [behind.eq(Mux(last, next_behind, behind - 1)), last.eq(Mux(last, next_last, behind == 1))]
            with m.If(last):
                m.d.sync += [run.eq(following), port.eq(next_port)]
        return port
