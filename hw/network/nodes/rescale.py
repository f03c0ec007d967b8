"""Rescale: one operand or the sum of two, each with a multiplier, in another format.

    y = saturate(round((m0 a + m1 b) / 2^shift))

It is the whole of an addition, and the end of an average pool. It takes no multiplier: what it multiplies with is
known when it is built (`hw.blocks.weighted_sum`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.contract.ranges import Range
from golden.contract.rounding import HALF_EVEN, Rounding
from hw.blocks import outlet, rounding, weighted_sum
from hw.blocks.outlet import Outlet, queue_depth
from hw.blocks.rounding import rounded
from hw.blocks.weighted_sum import Weighted
from hw.network.beat import Beat
from hw.network.node import Times, behind, offered_behind, one_a_cycle
from hw.plan.shapes import shape_of
from hw.targets.families import Target


@dataclass(frozen=True, kw_only=True)
class Rescale:
    """Beats of as many elements as there are in a beat of each operand.

    Attributes:
        inputs: beats of the operands, one or two. Their formats may differ.
        output: the beat of the result.
        multipliers: of each operand, at least 0.
        shift: at least 0.
        limits: what the result saturates to: the range of its format, or that above 0.
        frame_beats: beats of a frame.
        target: family, which decides how the sum is made.
        rounding: of the quotient.
    """

    inputs: tuple[Beat, ...]
    output: Beat
    multipliers: tuple[int, ...]
    shift: int
    limits: Range
    frame_beats: int
    target: Target
    rounding: Rounding = HALF_EVEN

    def __post_init__(self) -> None:
        assert 1 <= len(self.inputs) == len(self.multipliers) <= 2, "one operand or two"
        assert all(beat.lanes == self.output.lanes for beat in self.inputs), "as many elements in each beat"

    @property
    def outputs(self) -> tuple[Beat, ...]:
        return (self.output,)

    @property
    def frame_inputs(self) -> tuple[int, ...]:
        return (self.frame_beats,) * len(self.inputs)

    @property
    def frame_outputs(self) -> tuple[int, ...]:
        return (self.frame_beats,)

    @property
    def counting(self) -> tuple[int, ...]:
        """The operands that count: those with a multiplier above 0."""
        return tuple(number for number, multiplier in enumerate(self.multipliers) if multiplier)

    @property
    def weighted(self) -> list[Weighted]:
        """An element of each operand that counts."""
        return [Weighted(shape=self.inputs[number].shape, weight=self.multipliers[number]) for number in self.counting]

    @property
    def total(self) -> Range:
        """The range of the sum."""
        ranges = [element.range for element in self.weighted]
        return Range(sum(r.low for r in ranges), sum(r.high for r in ranges))

    @property
    def pipeline(self) -> int:
        """Cycles from operands to result."""
        return weighted_sum.latency(self.target, self.weighted) + rounding.LATENCY + self.target.fast

    @property
    def latency(self) -> int:
        """Cycles from operands to the first cycle in which the result is offered."""
        return self.pipeline + outlet.LATENCY

    def component(self) -> wiring.Component:
        return _Rescale(self)

    def times(self, arrivals: Sequence[np.ndarray], left: Sequence[np.ndarray] | None = None) -> Times:
        earliest = np.maximum.reduce(arrivals)
        if left is not None:
            earliest = np.maximum(earliest, behind(left[0], queue_depth(self.pipeline, 1)))
        taken = one_a_cycle(earliest)
        return Times(taken=[taken] * len(arrivals), given=offered_behind([taken + self.latency], left))


class _Rescale(wiring.Component):
    def __init__(self, node: Rescale) -> None:
        self._node = node
        operands = {f"i_{number}": In(beat.signature) for number, beat in enumerate(node.inputs)}
        super().__init__(operands | {"o_0": Out(node.output.signature)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        node = self._node
        operands = [getattr(self, f"i_{number}") for number in range(len(node.inputs))]
        end = Outlet(m, self.o_0, cycles=node.pipeline, late=node.target.relays)
        valid = Cat(operand.valid for operand in operands)
        start = Signal()
        m.d.comb += start.eq(valid.all() & end.credit)
        for number, operand in enumerate(operands):
            others = [valid[other] for other in range(len(operands)) if other != number]
            m.d.comb += operand.ready.eq(Cat(end.credit, *others).all())
        result = Signal(node.output.layout)
        for lane in range(node.output.lanes):
            m.d.comb += result[lane].eq(self._scale(m, [operand.payload[lane] for operand in operands]))
        end.give(m, start, result)
        return m

    def _scale(self, m: Module, elements: Sequence[Value]) -> Value:
        """An element of the result, the pipeline's cycles after its operands."""
        node = self._node
        counting = [elements[number] for number in node.counting]
        exact = weighted_sum.weighted_sum(m, node.target, counting, [element.weight for element in node.weighted])
        total = Signal(shape_of(node.total))
        m.d.comb += total.eq(exact)
        return rounded(
            m,
            total,
            node.shift,
            node.limits,
            node.output.shape,
            rounding=node.rounding,
            split=node.target.fast,
            proven=node.total,
        )
