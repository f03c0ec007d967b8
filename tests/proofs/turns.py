"""Turns: a requantiser without multipliers makes the same of every sum as one with them.

It is proven for ever, by k-induction, for every sum within the unit's proven range, multipliers that take turns, and
resets at any time. Sums come whenever the digits of the one before are done; what else the adders are given in between
may be anything. It is assumed that no sum is complete in the cycle after a reset: a beat takes longer to become one.
The builds have few bits. ``tests/hw/unit/test_turns.py`` samples wide ones.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib.wiring import In

from golden.contract.rounding import HALF_EVEN, Rounding
from hw.blocks.pipeline import delay, index_shape, pick
from hw.plan.shapes import Shapes, shape_of
from hw.unit import requantise
from hw.unit.digit_walk import DigitWalk
from hw.unit.requantise import Requantise
from tests.proofs.proof import Bug, Harness, Proof
from tests.proofs.rounding import claim_rounded_where
from tests.support.units import adder_lane, with_arrays


def _shapes(target: str, beats: int, multipliers: tuple[int, ...], out_shift: int, rounding: Rounding) -> Shapes:
    formats = {"in_bits": 2, "weight_bits": 2, "out_bits": 3, "out_signed": True, "relu": False, "rounding": rounding}
    shapes = adder_lane(multipliers, beats=beats, out_shift=out_shift, bias=[-9, 4], target=target, **formats)
    return with_arrays(shapes, conv_weight=np.resize([1, -1, 0], shapes.layer.conv_weight.shape))


class TurnsHarness(Harness):
    def __init__(
        self, target: str, beats: int, multipliers: tuple[int, ...], out_shift: int, rounding: Rounding = HALF_EVEN
    ) -> None:
        self._shapes = _shapes(target, beats, multipliers, out_shift, rounding)
        super().__init__({"acc": In(shape_of(self._shapes.ranges.accumulator)), "complete": In(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shapes, scale, sums = self._shapes, self._shapes.scale, self._shapes.ranges.accumulator
        assert scale is not None
        multipliers = shapes.layer.multiplier.tolist()
        depth, digits = len(multipliers), scale.digits if scale.takes_turns else 1
        m.submodules.dut = dut = Requantise(shapes)
        self.assume(m, (self.acc >= sums.low) & (self.acc <= sums.high))
        left, index, fresh = Signal(range(digits + 1)), Signal(index_shape(depth)), Signal()
        m.d.sync += [fresh.eq(1), left.eq(Mux(self.complete, digits - 1, Mux(left > 0, left - 1, 0)))]
        with m.If(self.complete):
            m.d.sync += index.eq(Mux(index == depth - 1, 0, index + 1))
        self.assume(m, ~self.complete | (fresh & (left == 0)))

        m.d.comb += dut.i_acc.eq(self.acc)
        words = [Const(int(word), max(1, scale.word_bits)) for word in scale.words.reshape(-1)]
        if scale.takes_turns:
            walk = DigitWalk(digits=digits, depth=depth)
            inside = self.inside(m, "walk", walk)
            m.d.comb += [
                walk.i_starts.eq(self.complete),
                dut.i_complete.eq(self.complete),
                dut.i_multiplier.eq(delay(m, pick(words, walk.o_address), requantise.multiplier_latency(shapes))),
                dut.i_goes_on.eq(delay(m, walk.o_goes_on, requantise.goes_on_latency(shapes))),
            ]
            if self.lemmas:
                address, last = inside.register("address"), inside.register("address_last")
                end = Mux((index == 0) & (left > 0), depth * digits, index * digits)
                self.lemma(m, inside.register("left") == left)
                self.lemma(m, inside.register("more") == (left > 1))
                self.lemma(m, (address == end - left) & (last == (address == depth * digits - 1)) & (index < depth))
        elif scale.word_bits:
            m.d.comb += dut.i_multiplier.eq(delay(m, pick(words, index), requantise.multiplier_latency(shapes)))
            self.lemma(m, index < depth)

        c, cycles = shapes.layer.config, requantise.latency(shapes)
        product = Signal((self.acc * max(multipliers)).shape())
        m.d.comb += product.eq(self.acc * pick([Const(value, 8) for value in multipliers], index))
        known = delay(m, self.complete, cycles, reset_less=False)
        exact = delay(m, product, cycles)
        claim_rounded_where(self, m, known, exact, c.out_shift, c.out_range, dut.o_y, c.rounding)
        return m


def _bug(name: str, module: str, old: str, new: str, build: str = "4 digits of a bit") -> Bug:
    return Bug(name=name, module=module, old=old, new=new, build=build)


PROOF = Proof(
    name="turns",
    claim="every sum is multiplied by adders as by its multiplier, rounded as the layer says and saturated",
    unbounded=True,
    depth=16,
    builds={
        "4 digits of a bit": partial(TurnsHarness, "generic", 4, (13, 6), 4),
        "4 digits of a bit, split": partial(TurnsHarness, "xcup", 4, (13, 6), 4),
        "fewer digits than beats": partial(TurnsHarness, "generic", 5, (5, 3, 7), 3),
        "2 digits of 2 bits": partial(TurnsHarness, "xcup", 2, (13, 6), 4),
        "2 digits of 2 bits, one is kept": partial(TurnsHarness, "generic", 2, (13, 11), 2),
        "all bits are kept": partial(TurnsHarness, "xcup", 4, (13, 6), 0),
        "a digit of 4 bits": partial(TurnsHarness, "generic", 1, (13, 6), 4),
        "one output": partial(TurnsHarness, "generic", 3, (13,), 3),
        "powers of two": partial(TurnsHarness, "xcup", 2, (8, 2), 3),
        "one power of two": partial(TurnsHarness, "generic", 2, (4, 4), 3),
        "half up, one is kept": partial(TurnsHarness, "generic", 2, (13, 11), 2, "half_up"),
        "half up, none is kept": partial(TurnsHarness, "xcup", 2, (13, 6), 4, "half_up"),
        "down, one is kept": partial(TurnsHarness, "generic", 4, (13, 6), 2, "floor"),
        "down, none is kept": partial(TurnsHarness, "generic", 2, (13, 6), 4, "floor"),
        "down, powers of two": partial(TurnsHarness, "xcup", 2, (8, 2), 3, "floor"),
        "zeros beyond the shift": partial(TurnsHarness, "generic", 3, (12, 4), 1),
    },
    bugs=(
        _bug("what is below is forgotten", "hw.unit.turns", "(any_below | final[:bits].any())", "final[:bits].any()"),
        _bug("a sum begins with the one before", "hw.unit.turns", ".eq(Mux(goes_on, now, 0))", ".eq(now)"),
        _bug("a sum is not held", "hw.unit.turns", "with m.If(complete):", "with m.If(1):"),
        _bug("a digit is too few bits lower", "hw.unit.turns", "(above >> bits) + term", "(above >> bits - 1) + term"),
        _bug("the half is below", "hw.plan.scale", "self.shift - 1)", "self.shift)", "2 digits of 2 bits, one is kept"),
        _bug("the half is dropped", "hw.plan.scale", "self.shift - 1)", "self.shift)", "half up, one is kept"),
        _bug(
            "down is to the nearest",
            "hw.unit.requantise",
            "rounding=c.rounding",
            'rounding="half_up"',
            "down, none is kept",
        ),
        _bug("the last digit is left out", "hw.unit.digit_walk", "more.eq(left > 2)", "more.eq(left > 3)"),
        _bug(
            "zeros are taken off the multiplier alone",
            "hw.plan.scale",
            "shift=out_shift - zeros",
            "shift=out_shift",
            "one power of two",
        ),
        _bug(
            "the first digit is read again",
            "hw.unit.digit_walk",
            "reads = self.i_starts | left.any()",
            "reads = left.any()",
        ),
    ),
)
