"""Relay: order, the cycle of every transfer beside the model, and nothing that is left after a reset."""

from __future__ import annotations

import numpy as np
import pytest

from hw.network.beat import Beat
from hw.network.edges import relay
from hw.network.edges.relay import PLACES, Relay
from tests.support.stream_bench import Play, always, play, random_arrivals, random_beats, sometimes

BEAT = Beat(lanes=2, bits=5, signed=True)


@pytest.mark.parametrize("eager", [(1.0, 1.0), (0.9, 0.3), (0.3, 0.9), (0.7, 0.7), (1.0, 0.1)])
def test_every_transfer(eager: tuple[float, float]) -> None:
    rng = np.random.default_rng([int(10 * share) for share in eager])
    count = 150
    beats, arrivals = random_beats(rng, count, 2, 5, True), random_arrivals(rng, count, eager[0])
    ready = always if eager[1] == 1 else sometimes(rng, eager[1])
    [run] = play(Relay(BEAT), Play(sources={"i": (beats, arrivals)}, sinks={"o": ready}, counts={"o": count}))
    assert run.beats["o"] == beats
    left = np.array(run.left["o"])
    taken = relay.taken(arrivals, left)
    assert run.taken["i"] == taken.tolist()
    assert run.given["o"] == relay.given(taken, left).tolist()


def test_full_rate() -> None:
    """A beat in every cycle, a cycle later; with a sink that stops, as many more as there are places."""
    beats, arrivals = [[number % 16, 0] for number in range(40)], np.arange(40)
    played = [
        play(Relay(BEAT), Play(sources={"i": (beats, arrivals)}, sinks={"o": ready}, counts={"o": 40}))[0]
        for ready in (always, lambda cycle: not 10 <= cycle < 30)
    ]
    assert played[0].taken["i"] == list(range(40)) == relay.taken(arrivals).tolist()
    assert played[0].left["o"] == list(range(1, 41)) == relay.given(relay.taken(arrivals)).tolist()
    assert played[1].taken["i"][8 + PLACES :][:3] == [10, 31, 32]


@pytest.mark.parametrize("cycles", [3, 4, 9])
def test_nothing_is_left_after_a_reset(cycles: int) -> None:
    rng = np.random.default_rng(cycles)
    before, after = (random_beats(rng, 30, 2, 5, True) for _ in range(2))
    first = Play(
        sources={"i": (before, np.arange(30))}, sinks={"o": lambda cycle: cycle == 2}, counts={"o": 30}, cycles=cycles
    )
    second = Play(sources={"i": (after, np.arange(30) + 5)}, sinks={"o": always}, counts={"o": 30})
    run = play(Relay(BEAT), first, second)[1]
    assert run.beats["o"] == after and run.taken["i"] == list(range(5, 35))
