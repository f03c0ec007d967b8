"""Frame sets: which set each frame gets, when it changes, and when the old one is free."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hw.plan.reload import Reload
from hw.reloadable.frame_sets import FrameSets
from tests.support.components import simulate
from tests.support.front_end import RELOAD, reloadable, reloadable_shapes
from tests.support.tiers import in_turn
from tests.support.units import unit_shapes

LATENCY = 12
#: Cycles that the number of a frame to wait for must be there before the order.
AT_AHEAD = 4


class Frames:
    """A writer that begins frames of random length, and a pipeline that completes them later; what both have seen."""

    def __init__(self, rng: np.random.Generator, *, longest: int, busy: float) -> None:
        self._rng, self._longest, self._busy = rng, longest, busy
        self._left = 0  # beats that the frame under way still needs
        self._done: list[int] = []  # cycles in which frames will be complete
        self.sets: list[int] = []

    def cycle(self, now: int) -> tuple[bool, bool, bool]:
        """``(begins, boundary, done)`` of this cycle."""
        takes = self._rng.random() < self._busy
        begins = takes and not self._left
        if begins:
            self._left = int(self._rng.integers(1, self._longest, endpoint=True))
        self._left -= takes
        done = bool(self._done) and self._done[0] <= now
        if done:
            self._done.pop(0)
        if begins:
            self._done.append(now + LATENCY + int(self._rng.integers(0, 9)))
            self._done.sort()
        return begins, not self._left, done


@in_turn
@pytest.mark.parametrize("longest", [1, 2, 7])
@pytest.mark.parametrize("busy", [0.2, 0.8, 1.0])
@pytest.mark.parametrize("waits", [False, True])
def test_changes_at_the_boundary(longest: int, busy: float, waits: bool) -> None:
    """Frames before an order's boundary have the old set, all others the new one, to the frame."""
    rng = np.random.default_rng([longest, int(10 * busy), waits])
    shapes = reloadable_shapes()
    dut = FrameSets(shapes, latency=LATENCY + 9)
    frames, changes = Frames(rng, longest=longest, busy=busy), []

    async def bench(ctx: Any) -> None:
        begun, under_way, old, changed = 0, 0, 0, False
        number, order, at, waits_for_applied = 0, None, 0, False
        countdown = AT_AHEAD
        # What is known of the frames a cycle late: whether some of the set before, or any, are under way.
        known = (False, True)
        before: list[int] = [0, 0]
        for now in range(1500):
            begins, boundary, done = frames.cycle(now)
            free = not ctx.get(dut.o_pending) and not ctx.get(dut.o_switching)
            assert (ctx.get(dut.o_switching), ctx.get(dut.o_idle)) == known, f"cycle {now}"
            known = (old > 0, under_way == 0)
            before.append(begun)
            assert ctx.get(dut.o_begun) == before[-2], f"cycle {now}"
            assert ctx.get(dut.o_set) == number, f"cycle {now}"
            waits_for_applied = waits_for_applied and not ctx.get(dut.o_applied)
            quiet = free and not waits_for_applied
            if quiet and countdown == AT_AHEAD:
                at = begun + int(rng.integers(-3, 9))
                ctx.set(dut.i_apply.at, at % 2**32)
            strobe = quiet and countdown == 0
            if strobe:
                countdown = AT_AHEAD + int(rng.integers(0, 30))
            elif quiet:
                countdown -= 1
            ctx.set(dut.i_apply.strobe, strobe)
            ctx.set(dut.i_apply.settings, 1)
            ctx.set(dut.i_apply.wait, waits)
            ctx.set(dut.i_begins, begins)
            ctx.set(dut.i_boundary, boundary)
            ctx.set(dut.i_done, done)
            if begins:
                frames.sets.append(number)
            begun += begins
            under_way_before = under_way
            under_way += begins - done
            # That the old set is in use shows a cycle after the change.
            old = max(0, (under_way_before if changed else old) - done)
            changed = False
            if order is not None and boundary and (not waits or begun >= at):
                changes.append(begun)
                number, order, changed = 1 - number, None, True
            if strobe:
                order, waits_for_applied = now, True
            await ctx.tick()

    simulate(dut, bench)
    assert len(changes) > 8, "hardly anything was put in force"
    expected = [sum(begun <= frame for begun in changes) % 2 for frame in range(len(frames.sets))]
    assert frames.sets == expected


@pytest.mark.parametrize("single_buffered", [False, True])
@pytest.mark.parametrize("parts", range(1, 8))
def test_parts(parts: int, single_buffered: bool) -> None:
    """What an order does not name stays in force, and memories change sides only where there are two."""
    reload = Reload(attn_shift=RELOAD.attn_shift, out_shift=RELOAD.out_shift, single_buffered=single_buffered)
    shapes = reloadable(unit_shapes(padding="valid", attn_shift=3), reload)
    dut = FrameSets(shapes, latency=LATENCY)
    first = shapes.layer.config.first_centre

    async def apply(ctx: Any, parts: int, height: int) -> int:
        ctx.set(dut.i_settings.height, height)
        ctx.set(dut.i_settings.width, height + 1)
        ctx.set(dut.i_settings.out_shift, height + 2)
        for bit, name in enumerate(("settings", "weights", "constants")):
            ctx.set(dut.i_apply[name], parts >> bit & 1)
        ctx.set(dut.i_apply.strobe, 1)
        await ctx.tick()
        ctx.set(dut.i_apply.strobe, 0)
        assert ctx.get(dut.o_pending)
        await ctx.tick()
        assert not ctx.get(dut.o_applied)
        await ctx.tick()
        assert ctx.get(dut.o_applied) == parts
        assert ctx.get(dut.o_configured)
        return ctx.get(dut.o_set)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.i_boundary, 1)
        assert not ctx.get(dut.o_configured)
        before = dut.o_sets[await apply(ctx, 7, 3)]
        free = [ctx.get(dut.o_free_weights), ctx.get(dut.o_free_constants)]
        used = [ctx.get(before.weights), ctx.get(before.constants)]
        assert used == [1 - side for side in free] or single_buffered
        after = dut.o_sets[await apply(ctx, parts, 5)]
        height = 5 if parts & 1 else 3
        assert ctx.get(after.below) == height - 1 - first
        assert (ctx.get(after.height_last), ctx.get(after.width_last)) == (height - 1, height)
        assert ctx.get(after.right) == height - first
        # With a kernel of 3 and `valid`, a frame of three rows has one row of outputs.
        assert ctx.get(after.one_row) == (height == 3)
        assert not ctx.get(after.one_group)
        assert ctx.get(after.out_shift) == height + 2
        moved = [ctx.get(after.weights) != used[0], ctx.get(after.constants) != used[1]]
        assert moved == ([False, False] if single_buffered else [bool(parts & 2), bool(parts & 4)])

    simulate(dut, bench)
