"""Early groups: a row's groups that complete no output are read before the row before it is done.

A step that uses its window several times reads nothing from the row store meanwhile. In these cycles, and
while a row's first output waits for them, the next row's early groups are read. They go into a bank of the
window of their own. The row's first beat in order changes the banks:

    row q     push 2, use again ..., push 3, use again ..., push 4, use again ...
    row q+1              read 0                 read 1                            push 2, use again ...
    bank                  1                      1                                1
"""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data

from hw.blocks.pipeline import Counter, delay, index_shape
from hw.plan.schedule import EARLY_TO_ISSUE
from hw.plan.shapes import Shapes
from hw.unit.front import Walk


def early_layout(shapes: Shapes) -> data.StructLayout:
    """Where in the window an early beat goes.

    Members:
        segments: a bit for each segment of the delay lines; none is set where there is no early beat.
        bank, channel: the word.
    """
    return data.StructLayout(
        {
            "segments": shapes.schedule.early,
            "bank": 1,
            "channel": index_shape(shapes.geometry.channel_beats),
        }
    )


@dataclass(frozen=True, kw_only=True)
class EarlyBeats:
    """The early beats, and what they mean for those in order.

    Attributes:
        beat: an `early_layout`, in each cycle.
        late: there was an early beat in the cycle before.
        wait: the beat that comes next in order has to wait.
        bank: the bank of the beat that comes next in order.
    """

    beat: data.View
    late: Value
    wait: Value
    bank: Value


def read_early(
    m: Module, shapes: Shapes, walk: Walk, *, begins: Value, ends: Value, uses_again: Value, step: Value
) -> EarlyBeats:
    """Issue the beats of ``walk`` where nothing else is read.

    Args:
        begins: the beat that comes next in order is a row's first.
        ends: the beat that comes next in order is the last of a row's first group.
        uses_again: the beat that comes next reads nothing.
        step: the beat that comes next in order is issued.
    """
    early = shapes.schedule.early
    issue, complete, bank = Signal(name="early_issue"), Signal(name="early_complete"), Signal(name="bank")
    channel = Counter(m, shapes.geometry.channel_beats, issue, name="early_channel")
    segments = Signal(early, init=1 << (early - 1), name="early_segments")
    beat = Signal(early_layout(shapes), name="early_beat")
    # The last beat is in the window before one in order reads it there.
    waits = EARLY_TO_ISSUE - 1
    complete_for = [complete, *(delay(m, complete, n, reset_less=False) for n in range(1, waits + 1))]
    wait = Signal(name="early_wait")
    m.d.comb += [
        wait.eq(begins & ~Cat(complete_for).all()),
        issue.eq(walk.o_arrived & ~complete & (uses_again | wait)),
        walk.i_step.eq(issue),
        beat.segments.eq(Mux(issue, segments, 0)),
        beat.bank.eq(~bank),
        beat.channel.eq(channel.value),
    ]
    with m.If(issue & channel.last):
        m.d.sync += segments.eq(segments.rotate_right(1))
    with m.If(issue & channel.last & segments[0]):
        m.d.sync += complete.eq(1)
    with m.If(step & ends):
        m.d.sync += complete.eq(0)
    with m.If(step & begins):
        m.d.sync += bank.eq(~bank)
    return EarlyBeats(beat=beat, late=delay(m, issue, 1, reset_less=False), wait=wait, bank=bank ^ begins)
