"""Cycle model: equal to a beat-by-beat simulation of writer and sequencer, and within what was promised."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from golden.contract.folding import Folding
from golden.contract.layer_config import NEIGHBOURS, LayerConfig
from hw.plan.geometry import Geometry
from hw.plan.schedule import CycleModel, find_schedule
from tests.support.schedule import Beat, beats_needed, beats_released, early_beats, ends_sum, schedule
from tests.support.tiers import FEW, MANY, seeds, thorough_from
from tests.support.units import UNITS, random_unit, unit_shapes

#: A beat transferred in cycle t is in the input register in t + 1, in the count of beats in
#: t + 2, has been compared in t + 3, and may be issued in t + 4.
WRITE_TO_READ = 4
#: What is read early in cycle t is found in the window by what is issued in t + 3.
EARLY_TO_READ = 3
#: What an issue in cycle t releases leaves the sequencer in t + 1, is in a register in t + 2, and free in t + 3.
READ_TO_WRITE = 3


def simulate(
    geometry: Geometry, *, slots: int, flush_always: bool, due: tuple[int, ...] = (), early: int = 0, frames: int
) -> tuple[int, list[int]]:
    """Cycle by cycle: ``(first output's issue, each frame's last issue)``, counted from the first transfer.

    The writer transfers a beat unless it would overwrite one that is not released. The
    sequencer issues the schedule's next beat unless it needs one that is not in memory. It
    takes no empty group before it is due. Where no beat of the schedule is read, the next early
    one of the row is that has begun, or is about to.
    """
    c = geometry.config
    row = c.width * geometry.channel_beats
    g_bottom = geometry.bottom_row(c.out_height - 1)
    total = frames * c.height * row
    transfers: list[int] = []
    oldest = (geometry.centre_row(0) - geometry.up) * row
    on_the_way: list[tuple[int, int]] = []  # when it is free, and the oldest beat from then on
    issued: list[int] = []
    steps = schedule(geometry, frames, early)
    options: tuple[Beat, ...] = next(steps)
    frame = empty = 0
    early_left = list(early_beats(geometry, frames, early))
    early_issued: list[int] = []
    row_early, rows_begun, begun_at = early * geometry.channel_beats, 0, -1
    for cycle in range(frames * 4 * (geometry.step_frame_cycles + total)):
        while on_the_way and on_the_way[0][0] <= cycle:
            oldest = on_the_way.pop(0)[1]
        transfer = len(transfers) < min(total, oldest + slots * row)

        def arrived(beat: Beat, now: int = cycle) -> bool:
            needed = beats_needed(geometry, beat)
            return needed == 0 or (needed <= len(transfers) and transfers[needed - 1] + WRITE_TO_READ <= now)

        beat = options[0]
        if len(options) > 1 and (flush_always or not arrived(beat)):
            beat = options[1]
        waits = False
        if beat.group is None and beat.push and beat.channel == 0 and due:
            needed = (frame * c.height + g_bottom + 1) * row
            waits = cycle < transfers[needed - 1] + due[empty]
        starts_row = beat.group is not None and beat.group[2] == early
        if early and starts_row and beat.channel == 0:
            done = early_issued[row_early * (rows_begun + 1) - 1 :]
            waits = not done or cycle < done[0] + EARLY_TO_READ
        issues = arrived(beat) and not waits
        if early_left and not (issues and beat.push) and cycle > begun_at:
            number = len(early_issued) // row_early
            if number <= rows_begun and arrived(early_left[0]):
                early_left.pop(0)
                early_issued.append(cycle)
        if issues:
            if early and starts_row and beat.channel == geometry.channel_beats - 1:
                rows_begun, begun_at = rows_begun + 1, cycle
            if beat.push and beat.channel == 0:
                empty = empty + 1 if beat.group is None else 0
                frame = frame if beat.group is None else beat.group[0]
            if ends_sum(geometry, beat):
                issued.append(cycle)
            released = beats_released(geometry, beat, early)
            if released is not None:
                on_the_way.append((cycle + READ_TO_WRITE, released))
            try:
                options = steps.send(beat)
            except StopIteration:
                per_frame = len(issued) // frames
                assert per_frame * frames == len(issued)
                return issued[0], issued[per_frame - 1 :: per_frame]
        if transfer:
            transfers.append(cycle)
    raise AssertionError(f"{slots} slots are too few, writer and sequencer wait for each other")


def check(geometry: Geometry, frames: int = 4) -> None:
    """The model with the slots chosen, with too few and with one more; and the prediction, once with each."""
    best = find_schedule(geometry)
    fewest = geometry.up + geometry.down + 1
    chosen = best.slots, best.flush_always, best.due, best.early
    late = tuple(range(5, 5 + 7 * geometry.lead, 7))
    others = {(fewest, False, (), 0), (best.slots + 1, geometry.lead > 0, (), 0), (fewest, False, late, 0)}
    if geometry.idle_groups:
        others |= {(fewest, False, (), geometry.idle_groups), (best.slots + 1, False, (), geometry.idle_groups)}
    for how in {chosen, *others}:
        slots, flush_always, due, early = how
        fields: dict[str, Any] = {"slots": slots, "flush_always": flush_always, "due": due, "early": early}
        first, ends = simulate(geometry, **fields, frames=frames)
        model = CycleModel(geometry, **fields, frames=frames)
        assert (model.first_output, model.frame_ends) == (first, ends), str(fields)
        if how == chosen:
            assert best.first_output_issue == first
            assert {b - a for a, b in itertools.pairwise(ends)} == {best.frame_cycles}


@pytest.mark.parametrize("unit", UNITS)
def test_model_against_simulation(unit: str) -> None:
    check(unit_shapes(**UNITS[unit]).geometry)


@pytest.mark.parametrize("first_seed", range(0, 100, 10))
def test_model_against_simulation_in_any_geometry(first_seed: int) -> None:
    for seed in range(first_seed, first_seed + 10):
        try:
            check(random_unit(seed).geometry)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}") from error


def large(**fields: Any) -> Geometry:
    defaults: dict[str, Any] = {"in_channels": 16, "out_channels": 16, "height": 32, "width": 32, "simd": 16, "pe": 16}
    return unit_shapes(**{**defaults, **fields}).geometry


LARGE: dict[str, Geometry] = {
    "parallel": large(),
    "256_multipliers": large(simd=16, pe=1),
    "64_multipliers": large(simd=8, pe=1),
    "sequential": large(simd=1, pe=1),
    "one_input_lane": large(simd=1, pe=16),
    "depthwise": large(groups=16),
    "wide": large(height=48, width=100, simd=4, pe=16),
    "plain": large(attn_offsets=()),
}


@pytest.mark.parametrize("unit", LARGE)
def test_3x3_loses_a_thousandth_at_most(unit: str) -> None:
    geometry = LARGE[unit]
    assert find_schedule(geometry).frame_cycles <= 1.001 * geometry.ideal_frame_cycles


STRIDED = {f"stride_2_pe_{pe}": large(stride=2, height=36, width=34, pe=pe) for pe in (1, 2, 4, 8, 16)}


@pytest.mark.parametrize("unit", STRIDED)
def test_stride_2_loses_a_thousandth_at_most(unit: str) -> None:
    geometry = STRIDED[unit]
    assert find_schedule(geometry).frame_cycles <= 1.001 * geometry.ideal_frame_cycles


def allowed_cycles(geometry: Geometry) -> int:
    """What a frame may cost: the ideal, and on small frames of ``valid`` the columns without output."""
    c = geometry.config
    cycles = geometry.ideal_frame_cycles
    if c.padding == "valid" and c.out_width < 16:
        cycles += c.out_height * (c.kernel - 1) * geometry.channel_beats
    return cycles


def check_cycles(geometry: Geometry) -> None:
    """Within what was promised, and the sequencer or the input is busy all the time."""
    best = find_schedule(geometry)
    assert best.frame_cycles <= allowed_cycles(geometry)
    c = geometry.config
    busy = max(geometry.step_frame_cycles, c.height * c.width * geometry.channel_beats)
    if best.early:
        assert geometry.ideal_frame_cycles <= best.frame_cycles < busy
    else:
        assert best.frame_cycles == busy
    if c.padding == "same":
        assert busy == geometry.ideal_frame_cycles


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [3, 5, 7])
def test_valid_layers_lose_nothing(kernel: int, stride: int) -> None:
    """The columns that complete no output are read while the multipliers work on others."""
    early = 0
    for side, pe in itertools.product((32, 33, 47), (1, 4, 8)):
        geometry = large(padding="valid", kernel=kernel, stride=stride, height=side, width=side, pe=pe)
        best = find_schedule(geometry)
        assert best.frame_cycles == geometry.ideal_frame_cycles
        early += best.early
    assert early


@pytest.mark.parametrize("kernel", [5, 7])
def test_stride_2_loses_nothing_on_few_rows(kernel: int) -> None:
    """A frame's last outputs are pushed through by the next frame's groups, which come as late as they may."""
    waits = 0
    for height, width, (simd, pe) in itertools.product(range(2, 5), range(2, 17), ((1, 1), (4, 1), (2, 2), (4, 4))):
        geometry = unit_shapes(
            kernel=kernel, stride=2, height=height, width=width, simd=simd, pe=pe, attn_offsets=()
        ).geometry
        best = find_schedule(geometry)
        assert best.frame_cycles == geometry.ideal_frame_cycles
        waits += len(best.due)
    assert waits > 10


@pytest.mark.parametrize("seed", seeds(200))
def test_frame_cycles_within_the_bound(seed: int) -> None:
    check_cycles(random_unit(seed).geometry)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("kernel", [1, 3, 5, 7])
def test_frame_cycles_within_the_bound_at_every_fold(padding: str, stride: int, kernel: int) -> None:
    """From bound by the input to bound by the multipliers, and where both are equally busy."""
    for simd, pe, size in itertools.product((1, 2, 4), (1, 2, 4, 8), (7, 8, 13)):
        fields = {"padding": padding, "stride": stride, "kernel": kernel, "height": size, "width": size + 1}
        check_cycles(unit_shapes(in_channels=4, out_channels=8, simd=simd, pe=pe, **fields).geometry)


@pytest.mark.parametrize("unit", [*UNITS, *thorough_from([f"seed_{seed}" for seed in range(40)], FEW, MANY)])
def test_intervals_are_constant_from_the_first_frame_on(unit: str) -> None:
    seeded = unit.startswith("seed_")
    geometry = (random_unit(int(unit[5:])) if seeded else unit_shapes(**UNITS[unit])).geometry
    best = find_schedule(geometry)
    model = CycleModel(
        geometry, slots=best.slots, flush_always=best.flush_always, due=best.due, early=best.early, frames=60
    )
    assert set(model.intervals) == {best.frame_cycles}


def test_full_size_frames_are_predicted_in_time() -> None:
    """A 4096 x 64 frame takes a row at a time, not a beat at a time."""
    shapes = LayerConfig(
        product="hadamard",
        in_channels=64,
        out_channels=64,
        height=64,
        width=4096,
        kernel=3,
        stride=1,
        padding="same",
        groups=1,
        attn_offsets=NEIGHBOURS,
        in_bits=8,
        in_signed=False,
        weight_bits=8,
        out_bits=8,
        out_signed=False,
        relu=True,
        attn_shift=5,
        out_shift=20,
    )
    geometry = Geometry(config=shapes, folding=Folding(simd=1, pe=1))
    assert find_schedule(geometry).frame_cycles == geometry.ideal_frame_cycles == 64 * 4096 * 64 * 64
