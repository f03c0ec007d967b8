"""Input order: the beats that read the row store, in order, as numbers.

A frozen unit knows all of these beats when it is built: where each lies, how many input beats must be
written before it, and what is read with it for the last time. `hw.frozen.input_walk` is the gateware
that walks over them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Shape, unsigned
from amaranth.lib import data

from hw.frozen.beat_writer import Release
from hw.plan.shapes import Shapes
from hw.unit.front import read_layout

#: Entries of each queue of the walk, and how many of them are enough.
DEPTH, ENOUGH = 16, 8
#: The beat that the walk's counters begin with. The beats before it are in registers.
FIRST = 3


class InputOrder:
    """The beats of a unit.

    Args:
        early: whether they are those of each row's early groups (`hw.plan.schedule`), not those of all others.

    Attributes:
        groups: groups of a row that they are of.
        count: shape of a count of input beats, modulo a power of two that no difference of two counts exceeds.
        gate: layout of what decides on a beat's issue.
        read: layout of what is read with a beat.
    """

    def __init__(self, shapes: Shapes, *, early: bool = False) -> None:
        self._shapes = shapes
        first_group = shapes.schedule.early
        self.groups = range(first_group) if early else range(first_group, shapes.geometry.groups)
        first = [self.needed(n) for n in range(FIRST + 1)]
        # Beats written are at most all slots ahead of a threshold. Thresholds are at most three advances ahead of
        # the beats written.
        span = max(shapes.schedule.slots * shapes.row_beats, first[-1] + FIRST * max(self.needs)) + 1
        self.count: Shape = unsigned(span.bit_length() + 1)
        fields = {"needed": self.count, "starts_output": 1, "starts_frame": 1}
        self.gate = data.StructLayout(fields | ({"starts_row": 1} if first_group else {}))
        self.read = read_layout(shapes, Release)

    @property
    def queues(self) -> list[tuple[int, int]]:
        """Depth and width of each of the walk's queues."""
        return [(DEPTH, self.gate.size), (DEPTH, self.read.size)]

    def place(self, n: int) -> tuple[int, int, int, int]:
        """Frame, output row, group and channel beat of beat ``n``."""
        g = self._shapes.geometry
        rest, channel = divmod(n, g.channel_beats)
        rest, group = divmod(rest, len(self.groups))
        frame, q = divmod(rest, self._shapes.layer.config.out_height)
        return frame, q, self.groups[group], channel

    def needed(self, n: int) -> int:
        """Input beats that must be written before beat ``n`` can be read."""
        g, c = self._shapes.geometry, self._shapes.layer.config
        frame, q, group, channel = self.place(n)
        row = frame * c.height + g.bottom_row(q)
        return (row * c.width + self._last_column(group)) * g.channel_beats + channel + 1

    def _last_column(self, group: int) -> int:
        c = self._shapes.layer.config
        return min((group + 1) * c.stride, c.width) - 1

    def group_need(self, group: int) -> int:
        """Input beats that the first beat of the group behind ``group`` needs more than the last beat of ``group``."""
        g, c = self._shapes.geometry, self._shapes.layer.config
        columns = min((group + 2) * c.stride, c.width) - min((group + 1) * c.stride, c.width)
        return (columns - 1) * g.channel_beats + 1

    def row_need(self, q: int) -> int:
        """Input beats that the first beat of the row behind row ``q`` needs more than the last beat of row ``q``."""
        g, c = self._shapes.geometry, self._shapes.layer.config
        last = q == c.out_height - 1
        bottom = c.height + g.bottom_row(0) if last else g.bottom_row(q + 1)
        columns = self._last_column(self.groups[0]) - self._last_column(self.groups[-1])
        return (bottom - g.bottom_row(q)) * self._shapes.row_beats + (columns - 1) * g.channel_beats + 1

    @property
    def needs(self) -> Sequence[int]:
        c, first = self._shapes.layer.config, self.groups[0]
        groups = [self.group_need(group) for group in {first, max(first, self.groups[-1] - 1)}]
        return [1, *groups, *(self.row_need(q) for q in range(c.out_height))]

    def row_valid(self, q: int) -> int:
        """A bit for each window row: whether it lies inside the frame."""
        g, c = self._shapes.geometry, self._shapes.layer.config
        return sum((0 <= g.centre_row(q) + dy < c.height) << index for index, dy in enumerate(g.rows))

    def gate_of(self, n: int) -> dict[str, int]:
        """What decides on the issue of beat ``n``."""
        _, q, group, _ = self.place(n)
        number = group - self.groups[0]
        fields = {
            "needed": self.needed(n) % 2**self.count.width,
            "starts_output": int(number < self._shapes.layer.config.out_width),
            "starts_frame": int(number == 0 and q == 0),
        }
        return fields | ({"starts_row": int(number == 0)} if self._shapes.schedule.early else {})

    def read_of(self, n: int) -> dict[str, Any]:
        """What is read with beat ``n``."""
        g, c = self._shapes.geometry, self._shapes.layer.config
        frame, q, group, channel = self.place(n)
        release = Release.NOTHING
        if channel == g.channel_beats - 1:
            release = Release.GROUP
            if group == self.groups[-1]:
                release = Release.FRAME if q == c.out_height - 1 else Release.ROW
        return {
            "address": group * g.channel_beats + channel,
            "slot": (frame * c.height + g.centre_row(q)) % self._shapes.schedule.slots,
            "row_valid": self.row_valid(q),
            "release": release,
        }
