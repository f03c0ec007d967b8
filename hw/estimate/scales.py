"""Estimates of products of sums and multipliers that take no multiplier (`hw.plan.scale`)."""

from __future__ import annotations

from hw.estimate.cells import Cells
from hw.estimate.shifters import shifted_area
from hw.estimate.streams import counter_area
from hw.plan.scale import Scale
from hw.plan.shapes import Shapes, shape_of
from hw.targets.area import Area
from hw.unit import turns


def scale_area(cells: Cells, shapes: Shapes, scale: Scale) -> Area:
    """The product of one output channel, and its rounding."""
    acc, c = shape_of(shapes.ranges.accumulator).width, shapes.layer.config
    product = shape_of(turns.product_range(scale, shapes.ranges.scaled)).width
    if scale.is_shift:
        total, shift = shifted_area(cells, scale.span, acc), scale.shift
    else:
        bits, shift = scale.digit_bits, turns.shift(scale)
        # The registers' resets are the gates.
        total = Area(ff=acc * (1 + bits))
        total += cells.tree([acc + place for place in range(bits)], acc + bits, 2)
        if scale.takes_turns:
            kept = bits * (scale.digits - 1) - scale.below
            total += Area(lut=cells.adder(2, acc + bits), ff=acc + bits + product + kept)
            if scale.tells_ties:
                total += Area(lut=1 + bits // cells.fabric.lut_inputs, ff=1)
    return total + cells.rounded(product, shift, c.out_range, shapes.result.width, c.rounding)


def walk_area(cells: Cells, shapes: Shapes) -> Area:
    """`hw.unit.digit_walk`."""
    if shapes.scale is None or not shapes.takes_turns:
        return Area()
    left = (shapes.scale.digits - 1).bit_length()
    return counter_area(cells, shapes.constant_depth * shapes.scale.digits) + Area(lut=2 * left + 2, ff=left + 1)
