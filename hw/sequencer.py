"""Sequencer: decides in every cycle which beat enters the pipeline, if any.

From here on nothing stalls: a beat that is issued reaches the output FIFO a fixed number of
cycles later. So all decisions are made here, from three counters: beats written ahead of
the one to read, free entries in the output FIFO, and outputs that still wait for groups
behind theirs.

One step per column group: ``channel_beats`` beats push the group into the window and work
on the output that it completes, ``(output_beats - 1) * channel_beats`` more work on that
output again. Groups without an output to complete only push. At a frame's end, *empty*
groups push the last outputs through if the next frame's first group has not arrived.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.config import UnitConfig
from hw.pipeline import index_shape, within, wrap_increment
from hw.row_store import Release


class Sequencer(wiring.Component):
    """Issues the beats of all steps of all frames.

    Members:
        i_written: one more input beat can be read from the next cycle on.
        i_popped: one more entry of the output FIFO is free.
        o_address, o_slot, o_row_valid, o_release: to the row store, see there.
        o_valid: a beat is issued in this cycle.
        o_push: it pushes a column group into the window.
        o_channel: its channel beat.
        o_x: output column that the step works on.
        o_weight: its word in the weight store.
        o_constant: the word of its output group's bias and multiplier.
        o_first, o_last: it is the first, last beat of a sum (``o_last`` only if issued).
        o_frame_last: with ``o_last``, the frame's last sum.
    """

    def __init__(self, config: UnitConfig, *, fifo_depth: int) -> None:
        self._config = config
        self._fifo_depth = fifo_depth
        g, c = config.geometry, config.layer.config
        super().__init__(
            {
                "i_written": In(1),
                "i_popped": In(1),
                "o_address": Out(index_shape(g.groups * g.channel_beats)),
                "o_slot": Out(index_shape(config.prediction.slots)),
                "o_row_valid": Out(len(g.rows)),
                "o_release": Out(Release),
                "o_valid": Out(1),
                "o_push": Out(1),
                "o_channel": Out(index_shape(g.channel_beats)),
                "o_x": Out(index_shape(c.out_width)),
                "o_weight": Out(index_shape(config.weight_depth)),
                "o_constant": Out(index_shape(config.constant_depth)),
                "o_first": Out(1),
                "o_last": Out(1),
                "o_frame_last": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        g, c = self._config.geometry, self._config.layer.config

        # The beat's place in the step.
        channel = Signal(index_shape(g.channel_beats))
        reuse = Signal(index_shape(g.output_beats))
        last_channel = channel == g.channel_beats - 1
        pushing = reuse == 0

        # The group to push next, and whether it must be an empty one.
        group = Signal(index_shape(g.groups))
        row = Signal(index_shape(c.out_height))
        arrived = Signal()
        waiting = Signal(g.lead)
        empty = Signal()
        real = pushing & ~empty
        starts_output = real & (group < c.out_width)
        if g.lead:
            # Decided at the group's first beat, and kept to.
            wanted = (group == 0) & (row == 0) & waiting.any()
            if not self._config.prediction.flush_always:
                wanted = wanted & ~arrived
            kept = Signal()
            m.d.comb += empty.eq(Mux(channel == 0, wanted, kept))
            m.d.sync += kept.eq(empty)

        # The output that it completes.
        tags = Cat(starts_output, waiting)
        works = ~pushing | tags[g.lead]
        ends_sum = works & (True if c.depthwise else last_channel)
        credit = self._count_credit(m)

        issue = Signal()
        m.d.comb += issue.eq((~real | arrived) & (~ends_sum | credit))
        with m.If(issue):
            m.d.sync += channel.eq(wrap_increment(channel, 1, g.channel_beats))
            with m.If(last_channel):
                m.d.sync += reuse.eq(Mux(works, wrap_increment(reuse, 1, g.output_beats), 0))
                if g.lead:
                    with m.If(pushing):
                        m.d.sync += waiting.eq(tags)
        self._walk_input(m, issue & real, last_channel, group, row, arrived)
        self._walk_output(m, issue & works, last_channel & (reuse == g.output_beats - 1))

        m.d.comb += [
            self.o_valid.eq(issue),
            self.o_push.eq(pushing),
            self.o_channel.eq(channel),
            self.o_constant.eq(channel if c.depthwise else reuse),
            self.o_first.eq(True if c.depthwise else (channel == 0)),
            self.o_last.eq(issue & ends_sum),
        ]
        return m

    def _count_credit(self, m: Module) -> Value:
        """Entries of the output FIFO that no beat in the pipeline is bound for."""
        credit = Signal(range(self._fifo_depth + 1), init=self._fifo_depth)
        m.d.sync += credit.eq(credit + self.i_popped - self.o_last)
        return credit.any()

    def _walk_input(
        self, m: Module, step: Value, last_channel: Value, group: Signal, row: Signal, arrived: Signal
    ) -> None:
        """Advance over the input; ``arrived`` says whether the beat at hand can be read."""
        g, c = self._config.geometry, self._config.layer.config
        beats = g.channel_beats
        slots = self._config.prediction.slots
        address = Signal(index_shape(g.groups * beats))
        slot = Signal(index_shape(slots), init=g.centre_row(0) % slots)
        last_group = group == g.groups - 1
        last_row = row == c.out_height - 1

        # Beats written, less those up to the one at hand: not negative once it has arrived.
        # What the next beat needs beyond this one's is a constant for each kind of advance.
        row_beats = c.width * beats
        first_need = g.bottom_row(0) * row_beats + g.last_column_of_first_group * beats
        to_row_start = (g.last_column_of_first_group - c.width + 1) * beats - (beats - 1)
        row_advances = [g.bottom_row(q + 1) - g.bottom_row(q) for q in range(c.out_height - 1)]
        row_advances.append(c.height + g.bottom_row(0) - g.bottom_row(c.out_height - 1))
        largest = max(c.stride * beats, max(row_advances) * row_beats + to_row_start)
        lowest = -first_need - 1 - largest
        lead = Signal(range(lowest, self._config.prediction.slots * row_beats + row_beats), init=-first_need - 1)
        need = Signal(range(min(0, to_row_start), largest + 1))
        m.d.comb += need.eq(1)
        with m.If(last_channel):
            next_group = (c.stride - 1) * beats + 1
            m.d.comb += need.eq(next_group)
            if g.groups > 1 and g.last_group_columns < c.stride:
                with m.If(group == g.groups - 2):
                    m.d.comb += need.eq(1)
            with m.If(last_group):
                m.d.comb += need.eq(row_advances[0] * row_beats + to_row_start)
                for q in range(1, c.out_height):
                    if row_advances[q] != row_advances[q - 1]:
                        with m.If(row >= q):
                            m.d.comb += need.eq(row_advances[q] * row_beats + to_row_start)
        m.d.comb += arrived.eq(lead >= 0)
        m.d.sync += lead.eq(lead + self.i_written - Mux(step, need, 0))

        with m.If(step):
            m.d.sync += address.eq(address + 1)
            with m.If(last_channel):
                m.d.comb += self.o_release.eq(Release.GROUP)
                m.d.sync += group.eq(group + 1)
                with m.If(last_group):
                    m.d.comb += self.o_release.eq(Mux(last_row, Release.FRAME, Release.ROW))
                    m.d.sync += [address.eq(0), group.eq(0)]
                    m.d.sync += row.eq(wrap_increment(row, 1, c.out_height))
                    frame_advance = c.height - c.stride * (c.out_height - 1)
                    m.d.sync += slot.eq(
                        Mux(last_row, wrap_increment(slot, frame_advance, slots), wrap_increment(slot, c.stride, slots))
                    )
        m.d.comb += [self.o_address.eq(address), self.o_slot.eq(slot)]
        for index, dy in enumerate(g.rows):
            inside = [q for q in range(c.out_height) if 0 <= g.centre_row(q) + dy < c.height]
            m.d.comb += self.o_row_valid[index].eq(within(row, inside[0], inside[-1], c.out_height))

    def _walk_output(self, m: Module, step: Value, last_beat: Value) -> None:
        """Advance over the output positions and the weights."""
        c = self._config.layer.config
        x = Signal(index_shape(c.out_width))
        y = Signal(index_shape(c.out_height))
        weight = Signal(index_shape(self._config.weight_depth))
        with m.If(step):
            m.d.sync += weight.eq(wrap_increment(weight, 1, self._config.weight_depth))
            with m.If(last_beat):
                m.d.sync += x.eq(wrap_increment(x, 1, c.out_width))
                with m.If(x == c.out_width - 1):
                    m.d.sync += y.eq(wrap_increment(y, 1, c.out_height))
        m.d.comb += [
            self.o_x.eq(x),
            self.o_weight.eq(weight),
            self.o_frame_last.eq(last_beat & (x == c.out_width - 1) & (y == c.out_height - 1)),
        ]
