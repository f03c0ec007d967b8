"""Frame sets: the two sets of numbers that frames are computed with, and when one takes over from the other.

Software prepares a set and asks to *apply* it. The set takes effect at a frame boundary of the
input. Each frame carries the number of its set (0 or 1) through the unit. So the frames before the
boundary are computed entirely with the old set, and the frames after it with the new set, without
a gap. Until the last frame of the old set has left the pipeline, the unit is *switching*: the old
set's memories must not be overwritten.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.blocks.pipeline import delay, pick
from hw.control.interface import Apply, settings_layout
from hw.control.register_table import WORD
from hw.control.registers import APPLY_PARTS
from hw.plan.shapes import Shapes


def set_layout(shapes: Shapes) -> data.StructLayout:
    """What is in force for a frame.

    Members:
        right, below: columns right of the first output's centre column, and rows below its centre row.
        one_group, one_row: the frame has a single column group, a single row of outputs.
        width_last, height_last: index of the last column and row.
        narrow, flat: the frame is one pixel wide, one pixel high.
        relu, attn_shift, out_shift: as in the layer.
        weights, constants: number of the set in the memories of weights, and of constants.
    """
    settings = settings_layout(shapes)
    sizes = {"right": "width", "below": "height", "width_last": "width", "height_last": "height"}
    return data.StructLayout(
        {name: settings.members[size] for name, size in sizes.items()}
        | {name: settings.members[name] for name in ("relu", "attn_shift", "out_shift")}
        | {"one_group": 1, "one_row": 1, "narrow": 1, "flat": 1, "weights": 1, "constants": 1}
    )


def pick_set(shapes: Shapes, sets: data.View, number: Value) -> data.View:
    """Set ``number`` of the two."""
    return data.View(set_layout(shapes), Mux(number, sets[1], sets[0]))


class FrameSets(wiring.Component):
    """The sets, and the change between them.

    Members:
        i_settings: settings that software has prepared. They stay until they are in force.
        i_apply: an order to put parts of the next set in force. It comes only while no apply is pending,
            none has just been applied (up to ``o_applied``, before ``o_switching`` can tell), and the unit is not
            switching. The order's frame number is there four cycles earlier, and stays, too.
        i_boundary: no frame is being written after this cycle. Either a frame's last beat is taken in
            this cycle, or no frame has begun and none begins.
        i_begins: a frame's first beat is taken.
        i_done: a frame's last output is complete. Nothing is read for that frame any more.
        o_set: the number of the set that the next frame to begin gets.
        o_sets: both sets.
        o_free_weights, o_free_constants: the sets in memory that may be written.
        o_pending: an apply waits for its frame boundary.
        o_switching: frames of the set before are under way; known three cycles after the change.
        o_configured: a set is in force.
        o_idle: no frame was under way a cycle ago.
        o_applied: an apply took effect two cycles ago; a bit for each of `APPLY_PARTS`.
        o_begun: frames begun since reset up to two cycles ago, modulo 2^32.
    """

    def __init__(self, shapes: Shapes, *, latency: int) -> None:
        """``latency``: cycles from the issue of a frame's last beat to ``i_done``."""
        self._shapes = shapes
        self._buffered = not shapes.config.limits.single_buffered
        #: Counts frames under way. Each has at least a row in the row store, or a beat in the pipeline.
        self._flight = unsigned((shapes.schedule.slots + shapes.geometry.lead + latency + 8).bit_length())
        super().__init__(
            {
                "i_settings": In(settings_layout(shapes)),
                "i_apply": In(Apply),
                "i_boundary": In(1),
                "i_begins": In(1),
                "i_done": In(1),
                "o_set": Out(1),
                "o_sets": Out(data.ArrayLayout(set_layout(shapes), 2)),
                "o_free_weights": Out(1),
                "o_free_constants": Out(1),
                "o_pending": Out(1),
                "o_switching": Out(1),
                "o_configured": Out(1),
                "o_idle": Out(1),
                "o_applied": Out(len(APPLY_PARTS)),
                "o_begun": Out(WORD),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        number, configured = Signal(), Signal()
        parts = Signal(len(APPLY_PARTS))
        waits = Signal()
        order = self.i_apply
        with m.If(order.strobe):
            m.d.sync += [parts.eq(Cat(order[name] for name in APPLY_PARTS)), waits.eq(order.wait)]

        pending, takes_effect = Signal(), Signal()
        due = self._is_due(m, Mux(order.strobe, order.wait, waits))
        m.d.comb += takes_effect.eq(pending & self.i_boundary & due)
        changed = delay(m, takes_effect, 1, reset_less=False)
        m.d.sync += [
            pending.eq(order.strobe | (pending & ~takes_effect)),
            self.o_applied.eq(parts & changed.replicate(len(parts))),
            number.eq(number ^ takes_effect),
            configured.eq(configured | takes_effect),
        ]
        self._count_frames(m, delay(m, changed, 1, reset_less=False))
        self._keep_sets(m, number, pending, parts)
        m.d.comb += [self.o_set.eq(number), self.o_pending.eq(pending), self.o_configured.eq(configured)]
        return m

    def _is_due(self, m: Module, waits: Value) -> Value:
        """Whether the next frame to begin has at least the order's number, or the order does not wait for one.

        The comparison of the numbers is three cycles behind. Frames that have begun since are added to its outcome.
        Whether one begins in this cycle is known late, so there is an answer for either case.

        Args:
            waits: whether the order of the next cycle waits for a frame.
        """
        recent = [self.i_begins, *(delay(m, self.i_begins, late, reset_less=False) for late in (1, 2, 3))]
        counted = self.o_begun
        ahead = Signal(signed(WORD), reset_less=True)
        m.d.sync += [counted.eq(counted + recent[1]), ahead.eq(self.i_apply.at - counted)]
        passed, near, few = Signal(reset_less=True), Signal(reset_less=True), Signal(3, reset_less=True)
        m.d.sync += [passed.eq(ahead < 0), near.eq(~ahead[3:].any()), few.eq(ahead[:3])]
        since = Signal(2)
        m.d.comb += since.eq(sum(recent[1:], start=Const(0)))
        due_with = [passed | (near & self._reached(few, since, more)) for more in range(3)]
        without, with_one = (Signal(name=name, reset_less=True) for name in ("due_without", "due_with_one"))
        for register, more in ((without, 0), (with_one, 1)):
            m.d.sync += register.eq(~waits | Mux(self.i_begins, due_with[more + 1], due_with[more]))
        return Mux(self.i_begins, with_one, without)

    @staticmethod
    def _reached(few: Value, since: Value, more: int) -> Value:
        """``few <= since + more``, without a carry."""
        return pick([Cat(few == number for number in range(count + more + 1)).any() for count in range(4)], since)

    def _count_frames(self, m: Module, changed: Value) -> None:
        """Count the frames under way, and the frames of the set before among them.

        What begins and what is done counts a cycle late. ``changed`` comes two cycles after the change.
        """
        begun, done = (delay(m, event, 1, reset_less=False) for event in (self.i_begins, self.i_done))
        flight = Signal(self._flight)
        old = Signal(self._flight)
        m.d.sync += flight.eq(flight + begun - done)
        with m.If(changed):
            m.d.sync += old.eq(flight - done)
        with m.Elif(done & old.any()):
            m.d.sync += old.eq(old - 1)
        m.d.comb += [self.o_switching.eq(old.any()), self.o_idle.eq(~flight.any())]

    def _keep_sets(self, m: Module, number: Value, pending: Value, parts: Value) -> None:
        """Keep both sets. The set that is to take effect is the set in force but for the ``parts`` that change."""
        c, settings = self._shapes.layer.config, self.i_settings
        sets = Signal(data.ArrayLayout(set_layout(self._shapes), 2), reset_less=True)
        current = pick_set(self._shapes, sets, number)
        new = Signal(set_layout(self._shapes))
        m.d.comb += new.eq(current)
        with m.If(parts[0]):
            m.d.comb += [
                new.right.eq(settings.width - (1 + c.first_centre)),
                new.below.eq(settings.height - (1 + c.first_centre)),
                new.one_group.eq(settings.width <= c.stride),
                new.one_row.eq(settings.height < c.smallest_frame + c.stride),
                new.width_last.eq(settings.width - 1),
                new.height_last.eq(settings.height - 1),
                new.narrow.eq(settings.width == 1),
                new.flat.eq(settings.height == 1),
                *(new[name].eq(settings[name]) for name in ("relu", "attn_shift", "out_shift")),
            ]
        if self._buffered:
            m.d.comb += [new.weights.eq(current.weights ^ parts[1]), new.constants.eq(current.constants ^ parts[2])]
            m.d.comb += [self.o_free_weights.eq(~current.weights), self.o_free_constants.eq(~current.constants)]
        with m.If(pending):
            for index in range(2):
                with m.If(number != index):
                    m.d.sync += sets[index].eq(new)
        m.d.comb += self.o_sets.eq(sets)
