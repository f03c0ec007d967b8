"""Frame writer and frame walk: no pixel is overwritten that is still to be read, none is read before it is written.

It is proven for `DEPTH` cycles after power-up (bounded model checking), not for ever. That is enough for the
first reuse of a slot in small frames. Each further cycle doubles the solver's time.

The real frame sets, writer and walk are wired as in `hw.reloadable.reloadable_unit`. Frames may have any size up
to that of the build. Software may change the size whenever the control plane lets it. The source may pause, and
end frames too early or too late. The sink may stall. The sequencer between walk and sink may take a beat in any
cycle in which there is one. What is claimed:

- Every beat is written to its own slot, column and address, in order.
- Every read is that of the next beat in order, with address, slot and valid rows of its own frame.
- Every pixel that is read has been written at least two cycles before.
- No slot that is read has been given to a later row up to this cycle, this cycle's write included.
- What is taken from the writer's queues of frames is there.
- The queues never hold more than they have room for. This is claimed for the smallest frames, of which most
  begin before they are read.

The harness has no data: its reference counts rows, across frames. The reference knows the two sizes that may be
under way, and the first frame of the newer size. It shares nothing with the gateware but these sizes.

It is assumed that software changes the size only when the control plane lets it, that a frame's outputs are
complete some time after the last beat of its last output is read, and that there is no reset.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, ResetSignal, Signal, Value
from amaranth.lib.wiring import In

from hw.blocks.pipeline import delay
from hw.reloadable.frame_sets import FrameSets
from hw.reloadable.frame_walk import FrameWalk
from hw.reloadable.frame_writer import FrameWriter, frames_at_once
from tests.proofs.proof import Bug, Harness, Proof
from tests.proofs.row_store import small_shapes
from tests.support.front_end import reloadable

#: Cycles looked at, with padding and without, where the first read is later. The latency only decides how many frames
#: may be under way.
DEPTH, DEPTH_VALID, LATENCY = 16, 22, 8
#: Bits of frame numbers and row numbers. They are enough to compare by difference, as there is one a cycle at most.
NUMBER = 6


@dataclass(frozen=True, kw_only=True)
class Size:
    """Height and width of a frame."""

    height: Value
    width: Value


class FrameWalkHarness(Harness):
    def __init__(self, height: int, width: int, fields: dict[str, Any]) -> None:
        self._shapes = reloadable(small_shapes(height, width, **({"attn_shift": 0} | fields)))
        self._bits = (max(height, width) + 4).bit_length()
        self._slots = self._shapes.schedule.slots
        super().__init__(
            {
                "valid": In(1),
                "last": In(1),
                "ignore_tlast": In(1),
                "hold": In(1),
                "step": In(1),
                "done": In(1),
                "apply": In(1),
                "height": In(self._bits),
                "width": In(self._bits),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shapes = self._shapes
        self._sets = sets = FrameSets(shapes, latency=LATENCY)
        self._writer = writer = FrameWriter(shapes)
        self._walk = walk = FrameWalk(shapes)
        m.submodules.sets, m.submodules.writer, m.submodules.walk = sets, writer, walk
        self._connect(m)
        self._apply(m)
        self.assume(m, ~ResetSignal())
        self._check_queues(m)
        self._check_reads(m, self._check_writes(m))
        return m

    def _connect(self, m: Module) -> None:
        sets, writer, walk = self._sets, self._writer, self._walk
        self.assume(m, ~self.step | walk.o_arrived)
        m.d.comb += [
            sets.i_boundary.eq(writer.o_boundary),
            sets.i_begins.eq(writer.o_begins),
            sets.i_done.eq(self.done),
            writer.i_valid.eq(self.valid),
            writer.i_last.eq(self.last),
            writer.i_ignore_tlast.eq(self.ignore_tlast),
            writer.i_run.eq(sets.o_configured & ~self.hold),
            writer.i_sets.eq(sets.o_sets),
            writer.i_set.eq(sets.o_set),
            writer.i_release.eq(walk.o_read.release),
            walk.i_sets.eq(sets.o_sets),
            walk.i_position.eq(writer.o_position),
            walk.i_frame.eq(writer.o_frame),
            walk.i_frame_set.eq(writer.o_frame_set),
            writer.i_next_frame.eq(walk.o_next_frame),
            walk.i_end.eq(writer.o_end),
            walk.i_end_damaged.eq(writer.o_end_damaged),
            writer.i_next_end.eq(walk.o_next_end),
            walk.i_step.eq(self.step),
        ]

    def _apply(self, m: Module) -> None:
        """Let software change the size when the control plane lets it. `_size_of` tells the outcome."""
        c, sets = self._shapes.layer.config, self._sets
        for value, most in ((self.height, c.height), (self.width, c.width)):
            self.assume(m, (value >= c.smallest_frame) & (value <= most))
        waits, applied = Signal(), sets.o_applied.any()
        m.d.sync += waits.eq((waits | self.apply) & ~applied)
        self.assume(m, ~self.apply | ~(waits | sets.o_pending | sets.o_switching))
        settings, new, old = (Signal(2 * self._bits, name=name) for name in ("settings", "new_size", "old_size"))
        since, begun = Signal(NUMBER), Signal(NUMBER)
        m.d.sync += begun.eq(begun + sets.i_begins)
        with m.If(self.apply):
            m.d.sync += settings.eq(Cat(self.height, self.width))
        with m.If(sets.o_set ^ delay(m, sets.o_set, 1, reset_less=False)):
            m.d.sync += [old.eq(new), new.eq(settings), since.eq(begun)]
        m.d.comb += [sets.i_apply.strobe.eq(self.apply)]
        m.d.comb += [sets.i_apply[name].eq(1) for name in ("settings", "weights", "constants")]
        m.d.comb += [
            sets.i_settings.height.eq(settings[: self._bits]),
            sets.i_settings.width.eq(settings[self._bits :]),
        ]
        self._old, self._new, self._since = old, new, since

    def _size_of(self, frame: Value) -> Size:
        """The size of frame number ``frame``. It is right from the cycle after the frame has begun."""
        both = Mux((frame - self._since)[NUMBER - 1], self._old, self._new)
        return Size(height=both[: self._bits], width=both[self._bits :])

    def _slot(self, m: Module, base: Value, row: Value, name: str) -> Value:
        """The slot of ``row`` in a frame whose first row lies in slot ``base``. ``row`` may be below 0."""
        total = base + row + self._slots
        for _ in range(2 + self._shapes.layer.config.height // self._slots):
            reduced = Signal(self._bits + 3, name=f"{name}_slot")
            m.d.comb += reduced.eq(Mux(total >= self._slots, total - self._slots, total))
            total = reduced
        return total

    def _check_writes(self, m: Module) -> tuple[Value, Value, Value]:
        """Check where each beat goes.

        Returns:
            The row that is being written and the number of its beats that are written, both as of two cycles
            before; and the row last written to.
        """
        g, c, write = self._shapes.geometry, self._shapes.layer.config, self._writer.o_write
        written = write.enable.any()
        frame, base = Signal(NUMBER, name="write_frame"), Signal(range(self._slots), name="write_base")
        y, x, channel = (Signal(self._bits, name=f"write_{name}") for name in ("y", "x", "channel"))
        row = Signal(NUMBER, name="write_row")
        size = self._size_of(frame)
        ends_pixel = channel == g.channel_beats - 1
        ends_row = ends_pixel & (x == size.width - 1)
        ends_frame = ends_row & (y == size.height - 1)
        with m.If(written):
            m.d.sync += channel.eq(Mux(ends_pixel, 0, channel + 1))
            m.d.sync += x.eq(Mux(ends_row, 0, x + ends_pixel))
            m.d.sync += y.eq(Mux(ends_frame, 0, y + ends_row))
            m.d.sync += row.eq(row + ends_row)
            with m.If(ends_frame):
                m.d.sync += [frame.eq(frame + 1), base.eq(self._slot(m, base, size.height, "next_write"))]
        group, column = (x, Const(0, 1)) if c.stride == 1 else (x[1:], x[0])
        slot, address = self._slot(m, base, y, "write"), group * g.channel_beats + channel
        self.claim(m, ~written | (write.enable == (1 << column)[: c.stride]))
        self.claim(m, ~written | ((write.slot == slot) & (write.address == address)))
        beats = x * g.channel_beats + channel
        last = Signal(NUMBER, name="last_row")
        latest = Mux(written, row, last)
        m.d.sync += last.eq(latest)
        # The counts lack this cycle's write. A cycle late, they lack the write of the cycle before, too.
        return delay(m, row, 1, reset_less=False), delay(m, beats, 1, reset_less=False), latest

    def _check_reads(self, m: Module, written: tuple[Value, Value, Value]) -> None:
        g, c, walk = self._shapes.geometry, self._shapes.layer.config, self._walk
        full_row, full_beats, latest = written
        reads = delay(m, self.step, 1, reset_less=False)
        first, stride = c.first_centre, c.stride
        frame, base = Signal(NUMBER, name="read_frame"), Signal(range(self._slots), name="read_base")
        y = Signal(self._bits, init=first, name="read_y")
        group, channel = (Signal(self._bits, name=f"read_{name}") for name in ("group", "channel"))
        row = Signal(NUMBER, init=first, name="read_row")
        size = self._size_of(frame)
        ends_group = channel == g.channel_beats - 1
        ends_row = ends_group & (stride * (group + 1) >= size.width)
        ends_frame = ends_row & (y + stride + first >= size.height)
        with m.If(reads):
            m.d.sync += channel.eq(Mux(ends_group, 0, channel + 1))
            m.d.sync += group.eq(Mux(ends_row, 0, group + ends_group))
            m.d.sync += y.eq(Mux(ends_frame, first, Mux(ends_row, y + stride, y)))
            with m.If(ends_row):
                m.d.sync += row.eq(row + Mux(ends_frame, size.height - y + first, stride))
            with m.If(ends_frame):
                m.d.sync += [frame.eq(frame + 1), base.eq(self._slot(m, base, size.height, "next_read"))]
        address = group * g.channel_beats + channel
        inside = [(y + dy >= 0) & (y + dy < size.height) for dy in g.rows]
        self.claim(m, ~reads | (walk.o_read.address == address))
        self.claim(m, ~reads | (walk.o_read.slot == self._slot(m, base, y, "read")))
        self.claim(m, ~reads | (walk.o_read.row_valid == Cat(inside)))
        # A frame may be done once the last beat of its last output has been read.
        undone = Signal(NUMBER)
        m.d.sync += undone.eq(undone + (reads & ends_group & delay(m, walk.o_tag.frame_last, 1)) - self.done)
        self.assume(m, ~self.done | (undone > 0))

        # The uppermost row that is read must not be gone. The lowest must be written up to the last column read.
        right = Mux(stride * (group + 1) >= size.width, size.width, stride * (group + 1)) - 1
        needed = right * g.channel_beats + channel
        for dy, valid in zip(g.rows, inside, strict=True):
            ahead = (full_row - row - dy)[:NUMBER].as_signed()
            self.claim(m, ~(reads & valid) | (ahead > 0) | ((ahead == 0) & (full_beats > needed)))
            gone = (latest - row - dy)[:NUMBER].as_signed()
            self.claim(m, ~(reads & valid) | (gone < self._slots))

    def _check_queues(self, m: Module) -> None:
        """Check the writer's queues: one of frames that have begun, and one of frames that are complete.

        A begun frame waits for the walk to come to it. A complete frame waits for the walk's last beat of it.
        """
        shapes, writer, most = self._shapes, self._writer, frames_at_once(self._shapes)
        ends = writer.o_boundary & (writer.o_begins | self._within(m))
        for name, comes, goes, there in (
            ("begun", writer.o_begins, writer.i_next_frame, writer.o_frame),
            ("complete", ends, writer.i_next_end, writer.o_end),
        ):
            count = Signal(range(most + 3), name=name)
            m.d.sync += count.eq(count + comes - goes)
            self.claim(m, (~goes | there) & (there == (count > 0)))
            if shapes.row_beats * shapes.layer.config.height == 1:
                self.claim(m, count <= most)

    def _within(self, m: Module) -> Signal:
        """Whether a frame has begun and not yet ended."""
        within = Signal()
        m.d.sync += within.eq((within | self._writer.o_begins) & ~self._writer.o_boundary)
        return within


def _bug(name: str, module: str, old: str, new: str, build: str) -> Bug:
    return Bug(name=name, module=module, old=old, new=new, build=build)


BOTTOM = (
    "a read does not wait for the bottom row",
    "hw.reloadable.frame_walk",
    "needed.rows + Mux(entry.needs_end, to_end, reach)",
    "needed.rows + Mux(entry.needs_end, to_end, 0)",
)

BUILDS = {
    "1x1": partial(FrameWalkHarness, 1, 1, {}),
    "1x2": partial(FrameWalkHarness, 1, 2, {}),
    "2x2": partial(FrameWalkHarness, 2, 2, {}),
    "2x3": partial(FrameWalkHarness, 2, 3, {}),
    "2x2, 2 beats": partial(FrameWalkHarness, 2, 2, {"in_channels": 2}),
    "3x3, stride 2": partial(FrameWalkHarness, 3, 3, {"stride": 2}),
}

PROOF = Proof(
    name="frame_walk",
    claim="with frames of changing sizes no pixel is overwritten before its last read, or read before it is written",
    unbounded=False,
    depth=DEPTH,
    builds=BUILDS,
    bugs=(
        _bug(
            "room for a row too many",
            "hw.reloadable.frame_writer",
            "rows = g.rows_of_room(slots) - 1",
            "rows = g.rows_of_room(slots)",
            "2x2",
        ),
        _bug(
            "each group releases a row",
            "hw.reloadable.frame_walk",
            "Mux(at.ends_row, Mux(at.last_row, at.frame_advance + at.odd, stride), 0)",
            "Mux(at.last_row, at.frame_advance + at.odd, stride)",
            "1x2",
        ),
        _bug(*BOTTOM, "2x2"),
        _bug(
            "the walk's size is that of the other set",
            "hw.reloadable.frame_walk",
            "pick_set(self._shapes, self.i_sets, self.i_frame_set)",
            "pick_set(self._shapes, self.i_sets, ~self.i_frame_set)",
            "1x2",
        ),
        _bug(
            "slots do not run on across frames",
            "hw.reloadable.frame_walk",
            "at.slot.eq(Mux(at.odd, wrapped[1], wrapped[0]))",
            "at.slot.eq(at.slot.init)",
            "2x2",
        ),
        _bug(
            "the set changes within a frame",
            "hw.reloadable.frame_sets",
            "pending & self.i_boundary & due",
            "pending & due",
            "2x2",
        ),
        _bug(
            "a group's second column is not waited for",
            "hw.reloadable.frame_walk",
            "Mux(at.right == -first, 0, (stride - 1) * g.channel_beats)",
            "0",
            "3x3, stride 2",
        ),
        _bug(
            "an odd height counts as an even one",
            "hw.reloadable.frame_walk",
            "self.odd = ~less(self.below, first + 1) if c.stride == 2 else Const(0)",
            "self.odd = Const(0)",
            "3x3, stride 2",
        ),
    ),
    slow=frozenset(BUILDS) - {"1x1"},
    slow_bugs=frozenset({"room for a row too many", "each group releases a row"}),
)

VALID = Proof(
    name="frame_walk_valid",
    claim="no pixel is overwritten before its last read, without padding, where the first read is later",
    unbounded=False,
    depth=DEPTH_VALID,
    builds={
        "3x3": partial(FrameWalkHarness, 3, 3, {"padding": "valid"}),
        "4x3": partial(FrameWalkHarness, 4, 3, {"padding": "valid"}),
        "4x4, stride 2": partial(FrameWalkHarness, 4, 4, {"padding": "valid", "stride": 2}),
    },
    bugs=(
        _bug(*BOTTOM, "4x3"),
        _bug(
            "the first row of centres is the frame's first",
            "hw.reloadable.frame_walk",
            'Signal(position["rows"].shape, init=first, name="rows")',
            'Signal(position["rows"].shape, init=0, name="rows")',
            "3x3",
        ),
    ),
    slow=frozenset({"3x3", "4x3", "4x4, stride 2"}),
)
