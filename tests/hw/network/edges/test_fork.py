"""Fork: every consumer gets every beat once, as soon as it is there."""

from __future__ import annotations

import numpy as np
import pytest

from hw.network.beat import Beat
from hw.network.edges.fork import Fork
from tests.support.stream_bench import Play, always, play, random_arrivals, random_beats, sometimes

BEAT = Beat(lanes=2, bits=5, signed=True)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("consumers", [1, 2, 3, 5])
def test_every_transfer(consumers: int, seed: int) -> None:
    rng = np.random.default_rng([consumers, seed])
    count, names = 150, [f"o_{number}" for number in range(consumers)]
    beats, arrivals = random_beats(rng, count, 2, 5, True), random_arrivals(rng, count, rng.uniform(0.3, 1))
    sinks = {name: always if rng.random() < 0.2 else sometimes(rng, rng.uniform(0.2, 0.9)) for name in names}
    [run] = play(
        Fork(BEAT, consumers),
        Play(sources={"i": (beats, arrivals)}, sinks=sinks, counts=dict.fromkeys(names, count)),
    )
    here = 0
    for number in range(count):
        here = max(here, int(arrivals[number]))
        leaves = []
        for name in names:
            assert run.beats[name][number] == beats[number]
            assert run.given[name][number] == here, "a consumer waits for another, but through the input beat"
            leaves.append(next(cycle for cycle in range(here, here + 1000) if sinks[name](cycle)))
            assert run.left[name][number] == leaves[-1]
        assert run.taken["i"][number] == max(leaves)
        here = max(leaves) + 1


@pytest.mark.parametrize("cycles", [4, 5, 13])
def test_clean_after_a_reset(cycles: int) -> None:
    """Where one consumer has taken a beat and the other has not, both get the next one."""
    rng = np.random.default_rng(cycles)
    before, after = (random_beats(rng, 30, 2, 5, True) for _ in range(2))
    counts = {"o_0": 30, "o_1": 30}
    first = Play(
        sources={"i": (before, np.arange(30))},
        sinks={"o_0": always, "o_1": lambda cycle: cycle < 2},
        counts=counts,
        cycles=cycles,
    )
    second = Play(sources={"i": (after, np.arange(30) + 2)}, sinks=dict.fromkeys(counts, always), counts=counts)
    broken, run = play(Fork(BEAT, 2), first, second)
    assert len(broken.left["o_0"]) == len(broken.left["o_1"]) + 1
    assert run.beats == {"o_0": after, "o_1": after}
    assert run.taken["i"] == list(range(2, 32))
