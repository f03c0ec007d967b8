"""Argmax: the index of the largest element of a frame, the lowest where several are equal.

A tree finds the largest of a beat, a level a cycle. It is then compared with the largest of the beats before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.blocks.pipeline import Counter, delay, index_shape
from hw.network import outlet
from hw.network.beat import Beat
from hw.network.node import Times, one_a_cycle
from hw.network.outlet import Outlet


@dataclass(frozen=True, kw_only=True)
class Argmax:
    """An index for each ``elements`` elements.

    Attributes:
        input: the beat; its lanes divide the elements.
        elements: elements of a frame.
    """

    input: Beat
    elements: int

    def __post_init__(self) -> None:
        assert self.elements % self.input.lanes == 0, "beats that are full"

    @property
    def inputs(self) -> tuple[Beat, ...]:
        return (self.input,)

    @property
    def outputs(self) -> tuple[Beat, ...]:
        return (Beat(lanes=1, bits=index_shape(self.elements).width, signed=False),)

    @property
    def frame_inputs(self) -> tuple[int, ...]:
        return (self.elements // self.input.lanes,)

    @property
    def frame_outputs(self) -> tuple[int, ...]:
        return (1,)

    @property
    def levels(self) -> int:
        """Levels of the tree."""
        return (self.input.lanes - 1).bit_length()

    @property
    def pipeline(self) -> int:
        """Cycles from a frame's last beat to its index: a register in front, the tree, the comparison behind it."""
        return 1 + self.levels + 1

    @property
    def latency(self) -> int:
        """Cycles from a frame's last beat to the first cycle in which the index is offered."""
        return self.pipeline + outlet.LATENCY

    def component(self) -> wiring.Component:
        return _Argmax(self)

    def times(self, arrivals: Sequence[np.ndarray]) -> Times:
        [arrival], [beats] = arrivals, self.frame_inputs
        taken = one_a_cycle(arrival)
        return Times(taken=[taken], given=[taken[beats - 1 :: beats] + self.latency])


class _Argmax(wiring.Component):
    def __init__(self, node: Argmax) -> None:
        self._node = node
        super().__init__({"i_0": In(node.input.signature), "o_0": Out(node.outputs[0].signature)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        node = self._node
        lanes, [beats] = node.input.lanes, node.frame_inputs
        end = Outlet(m, self.o_0, cycles=node.pipeline, apart=beats)
        go, ends = Signal(name="go"), Signal(name="ends")
        last = Counter(m, beats, go, name="beat").last
        m.d.comb += [self.i_0.ready.eq(end.credit), go.eq(self.i_0.valid & end.credit), ends.eq(go & last)]

        index = Signal(node.outputs[0].shape, reset_less=True)
        # The index of the beat's first element, and whether the beat is the frame's first.
        base, first = Signal.like(index, name="base", reset_less=False), Signal(init=1, name="first")
        with m.If(go):
            m.d.sync += [base.eq(Mux(last, 0, base + lanes)), first.eq(last)]
        value, lane = self._largest(m, [delay(m, self.i_0.payload[lane], 1) for lane in range(lanes)])
        known = delay(m, go, 1 + node.levels, reset_less=False)
        base, first = (delay(m, fact, 1 + node.levels) for fact in (base, first))
        largest = Signal(node.input.shape, reset_less=True)
        with m.If(known & (first | (value > largest))):
            m.d.sync += [largest.eq(value), index.eq(base + lane)]
        end.give(m, ends, index)
        return m

    def _largest(self, m: Module, elements: Sequence[Value]) -> tuple[Value, Value]:
        """The largest element and its lane, the lowest where several are equal, a cycle later for each level."""
        found: list[tuple[Value, Value]] = [(element, Const(lane)) for lane, element in enumerate(elements)]
        while len(found) > 1:
            better: list[tuple[Value, Value]] = []
            for (one, here), (other, there) in zip(found[::2], found[1::2], strict=False):
                larger = other > one
                better.append((delay(m, Mux(larger, other, one), 1), delay(m, Mux(larger, there, here), 1)))
            if len(found) % 2:
                better.append((delay(m, found[-1][0], 1), delay(m, found[-1][1], 1)))
            found = better
        return found[0]
