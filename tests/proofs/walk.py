"""Walk: the order in which beats read the row store, as gateware that is as simple as it can be.

It is a reference for harnesses. It shares nothing with `hw.frozen.input_walk` but the geometry.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, Signal, Value

from hw.plan.shapes import Shapes


def table(values: list[int], index: Value) -> Value:
    """The value ``values[index]``; the last one where ``index`` is beyond them."""
    result: Value = Value.cast(values[-1])
    for position, value in reversed(list(enumerate(values[:-1]))):
        result = Mux(index == position, value, result)
    return result


@dataclass(frozen=True, kw_only=True)
class Place:
    """A beat that reads the row store.

    Attributes:
        row, group, channel: its output row, column group and channel beat.
        slot: slot of the row of the centres.
        frames: number of frames since the place from which this one was reached.
    """

    row: Value
    group: Value
    channel: Value
    slot: Value
    frames: Value

    @property
    def fields(self) -> tuple[Value, ...]:
        return self.row, self.group, self.channel, self.slot

    def same(self, other: Place) -> Value:
        """Whether both are the same place."""
        return ~Cat(a != b for a, b in zip(self.fields, other.fields, strict=True)).any()


class Walk:
    """The places of a unit in order, and the input beats that each needs and releases.

    Beats are counted from the first beat of the place's frame.
    """

    def __init__(self, shapes: Shapes) -> None:
        self.g, self.c, self.slots = shapes.geometry, shapes.layer.config, shapes.schedule.slots
        self.row_beats = self.c.width * self.g.channel_beats
        self.frame_beats = self.c.height * self.row_beats
        self.rows = range(self.c.out_height)
        #: Bits that hold any slot, group, channel beat or row.
        self.bits = max(self.slots, self.g.groups, self.g.channel_beats, self.c.out_height).bit_length() + 1
        #: Bound on how many beats a place needs more than the one before it, or than nothing.
        self.most = max(self.row_beats * (self.c.height + self.g.down + 2), 1)

    def register(self, m: Module, name: str, advance: Value, *, beats: int = 0, length: int = 1) -> list[Place]:
        """The place of beat ``beats``, and ``length`` places behind it. All move on with ``advance``.

        All places are registers, and each takes over the value of the next. They are not computed from the
        first, which makes induction over them easy.
        """
        places = []
        for number in range(length + 1):
            start = self._start(beats + number)
            signals = {
                key: Signal(self.bits, init=value, name=f"{name}_{number}_{key}") for key, value in start.items()
            }
            places.append(Place(**signals, frames=Value.cast(0)))
        for place, behind in zip(places, [*places[1:], self.next(m, places[-1], name)], strict=True):
            with m.If(advance):
                m.d.sync += [signal.eq(new) for signal, new in zip(place.fields, behind.fields, strict=True)]
        return places

    def _start(self, beats: int) -> dict[str, int]:
        rest, channel = divmod(beats, self.g.channel_beats)
        rest, group = divmod(rest, self.g.groups)
        frame, row = divmod(rest, self.c.out_height)
        slot = (frame * self.c.height + self.g.centre_row(row)) % self.slots
        return {"row": row, "group": group, "channel": channel, "slot": slot}

    def next(self, m: Module, place: Place, name: str) -> Place:
        """The place behind ``place``."""
        ends_group = place.channel == self.g.channel_beats - 1
        ends_row = ends_group & (place.group == self.g.groups - 1)
        ends_frame = ends_row & (place.row == self.c.out_height - 1)
        across = self.c.height - self.c.stride * (self.c.out_height - 1)
        ahead = Signal(range(2 * self.slots), name=f"{name}_ahead")
        m.d.comb += ahead.eq(
            place.slot + Mux(ends_frame, across % self.slots, Mux(ends_row, self.c.stride % self.slots, 0))
        )
        values = {
            "channel": Mux(ends_group, 0, place.channel + 1),
            "group": Mux(ends_row, 0, place.group + ends_group),
            "row": Mux(ends_frame, 0, place.row + ends_row),
            "slot": Mux(ahead >= self.slots, ahead - self.slots, ahead),
            "frames": place.frames + ends_frame,
        }
        signals = {key: Signal(self.bits + 2, name=f"{name}_{key}") for key in values}
        m.d.comb += [signals[key].eq(value) for key, value in values.items()]
        return Place(**signals)

    def _beats(self, place: Place, row_of: Callable[[int], int], column_of: Callable[[int], int]) -> Value:
        """The number of beats in the rows and columns before those of ``place``."""
        rows = table([row_of(q) * self.row_beats for q in self.rows], place.row)
        columns = table([column_of(n) * self.g.channel_beats for n in range(self.g.groups)], place.group)
        return rows + columns + place.frames * self.frame_beats

    def window_rows(self, q: int) -> list[int]:
        """Input rows that output row ``q`` reads."""
        rows = [self.g.centre_row(q) + dy for dy in self.g.rows]
        return [row for row in rows if 0 <= row < self.c.height]

    def _last_column(self, group: int) -> int:
        return min((group + 1) * self.c.stride, self.c.width) - 1

    def needed(self, place: Place) -> Value:
        """Number of beats that must be written before the sequencer may read: all down to the window's last row."""
        return self._beats(place, self.g.bottom_row, self._last_column) + place.channel + 1

    def step(self, place: Place) -> Value:
        """Number of beats that the next place needs more than ``place``."""
        g, c = self.g, self.c
        bottoms = [g.bottom_row(q) for q in self.rows] + [c.height + g.bottom_row(0)]
        first, last = self._last_column(0), c.width - 1
        columns = [self._last_column(n) for n in range(g.groups)]
        of_row = [
            (bottoms[q + 1] - bottoms[q]) * self.row_beats + (first - last - 1) * g.channel_beats + 1 for q in self.rows
        ]
        of_group = [(b - a - 1) * g.channel_beats + 1 for a, b in zip(columns, [*columns[1:], last + 1], strict=True)]
        ends_row = place.group == g.groups - 1
        rest = Mux(ends_row, table(of_row, place.row), table(of_group, place.group))
        return Mux(place.channel == g.channel_beats - 1, rest, 1)

    def newest(self, place: Place) -> Value:
        """Number of the newest beat that ``place`` reads, counted from 1."""
        return self._beats(place, lambda q: max(self.window_rows(q)), self._last_column) + place.channel + 1

    def oldest(self, place: Place) -> Value:
        """Number of the oldest beat that ``place`` reads, counted from 0."""
        return self._beats(place, lambda q: min(self.window_rows(q)), lambda n: n * self.c.stride) + place.channel

    def released(self, place: Place) -> Value:
        """Number of beats that neither ``place`` nor a later place reads."""
        return self._beats(place, lambda q: self.g.centre_row(q) - self.g.up, lambda n: n * self.c.stride)

    def address(self, place: Place) -> Value:
        return place.group * self.g.channel_beats + place.channel

    def row_valid(self, place: Place) -> Value:
        """A bit for each window row: whether it lies inside the frame."""
        bits = [[0 <= self.g.centre_row(q) + dy < self.c.height for dy in self.g.rows] for q in self.rows]
        return table([sum(bit << n for n, bit in enumerate(row)) for row in bits], place.row)

    def first_needed(self) -> int:
        """The value of `needed` at the very first place."""
        return self.g.bottom_row(0) * self.row_beats + self._last_column(0) * self.g.channel_beats + 1

    def needed_of(self, beat: int) -> int:
        """The value of `needed` at the place of ``beat``, counted from the very first beat."""
        start = self._start(beat)
        frame = beat // (self.c.out_height * self.g.groups * self.g.channel_beats)
        row = frame * self.c.height + self.g.bottom_row(start["row"])
        return row * self.row_beats + self._last_column(start["group"]) * self.g.channel_beats + start["channel"] + 1
