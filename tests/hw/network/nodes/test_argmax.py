"""Argmax: the first of the largest, and every cycle as its model says."""

from __future__ import annotations

import numpy as np
import pytest

from hw.network.beat import Beat
from hw.network.nodes.argmax import Argmax
from tests.support.stream_bench import Play, always, play, random_arrivals, random_beats, sometimes

#: Elements, elements of a beat, bits and sign: one beat or many, trees with and without odd levels.
SHAPES = [
    (1, 1, 8, False),
    (2, 1, 2, True),
    (2, 2, 2, True),
    (7, 7, 5, False),
    (9, 3, 3, True),
    (10, 2, 20, True),
    (10, 10, 48, True),
    (10, 1, 48, False),
    (12, 6, 1, False),
    (64, 8, 2, True),
]


def frames_of(rng: np.random.Generator, count: int, shape: tuple[int, int, int, bool]) -> np.ndarray:
    """Frames, object ``[count, elements]``: random ones, all alike, ties at both ends, rising, falling."""
    elements, _, bits, signed = shape
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    frames = np.array(random_beats(rng, count, elements, bits, signed), dtype=object)
    frames[0], frames[1], frames[2] = low, high, low
    frames[2][[0, -1]] = high
    frames[3], frames[4] = (sorted(frames[index]) for index in (3, 4))
    frames[4] = frames[4][::-1]
    frames[5], frames[6] = low, low
    frames[5][-1], frames[6][elements // 2] = low + 1, high
    return frames


@pytest.mark.parametrize("pauses", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_values_and_cycles(shape: tuple[int, int, int, bool], pauses: bool) -> None:
    elements, lanes, bits, signed = shape
    rng = np.random.default_rng([elements, lanes, pauses])
    count = 12 + 100 // elements
    frames = frames_of(rng, count, shape)
    node = Argmax(input=Beat(lanes=lanes, bits=bits, signed=signed), elements=elements)
    beats = frames.reshape(-1, lanes).tolist()
    arrivals = random_arrivals(rng, len(beats), 0.6)
    sink = sometimes(rng, 0.3 if elements < 4 else 0.1) if pauses else always
    [run] = play(node.component(), Play(sources={"i_0": (beats, arrivals)}, sinks={"o_0": sink}, counts={"o_0": count}))
    assert run.beats["o_0"] == [[list(frame).index(max(frame))] for frame in frames]
    if not pauses:
        times = node.times([arrivals])
        assert run.taken["i_0"] == times.taken[0].tolist()
        assert run.given["o_0"] == times.given[0].tolist()


@pytest.mark.parametrize("shape", SHAPES)
def test_frames_back_to_back(shape: tuple[int, int, int, bool]) -> None:
    """A beat is taken in every cycle; the index comes the latency after its frame's last beat."""
    elements, lanes, bits, signed = shape
    node = Argmax(input=Beat(lanes=lanes, bits=bits, signed=signed), elements=elements)
    frames = frames_of(np.random.default_rng(elements), 20, shape)
    beats = frames.reshape(-1, lanes).tolist()
    sources = {"i_0": (beats, np.zeros(len(beats)))}
    [run] = play(node.component(), Play(sources=sources, sinks={"o_0": always}, counts={"o_0": 20}))
    assert run.taken["i_0"] == list(range(len(beats)))
    assert run.left["o_0"] == [elements // lanes * (frame + 1) - 1 + node.latency for frame in range(20)]


@pytest.mark.parametrize("cycles", [1, 4, 6, 11])
def test_a_frame_begins_anew_after_a_reset(cycles: int) -> None:
    rng = np.random.default_rng(cycles)
    node = Argmax(input=Beat(lanes=2, bits=6, signed=True), elements=10)
    before, after = (np.array(random_beats(rng, 12, 10, 6, True)) for _ in range(2))
    before[:, 0] = 31  # the largest of all stays behind in no register
    first, second = (
        Play(
            sources={"i_0": (frames.reshape(-1, 2).tolist(), np.arange(60) + 1)},
            sinks={"o_0": always if end is None else sometimes(rng, 0.2)},
            counts={"o_0": 12},
            cycles=end,
        )
        for frames, end in ((before, cycles), (after, None))
    )
    run = play(node.component(), first, second)[1]
    assert run.beats["o_0"] == [[list(frame).index(max(frame))] for frame in after.tolist()]


def test_beats_that_are_not_full_are_refused() -> None:
    with pytest.raises(AssertionError, match="beats that are full"):
        Argmax(input=Beat(lanes=3, bits=4, signed=False), elements=10)
