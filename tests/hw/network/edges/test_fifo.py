"""FIFO: order, the cycle of every transfer, and how deep one must be."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
import pytest

from hw.network.beat import Beat
from hw.network.edges.fifo import FEW_BITS, SHALLOW, SMALL, Fifo, fifo_latency, memory_kind, needed_depth
from hw.targets.families import ECP5, GENERIC, TARGETS, XC7
from tests.support.stream_bench import Play, Ready, always, play, random_arrivals, random_beats, sometimes
from tests.support.tiers import in_turn, thorough
from tests.support.units import SIMULATED

WIDE, NARROW = Beat(lanes=3, bits=7, signed=True), Beat(lanes=1, bits=2, signed=False)
#: FIFOs in LUT RAM, and FIFOs in block RAM.
SHAPES = [(NARROW, depth) for depth in (1, 2, 3, 4, 7)] + [(WIDE, 17), (WIDE, 64), (WIDE, 65), (WIDE, 128)]
#: Shares of the cycles in which a beat is offered, and in which the sink is ready.
EAGER = [(1.0, 1.0), (0.9, 0.3), (0.3, 0.9), (0.7, 0.7), (1.0, 0.1)]


def predicted(arrivals: np.ndarray, ready: Ready, depth: int, latency: int) -> tuple[list[int], list[int], list[int]]:
    """When beats are pushed, offered and popped: a beat at a time, from what a FIFO promises."""
    pushed: list[int] = []
    given: list[int] = []
    popped: list[int] = []
    for number, arrival in enumerate(arrivals.tolist()):
        push = max(arrival, pushed[-1] + 1 if pushed else 0)
        if number >= depth:  # room comes with the pop of an earlier beat, in the cycle behind it
            push = max(push, popped[number - depth] + 1)
        offer = max(push + latency, popped[-1] + 1 if popped else 0)
        pop = offer
        while not ready(pop):
            pop += 1
        pushed.append(push)
        given.append(offer)
        popped.append(pop)
    return pushed, given, popped


@in_turn
@pytest.mark.parametrize("eager", EAGER)
@pytest.mark.parametrize(("beat", "depth"), SHAPES)
def test_every_transfer(beat: Beat, depth: int, eager: tuple[float, float]) -> None:
    rng = np.random.default_rng([depth, *(int(10 * share) for share in eager)])
    count = 2 * depth + 60
    target = SIMULATED["generic"]
    beats = random_beats(rng, count, beat.lanes, beat.bits, beat.signed)
    arrivals = random_arrivals(rng, count, eager[0])
    ready = always if eager[1] == 1 else sometimes(rng, eager[1])
    [run] = play(
        Fifo(beat, depth, target), Play(sources={"i": (beats, arrivals)}, sinks={"o": ready}, counts={"o": count})
    )
    assert run.beats["o"] == beats
    latency = fifo_latency(beat, depth, target)
    assert (run.taken["i"], run.given["o"], run.left["o"]) == predicted(arrivals, ready, depth, latency)


@pytest.mark.parametrize("depth", [4, 300])
@pytest.mark.parametrize("target", SIMULATED)
def test_every_target(target: str, depth: int) -> None:
    rng = np.random.default_rng(depth)
    count, arrivals = depth + 40, random_arrivals(rng, depth + 40, 0.9)
    beats, ready = random_beats(rng, count, 2, 5, False), sometimes(rng, 0.4)
    beat = Beat(lanes=2, bits=5, signed=False)
    fifo = Fifo(beat, depth, SIMULATED[target])
    [run] = play(fifo, Play(sources={"i": (beats, arrivals)}, sinks={"o": ready}, counts={"o": count}))
    assert run.beats["o"] == beats
    latency = 1 if depth == 4 else 4 if SIMULATED[target].relays else 3
    assert fifo_latency(beat, depth, SIMULATED[target]) == latency
    assert (run.taken["i"], run.given["o"], run.left["o"]) == predicted(arrivals, ready, depth, latency)


@pytest.mark.parametrize("cycles", [3, 9, 40, 150])
@pytest.mark.parametrize(("beat", "depth"), [(NARROW, 1), (NARROW, 3), (WIDE, 64), (WIDE, 70)])
def test_nothing_is_left_after_a_reset(beat: Beat, depth: int, cycles: int) -> None:
    """No beat of before, be it in the memory, in a register behind it or at the port."""
    rng = np.random.default_rng([depth, cycles])
    before = random_beats(rng, 200, beat.lanes, beat.bits, beat.signed)
    after = random_beats(rng, 90, beat.lanes, beat.bits, beat.signed)
    fast, slow = np.arange(200), np.arange(90) + 8
    for ready in (always, sometimes(rng, 0.5), sometimes(rng, 0)):
        first = Play(sources={"i": (before, fast)}, sinks={"o": ready}, counts={"o": 200}, cycles=cycles)
        second = Play(sources={"i": (after, slow)}, sinks={"o": always}, counts={"o": 90})
        target = SIMULATED["generic"]
        run = play(Fifo(beat, depth, target), first, second)[1]
        assert run.beats["o"] == after
        if depth > 1:
            assert run.taken["i"] == slow.tolist()
            assert run.given["o"] == (slow + fifo_latency(beat, depth, target)).tolist()


def test_memory_kinds() -> None:
    for target in TARGETS.values():
        shallow, small = SHALLOW * target.ram_depth, SMALL * target.ram_depth
        few = int(target.fabric.block_kbit * 1024 * FEW_BITS) // small
        kinds = [
            memory_kind(Beat(lanes=1, bits=bits, signed=False), depth, target)
            for bits, depth in (
                (1000, 1),
                (1000, 2),
                (1000, shallow),
                (1000, shallow + 1),
                (few, small),
            )
        ]
        assert kinds == ["register", "lut", "lut", "block", "lut"]
    for target in GENERIC, ECP5:
        small = SMALL * target.ram_depth
        few = int(target.fabric.block_kbit * 1024 * FEW_BITS) // small
        beats = (Beat(lanes=1, bits=few + 1, signed=False), small), (Beat(lanes=1, bits=1, signed=False), small + 1)
        assert [memory_kind(beat, depth, target) for beat, depth in beats] == ["block", "block"]
    beat = Beat(lanes=2, bits=9, signed=False)
    assert [memory_kind(beat, depth, ECP5) for depth in (32, 64, 65)] == ["lut", "lut", "block"]
    # What two LUT RAMs in a row hold of half a block's words costs less than that half.
    assert [memory_kind(beat, depth, XC7) for depth in (64, 128, 129)] == ["lut", "lut", "block"]
    assert [memory_kind(Beat(lanes=1, bits=8, signed=False), depth, XC7) for depth in (256, 257)] == ["lut", "block"]
    assert (fifo_latency(WIDE, 54, GENERIC), fifo_latency(WIDE, 65, GENERIC)) == (1, 3)


def test_needed_depth_by_counting() -> None:
    """No push waits with the depth, and one would with less: counted beat by beat."""
    for seed in range(200):
        rng = np.random.default_rng(seed)
        count = int(rng.integers(1, 40))
        pushes = np.cumsum(rng.geometric(rng.uniform(0.2, 1), count))
        pops = np.maximum.accumulate(pushes + rng.integers(1, 20, count))
        pops = np.maximum.accumulate(pops - np.arange(count)) + np.arange(count)
        depth = needed_depth(pushes, pops)
        inside = [n - bisect_left(pops.tolist(), push) for n, push in enumerate(pushes.tolist())]
        assert all(level < depth for level in inside), f"seed {seed}"
        assert any(level >= depth - 1 for level in inside), f"seed {seed}"
    assert needed_depth(np.zeros(0, np.int64), np.zeros(0, np.int64)) == 0


@thorough
@pytest.mark.parametrize("depth", [1, 2, 5, 80])
def test_the_needed_depth_is_needed(depth: int) -> None:
    """A FIFO of the needed depth takes every beat when it comes. One with an entry less does not."""
    rng = np.random.default_rng(depth)
    count, target = 3 * depth + 50, SIMULATED["generic"]
    ready = sometimes(rng, 0.5)
    arrivals = np.arange(count) + np.cumsum(rng.random(count) < 0.5)
    pushed, _, popped = predicted(arrivals, ready, count, fifo_latency(WIDE, depth, target))
    needed = needed_depth(np.array(pushed), np.array(popped))
    beats = random_beats(rng, count, WIDE.lanes, WIDE.bits, WIDE.signed)
    taken = {}
    for deep in (needed, needed - 1):
        fifo = Fifo(WIDE, deep, target)
        one = Play(sources={"i": (beats, arrivals)}, sinks={"o": ready}, counts={"o": count})
        [run] = play(fifo, one)
        taken[deep] = run.taken["i"]
    assert taken[needed] == pushed != taken[needed - 1]
