"""Requantise: scale, round, saturate."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.contract.ranges import Range
from hw.blocks import rounding, shifter
from hw.blocks.multiply import multiply, product_latency
from hw.blocks.rounding import rounded
from hw.blocks.shifter import shift_left
from hw.plan.scale import Scale
from hw.plan.shapes import Shapes, shape_of
from hw.unit import turns
from hw.unit.scaling import below_largest, setting_port


class Requantise(wiring.Component):
    """``y = saturate(round(acc * multiplier / 2^out_shift))`` of one output channel, rounded as its layer says.

    Where the product takes no multiplier (`hw.plan.scale`), it is a shift, or it is made of adders that take turns
    (`hw.unit.turns`).

    Where the shift comes at run time, the product is first scaled to the largest shift:
    ``product * 2^(largest - out_shift)``. This is exact, so rounding always shifts by the largest.
    Where results are raw, they are the sums themselves, and the stage is a wire.

    Members:
        i_acc: one sum.
        i_multiplier: its channel's multiplier, or what is stored of it, wanted `multiplier_latency` cycles after the
            sum (not where nothing is).
        i_complete: whether the sum is complete (only where products take turns).
        i_goes_on: whether another digit of the multiplier follows, wanted `goes_on_latency` cycles after the sum (only
            where products take turns).
        i_out_shift: wanted `shift_latency` cycles after the sum (only where it comes at run time).
        i_relu: wanted `relu_latency` cycles after the sum (only where it comes at run time).
        o_y: the output element.
        o_cut: whether the element was cut at a limit other than 0 (only where that is counted).

    The element comes `latency` cycles after the sum: multiply, round, saturate.
    """

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        self._acc = shape_of(shapes.ranges.accumulator)
        multiplier = {"i_multiplier": In(shapes.multiplier)} if shapes.stores_multipliers else {}
        turns = {"i_complete": In(1), "i_goes_on": In(1)} if shapes.takes_turns else {}
        ports = {"i_acc": In(self._acc), **multiplier, **turns, "o_y": Out(shapes.result)}
        settings = shapes.settings
        ports |= setting_port(settings.out_shift) | setting_port(settings.relu)
        super().__init__(ports | ({"o_cut": Out(1)} if settings.counts_cut else {}))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        if self._shapes.raw:
            assert self._shapes.ranges.scaled == self._shapes.ranges.accumulator, "a raw result is not scaled"
            m.d.comb += self.o_y.eq(self.i_acc)
            return m
        c, target, settings = self._shapes.layer.config, self._shapes.target, self._shapes.settings
        if self._shapes.scale is not None:
            product, shift, proven = self._scale(m, self._shapes.scale)
        else:
            shift, proven = settings.out_shift.allowed.high, self._shapes.ranges.scaled
            product = multiply(m, target, self.i_acc, self.i_multiplier, proven=shape_of(proven))
        amount = below_largest(m, settings.out_shift, getattr(self, "i_out_shift", None))
        cut = Signal(reset_less=True, name="cut") if settings.counts_cut else None
        y = rounded(
            m,
            shift_left(m, product, amount, settings.out_shift.span),
            shift,
            Range.of_format(c.out_bits, c.out_signed) if settings.relu.at_run_time else c.out_range,
            self._shapes.result,
            rounding=c.rounding,
            split=target.fast,
            proven=None if settings.out_shift.at_run_time else proven,
            relu=getattr(self, "i_relu", None),
            cut=cut,
        )
        m.d.comb += self.o_y.eq(y)
        if cut is not None:
            m.d.comb += self.o_cut.eq(cut)
        return m

    def _scale(self, m: Module, scale: Scale) -> tuple[Value, int, Range]:
        """The product without a multiplier, what it is shifted by, and its range."""
        scaled = self._shapes.ranges.scaled
        if not scale.is_shift:
            complete, goes_on = getattr(self, "i_complete", None), getattr(self, "i_goes_on", None)
            product = turns.product(
                m, scale, self.i_acc, self.i_multiplier, scaled=scaled, complete=complete, goes_on=goes_on
            )
            return product, turns.shift(scale), turns.product_range(scale, scaled)
        exact = Signal(shape_of(turns.product_range(scale, scaled)), name="exact")
        exponent = self.i_multiplier if scale.span else Const(0)
        m.d.comb += exact.eq(shift_left(m, self.i_acc, exponent, scale.span))
        return exact, scale.shift, turns.product_range(scale, scaled)


def latency(shapes: Shapes) -> int:
    """Cycles from sum to element; 0 where results are raw."""
    if shapes.raw:
        return 0
    aligned = shifter.shift_latency(shapes.settings.out_shift.span)
    return _product_latency(shapes) + aligned + rounding.LATENCY + shapes.target.fast


def shift_latency(shapes: Shapes) -> int:
    """Cycles after the sum at which ``i_out_shift`` is wanted."""
    return _product_latency(shapes) - shapes.settings.out_shift.latency


def relu_latency(shapes: Shapes) -> int:
    """Cycles after the sum at which ``i_relu`` is wanted."""
    return latency(shapes) - shapes.settings.relu.latency


def multiplier_latency(shapes: Shapes) -> int:
    """Cycles after the sum at which ``i_multiplier`` is wanted, or its first digit."""
    return 0 if shapes.scale is None or shapes.scale.is_shift else turns.HOLD


def goes_on_latency(shapes: Shapes) -> int:
    """Cycles after the sum at which ``i_goes_on`` is wanted, that of the first digit."""
    assert shapes.scale is not None
    return turns.HOLD + turns.digit_latency(shapes.scale)


def _product_latency(shapes: Shapes) -> int:
    if shapes.scale is None:
        return product_latency(shapes.target, shape_of(shapes.ranges.accumulator), shapes.multiplier)
    return shifter.shift_latency(shapes.scale.span) if shapes.scale.is_shift else turns.latency(shapes.scale)
