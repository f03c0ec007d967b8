"""Replay: order against plain loops, beats when the model says, the depth that a run wants, any pauses, resets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hw.network.beat import Beat
from hw.network.nodes.replay import Replay
from hw.targets.families import GENERIC, XC7
from tests.support.nodes import Beats, check_pauses, check_reset, check_times, random_arrivals, random_beats
from tests.support.tiers import seeds

#: pixel_beats, width, height, factor, places beyond those for a row.
SHAPES = {
    "a pixel of one beat": (1, 1, 1, 2, 0),
    "a pixel": (3, 1, 1, 3, 0),
    "a column": (1, 1, 5, 2, 1),
    "a row": (1, 6, 1, 2, 0),
    "no room for more": (2, 3, 3, 2, 0),
    "a place more": (1, 4, 4, 3, 1),
    "room for two rows": (2, 2, 3, 2, 4),
    "factor 4": (1, 3, 2, 4, 2),
    "factor 1": (2, 3, 2, 1, 3),
}


def node_of(shape: tuple[int, int, int, int, int], rng: np.random.Generator, **fields: Any) -> Replay:
    pixel_beats, width, height, factor, more = shape
    beat = Beat(lanes=int(rng.integers(1, 4)), bits=int(rng.integers(2, 9)), signed=bool(rng.integers(2)))
    return Replay(
        beat=beat,
        pixel_beats=pixel_beats,
        width=width,
        height=height,
        factor=factor,
        depth=max(2, pixel_beats * width) + more,
        target=[GENERIC, XC7][rng.integers(2)],
    )


def traffic(node: Replay, rng: np.random.Generator, frames: int) -> tuple[list[Beats], list[Beats]]:
    """Beats in, and beats out as plain loops have them."""
    inputs, output = [], []
    for _row in range(frames * node.height):
        row = [random_beats(rng, node.beat, node.pixel_beats) for _pixel in range(node.width)]
        inputs += [beat for pixel in row for beat in pixel]
        for _pass in range(node.factor):
            for pixel in row:
                for _time in range(node.factor):
                    output += pixel
    return [inputs], [output]


def frames_for(node: Replay) -> int:
    return max(2, 60 // node.frame_outputs[0])


def check(node: Replay, rng: np.random.Generator) -> None:
    inputs, outputs = traffic(node, rng, frames_for(node))
    for arrivals in (random_arrivals(rng, len(inputs[0])), np.zeros(len(inputs[0]), np.int64)):
        check_times(node, inputs, outputs, [arrivals])
    # As slow as the output is, and slower, with beats that come late.
    spread = np.arange(len(inputs[0])) * node.factor**2
    check_times(node, inputs, outputs, [np.sort(spread + rng.integers(0, 1 + 2 * node.factor, len(spread)))])
    for _ in range(2):
        check_pauses(node, rng, inputs, outputs)
    check_reset(node, rng, inputs, outputs)


@pytest.mark.parametrize("shape", SHAPES)
def test_order(shape: str) -> None:
    rng = np.random.default_rng(1)
    check(node_of(SHAPES[shape], rng), rng)


def random_shape(rng: np.random.Generator) -> tuple[int, int, int, int, int]:
    pixel_beats, width, height, factor = (int(rng.integers(1, 1 + most)) for most in (3, 4, 3, 4))
    return pixel_beats, width, height, factor, int(rng.integers(2 * pixel_beats * width))


@pytest.mark.parametrize("seed", seeds(30, costly=True))
def test_any_shape(seed: int) -> None:
    rng = np.random.default_rng(seed)
    check(node_of(random_shape(rng), rng), rng)


@pytest.mark.parametrize("seed", seeds(30, costly=True))
def test_the_least_depth_of_a_run(seed: int) -> None:
    """With so many places every beat is taken as if there were any number; with one less, one waits."""
    rng = np.random.default_rng(seed)
    node = node_of(random_shape(rng), rng)
    beats = frames_for(node) * node.frame_inputs[0]
    arrivals = np.sort(np.arange(beats) * node.factor**2 + rng.integers(0, 1 + 3 * node.row_beats, beats))
    unhindered = replace(node, depth=max(2, beats)).times([arrivals])
    depth = node.least_depth([arrivals])
    wanted = replace(node, depth=depth).times([arrivals])
    assert np.array_equal(wanted.taken, unhindered.taken) and np.array_equal(wanted.given, unhindered.given)
    if depth > node.least_places:
        assert not np.array_equal(replace(node, depth=depth - 1).times([arrivals]).taken, unhindered.taken)


def test_full_rate_needs_little_more_than_a_row() -> None:
    """Input at the rate of the output: no bubble between passes, rows or frames, with half a row more than one."""
    node = Replay(
        beat=Beat(lanes=1, bits=4, signed=True), pixel_beats=2, width=8, height=4, factor=2, depth=16, target=GENERIC
    )
    arrivals = np.arange(3 * node.frame_inputs[0]) * 4
    fitted = replace(node, depth=node.least_depth([arrivals]))
    assert 16 < fitted.depth <= 16 + 16 // 2
    given = fitted.times([arrivals]).given[0]
    # The first pass waits for its row to come.
    assert given[-1] - given[0] < 3 * node.frame_outputs[0] + 2 * node.row_beats


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({"factor": 0}, "factor is 0, not at least 1"),
        ({"depth": 5}, "depth is 5, not at least 6"),
        ({"width": 1, "pixel_beats": 1, "depth": 1}, "depth is 1, not at least 2"),
    ],
)
def test_refuses(fields: dict[str, int], refused: str) -> None:
    shape = {"pixel_beats": 2, "width": 3, "height": 1, "factor": 2, "depth": 6}
    with pytest.raises(ValueError, match=f"^{refused}$"):
        Replay(beat=Beat(lanes=1, bits=2, signed=False), target=GENERIC, **{**shape, **fields})
