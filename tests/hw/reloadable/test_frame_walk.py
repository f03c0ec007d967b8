"""Frame writer and frame walk together: every read finds what it wants, in the predicted cycle."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module, Signal, signed

from hw.plan.frame_schedule import FrameCycleModel
from hw.plan.geometry import Geometry
from hw.plan.shapes import Shapes
from hw.reloadable.frame_walk import less
from tests.support.components import show
from tests.support.front_end import reloadable, reloadable_shapes, run
from tests.support.tiers import FEW, seeds, thorough_from
from tests.support.units import UNITS, random_unit


@pytest.mark.parametrize("limit", range(-3, 10))
def test_less(limit: int) -> None:
    value, numbers = Signal(signed(5)), range(-16, 16)
    shown = show(Module(), [value], less(value, limit), [[number] for number in numbers], 0)
    assert shown == [number < limit for number in numbers]


def sizes_up_to(shapes: Shapes, rng: np.random.Generator, count: int) -> list[Geometry]:
    """Frames of random size, the smallest and the largest among them."""
    c, least = shapes.layer.config, shapes.layer.config.smallest_frame
    sizes = [(c.height, c.width), (least, least), (c.height, c.width)]
    sizes += [
        (int(rng.integers(least, c.height, endpoint=True)), int(rng.integers(least, c.width, endpoint=True)))
        for _ in range(count - 3)
    ]
    return [shapes.geometry.of_frame(*size) for size in rng.permutation(sizes).tolist()]


def check_cycles(shapes: Shapes, frames: list[Geometry]) -> None:
    p = shapes.schedule
    model = FrameCycleModel(shapes.geometry, slots=p.slots, flush_always=p.flush_always, frames=frames)
    seen = run(shapes, frames)
    assert (seen.first_output, seen.frame_ends) == (model.first_output, model.frame_ends)
    assert not any(seen.damaged)


@pytest.mark.parametrize("name", [name for name in UNITS if not name.startswith("dynamic")])
def test_named_units(name: str) -> None:
    shapes = reloadable_shapes(**UNITS[name])
    check_cycles(shapes, sizes_up_to(shapes, np.random.default_rng(1), 6))


@pytest.mark.parametrize("seed", thorough_from(range(40), FEW, 6))
def test_random_units(seed: int) -> None:
    """Reads and cycles at full rate; the same reads whenever source and sink pause."""
    shapes = _reloadable(seed)
    frames = sizes_up_to(shapes, np.random.default_rng(seed), 7)
    check_cycles(shapes, frames)
    run(shapes, frames, idle=0.4, stall=0.3, seed=seed)


@pytest.mark.parametrize("seed", seeds(12))
def test_masks(seed: int) -> None:
    """Each output position is told which columns of its taps lie outside its own frame."""
    shapes = _reloadable(100 + seed)
    frames = sizes_up_to(shapes, np.random.default_rng(seed), 4)
    unmasked = {dx for _, dx in shapes.geometry.offsets} - set(shapes.edge_columns)
    expected: list[int] = []
    sums = shapes.geometry.output_beats * (shapes.geometry.channel_beats if shapes.layer.config.depthwise else 1)
    for g in frames:
        c = g.config
        for x in range(c.out_height * c.out_width):
            centre = c.first_centre + c.stride * (x % c.out_width)
            assert all(0 <= centre + dx < c.width for dx in unmasked)
            mask = sum((not 0 <= centre + dx < c.width) << index for index, dx in enumerate(shapes.edge_columns))
            expected += [mask] * sums
    assert run(shapes, frames).outside == expected


@pytest.mark.parametrize("seed", thorough_from(range(20), FEW, 6))
def test_early_tlast(seed: int) -> None:
    """A frame that ends too early is completed, and marked; its neighbours are as they should be."""
    rng = np.random.default_rng(seed)
    shapes = _reloadable(200 + seed)
    frames = sizes_up_to(shapes, rng, 5)
    counts = [g.config.height * g.config.width * g.channel_beats for g in frames]
    short = [int(rng.integers(1, count, endpoint=True)) for count in counts]
    sent = [count if n % 2 else less for n, (count, less) in enumerate(zip(counts, short, strict=True))]
    seen = run(shapes, frames, idle=0.2, stall=0.2, seed=seed, last=sent)
    assert seen.damaged == [less < count for less, count in zip(sent, counts, strict=True)]


@pytest.mark.parametrize("seed", seeds(12))
def test_late_tlast(seed: int) -> None:
    """What follows a frame without TLAST is dropped up to the next one."""
    rng = np.random.default_rng(seed)
    shapes = _reloadable(300 + seed)
    frames = sizes_up_to(shapes, rng, 4)
    counts = [g.config.height * g.config.width * g.channel_beats for g in frames]
    sent = [count + int(rng.integers(0, 5)) for count in counts]
    seen = run(shapes, frames, idle=0.2, seed=seed, last=sent)
    assert seen.damaged == [more > count for more, count in zip(sent, counts, strict=True)]


def _reloadable(seed: int, **options: Any) -> Shapes:
    """A random unit with the formats that let any weights be loaded."""
    while True:
        shapes = random_unit(seed, **options)
        if shapes.layer.config.attn_shift <= 8:
            return reloadable(shapes)
        seed += 1000
