"""The front of a reloadable unit in Amaranth's simulator: frame writer and sequencer, and a ghost of the row store.

For every place of the row store, the ghost keeps which element of which frame lies there. So every read is
compared with what the schedule calls for.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.contract.ranges import Range
from hw.blocks.pipeline import delay
from hw.plan.geometry import Geometry
from hw.plan.reload import Reload
from hw.plan.shapes import Shapes
from hw.reloadable.frame_sets import set_layout
from hw.reloadable.frame_walk import FrameWalk, follow
from hw.reloadable.frame_writer import FrameWriter
from hw.reloadable.positions import TaggedPositions
from hw.unit.sequencer import Sequencer
from tests.support.components import simulate
from tests.support.units import unit_shapes

#: Cycles from a beat's issue until its entry of the output FIFO is free again, and so many entries that they never
#: run out.
POP_AFTER, ENTRIES = 4, 16

RELOAD = Reload(attn_shift=Range(0, 15), out_shift=Range(0, 47))


def reloadable(shapes: Shapes, reload: Reload = RELOAD) -> Shapes:
    """The unit of ``shapes``, made reloadable. Its own ``attn_shift`` becomes the highest that is allowed."""
    high = shapes.layer.config.attn_shift
    reload = dataclasses.replace(reload, attn_shift=Range(0, high))
    return Shapes(dataclasses.replace(shapes.config, reload=reload))


def reloadable_shapes(seed: int = 0, **fields: Any) -> Shapes:
    return reloadable(unit_shapes(seed, **({"attn_shift": 3} | fields)))


class FrontEnd(wiring.Component):
    """Writer and sequencer. Frames take set 0 and set 1 in turn.

    The sets are inputs, separate ones for writer and walk. So frames of many sizes may be under way at once,
    more than a unit's two sets allow.
    """

    def __init__(self, shapes: Shapes) -> None:
        self.writer = FrameWriter(shapes)
        self.walk = FrameWalk(shapes)
        self.sequencer = Sequencer(shapes, self.walk, TaggedPositions(shapes), fifo_depth=ENTRIES)
        super().__init__(
            {
                "i_valid": In(1),
                "i_last": In(1),
                "o_ready": Out(1),
                "i_sets": In(data.ArrayLayout(set_layout(shapes), 2)),
                "i_walk_sets": In(data.ArrayLayout(set_layout(shapes), 2)),
                "i_set": In(1),
                "i_pause": In(1),
                "o_valid": Out(1),
                "o_last": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.writer = writer = self.writer
        m.submodules.sequencer = sequencer = self.sequencer
        walk = self.walk
        # The sink takes a beat a few cycles after its issue. In a pause, beats wait for it.
        waiting = Signal(range(2 * ENTRIES))
        done = delay(m, sequencer.o_last, POP_AFTER, reset_less=False)
        popped = (waiting.any() | done) & ~self.i_pause
        m.d.sync += waiting.eq(waiting + done - popped)
        m.d.comb += [
            writer.i_valid.eq(self.i_valid),
            writer.i_last.eq(self.i_last),
            self.o_ready.eq(writer.o_ready),
            writer.i_sets.eq(self.i_sets),
            writer.i_set.eq(self.i_set),
            writer.i_run.eq(1),
            writer.i_release.eq(sequencer.o_release),
            walk.i_sets.eq(self.i_walk_sets),
            sequencer.i_popped.eq(popped),
            self.o_valid.eq(sequencer.o_valid),
            self.o_last.eq(sequencer.o_last),
        ]
        follow(m, walk, writer)
        return m


@dataclasses.dataclass
class Run:
    """What a run showed. Cycles are counted from the first input transfer.

    Attributes:
        first_output: cycle in which the last beat of the first sum is issued.
        frame_ends: for each frame, the cycle in which the last beat of its last sum is issued.
        damaged: for each frame that ended, whether it is marked.
        outside: for each sum, a bit for each ``dx``: whether it leads outside the frame.
    """

    first_output: int
    frame_ends: list[int]
    damaged: list[bool]
    outside: list[int]


def run(
    shapes: Shapes,
    frames: Sequence[Geometry],
    *,
    idle: float = 0.0,
    stall: float = 0.0,
    seed: int = 0,
    last: Sequence[int] | None = None,
) -> Run:
    """Send ``frames`` and check every read.

    Args:
        shapes: the unit.
        frames: geometry of each frame.
        idle: probability of a cycle without input.
        stall: probability of a cycle in which the sink takes nothing.
        seed: seed of these pauses.
        last: number of beats that are sent of each frame, with TLAST at the end; all beats if not given.
    """
    rng = np.random.default_rng(seed)
    dut, g = FrontEnd(shapes), shapes.geometry
    ghost: dict[tuple[int, int, int], tuple[int, int, int, int]] = {}
    sizes = [(f.config.height, f.config.width) for f in frames]
    counts = [h * w * g.channel_beats for h, w in sizes]
    sent = list(last or counts)
    source = [(f, beat, beat == sent[f] - 1) for f in range(len(frames)) for beat in range(sent[f])]
    reads = [
        (f, q, group, beat)
        for f, geometry in enumerate(frames)
        for q in range(geometry.config.out_height)
        for group in range(geometry.groups)
        for beat in range(g.channel_beats)
    ]
    result = Run(-1, [], [], [])
    first_transfer = -1

    async def bench(ctx: Any) -> None:
        nonlocal first_transfer
        taken, writes, issued, cycle, quiet = 0, 0, 0, 0, 0
        write_frame, write_beat, fetched = 0, 0, 0
        begun, within = 0, False
        pending: tuple[int, int, int, int] | None = None
        offered = False
        ended = False
        while len(result.frame_ends) < len(frames) or quiet < 40:
            frame = min(begun, len(frames) - 1)
            # The walk needs the set of the frame that it is in, and that of the frame that it comes to next.
            for number in range(2):
                put_set(ctx, dut.i_sets[number], shapes, sizes[frame])
                walked = fetched if fetched % 2 == number else fetched - 1
                put_set(ctx, dut.i_walk_sets[number], shapes, sizes[min(max(walked, 0), len(frames) - 1)])
            ctx.set(dut.i_set, frame % 2)
            if not offered:
                offered = taken < len(source) and rng.random() >= idle
            ctx.set(dut.i_valid, offered)
            ctx.set(dut.i_last, offered and source[taken][2])
            ctx.set(dut.i_pause, rng.random() < stall)

            write = dut.writer.o_write
            enable = ctx.get(write.enable)
            if enable:
                y, rest = divmod(write_beat, sizes[write_frame][1] * g.channel_beats)
                x, channel = divmod(rest, g.channel_beats)
                assert enable == 1 << (x % shapes.layer.config.stride if shapes.layer.config.width > 1 else 0)
                place = (ctx.get(write.slot), ctx.get(write.address), x % shapes.layer.config.stride)
                ghost[place] = (write_frame, y, x, channel)
                writes += 1
                write_beat += 1
                if write_beat == counts[write_frame]:
                    write_frame, write_beat = write_frame + 1, 0
            # A beat that was issued in the cycle before is read now. Writes up to now may precede the read.
            if pending is not None:
                check_read(ctx, dut, shapes, frames[pending[0]], pending, ghost)
            step = ctx.get(dut.walk.i_step)
            pending = reads[issued] if step else None
            issued += step
            tag = dut.sequencer.o_tag
            if ended and ctx.get(dut.sequencer.o_frame_last):
                result.frame_ends.append(cycle - 1 - first_transfer)
                result.damaged.append(bool(ctx.get(tag.damaged)))
            if ended:
                result.outside.append(ctx.get(tag.outside))
                if result.first_output < 0:
                    result.first_output = cycle - 1 - first_transfer
            ended = bool(ctx.get(dut.o_last))
            moved = offered and ctx.get(dut.o_ready)
            if moved:
                first_transfer = cycle if first_transfer < 0 else first_transfer
                taken, offered = taken + 1, False
            fetched += ctx.get(dut.walk.o_next_frame)
            within |= bool(ctx.get(dut.writer.o_begins))
            if within and ctx.get(dut.writer.o_boundary):
                begun, within = begun + 1, False
            quiet = 0 if moved or ctx.get(dut.o_valid) else quiet + 1
            cycle += 1
            await ctx.tick()
        assert (taken, writes, issued) == (len(source), sum(counts), len(reads)), "something is left over"

    simulate(dut, bench)
    return result


def put_set(ctx: Any, port: Any, shapes: Shapes, size: tuple[int, int]) -> None:
    height, width = size
    c = shapes.layer.config
    first, small = c.first_centre, dataclasses.replace(c, height=height, width=width)
    for name, value in (
        ("one_group", width <= c.stride),
        ("one_row", small.out_height == 1),
        ("right", width - 1 - first),
        ("below", height - 1 - first),
        ("width_last", width - 1),
        ("height_last", height - 1),
        ("narrow", width == 1),
        ("flat", height == 1),
    ):
        ctx.set(port[name], value)


def check_read(
    ctx: Any,
    dut: FrontEnd,
    shapes: Shapes,
    geometry: Geometry,
    place: tuple[int, int, int, int],
    ghost: dict[tuple[int, int, int], tuple[int, int, int, int]],
) -> None:
    """Fail unless the read of ``place`` finds the right elements in all rows of the window.

    Args:
        place: frame, output row, column group and channel beat.
        ghost: frame, row, column and channel beat of what lies in each slot, address and column of a group.
    """
    frame, q, group, channel = place
    g, c, sequencer = geometry, geometry.config, dut.sequencer
    slot, address = ctx.get(sequencer.o_slot), ctx.get(sequencer.o_address)
    valid = ctx.get(sequencer.o_row_valid)
    slots = shapes.schedule.slots
    for index, dy in enumerate(g.rows):
        y = g.centre_row(q) + dy
        assert valid >> index & 1 == (0 <= y < c.height), f"row {dy:+d} of {place}"
        if not 0 <= y < c.height:
            continue
        for column in range(c.stride):
            x = c.stride * group + column
            if x < c.width:
                found = ghost.get(((slot + dy) % slots, address, column))
                assert found == (frame, y, x, channel), f"{place} wants row {y}, column {x}, finds {found}"
