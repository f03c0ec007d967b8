"""Positions of a reloadable unit: the walk gives each position a tag, and the tag waits with its position."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In, Member, Out

from hw.blocks.pipeline import delay
from hw.plan.shapes import Shapes
from hw.reloadable.frame_walk import tag_layout
from hw.unit.front import Issue


class TaggedPositions:
    """The `hw.unit.front.Positions` of a reloadable unit.

    Port of the sequencer:
        o_tag: a cycle after the issue, the tag of the position that the step works on.

    Port of the window:
        i_outside: for each of ``shapes.edge_columns`` whether it lies outside the frame, a cycle before ``i_column``.
    """

    def __init__(self, shapes: Shapes) -> None:
        self._lead, self._columns = shapes.geometry.lead, shapes.edge_columns
        self.sequencer_ports: Mapping[str, Member] = {"o_tag": Out(tag_layout(shapes))}
        self.window_ports: Mapping[str, Member] = {"i_outside": In(len(self._columns))}

    def follow(self, m: Module, sequencer: Any, issue: Issue) -> None:
        """Let tags wait with their output positions. The tag of a beat's position is there a cycle after the beat."""
        sequencer.walk_weights(m, issue.works)
        tag = oldest = sequencer.walk.o_tag
        for place in range(self._lead):
            waiting = Signal(tag.shape(), reset_less=True, name=f"waiting_tag_{place}")
            with m.If(issue.pushes & issue.last_channel):
                m.d.sync += waiting.eq(oldest)
            oldest = waiting
        current, last_beat = Signal(tag.shape(), reset_less=True), Signal()
        with m.If(issue.pushes):
            m.d.sync += current.eq(oldest)
        m.d.sync += last_beat.eq(issue.ends_output)
        m.d.comb += [sequencer.o_tag.eq(current), sequencer.o_frame_last.eq(last_beat & current.frame_last)]

    def outside(self, m: Module, window: Any, dx: int, result: Signal) -> None:
        """Take ``result`` from the tag."""
        m.d.sync += result.eq(window.i_outside[self._columns.index(dx)])

    def connect(self, m: Module, sequencer: Any, window: Any, cycles: int) -> None:
        m.d.comb += window.i_outside.eq(delay(m, sequencer.o_tag.outside, cycles))
