"""Channel accumulate: the sum over channels, in a beat and over beats, with the bias."""

from __future__ import annotations

from collections.abc import Callable

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.blocks.latency import tree_latency
from hw.blocks.pipeline import adder_tree, delay
from hw.plan.shapes import Shapes, shape_of


class ChannelAccumulate(wiring.Component):
    """``acc = bias + sum_c combined[c]`` of one output channel.

    Members:
        i_combined: the beat's values, one per channel, or (``dynamic``) their sum.
        i_bias: wanted `bias_latency` cycles after ``i_combined``.
        i_valid: there is a beat; wanted with ``i_bias`` (only where a sum takes several beats).
        i_first: the beat is the first of a sum; wanted with ``i_bias`` (only where a sum takes several beats).
        o_acc: the sum up to this beat; complete after the sum's last beat.

    A beat is in the sum `latency` cycles after it comes.
    """

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        self._acc = shape_of(shapes.ranges.accumulator)
        self._terms = shapes.combined.length
        self._radix = shapes.target.radix(self._terms)
        self._folded = shapes.beats_per_output > 1
        #: Where the clock counts, the bias is added ahead of the loop, and the loop is two short ones.
        self._halves = _in_halves(shapes)
        ports = {
            "i_combined": In(shapes.combined),
            "i_bias": In(shapes.bias),
            "o_acc": Out(self._acc),
        }
        if self._folded:
            ports |= {"i_valid": In(1), "i_first": In(1)}
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        terms = [self.i_combined[term] for term in range(self._terms)]
        beat = adder_tree(m, terms, self._acc, self._radix)
        if self._halves:
            m.d.comb += self.o_acc.eq(self._accumulate_in_halves(m, beat))
            return m
        acc = Signal(self._acc, reset_less=True)
        if self._folded:
            with m.If(self.i_valid):
                m.d.sync += acc.eq(Mux(self.i_first, self.i_bias, acc) + beat)
        else:
            m.d.sync += acc.eq(self.i_bias + beat)
        m.d.comb += self.o_acc.eq(acc)
        return m

    def _accumulate_in_halves(self, m: Module, beat: Value) -> Value:
        """The sum in two halves, so that loops are short. The upper half adds the lower one's carry a cycle later.

        What a loop starts from is cleared just before a new sum's first beat. So there is nothing in a
        loop but its adder. The result has a register of its own.
        """
        bias, biased = (Signal(self._acc, reset_less=True, name=name) for name in ("bias", "biased"))
        m.d.sync += [bias.eq(Mux(self.i_first, self.i_bias, 0)), biased.eq(bias + beat)]
        valid, starts = delay(m, self.i_valid, 1), delay(m, self.i_valid & self.i_first, 1)
        half = len(biased) // 2
        low, carry = Signal(half, reset_less=True), Signal(reset_less=True)
        high = Signal(len(biased) - half, reset_less=True)
        valid = self._loop(m, Cat(low, carry), valid, starts, lambda kept: kept[:half] + biased[:half])
        late = delay(m, biased[half:], 1)
        # The carry comes in from a position below.
        self._loop(m, high, valid, delay(m, starts, 1), lambda kept: (Cat(1, kept) + Cat(carry, late)) >> 1)
        return Cat(delay(m, low, 1), high).as_signed()

    def _loop(self, m: Module, result: Value, comes: Value, starts: Value, add: Callable[[Value], Value]) -> Value:
        """Accumulate in ``result``, from 0 where a sum starts. A beat is there a cycle after ``comes`` and ``starts``.

        Returns whether a beat is there.
        """
        valid, kept = delay(m, comes, 1), Signal(len(result), reset_less=True, name="kept")
        total = add(kept)
        with m.If(valid):
            m.d.sync += [result.eq(total), kept.eq(total)]
        with m.If(starts):
            m.d.sync += kept.eq(0)
        return valid


def latency(shapes: Shapes) -> int:
    """Cycles from the values to the sum that they are in."""
    return _tree_latency(shapes) + (3 if _in_halves(shapes) else 1)


def bias_latency(shapes: Shapes) -> int:
    """Cycles after the values at which the bias is wanted; -1 where that is a cycle before the values."""
    return _tree_latency(shapes) - (1 if _in_halves(shapes) else 0)


def _tree_latency(shapes: Shapes) -> int:
    terms = shapes.combined.length
    return tree_latency(terms, shapes.target.radix(terms))


def _in_halves(shapes: Shapes) -> bool:
    return shapes.beats_per_output > 1 and shapes.target.fast and shape_of(shapes.ranges.accumulator).width > 1
