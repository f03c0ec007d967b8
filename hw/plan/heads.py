"""Heads in beats: which channels of a beat belong together, and which heads a beat completes.

A head of the ``dynamic`` product is a run of consecutive channels. It may be part of a beat,
be spread over several beats, or begin in the middle of a beat:

    4 channels a beat, heads of 2     | 0 0 1 1 | 2 2 3 3 | ...     every beat completes two
    4 channels a beat, heads of 8     | 0 0 0 0 | 0 0 0 0 | ...     every second one completes one
    4 channels a beat, heads of 6     | 0 0 0 0 | 0 0 1 1 | ...

Channels that share a head in every beat form a *group*. A group is summed before anything depends
on the beat.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

#: Something that holds in some beats of a sum and not in others: a bit for each channel beat.
Pattern = int


@dataclass(frozen=True, kw_only=True)
class Heads:
    """How the heads of a layer lie in the beats of a sum.

    Attributes:
        simd: channels of a beat.
        beats: beats of a sum.
        head_channels: channels of a head.
    """

    simd: int
    beats: int
    head_channels: int

    @property
    def group(self) -> int:
        """Channels of a group."""
        return math.gcd(self.simd, self.head_channels)

    @property
    def groups(self) -> int:
        """Groups of a beat."""
        return self.simd // self.group

    @cached_property
    def at_once(self) -> int:
        """Heads that one beat completes, at most."""
        return max(len(beat.completed) for beat in self._walk)

    @cached_property
    def spans(self) -> bool:
        """Whether some head is spread over several beats."""
        return any(beat.begun for beat in self._walk)

    @cached_property
    def completes(self) -> list[Pattern]:
        """For each place ``n``, the beats that complete more than ``n`` heads."""
        counts = [len(beat.completed) for beat in self._walk]
        return [sum((count > place) << beat for beat, count in enumerate(counts)) for place in range(self.at_once)]

    @cached_property
    def members(self) -> list[list[Pattern]]:
        """For each place and group, the beats in which the group is part of the head in that place.

        The heads that a beat completes have places in order, from 0 on. In a beat that completes no
        head, all groups are part of the head in place 0: they add to what is kept of the head so far.
        """
        members = [[0] * self.groups for _ in range(self.at_once)]
        for number, beat in enumerate(self._walk):
            for place, groups in enumerate(beat.completed or [beat.begun]):
                for group in groups:
                    members[place][group] |= 1 << number
        return members

    @cached_property
    def begun(self) -> list[Pattern]:
        """For each group, the beats that complete a head and then begin another one with this group in it."""
        begun = [0] * self.groups
        for number, beat in enumerate(self._walk):
            for group in beat.begun if beat.completed else ():
                begun[group] |= 1 << number
        return begun

    @cached_property
    def patterns(self) -> tuple[Pattern, ...]:
        """The distinct patterns of `begun`, `completes` and `members` that differ from beat to beat."""
        every = [*self.begun, *self.completes, *(pattern for place in self.members for pattern in place)]
        return tuple(sorted({pattern for pattern in every if 0 < pattern < 2**self.beats - 1}))

    @property
    def vary(self) -> bool:
        """Whether anything must be known of a beat. Otherwise each beat completes all heads that it begins."""
        return self.spans or bool(self.patterns)

    @cached_property
    def _walk(self) -> list[_Beat]:
        walk = []
        for number in range(self.beats):
            last = (number + 1) * self.simd // self.head_channels
            heads: dict[int, list[int]] = {}
            for group in range(self.groups):
                heads.setdefault((number * self.simd + group * self.group) // self.head_channels, []).append(group)
            completed = [groups for head, groups in heads.items() if head < last]
            walk.append(_Beat(completed=completed, begun=heads.get(last, [])))
        return walk


@dataclass(frozen=True, kw_only=True)
class _Beat:
    """Groups of each head that a beat completes, and of the head that it leaves incomplete."""

    completed: list[list[int]]
    begun: list[int]
