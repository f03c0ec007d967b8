"""Beat writer: takes an input beat as soon as its place in the row store is free, and puts it there."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream
from amaranth.lib.wiring import In, Member, Out

from hw.blocks.pipeline import Counter, delay, pick
from hw.plan.shapes import Shapes
from hw.unit.row_write import place_in_row, row_write


class Release(enum.Enum):
    """What the sequencer has read for the last time."""

    NOTHING = 0
    GROUP = 1
    ROW = 2
    FRAME = 3


class BeatWriter:
    """The `hw.unit.front.RowWriter` of a frozen unit, a part of the row store.

    Ports:
        i: the input beats. A beat is taken in every cycle while there is room.
        o_written: a beat is on its way into memory; a read three cycles later sees it.
        i_release: see `Release`. A group's last beat releases the group's columns of the topmost row. A row's
            or frame's last beat also releases all rows that no later output row needs.
    """

    def __init__(self, shapes: Shapes) -> None:
        self._shapes = shapes
        self._slots = shapes.schedule.slots
        self.ports: Mapping[str, Member] = {
            "i": In(stream.Signature(shapes.pixel)),
            "o_written": Out(1),
            "i_release": In(Release),
        }

    def write(self, m: Module, store: Any) -> data.View:
        """A `row_write` for each beat, a cycle after its transfer."""
        transfer = Signal()
        m.d.comb += transfer.eq(store.i.valid & store.i.ready)
        m.d.comb += store.i.ready.eq(self._has_room(m, transfer, store.i_release))
        return self._place(m, store, transfer)

    def _has_room(self, m: Module, transfer: Signal, release: Any) -> Value:
        """Keep ``room``, the beats that may still be written, less one. Its sign says when to stop."""
        g, c = self._shapes.geometry, self._shapes.layer.config
        beats = g.channel_beats
        top = g.centre_row(0) - g.up
        row, group = c.width * beats, c.stride * beats
        # A row's early groups are released with its last one.
        last_group = g.groups - self._shapes.schedule.early - 1
        skipped = c.height - c.stride * (c.out_height - 1)
        initial = (top + self._slots) * row - 1
        released = {
            Release.GROUP: group,
            Release.ROW: c.stride * row - last_group * group,
            Release.FRAME: skipped * row - last_group * group,
        }
        # `room` is greatest when the sequencer has read all that was written.
        largest = self._slots * row + skipped * row
        room = Signal(range(-1 - max(released.values()), largest), init=initial)
        amounts = [Const(released.get(kind, 0)) for kind in Release]
        # The amount is less by one, which the adder's carry gives back unless a beat is taken.
        amount = Signal(range(min(0, *released.values()) - 1, max(released.values())), init=-1)
        m.d.sync += amount.eq(pick(amounts, Value.cast(release)) - 1)
        if not self._shapes.target.relays:
            m.d.sync += room.eq(_add(room, amount, ~transfer))
            return room >= 0
        # A beat comes from far away. So it is counted a cycle late, and what decides is made of registers alone.
        has_room = Signal(init=1, name="has_room")
        was_taken = delay(m, transfer, 1, reset_less=False)
        less = Signal(range(min(0, *released.values()) - 2, max(released.values()) - 1), init=-2, name="less")
        m.d.sync += less.eq(pick(amounts, Value.cast(release)) - 2)
        either = [_add(room, own, ~was_taken) for own in (amount, less)]
        m.d.sync += [room.eq(either[0]), has_room.eq(Mux(transfer, *(room >= 0 for room in reversed(either))))]
        return has_room

    def _place(self, m: Module, store: Any, transfer: Signal) -> data.View:
        """Count through the beats of the frames, and place each."""
        g, c = self._shapes.geometry, self._shapes.layer.config
        beat = Signal(self._shapes.pixel, reset_less=True)
        written = Signal()
        m.d.sync += [beat.eq(store.i.payload), written.eq(transfer)]
        m.d.comb += store.o_written.eq(written)

        channel = Counter(m, g.channel_beats, written, name="channel")
        next_x = written & channel.last
        x = Counter(m, c.width, next_x, name="x")
        slot = Counter(m, self._slots, next_x & x.last, name="slot")
        columns, address = place_in_row(
            m,
            self._shapes,
            written,
            x=x.value,
            ends_pixel=channel.last,
            ends_row=x.last,
            beat=lambda: Counter(m, self._shapes.row_beats, written, name="address").value,
        )
        write = Signal(row_write(self._shapes))
        m.d.comb += [
            write.enable.eq(columns & written.replicate(c.stride)),
            write.slot.eq(slot.value),
            write.address.eq(address),
            write.beat.eq(beat),
        ]
        return write


def _add(one: Value, other: Value, carry: Value) -> Value:
    """``one + other + carry``, of signed numbers, in a single chain of carries."""
    return (Cat(1, one).as_signed() + Cat(carry, other).as_signed()) >> 1
