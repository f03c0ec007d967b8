"""Pacer: the cycle of every beat at full rate, and that no more than its rate ever passes."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import numpy as np
import pytest

from hw.network.beat import Beat
from hw.network.edges.pacer import CAPACITY, Pacer, is_needed, pace
from tests.support.stream_bench import Play, always, play, random_arrivals, random_beats, sometimes

BEAT = Beat(lanes=2, bits=4, signed=False)
#: Beats of a frame, and cycles in which they pass.
RATES = [(1, 1), (1, 2), (1, 7), (3, 3), (3, 4), (5, 7), (4, 8), (9, 64), (12, 13), (2, 100)]


@pytest.mark.parametrize(("beats", "interval"), RATES)
def test_an_even_rate(beats: int, interval: int) -> None:
    """Every beat at its cycle, and every frame an interval after the one before."""
    count = beats * (2 + 60 // interval) + 3
    times = pace(beats, interval, count)
    assert times.tolist() == [ceil(Fraction(n * interval, beats)) for n in range(count)]
    assert (times[beats:] - times[:-beats] == interval).all()
    content = random_beats(np.random.default_rng(beats), count, 2, 4, False)
    [run] = play(
        Pacer(BEAT, beats, interval),
        Play(sources={"i": (content, np.zeros(count))}, sinks={"o": always}, counts={"o": count}),
    )
    assert run.beats["o"] == content
    assert run.taken["i"] == run.given["o"] == run.left["o"] == times.tolist()


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("beats", "interval"), [(3, 3), (1, 4), (5, 7), (9, 20)])
def test_under_pauses(beats: int, interval: int, seed: int) -> None:
    """Nothing is lost. No window of time has more beats than the rate allows, and `CAPACITY` that waited."""
    rng = np.random.default_rng([beats, interval, seed])
    content = random_beats(rng, 100, 2, 4, False)
    [run] = play(
        Pacer(BEAT, beats, interval),
        Play(
            sources={"i": (content, random_arrivals(rng, 100, beats / interval))},
            sinks={"o": sometimes(rng, rng.uniform(0.2, 0.9))},
            counts={"o": 100},
        ),
    )
    assert run.beats["o"] == content and run.taken["i"] == run.left["o"]
    left = run.left["o"]
    for first in range(100):
        for last in range(first, 100):
            # Over the accumulator's own fraction of a token, and the beats that had waited.
            most = Fraction((left[last] - left[first]) * beats, interval) + 1 + CAPACITY
            assert last - first + 1 <= most


def test_the_pacer_that_holds_nothing_back_is_not_needed() -> None:
    assert not is_needed(5, 5)
    assert is_needed(5, 6)


def test_begins_anew_after_a_reset() -> None:
    content = random_beats(np.random.default_rng(1), 20, 2, 4, False)
    for cycles in (1, 2, 5, 6):
        first, second = (
            Play(sources={"i": (content, np.zeros(20))}, sinks={"o": always}, counts={"o": 20}, cycles=end)
            for end in (cycles, None)
        )
        assert play(Pacer(BEAT, 3, 11), first, second)[1].left["o"] == pace(3, 11, 20).tolist()
