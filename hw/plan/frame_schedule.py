"""Cycle model of reloadable units: frames of changing size, back to back at full rate.

The row store takes whole rows (`hw.reloadable.frame_writer`). A frame's beats can be read only once
the frame has begun. A frame's last output can be computed only once the frame is complete
(`hw.reloadable.frame_walk`). All else is as in `hw.plan.schedule`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hw.plan.geometry import Geometry
from hw.plan.schedule import CycleModel, Writer

#: Cycles from a frame's first input transfer to the issue of its first beat, at the earliest.
BEGIN_TO_ISSUE = 8


class FrameCycleModel(CycleModel):
    """The writer and the sequencer of a reloadable unit.

    ``frames`` is a number of frames of the size that the unit is built for, or the geometry of each frame.
    """

    #: The walk sees the writer's position itself, not a count that lags.
    write_to_issue = 3

    def __init__(self, geometry: Geometry, *, slots: int, flush_always: bool, frames: int | Sequence[Geometry]) -> None:
        self._frames = [geometry] * frames if isinstance(frames, int) else list(frames)
        self._bases = np.cumsum([0, *(g.config.height for g in self._frames)]).tolist()
        super().__init__(geometry, slots=slots, flush_always=flush_always, frames=len(self._frames))

    @staticmethod
    def least_slots(geometry: Geometry) -> int:
        """Rows from a window's top to its bottom, or to the frame's end below the last window, if that is further.

        The number holds for a frame of any size.
        """
        c = geometry.config
        return geometry.up + 1 + max(geometry.down, c.first_centre + c.stride - 1)

    def _make_writer(self, slots: int) -> Writer:
        return _RowWriter(self._frames, self._geometry.rows_of_room(slots))

    def _of_frame(self, frame: int) -> Geometry:
        # Behind the last frame there is no frame to complete.
        return self._frames[min(frame, len(self._frames) - 1)]

    def _available(self, frame: int, q: int) -> np.ndarray:
        g, base = self._frames[frame], self._bases[frame]
        c = g.config
        last_columns = np.minimum(np.arange(1, g.groups + 1) * c.stride, c.width) - 1
        available = self._writer.row(base + g.bottom_row(q))[last_columns] + self.write_to_issue
        if q == 0:
            available[0] = max(available[0], self._writer.row(base)[0] + BEGIN_TO_ISSUE)
        if q == c.out_height - 1:
            # The last output's last beat waits for the last pixel's last beat. The first beats of both are earlier
            # by the same number of cycles.
            complete = self._writer.row(base + c.height - 1)[-1] + self.write_to_issue
            available[c.out_width - 1] = max(available[c.out_width - 1], complete)
        return available


class _RowWriter:
    """The `Writer` of a reloadable unit, which begins a row when there is a slot for all of it."""

    def __init__(self, frames: Sequence[Geometry], room: int) -> None:
        self._frames = frames
        self._widths = [g.config.width for g in frames for _ in range(g.config.height)]
        self._rows: list[np.ndarray] = []
        # For each row, the cycle from which there is room for it.
        self._free = [0] * room
        self._next_time = 0

    def row(self, index: int) -> np.ndarray:
        while len(self._rows) <= index:
            beats, number = self._frames[0].channel_beats, len(self._rows)
            begin = max(self._next_time, self._free[number])
            times = begin + beats * np.arange(self._widths[number])
            self._rows.append(times)
            self._next_time = int(times[-1]) + beats
        return self._rows[index]

    def free_row(self, frame: int, q: int, freed: np.ndarray) -> None:
        c = self._frames[frame].config
        last = q == c.out_height - 1
        rows = c.height - c.stride * (c.out_height - 1) if last else c.stride
        self._free += [int(freed[-1])] * rows
