"""Reduce: windows against plain loops, beats when the model says, any pauses, resets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from hw.network.beat import Beat
from hw.network.nodes.reduce import Reduce
from hw.targets.families import GENERIC, XC7
from tests.support.nodes import Beats, check_pauses, check_reset, check_times, random_arrivals, random_beats
from tests.support.tiers import in_turn, seeds, thorough_from

#: items, item_beats, kernel, stride, pad.
SHAPES = {
    "an item is its window": (1, 1, 1, 1, 0),
    "one item": (1, 3, 3, 2, 1),
    "one item, many windows": (1, 2, 7, 1, 3),
    "every item": (4, 2, 1, 1, 0),
    "every other item": (5, 1, 1, 2, 0),
    "kernel 2, padded": (5, 1, 2, 1, 1),
    "kernel 2, apart": (6, 2, 2, 2, 0),
    "kernel 2, apart, padded": (6, 2, 2, 2, 1),
    "more padding than half": (7, 2, 4, 1, 3),
    "kernel 4, padded": (7, 1, 4, 2, 2),
    "kernel 3, even": (8, 4, 3, 2, 1),
    "kernel 3, odd": (7, 5, 3, 2, 1),
    "kernel 3, same": (5, 6, 3, 1, 1),
    "kernel 7, frame of 3": (3, 1, 7, 1, 3),
    "kernel 7, frame of 4, stride 3": (4, 7, 7, 3, 3),
    "kernel 5, stride 7": (16, 1, 5, 7, 2),
    "stride 7": (17, 2, 2, 7, 0),
    "items behind the last window": (9, 3, 3, 4, 0),
    "frame": (12, 1, 12, 1, 0),
    "frame of many beats": (5, 9, 5, 1, 0),
    "a word for each address": (4, 12, 3, 1, 1),
}


def random_shape(rng: np.random.Generator) -> tuple[int, int, int, int, int]:
    while True:
        kernel = int(rng.integers(1, 8))
        shape = int(rng.integers(1, 13)), int(rng.integers(1, 9)), kernel, int(rng.integers(1, 8))
        pad = int(rng.integers(kernel))
        if shape[0] + 2 * pad >= kernel:
            return *shape, pad


def node_of(shape: tuple[int, int, int, int, int], rng: np.random.Generator, **fields: Any) -> Reduce:
    items, item_beats, kernel, stride, pad = shape
    beat = Beat(lanes=int(rng.integers(1, 4)), bits=int(rng.integers(2, 9)), signed=bool(rng.integers(2)))
    chosen = {
        "operation": rng.choice(["max", "sum"]),
        "target": [GENERIC, XC7][rng.integers(2)],
        "beat": beat,
        **fields,
    }
    return Reduce(items=items, item_beats=item_beats, kernel=kernel, stride=stride, pad=pad, **chosen)


def traffic(node: Reduce, rng: np.random.Generator, frames: int) -> tuple[list[Beats], list[Beats]]:
    """Beats in, and beats out as plain loops have them."""
    inputs, outputs = [], [[] for _ in node.outputs]
    for _ in range(frames * node.repeats):
        beats = random_beats(rng, node.beat, node.items * node.item_beats)
        inputs += beats
        windows = []
        first = -node.pad
        while first + node.kernel <= node.items + node.pad:
            inside = [item for item in range(first, first + node.kernel) if 0 <= item < node.items]
            windows.append((max(inside), inside))
            first += node.stride
        # The first window that is complete with the last item is output 0's, the others have one each.
        at_end = [inside for last, inside in windows if last == node.items - 1]
        before = [inside for last, inside in windows if last < node.items - 1]
        for port, group in enumerate([before + at_end[:1], *([inside] for inside in at_end[1:])]):
            for inside in group:
                for place in range(node.item_beats):
                    columns = zip(*(beats[item * node.item_beats + place] for item in inside), strict=True)
                    outputs[port].append([max(c) if node.operation == "max" else sum(c) for c in columns])
    return [inputs], outputs


def frames_for(node: Reduce, beats: int) -> int:
    return max(3, beats // node.frame_inputs[0])


def check(node: Reduce, rng: np.random.Generator) -> None:
    inputs, outputs = traffic(node, rng, frames_for(node, 40))
    check_times(node, inputs, outputs, [random_arrivals(rng, len(inputs[0]))])
    check_times(node, inputs, outputs, [np.zeros(len(inputs[0]), np.int64)])
    for _ in range(2):
        check_pauses(node, rng, inputs, outputs)
    check_reset(node, rng, inputs, outputs)


@in_turn
@pytest.mark.parametrize("operation", thorough_from(["max", "sum"], 1))
@pytest.mark.parametrize("shape", SHAPES)
def test_windows(shape: str, operation: str) -> None:
    rng = np.random.default_rng(1)
    check(node_of(SHAPES[shape], rng, operation=operation), rng)


@pytest.mark.parametrize("seed", seeds(60, costly=True))
def test_any_windows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    check(node_of(random_shape(rng), rng, repeats=int(rng.integers(1, 3))), rng)


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        ({"kernel": 0}, "kernel is 0, not at least 1"),
        ({"stride": -1}, "stride is -1, not at least 1"),
        ({"pad": 3}, "pad is 3, not from 0 to 2: windows of padding only"),
        ({"items": 2}, "kernel is 3, more than 2 items and twice 0 of padding"),
    ],
)
def test_refuses(fields: dict[str, int], refused: str) -> None:
    shape = {"items": 4, "item_beats": 1, "kernel": 3, "stride": 1, "pad": 0}
    with pytest.raises(ValueError, match=f"^{refused}$"):
        Reduce(beat=Beat(lanes=1, bits=2, signed=False), operation="max", target=GENERIC, **{**shape, **fields})


def test_widths_and_counts() -> None:
    """As worked out by hand: 9 of 15 at most, 49 of -8 at least; a 7x3 window on 5 items, three cut off."""
    sums = [
        Reduce(
            beat=Beat(lanes=2, bits=4, signed=signed),
            operation="sum",
            items=kernel,
            item_beats=1,
            kernel=kernel,
            stride=1,
            pad=0,
            target=GENERIC,
        ).result
        for kernel, signed in ((9, False), (49, True), (64, True), (65, True), (1, True))
    ]
    assert [(beat.lanes, beat.bits, beat.signed) for beat in sums] == [
        (2, 8, False),
        (2, 10, True),
        (2, 10, True),
        (2, 11, True),
        (2, 4, True),
    ]
    cut = Reduce(
        beat=sums[0], operation="max", items=5, item_beats=6, kernel=7, stride=1, pad=3, target=GENERIC, repeats=2
    )
    assert (cut.windows, cut.extra, cut.frame_inputs, cut.frame_outputs) == (5, 3, (60,), (24, 12, 12, 12))
    assert cut.outputs == (sums[0],) * 4
