"""Sequencer: decides in every cycle which beat enters the pipeline, if any.

From here on nothing stalls: a beat that is issued reaches the output FIFO a fixed number of
cycles later. So all decisions are made here: whether the beat to read has been written
(the front's walk), whether an entry of the output FIFO is free, and whether outputs still
wait for groups behind theirs.

One step per column group: ``channel_beats`` beats push the group into the window and work
on the output that it completes, ``(output_beats - 1) * channel_beats`` more work on that
output again. Groups without an output to complete only push. At a frame's end, *empty*
groups push the last outputs through if the next frame's first group has not arrived.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.blocks.pipeline import Counter, delay, index_shape
from hw.plan.shapes import Shapes
from hw.unit.front import Issue, Positions, Walk


class Sequencer(wiring.Component):
    """Issues the beats of all steps of all frames.

    Members:
        i_popped: one more entry of the output FIFO is free.
        o_address, o_slot, o_row_valid, o_release: to the row store, see there; a cycle after the issue.
        o_valid: a beat is issued in this cycle.
        o_push: it pushes a column group into the window.
        o_channel: its channel beat.
        o_constant: the word of its output group's bias and multiplier.
        o_first, o_last: it is the first, last beat of a sum (``o_last`` only if issued).
        o_weight: a cycle later, its word in the weight store.
        o_frame_last: a cycle later than ``o_last``, whether it is the frame's last sum.

    What goes along with the output positions leaves through the ports of the front's positions.

    Attributes:
        walk: the front's walk, a part of it.
    """

    def __init__(self, shapes: Shapes, walk: Walk, positions: Positions, *, fifo_depth: int) -> None:
        self._shapes, self._positions = shapes, positions
        self._fifo_depth = fifo_depth
        self.walk = walk
        g = shapes.geometry
        ports: dict[str, Any] = {
            "i_popped": In(1),
            "o_address": Out(index_shape(g.groups * g.channel_beats)),
            "o_slot": Out(index_shape(shapes.schedule.slots)),
            "o_row_valid": Out(len(g.rows)),
            "o_release": Out(walk.o_read.release.shape()),
            "o_valid": Out(1),
            "o_push": Out(1),
            "o_channel": Out(index_shape(g.channel_beats)),
            "o_constant": Out(index_shape(shapes.constant_depth)),
            "o_first": Out(1),
            "o_last": Out(1),
            "o_weight": Out(index_shape(shapes.weight_depth)),
            "o_frame_last": Out(1),
        }
        super().__init__({**ports, **positions.sequencer_ports})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        g, c = self._shapes.geometry, self._shapes.layer.config
        m.submodules.input_walk = walk = self.walk

        # The beat's place in the step.
        issue = Signal()
        works = Signal()
        channel = Counter(m, g.channel_beats, issue, name="channel")
        first = Signal(init=1)
        pushing = Signal(init=1)
        reuse = Signal(index_shape(g.output_beats))
        last_reuse = Signal(init=int(g.output_beats == 1))
        with m.If(issue):
            m.d.sync += first.eq(channel.last)
            with m.If(channel.last):
                ends = ~works | last_reuse
                m.d.sync += [pushing.eq(ends), reuse.eq(Mux(ends, 0, reuse + 1))]
                if g.output_beats > 1:
                    m.d.sync += last_reuse.eq(~ends & (reuse == g.output_beats - 2))

        # Outputs begun that wait for groups behind theirs, and empty groups that bring these.
        waiting = Signal(g.lead)
        empty, kept_empty, between_frames = Signal(), Signal(), Signal()
        step = Signal()
        starts = pushing & ~empty & walk.o_starts_output
        flush_always = self._shapes.schedule.flush_always
        if g.lead:
            m.d.comb += empty.eq(kept_empty | (between_frames & (True if flush_always else ~walk.o_arrived)))
            with m.If(issue):
                m.d.sync += kept_empty.eq(empty & ~channel.last)
                with m.If(channel.last & pushing):
                    m.d.sync += waiting.eq(Cat(starts, waiting))
            # Whether outputs wait where the next group is a frame's first: known a beat in advance, either way.
            ends_step = channel.last & (~works | last_reuse)
            older = Cat(waiting[:-1], Const(0, 1)).any()
            after_step = ends_step & walk.o_next_starts_frame & (walk.o_starts_output | older)
            after_other = ends_step & walk.o_starts_frame & Mux(pushing, older, waiting.any())
            m.d.sync += between_frames.eq(Mux(step, after_step, Mux(issue, after_other, between_frames)))

        # Asked for by every beat, so that the answer does not depend on which one it is.
        credit = self._has_credit(m)
        real = pushing & ~kept_empty & ~(between_frames if flush_always else 0)
        m.d.comb += [
            step.eq(real & walk.o_arrived & credit),
            works.eq(~pushing | (waiting[-1] if g.lead else walk.o_starts_output)),
            issue.eq(step | ((~pushing | empty) & credit)),
            walk.i_step.eq(step),
        ]
        m.d.comb += [
            self.o_address.eq(walk.o_read.address),
            self.o_slot.eq(walk.o_read.slot),
            self.o_row_valid.eq(walk.o_read.row_valid),
            self.o_release.eq(walk.o_read.release),
            self.o_valid.eq(issue),
            self.o_push.eq(pushing),
            self.o_channel.eq(channel.value),
            self.o_constant.eq(channel.value if c.depthwise else reuse),
            self.o_first.eq(1 if c.depthwise else first),
            self.o_last.eq(issue & works & (True if c.depthwise else channel.last)),
        ]
        self._positions.follow(
            m,
            self,
            Issue(
                pushes=issue & pushing,
                works=issue & works,
                last_channel=channel.last,
                ends_output=channel.last & last_reuse,
            ),
        )
        return m

    def _has_credit(self, m: Module) -> Value:
        """Whether an entry of the output FIFO is free that no beat in the pipeline is bound for.

        What is taken counts a cycle late, so that nothing waits for the comparison; hence one entry is in reserve.
        """
        # Two less than there are: the one in reserve, and one so that the sign tells.
        spare = Signal(range(-2, self._fifo_depth), init=self._fifo_depth - 2)
        popped, taken = (delay(m, event, 1, reset_less=False) for event in (self.i_popped, self.o_last))
        change = Cat(popped ^ taken, (~popped & taken).replicate(len(spare) - 1))
        m.d.sync += spare.eq(spare + change.as_signed())
        return ~spare[-1]

    def walk_weights(self, m: Module, worked: Value) -> Signal:
        """Advance over the weights, a cycle after the beats; returns whether there was one."""
        step = Signal()
        m.d.sync += step.eq(worked)
        m.d.comb += self.o_weight.eq(Counter(m, self._shapes.weight_depth, step, name="weight").value)
        return step
