"""Rescale: one operand or the sum of two, each with a multiplier, in another format.

    y = saturate(round_half_even((m0 a + m1 b) / 2^shift))

It is the whole of an addition, and the end of an average pool.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Cat, Const, Module, Signal, Value, signed, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.contract.ranges import Range
from hw.blocks import outlet, rounding
from hw.blocks.multiply import multiply, product_dsps, product_latency
from hw.blocks.outlet import Outlet, queue_depth
from hw.blocks.pipeline import delay
from hw.blocks.rounding import rounded
from hw.network.beat import Beat
from hw.network.node import Times, behind, offered_behind, one_a_cycle
from hw.targets.families import Target


@dataclass(frozen=True, kw_only=True)
class Rescale:
    """Beats of as many elements as there are in a beat of each operand.

    Attributes:
        inputs: beats of the operands, one or two. Their formats may differ.
        output: the beat of the result.
        multipliers: of each operand, at least 0. A power of two takes no DSP, and 0 none of the operand.
        shift: at least 0.
        limits: what the result saturates to: the range of its format, or that above 0.
        frame_beats: beats of a frame.
        target: what the products are made of.
    """

    inputs: tuple[Beat, ...]
    output: Beat
    multipliers: tuple[int, ...]
    shift: int
    limits: Range
    frame_beats: int
    target: Target

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
    def terms(self) -> tuple[Term, ...]:
        """The operands that count."""
        pairs = enumerate(zip(self.inputs, self.multipliers, strict=True))
        return tuple(Term(number, beat, multiplier) for number, (beat, multiplier) in pairs if multiplier)

    @property
    def dsps(self) -> int:
        """Multipliers of all lanes."""
        return self.output.lanes * sum(term.dsps(self.target) for term in self.terms)

    @property
    def pipeline(self) -> int:
        """Cycles from operands to result."""
        return self.products + (len(self.terms) > 1) + rounding.LATENCY + self.target.fast

    @property
    def products(self) -> int:
        """Cycles from operands to products."""
        return max((term.latency(self.target) for term in self.terms), default=0)

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


@dataclass(frozen=True)
class Term:
    """An operand that is multiplied: its number, its beat, and its multiplier, above 0."""

    number: int
    beat: Beat
    multiplier: int

    @property
    def is_shift(self) -> bool:
        return self.multiplier.bit_count() == 1

    @property
    def range(self) -> Range:
        return Range.of_format(self.beat.bits, self.beat.signed).product(Range(self.multiplier, self.multiplier))

    def latency(self, target: Target) -> int:
        return 0 if self.is_shift else product_latency(target, self.beat.shape, self.factor.shape())

    def dsps(self, target: Target) -> int:
        return 0 if self.is_shift else product_dsps(target, self.beat.shape, self.factor.shape())

    @property
    def factor(self) -> Const:
        """The multiplier as an operand."""
        return Const(self.multiplier, unsigned(self.multiplier.bit_length()))

    def product(self, m: Module, target: Target, element: Value, cycles: int) -> Value:
        """The product with ``element``, ``cycles`` cycles later; its `latency`, or more."""
        if self.is_shift:
            return delay(m, element, cycles) << self.multiplier.bit_length() - 1
        return delay(m, multiply(m, target, element, self.factor), cycles - self.latency(target))


class _Rescale(wiring.Component):
    def __init__(self, node: Rescale) -> None:
        self._node = node
        operands = {f"i_{number}": In(beat.signature) for number, beat in enumerate(node.inputs)}
        super().__init__(operands | {"o_0": Out(node.output.signature)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        node = self._node
        operands = [getattr(self, f"i_{number}") for number in range(len(node.inputs))]
        end = Outlet(m, self.o_0, cycles=node.pipeline)
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
        terms = [term.product(m, node.target, elements[term.number], node.products) for term in node.terms]
        ranges = [term.range for term in node.terms]
        proven = Range(sum(term.low for term in ranges), sum(term.high for term in ranges))
        total = Signal(signed(proven.signed_bits), reset_less=True)
        exact = sum(terms, start=Value.cast(0))
        if len(terms) > 1:
            m.d.sync += total.eq(exact)
        else:
            m.d.comb += total.eq(exact)
        return rounded(m, total, node.shift, node.limits, node.output.shape, split=node.target.fast, proven=proven)
