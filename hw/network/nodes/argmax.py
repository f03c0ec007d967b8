"""Argmax: the index of the largest element of a frame, the lowest where several are equal.

A tree finds the largest of a beat. It is then compared with the largest of the beats before it in the frame.

A comparison is a cycle of its own, and so is the choice that follows from it. The largest so far is therefore
not known yet when the next beat is compared. So this is compared with both that it may turn out to be: what was
the largest before, and the beat in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.blocks import outlet
from hw.blocks.outlet import Outlet, queue_depth
from hw.blocks.pipeline import Counter, delay, exceeds, index_shape
from hw.network.beat import Beat
from hw.network.node import Times, behind, offered_behind, one_a_cycle

#: Cycles of a comparison and of the choice behind it.
COMPARISON = 2


@dataclass(frozen=True, kw_only=True)
class Argmax:
    """An index for each ``elements`` elements.

    Attributes:
        input: the beat; its lanes divide the elements.
        elements: elements of a frame.
        late: see `hw.blocks.outlet.Outlet`.
    """

    input: Beat
    elements: int
    late: bool = False

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
        """Cycles from a frame's last beat to its index: a register, the tree, the comparison of beats."""
        return 1 + COMPARISON * (self.levels + (self.frame_inputs[0] > 1))

    @property
    def latency(self) -> int:
        """Cycles from a frame's last beat to the first cycle in which the index is offered."""
        return self.pipeline + outlet.LATENCY

    def component(self) -> wiring.Component:
        return _Argmax(self)

    def times(self, arrivals: Sequence[np.ndarray], left: Sequence[np.ndarray] | None = None) -> Times:
        [arrival], [beats] = arrivals, self.frame_inputs
        if left is not None:
            free = behind(left[0], queue_depth(self.pipeline, beats))
            arrival = np.maximum(arrival, np.repeat(free, beats))
        taken = one_a_cycle(arrival)
        return Times(taken=[taken], given=offered_behind([taken[beats - 1 :: beats] + self.latency], left))


class _Argmax(wiring.Component):
    def __init__(self, node: Argmax) -> None:
        self._node = node
        super().__init__({"i_0": In(node.input.signature), "o_0": Out(node.outputs[0].signature)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        node = self._node
        lanes, [beats] = node.input.lanes, node.frame_inputs
        end = Outlet(m, self.o_0, cycles=node.pipeline, apart=beats, late=node.late)
        go, ends = Signal(name="go"), Signal(name="ends")
        last = Counter(m, beats, go, name="beat").last
        m.d.comb += [self.i_0.ready.eq(end.credit), go.eq(self.i_0.valid & end.credit), ends.eq(go & last)]

        # The index of the beat's first element, and whether the beat is the frame's first.
        base, first = Signal(node.outputs[0].shape, name="base"), Signal(init=1, name="first")
        with m.If(go):
            m.d.sync += [base.eq(Mux(last, 0, base + lanes)), first.eq(last)]
        value, lane = self._largest(m, [delay(m, self.i_0.payload[lane], 1) for lane in range(lanes)])
        if beats > 1:
            cycles = 1 + COMPARISON * node.levels
            known = delay(m, go, cycles, reset_less=False)
            base, first = (delay(m, fact, cycles) for fact in (base, first))
            index = self._largest_beat(m, known, first, value, base + lane)
        else:
            index = lane
        end.give(m, ends, index)
        return m

    def _largest(self, m: Module, elements: Sequence[Value]) -> tuple[Value, Value]:
        """The largest element and its lane, the lowest where several are equal, `COMPARISON` cycles a level later."""
        found: list[tuple[Value, Value]] = [(element, Const(lane)) for lane, element in enumerate(elements)]
        while len(found) > 1:
            better = []
            for one, other in zip(found[::2], found[1::2], strict=False):
                larger = delay(m, exceeds(other[0], one[0]), 1)
                pairs = zip(one, other, strict=True)
                value, lane = (delay(m, Mux(larger, delay(m, b, 1), delay(m, a, 1)), 1) for a, b in pairs)
                better.append((value, lane))
            if len(found) % 2:
                value, lane = (delay(m, part, COMPARISON) for part in found[-1])
                better.append((value, lane))
            found = better
        return found[0]

    def _largest_beat(self, m: Module, known: Value, first: Value, value: Value, index: Value) -> Value:
        """The index of the largest value since the ``first``, `COMPARISON` cycles after a value that is ``known``."""
        node = self._node
        largest = Signal(node.input.shape, reset_less=True)
        result = Signal(node.outputs[0].shape, reset_less=True)
        wins, won = Signal(name="wins"), Signal(name="won")
        before = delay(m, value, 1)
        exceeds_before, exceeds_largest = (delay(m, exceeds(value, other), 1) for other in (before, largest))
        m.d.comb += wins.eq(
            delay(m, known, 1, reset_less=False) & (delay(m, first, 1) | Mux(won, exceeds_before, exceeds_largest))
        )
        m.d.sync += won.eq(wins)
        index = delay(m, index, 1)
        with m.If(wins):
            m.d.sync += [largest.eq(before), result.eq(index)]
        return result
