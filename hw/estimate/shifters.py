"""Estimates of multiplications by a power of two that comes at run time. A setting that is built in costs nothing."""

from __future__ import annotations

from hw.estimate.cells import Cells
from hw.plan.settings import Setting
from hw.targets.area import Area


def scaled_area(cells: Cells, setting: Setting, bits: int) -> Area:
    """`hw.unit.scaling.scaled` of a number that takes ``bits`` bits then. The factors are fitted."""
    if not setting.at_run_time:
        return Area()
    choices = setting.span.bit_length()
    return Area(lut=round(bits * choices * (0.6 if cells.six else 0.83)), ff=bits)


def aligned_area(cells: Cells, setting: Setting, bits: int) -> Area:
    """`hw.blocks.shifter.shift_left` of a number of ``bits`` bits, by up to the setting's span."""
    return shifted_area(cells, setting.span, bits)


def shifted_area(cells: Cells, span: int, bits: int) -> Area:
    """`hw.blocks.shifter.shift_left` of a number of ``bits`` bits, by up to ``span``."""
    total, choices, most = Area(), span.bit_length(), bits + span
    for place in range(0, choices, 2):
        own = min(2, choices - place)
        bits = min(most, bits + ((1 << own) - 1 << place))
        # A choice of four takes a LUT6, or two LUT4.
        total += Area(lut=bits * (1 if cells.six else own), ff=bits)
    return total
