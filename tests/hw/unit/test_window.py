"""Window: the taps of every output position are those of the fixed-point model's window."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from golden.model import fixed_point
from hw.frozen.positions import CountedPositions
from hw.plan.shapes import Shapes
from hw.unit import window
from hw.unit.window import Window
from sim.cases.stimulus import random_frames
from tests.support.components import look, put, simulate
from tests.support.schedule import Beat, early_beats, schedule
from tests.support.tiers import in_turn, seeds
from tests.support.units import UNITS, random_unit, unit_shapes

FRAMES = 2
#: A beat in order and an early one, or neither, that are issued in one cycle.
Cycle = tuple[Beat | None, Beat | None]


def beats_in_order(shapes: Shapes, rng: np.random.Generator, empty: float) -> list[Beat]:
    """The beats of all frames; an empty group comes first with probability ``empty`` wherever one may."""
    steps = schedule(shapes.geometry, FRAMES, shapes.schedule.early)
    options = next(steps)
    beats: list[Beat] = []
    while True:
        beats.append(options[-1] if rng.random() < empty else options[0])
        try:
            options = steps.send(beats[-1])
        except StopIteration:
            return beats


#: Cycles from a row's last early beat to the row's first other beat, at least.
EARLY_TO_ISSUE = 3


def with_early_beats(shapes: Shapes, rng: np.random.Generator, line: list[Beat | None]) -> list[Cycle]:
    """``line`` with early beats, at random where no group is pushed, and as late as may be where some are left."""
    g, early = shapes.geometry, shapes.schedule.early
    left = list(early_beats(g, FRAMES, early))
    rows, last = 0, -EARLY_TO_ISSUE
    cycles: list[Cycle] = []

    def read() -> Beat | None:
        """The next early beat of the row that begins next."""
        nonlocal last
        assert left[0].group is not None
        frame, q, _ = left[0].group
        if frame * shapes.layer.config.out_height + q > rows:
            return None
        last = len(cycles)
        return left.pop(0)

    for beat in line:
        if early and beat is not None and beat.group is not None and beat.group[2] == early:
            if beat.channel == 0:
                while left and (ahead := read()) is not None:
                    cycles.append((None, ahead))
                while len(cycles) < last + EARLY_TO_ISSUE:
                    cycles.append((None, None))
            rows += beat.channel == g.channel_beats - 1
            cycles.append((beat, None))
            continue
        free = left and (beat is None or not beat.push) and rng.random() < 0.5
        cycles.append((beat, read() if free else None))
    return cycles


class Stimulus:
    """Ports of one beat, and the taps that it must bring."""

    def __init__(self, shapes: Shapes, rng: np.random.Generator) -> None:
        self.config, self.rng = shapes, rng
        frames = random_frames(rng, shapes.layer.config, FRAMES)
        c = shapes.layer.config
        #: ``[N, C, H, W]`` with room for a column right of the frame, which nobody looks at.
        self.frames = np.concatenate([frames, self.garbage(FRAMES, c.in_channels, c.height, 1)], axis=-1)
        #: ``[N, C, Ho, Wo, 2R+1, 2R+1]``
        self.windows = np.stack([fixed_point.window(shapes.layer, frame).val for frame in frames]).astype(int)

    def garbage(self, *shape: int) -> np.ndarray:
        limits = self.config.layer.config.in_range
        return self.rng.integers(limits.low, limits.high, shape, endpoint=True)

    def channels(self, beat: Beat) -> slice:
        simd = self.config.folding.simd
        return slice(beat.channel * simd, (beat.channel + 1) * simd)

    def column(self, beat: Beat | None) -> list[Any]:
        """``[row][column][lane]``: a column group where one is pushed, else anything."""
        g, c = self.config.geometry, self.config.layer.config
        column = self.garbage(len(g.rows), c.stride, self.config.folding.simd)
        if beat is not None and beat.group is not None:
            frame, q, group = beat.group
            xs = slice(group * c.stride, (group + 1) * c.stride)
            for index, dy in enumerate(g.rows):
                y = c.first_centre + c.stride * q + dy
                column[index] = self.frames[frame, self.channels(beat), y, xs].T if 0 <= y < c.height else 0
        return column.tolist()

    def taps(self, beat: Beat) -> list[list[int]]:
        """``[channel][offset]``"""
        radius = self.config.layer.config.radius
        assert beat.output is not None
        frame, y, x = beat.output
        window = self.windows[frame, self.channels(beat), y, x]
        return [[int(of_channel[radius + dy, radius + dx]) for dy, dx in self.offsets] for of_channel in window]

    @property
    def offsets(self) -> tuple[tuple[int, int], ...]:
        return self.config.geometry.offsets


def uses_last(shapes: Shapes, beat: Beat) -> bool:
    """Whether no beat after this one uses its group with the same channel."""
    return beat.output is None or beat.output_beat == shapes.geometry.output_beats - 1


def put_early(
    ctx: Any, dut: Any, shapes: Shapes, rng: np.random.Generator, beat: Beat | None, early: Beat | None
) -> None:
    """The ports that only a unit has which reads early. Rows take the banks in turn."""

    def bank(frame: int, q: int) -> int:
        return (frame * shapes.layer.config.out_height + q) % 2

    def anything(below: int) -> int:
        return int(rng.integers(below))

    ctx.set(dut.i_bank, anything(2) if beat is None or beat.output is None else bank(*beat.output[:2]))
    place = None if early is None else early.group
    ctx.set(dut.i_early.segments, 0 if place is None else 1 << (shapes.schedule.early - 1 - place[2]))
    ctx.set(dut.i_early.bank, anything(2) if place is None else bank(*place[:2]))
    ctx.set(dut.i_early.channel, anything(shapes.geometry.channel_beats) if early is None else early.channel)


def check(shapes: Shapes, seed: int, *, idle: float, empty: float = 0.5) -> None:
    """Check the taps of all beats, and the cycles from a beat's column to its taps."""
    rng = np.random.default_rng(seed)
    stimulus = Stimulus(shapes, rng)
    g, c = shapes.geometry, shapes.layer.config
    dut = Window(shapes, CountedPositions(shapes))
    line: list[Beat | None] = []
    for beat in beats_in_order(shapes, rng, empty):
        while rng.random() < idle:
            line.append(None)
        line.append(beat)
    shown: list[Any] = []
    centres: list[Any] = []
    plan = shapes.plan
    skew = [
        [cycles + plan.channel_skew[channel % plan.group] for cycles in plan.skew]
        for channel in range(shapes.folding.simd)
    ]
    latest = max(map(max, skew))
    # Cycle 1 brings the first beat, as its column number comes a cycle before its column.
    nothing: Cycle = (None, None)
    cycles = with_early_beats(shapes, rng, line)
    both = [nothing, *[nothing] * window.ahead(shapes.target), *cycles, *[nothing] * (8 + latest)]
    columns = [beat for beat, _ in both]
    controls = both[window.ahead(shapes.target) :]

    async def bench(ctx: Any) -> None:
        for cycle in range(len(cycles) + window.ahead(shapes.target) + 7 + latest):
            (control, early), (beat, early_now), following = controls[cycle], both[cycle], columns[cycle + 1]
            if shapes.schedule.early:
                put_early(ctx, dut, shapes, rng, control, early)
            ctx.set(dut.i_valid, control is not None)
            ctx.set(dut.i_push, control.push if control else int(rng.integers(2)))
            if shapes.moves_late:
                last = uses_last(shapes, control) if control else int(rng.integers(2))
                ctx.set(dut.i_last_use, last)
            ctx.set(dut.i_channel, control.channel if control else int(rng.integers(g.channel_beats)))
            x = following.output[2] if following and following.output else int(rng.integers(c.out_width))
            ctx.set(dut.i_x, x)
            put(ctx, dut.i_column, stimulus.column(beat if early_now is None else early_now))
            shown.append(look(ctx, dut.o_taps))
            centres.append(look(ctx, dut.o_centre))
            await ctx.tick()

    simulate(dut, bench)
    expected = {
        cycle: stimulus.taps(beat) for cycle, beat in enumerate(columns) if beat is not None and beat.output is not None
    }
    centre = g.offsets.index((0, 0))
    for latency in range(4):
        right = all(
            shown[cycle + latency + skew[channel][o]][channel][o] == value
            for cycle, taps in expected.items()
            for channel, values in enumerate(taps)
            for o, value in enumerate(values)
        )
        # Without attention the centre may be as late as its row.
        late = latency + window.row_lateness(shapes)[0]
        assert not (late > latency and g.attn_taps)
        if right and all(
            centres[cycle + late] == [values[centre] for values in taps] for cycle, taps in expected.items()
        ):
            assert latency == window.latency(shapes.target)
            return
    raise AssertionError(f"seed {seed}: taps are wrong at every latency")


@in_turn
@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("target", ["generic", "ecp5", "xcup"])
def test_taps_and_latency(unit: str, target: str) -> None:
    check(unit_shapes(target=target, **UNITS[unit]), seed=2, idle=0.2)


@pytest.mark.parametrize("target", ["generic", "ecp5", "xcup"])
@pytest.mark.parametrize("seed", seeds(10))
def test_taps_in_any_geometry(seed: int, target: str) -> None:
    check(random_unit(seed, target), seed, idle=0.3 * (seed % 2))


@pytest.mark.parametrize("seed", seeds(5))
def test_channels_of_a_group_in_turn(seed: int) -> None:
    """With the ``dynamic`` product chains run over channels, so these are skewed, and all taps of one alike."""
    shapes = random_unit(seed, "xcup", similar=True)
    check(shapes, seed, idle=0.2)


@pytest.mark.parametrize("unit", ["dynamic_head_is_a_beat", "dynamic_long_heads_across_beats"])
def test_channel_skew_is_there(unit: str) -> None:
    plan = unit_shapes(target="xcup", **UNITS[unit]).plan
    assert plan.cascaded and plan.group == 2 and plan.channel_skew == (0, 1)


@pytest.mark.parametrize("empty", [0, 1])
@pytest.mark.parametrize("unit", ["same", "stride_2_odd", "distance_3", "depthwise", "parallel"])
def test_frames_may_follow_with_and_without_a_gap(unit: str, empty: float) -> None:
    """Taps of a frame's last outputs, whether the next frame's head or nothing pushes them through."""
    check(unit_shapes(**UNITS[unit]), seed=3, idle=0, empty=empty)
