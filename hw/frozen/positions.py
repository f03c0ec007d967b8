"""Positions of a frozen unit: the sequencer counts rows and columns, the window knows whose taps are outside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Member, Out

from hw.blocks.pipeline import Counter, delay, index_shape, within
from hw.plan.shapes import Shapes
from hw.unit.front import Issue


class CountedPositions:
    """The `hw.unit.front.Positions` of a frozen unit.

    Ports of the sequencer:
        i_written: see `hw.frozen.input_walk`.
        o_x: a cycle after the issue, the output column that the step works on.

    Port of the window:
        i_x: output column of the beat, a cycle before ``i_column``.
    """

    def __init__(self, shapes: Shapes) -> None:
        self._config = shapes.layer.config
        column = index_shape(self._config.out_width)
        self.sequencer_ports: Mapping[str, Member] = {"i_written": In(1), "o_x": Out(column)}
        self.window_ports: Mapping[str, Member] = {"i_x": In(column)}

    def follow(self, m: Module, sequencer: Any, issue: Issue) -> None:
        """Advance over the output positions, a cycle after the beats."""
        m.d.comb += sequencer.walk.i_written.eq(sequencer.i_written)
        step, last_beat = sequencer.walk_weights(m, issue.works), Signal()
        m.d.sync += last_beat.eq(issue.ends_output)
        next_x = step & last_beat
        x = Counter(m, self._config.out_width, next_x, name="x")
        y = Counter(m, self._config.out_height, next_x & x.last, name="y")
        m.d.comb += [sequencer.o_x.eq(x.value), sequencer.o_frame_last.eq(last_beat & x.last & y.last)]

    def outside(self, m: Module, window: Any, dx: int, result: Signal) -> None:
        """Compare the output column with those whose tap at ``dx`` is inside."""
        c = self._config
        columns = [x for x in range(c.out_width) if 0 <= c.first_centre + c.stride * x + dx < c.width]
        m.d.sync += result.eq(~within(window.i_x, columns[0], columns[-1], c.out_width))

    def connect(self, m: Module, sequencer: Any, window: Any, cycles: int) -> None:
        m.d.comb += window.i_x.eq(delay(m, sequencer.o_x, cycles))
