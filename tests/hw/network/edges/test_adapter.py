"""Width adapter: the same elements in the same order, when each beat moves, and what is kept."""

from __future__ import annotations

from math import gcd

import numpy as np
import pytest

from hw.network.beat import Beat
from hw.network.edges.adapter import Adapter, kept_elements, moves, offered, taken
from tests.support.stream_bench import Play, Ready, always, play, random_arrivals, random_beats, sometimes

#: Elements of a beat that comes and of one that goes: as many, fewer, more, and neither a part of the other.
WIDTHS = [(1, 1), (4, 2), (6, 1), (2, 4), (1, 5), (4, 6), (6, 4), (2, 3), (3, 2), (5, 7), (7, 5), (8, 12), (15, 6)]
#: Shares of the cycles in which a beat is offered, and in which the sink is ready.
EAGER = [(1.0, 1.0), (0.5, 1.0), (1.0, 0.4), (0.6, 0.6)]


def predicted(a: int, b: int, arrivals: list[int], ready: Ready) -> tuple[list[int], list[int], list[int]]:
    """When beats are taken, offered and leave, cycle by cycle and element by element.

    An output beat is offered when its elements are there. A beat leaves when fewer than ``b`` of its elements are
    still wanted, and is not in the way of anything before.
    """
    takes, offers, leaves = [], [], []
    kept, rest, cycle, waits = 0, a, 0, False
    while len(takes) < len(arrivals):
        if cycle >= arrivals[len(takes)]:
            complete = kept + rest >= b
            if complete and not waits:
                offers.append(cycle)
            waits = complete and not ready(cycle)
            if not waits:
                if complete:
                    leaves.append(cycle)
                    kept, rest = 0, rest - (b - kept)
                if not complete or rest < b:
                    takes.append(cycle)
                    kept, rest = kept + rest, a
        cycle += 1
    return takes, offers, leaves


@pytest.mark.parametrize("eager", EAGER)
@pytest.mark.parametrize(("a", "b"), WIDTHS)
def test_every_transfer(a: int, b: int, eager: tuple[float, float]) -> None:
    rng = np.random.default_rng([a, b, *(int(10 * share) for share in eager)])
    period = a * b // gcd(a, b)
    elements = period * (120 // period + 8)
    stream = np.array(random_beats(rng, elements // a, a, 5, True))
    arrivals = random_arrivals(rng, elements // a, eager[0])
    ready = always if eager[1] == 1 else sometimes(rng, eager[1])
    [run] = play(
        Adapter(Beat(lanes=a, bits=5, signed=True), b),
        Play(sources={"i": (stream.tolist(), arrivals)}, sinks={"o": ready}, counts={"o": elements // b}),
    )
    assert run.beats["o"] == stream.reshape(-1, b).tolist()
    assert (run.taken["i"], run.given["o"], run.left["o"]) == predicted(a, b, arrivals.tolist(), ready)
    assert taken(a, b, arrivals, np.array(run.left["o"])).tolist() == run.taken["i"]
    if eager[1] == 1:
        assert offered(a, b, arrivals).tolist() == run.given["o"]


@pytest.mark.parametrize(("a", "b"), WIDTHS)
def test_no_cycle_is_lost_at_full_rate(a: int, b: int) -> None:
    """A period costs as many cycles as it has beats on the side that has more of them."""
    period = a * b // gcd(a, b)
    elements, ideal = 10 * period, period // min(a, b)
    given = offered(a, b, np.zeros(elements // a, np.int64))
    assert given[period // b - 1] == ideal - 1
    assert (given[period // b :] - given[: -period // b] == ideal).all()
    assert len(moves(a, b)) == ideal


@pytest.mark.parametrize(
    ("a", "b", "kept"), [(4, 2, 0), (4, 4, 0), (2, 4, 2), (4, 6, 4), (6, 4, 2), (5, 7, 6), (7, 5, 4)]
)
def test_every_register_is_needed(a: int, b: int, kept: int) -> None:
    assert kept_elements(a, b) == kept == max(move.held for move in moves(a, b)) * gcd(a, b)


@pytest.mark.parametrize(("a", "b"), [(4, 2), (2, 4), (4, 6), (6, 4)])
@pytest.mark.parametrize("cycles", [3, 4, 6])
def test_begins_anew_after_a_reset(a: int, b: int, cycles: int) -> None:
    rng = np.random.default_rng([a, b, cycles])
    before, after = (np.array(random_beats(rng, 120 // a, a, 5, True)) for _ in range(2))
    first, second = (
        Play(
            sources={"i": (stream.tolist(), np.arange(120 // a))},
            sinks={"o": always},
            counts={"o": 120 // b},
            cycles=end,
        )
        for stream, end in ((before, cycles), (after, None))
    )
    run = play(Adapter(Beat(lanes=a, bits=5, signed=True), b), first, second)[1]
    assert run.beats["o"] == after.reshape(-1, b).tolist()
