"""Sequencer: decides in every cycle which beat enters the pipeline, if any.

From here on nothing stalls: a beat that is issued reaches the output FIFO a fixed number of
cycles later. So all decisions are made here: whether the beat to read has been written
(the front's walk), whether an entry of the output FIFO is free, and of the tap's where there is one,
and whether outputs still wait for groups behind theirs.

There is one step per column group. Its first ``channel_beats`` beats push the group into the window
and work on the output that the group completes. ``(output_beats - 1) * channel_beats`` more beats
work on that output again. The step of a group that completes no output only pushes. At a frame's
end, *empty* groups push the last outputs through if the next frame's first group has not arrived.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.blocks.pipeline import Counter, delay, index_shape, pick
from hw.plan.shapes import Shapes
from hw.unit.early import EarlyBeats, early_layout, read_early
from hw.unit.front import Issue, Positions, RowWalk, Walk

#: Cycles from a beat's transfer to the first cycle in which a count from it is 0.
SEEN_AFTER = 2


@dataclass(frozen=True, kw_only=True)
class _Step:
    """A beat's place in its step.

    Attributes:
        channel: the channel beat.
        first: the beat is the first of a sum.
        pushing: the beat pushes a group into the window.
        reuse: how often the step has used the window before.
        last_reuse: the step does not use the window again.
    """

    channel: Counter
    first: Signal
    pushing: Signal
    reuse: Signal
    last_reuse: Signal


@dataclass(frozen=True, kw_only=True)
class _Pending:
    """Outputs that have begun and wait for groups behind theirs.

    Attributes:
        oldest: the group that is pushed completes an output.
        empty: an empty group may be pushed.
        kept_empty: an empty group is being pushed.
        between_frames: outputs wait, and the next group is a frame's first.
    """

    oldest: Value
    empty: Value
    kept_empty: Value
    between_frames: Value


class Sequencer(wiring.Component):
    """Issues the beats of all steps of all frames.

    Members:
        i_popped: one more entry of the output FIFO is free.
        o_address, o_slot, o_row_valid, o_release: the beat's read of the row store, a cycle after the issue;
            see `hw.unit.front.read_layout`.
        o_valid: a beat is issued in this cycle.
        o_push: the beat pushes a column group into the window.
        o_last_use: the beat uses its group for the last time (only where groups move late).
        o_channel: the beat's channel beat.
        o_constant: address of the bias and multiplier words of the beat's output channels.
        o_first: the beat is the first of a sum.
        o_last: the beat is issued, and is the last of a sum.
        o_weight: address of the beat's weight word, a cycle after the issue.
        o_frame_last: whether the sum is the frame's last, a cycle after ``o_last``.
        i_tap_popped: one more entry of the tap's FIFO is free (only in units with a tap).
        o_tap: the beat is issued, and the centre of its window goes to the tap (only in units with a tap).

        o_bank, o_early: the window's bank that the beat reads and pushes into, and an early beat besides, if any;
            only in units that read early (`hw.unit.early`).

    The ports of the front's positions give what goes along with the output positions.

    Args:
        fifo_depth, tap_depth: entries of the output FIFO, and of the tap's.

    Attributes:
        walk, early: the front's walks, parts of the sequencer.
    """

    def __init__(
        self,
        shapes: Shapes,
        walk: Walk,
        positions: Positions,
        *,
        early: RowWalk | None = None,
        fifo_depth: int,
        tap_depth: int = 0,
    ) -> None:
        self._shapes, self._positions = shapes, positions
        self.early = early
        self._fifo_depth, self._tap_depth = fifo_depth, tap_depth
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
        if shapes.moves_late:
            ports["o_last_use"] = Out(1)
        if early is not None:
            ports |= {"o_bank": Out(1), "o_early": Out(early_layout(shapes))}
        if shapes.tap:
            ports |= {"i_tap_popped": In(1), "o_tap": Out(1)}
        super().__init__({**ports, **positions.sequencer_ports})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        c = self._shapes.layer.config
        m.submodules.input_walk = walk = self.walk
        issue = Signal()
        works = Signal()
        step = Signal()
        beat = self._count_step(m, issue, works)
        pending = self._wait_for_groups(m, beat, issue, works, step)

        # Every beat asks for credit, so that the answer does not depend on the beat.
        credit = self._has_credit(m, self.i_popped, self.o_last, self._fifo_depth, "spare")
        if self._shapes.tap:
            m.d.comb += self.o_tap.eq(issue & beat.pushing & pending.oldest)
            credit = credit & self._has_credit(m, self.i_tap_popped, self.o_tap, self._tap_depth, "tap_spare")
        real = beat.pushing & ~pending.kept_empty & ~(pending.between_frames if self._flush_always else 0)
        read = walk.o_read
        if self.early is not None:
            early = self._read_early(m, self.early, beat, step)
            real &= ~early.wait
            reads = [Value.cast(own.o_read) for own in (self.early, walk)]
            read = data.View(walk.o_read.shape(), Mux(early.late, *reads))
            m.d.comb += [self.o_bank.eq(early.bank), self.o_early.eq(early.beat)]
        m.d.comb += [
            step.eq(real & walk.o_arrived & credit),
            works.eq(~beat.pushing | pending.oldest),
            issue.eq(step | ((~beat.pushing | pending.empty) & credit)),
            walk.i_step.eq(step),
        ]
        m.d.comb += [
            self.o_address.eq(read.address),
            self.o_slot.eq(read.slot),
            self.o_row_valid.eq(read.row_valid),
            self.o_release.eq(walk.o_read.release),
            self.o_valid.eq(issue),
            self.o_push.eq(beat.pushing),
            self.o_channel.eq(beat.channel.value),
            self.o_constant.eq(beat.channel.value if c.depthwise else beat.reuse),
            self.o_first.eq(1 if c.depthwise else beat.first),
            self.o_last.eq(issue & works & (True if c.depthwise else beat.channel.last)),
        ]
        if self._shapes.moves_late:
            m.d.comb += self.o_last_use.eq(~works | beat.last_reuse)
        self._positions.follow(
            m,
            self,
            Issue(
                pushes=issue & beat.pushing,
                works=issue & works,
                last_channel=beat.channel.last,
                ends_output=beat.channel.last & beat.last_reuse,
            ),
        )
        return m

    def _count_step(self, m: Module, issue: Signal, works: Signal) -> _Step:
        """Count through the beats of a step: the channels of a group, and the reuses of the window."""
        output_beats = self._shapes.geometry.output_beats
        channel = Counter(m, self._shapes.geometry.channel_beats, issue, name="channel")
        first = Signal(init=1)
        pushing = Signal(init=1)
        reuse = Signal(index_shape(output_beats))
        last_reuse = Signal(init=int(output_beats == 1))
        with m.If(issue):
            m.d.sync += first.eq(channel.last)
            with m.If(channel.last):
                ends = ~works | last_reuse
                m.d.sync += [pushing.eq(ends), reuse.eq(Mux(ends, 0, reuse + 1))]
                if output_beats > 1:
                    m.d.sync += last_reuse.eq(~ends & (reuse == output_beats - 2))
        return _Step(channel=channel, first=first, pushing=pushing, reuse=reuse, last_reuse=last_reuse)

    def _read_early(self, m: Module, walk: RowWalk, beat: _Step, step: Signal) -> EarlyBeats:
        """Read the next row's early groups while the window is used again."""
        m.submodules.early_walk = walk
        m.d.comb += walk.i_written.eq(self.i_written)
        starts_row = beat.pushing & cast(RowWalk, self.walk).o_starts_row
        return read_early(
            m,
            self._shapes,
            walk,
            begins=starts_row & beat.first,
            ends=starts_row & beat.channel.last,
            uses_again=~beat.pushing,
            step=step,
        )

    def _wait_for_groups(self, m: Module, beat: _Step, issue: Signal, works: Signal, step: Signal) -> _Pending:
        """Keep the outputs that wait for groups behind theirs, and bring them empty groups at a frame's end."""
        walk = self.walk
        outputs = self._shapes.waiting_outputs
        waiting = Signal(outputs)
        empty, kept_empty, between_frames = Signal(), Signal(), Signal()
        starts = beat.pushing & ~empty & walk.o_starts_output
        if not outputs:
            return _Pending(
                oldest=walk.o_starts_output, empty=empty, kept_empty=kept_empty, between_frames=between_frames
            )
        last = beat.channel.last
        late: Value = Const(1) if self._flush_always else ~walk.o_arrived
        if self._due:
            late = late & self._is_due(m, issue, step, empty & last)
        m.d.comb += empty.eq(kept_empty | (between_frames & late))
        with m.If(issue):
            m.d.sync += kept_empty.eq(empty & ~last)
            with m.If(last & beat.pushing):
                m.d.sync += waiting.eq(Cat(starts, waiting))
        # Whether outputs wait where the next group is a frame's first. This is known a beat in advance, whether the
        # head of the walk is issued or not.
        ends_step = last & (~works | beat.last_reuse)
        older = Cat(waiting[:-1], Const(0, 1)).any()
        after_step = ends_step & walk.o_next_starts_frame & (walk.o_starts_output | older)
        after_other = ends_step & walk.o_starts_frame & Mux(beat.pushing, older, waiting.any())
        m.d.sync += between_frames.eq(Mux(step, after_step, Mux(issue, after_other, between_frames)))
        return _Pending(oldest=waiting[-1], empty=empty, kept_empty=kept_empty, between_frames=between_frames)

    @property
    def _flush_always(self) -> bool:
        return self._shapes.schedule.flush_always

    @property
    def _due(self) -> tuple[int, ...]:
        return self._shapes.schedule.due

    def _is_due(self, m: Module, issue: Value, step: Value, ends_empty: Value) -> Signal:
        """Whether the next frame's group would be there at full rate (`hw.plan.flush`).

        Args:
            step: a beat is issued that is no empty group's.
            ends_empty: the beat is the last of an empty group.
        """
        g, c = self._shapes.geometry, self._shapes.layer.config
        row = c.width * g.channel_beats
        needed = (g.bottom_row(c.out_height - 1) + 1) * row
        # The count's end is the last beat that the frame's last output needs.
        written = Counter(m, c.height * row, self.i_written, init=c.height * row - needed, name="written")
        # A beat is known to be written a cycle after its transfer, and this count begins a cycle later.
        limits = [max(0, cycles - SEEN_AFTER) for cycles in self._due]
        since = Signal(range(max(limits) + 1), init=max(limits), name="since_last")
        following = Signal.like(since, name="since_last_next")
        m.d.comb += following.eq(
            Mux(self.i_written & written.last, 0, Mux(since == max(limits), since, (since + 1)[: len(since)]))
        )
        number = Signal(range(len(limits) + 1), name="empty_number")
        number_next = Mux(issue, Mux(step, 0, number + ends_empty), number)[: len(number)]
        # Behind the last group that follows nothing is waited for.
        limit = pick([Const(cycles, len(since)) for cycles in (*limits, 0)], number_next)
        due = Signal(name="empty_due")
        m.d.sync += [since.eq(following), number.eq(number_next), due.eq(following >= limit)]
        return due

    def _has_credit(self, m: Module, popped: Value, taken: Value, depth: int, name: str) -> Value:
        """Whether an entry of a FIFO of ``depth`` is free that no beat in the pipeline is bound for.

        An entry that is taken counts a cycle late, so that nothing waits for the comparison. So one entry is in
        reserve.
        """
        # Two less than the free entries: one is in reserve, and one more is taken off so that the sign tells.
        spare = Signal(range(-2, depth), init=depth - 2, name=name)
        popped, taken = (delay(m, event, 1, reset_less=False) for event in (popped, taken))
        change = Cat(popped ^ taken, (~popped & taken).replicate(len(spare) - 1))
        m.d.sync += spare.eq(spare + change.as_signed())
        return ~spare[-1]

    def walk_weights(self, m: Module, worked: Value) -> Signal:
        """Advance over the weights, a cycle after the beats. Returns whether there was a beat."""
        step = Signal()
        m.d.sync += step.eq(worked)
        m.d.comb += self.o_weight.eq(Counter(m, self._shapes.weight_depth, step, name="weight").value)
        return step
