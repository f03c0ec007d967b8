"""Merge: order, beats when the model says, any pauses, resets."""

from __future__ import annotations

import numpy as np
import pytest

from hw.network.beat import Beat
from hw.network.nodes.merge import Merge
from tests.support.nodes import Beats, check_pauses, check_reset, check_times, random_arrivals, random_beats
from tests.support.tiers import seeds

RUNS = {
    "one input": ((0, 3),),
    "one input in two runs": ((0, 1), (0, 2)),
    "beat by beat": ((0, 1), (1, 1)),
    "unequal": ((0, 1), (1, 5)),
    "a long run first": ((0, 6), (1, 1), (2, 2)),
    "not in order": ((2, 2), (0, 1), (1, 3)),
    "an input twice": ((0, 2), (1, 1), (0, 1), (1, 4)),
    "eight": tuple((port, 1 + port % 3) for port in range(8)),
}


def traffic(node: Merge, rng: np.random.Generator, frames: int) -> tuple[list[Beats], list[Beats]]:
    inputs: list[Beats] = [[] for _ in node.inputs]
    output: Beats = []
    for _ in range(frames * node.periods):
        for port, count in node.runs:
            beats = random_beats(rng, node.beat, count)
            inputs[port] += beats
            output += beats
    return inputs, [output]


def check(runs: tuple[tuple[int, int], ...], rng: np.random.Generator) -> None:
    beat = Beat(lanes=int(rng.integers(1, 4)), bits=int(rng.integers(2, 9)), signed=bool(rng.integers(2)))
    node = Merge(beat=beat, runs=runs, periods=int(rng.integers(1, 5)))
    inputs, outputs = traffic(node, rng, max(3, 60 // node.frame_outputs[0]))
    assert [len(beats) // node.frame_inputs[port] for port, beats in enumerate(inputs)] == (
        [len(outputs[0]) // node.frame_outputs[0]] * len(inputs)
    )
    check_times(node, inputs, outputs, [random_arrivals(rng, len(beats)) for beats in inputs])
    check_times(node, inputs, outputs, [np.zeros(len(beats), np.int64) for beats in inputs])
    for _ in range(2):
        check_pauses(node, rng, inputs, outputs)
    check_reset(node, rng, inputs, outputs)


@pytest.mark.parametrize("runs", RUNS)
def test_runs(runs: str) -> None:
    check(RUNS[runs], np.random.default_rng(1))


@pytest.mark.parametrize("seed", seeds(30, costly=True))
def test_any_runs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    ports = int(rng.integers(1, 6))
    order = [*rng.permutation(ports), *rng.integers(0, ports, rng.integers(4))]
    check(tuple((int(port), int(rng.integers(1, 7))) for port in order), rng)


@pytest.mark.parametrize(
    ("runs", "periods", "refused"),
    [
        ((), 1, r"runs take the inputs \[\], not all from 0"),
        (((0, 1), (2, 1)), 1, r"runs take the inputs \[0, 2\], not all from 0"),
        (((0, 1), (1, 0)), 1, r"runs are \(\(0, 1\), \(1, 0\)\), 1 times: each has at least 1 beat, at least once"),
        (((0, 1),), 0, r"runs are \(\(0, 1\),\), 0 times: each has at least 1 beat, at least once"),
    ],
)
def test_refuses(runs: tuple[tuple[int, int], ...], periods: int, refused: str) -> None:
    with pytest.raises(ValueError, match=f"^{refused}$"):
        Merge(beat=Beat(lanes=1, bits=2, signed=False), runs=runs, periods=periods)
