"""Heads in beats: groups and patterns against a walk over the channels, one after the other."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from amaranth.hdl import Const

from hw.plan.heads import Heads, Pattern
from hw.unit.head_sum import beat_flag

#: Every way in which heads of up to 12 channels lie in up to 6 beats of up to 8 channels.
LAYOUTS = [
    Heads(simd=simd, beats=beats, head_channels=size)
    for simd, beats, size in itertools.product(range(1, 9), range(1, 7), range(1, 13))
    if simd * beats % size == 0
]


def walk(heads: Heads) -> Iterator[tuple[list[list[int]], list[int]]]:
    """Of every beat: the channels in it of each head that it completes, and those of a head that goes on."""
    channel = 0
    for _ in range(heads.beats):
        completed: list[list[int]] = []
        own: list[int] = []
        for place in range(heads.simd):
            own.append(place)
            channel += 1
            if channel % heads.head_channels == 0:
                completed.append(own)
                own = []
        yield completed, own


def in_beat(pattern: Pattern, beat: int) -> bool:
    return bool(pattern >> beat & 1)


def channels_of(heads: Heads, groups: list[int]) -> list[int]:
    return [group * heads.group + channel for group in groups for channel in range(heads.group)]


@pytest.mark.parametrize("simd", range(1, 9))
def test_patterns_are_those_of_a_walk(simd: int) -> None:
    for heads in (layout for layout in LAYOUTS if layout.simd == simd):
        beats, groups = list(walk(heads)), range(heads.groups)
        assert heads.at_once == max(len(completed) for completed, _ in beats), heads
        assert heads.spans == any(begun for _, begun in beats), heads
        for beat, (completed, begun) in enumerate(beats):
            # Where nothing is completed, what is there adds to the head that will be, which is the first.
            members = completed or [begun]
            for place in range(heads.at_once):
                assert in_beat(heads.completes[place], beat) == (place < len(completed)), heads
                found = [group for group in groups if in_beat(heads.members[place][group], beat)]
                assert channels_of(heads, found) == (members[place] if place < len(members) else []), heads
            found = [group for group in groups if in_beat(heads.begun[group], beat)]
            assert channels_of(heads, found) == (begun if completed else []), heads
        everything = [heads.completes[place] for place in range(heads.at_once)]
        everything += [heads.members[place][group] for place in range(heads.at_once) for group in groups]
        assert all(0 <= pattern < 2**heads.beats for pattern in everything)


def test_each_head_is_completed_once_and_in_order() -> None:
    for heads in LAYOUTS:
        completed = [
            (beat, place)
            for beat in range(heads.beats)
            for place in range(heads.at_once)
            if in_beat(heads.completes[place], beat)
        ]
        ends = [((head + 1) * heads.head_channels - 1) // heads.simd for head in range(len(completed))]
        assert [beat for beat, _ in completed] == ends
        assert len(completed) * heads.head_channels == heads.simd * heads.beats
        assert [place for _, place in completed] == [ends[:head].count(end) for head, end in enumerate(ends)]


def test_groups_are_the_largest_that_no_head_parts() -> None:
    for heads in LAYOUTS:

        def is_parted(size: int, heads: Heads = heads) -> bool:
            channels = range(heads.simd * heads.beats)
            blocks = [channels[first : first + size] for first in range(0, len(channels), size)]
            return any(len({channel // heads.head_channels for channel in block}) > 1 for block in blocks)

        sizes = [size for size in range(1, heads.simd + 1) if heads.simd % size == 0 and not is_parted(size)]
        assert heads.group == max(sizes), heads
        assert heads.group * heads.groups == heads.simd


def test_flags_are_what_differs_from_beat_to_beat() -> None:
    for heads in LAYOUTS:
        places, groups = range(heads.at_once), range(heads.groups)
        used = {heads.completes[place] for place in places} | {heads.begun[group] for group in groups}
        used |= {heads.members[place][group] for place, group in itertools.product(places, groups)}
        always = 2**heads.beats - 1
        assert set(heads.patterns) == used - {0, always} and len(set(heads.patterns)) == len(heads.patterns)
        for pattern, beat in itertools.product(used, range(heads.beats)):
            flags = [Const(int(in_beat(p, beat))) for p in heads.patterns]
            flag = beat_flag(heads, pattern, flags)
            assert isinstance(flag, Const) and bool(flag.value) == in_beat(pattern, beat), heads
        alike = len({(tuple(map(tuple, completed)), tuple(begun)) for completed, begun in walk(heads)}) == 1
        assert heads.vary == (heads.spans or not alike), heads


@pytest.mark.parametrize(
    ("simd", "beats", "size", "group", "at_once", "spans", "patterns"),
    [
        (4, 2, 2, 2, 2, False, 0),
        (4, 2, 4, 4, 1, False, 0),
        (4, 2, 8, 4, 1, True, 1),
        (4, 3, 6, 2, 1, True, 3),
        (6, 2, 4, 2, 2, True, 2),
        (1, 3, 3, 1, 1, True, 1),
        (1, 1, 1, 1, 1, False, 0),
    ],
)
def test_examples(simd: int, beats: int, size: int, group: int, at_once: int, spans: bool, patterns: int) -> None:
    heads = Heads(simd=simd, beats=beats, head_channels=size)
    assert (heads.group, heads.at_once, heads.spans, heads.vary) == (group, at_once, spans, spans)
    assert len(heads.patterns) == patterns
