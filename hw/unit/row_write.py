"""Row write: a beat on its way into the row store, and its place there.

With stride 2 two columns make a group, which is read at once. So both columns lie at the same
addresses, each in a memory of its own. An even column's beats come first. Then the address returns
to where they began, for the odd column's beats.
"""

from __future__ import annotations

from collections.abc import Callable

from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import data

from hw.blocks.pipeline import index_shape
from hw.plan.shapes import Shapes


def row_write(shapes: Shapes) -> data.StructLayout:
    """A beat and its place.

    Members:
        enable: a bit for each column of a group; that of the beat's column is set.
        slot: slot of the beat's row.
        address: address within the row.
        beat: the beat.
    """
    return data.StructLayout(
        {
            "enable": shapes.layer.config.stride,
            "slot": index_shape(shapes.schedule.slots),
            "address": index_shape(shapes.row_depth),
            "beat": shapes.pixel,
        }
    )


def place_in_row(
    m: Module, shapes: Shapes, moves: Value, *, x: Value, ends_pixel: Value, ends_row: Value, beat: Callable[[], Value]
) -> tuple[Value, Value]:
    """``(columns, address)`` of a beat: a bit for each column of the group, and the address in the row.

    Args:
        moves: the beat is taken; the place moves on.
        x: the beat's column.
        ends_pixel: the beat is its pixel's last.
        ends_row: with ``ends_pixel``, the beat is its row's last.
        beat: gives the beat's number within the row, where that is the address.
    """
    c = shapes.layer.config
    if c.stride == 1 or c.width == 1:
        return Const(1, c.stride), beat()
    columns = Cat(~x[0], x[0])
    address = Signal(index_shape(shapes.row_depth), name="address")
    with m.If(moves):
        m.d.sync += address.eq(address + 1)
        with m.If(ends_pixel):
            with m.If(~x[0]):
                m.d.sync += address.eq(address - (shapes.geometry.channel_beats - 1))
            with m.If(ends_row):
                m.d.sync += address.eq(0)
    return columns, address
