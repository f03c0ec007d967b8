"""Heads in beats: which channels of a beat belong together, and which heads a beat completes.

A head of the ``dynamic`` product is a run of consecutive channels. It may be part of a beat,
be spread over several, or begin in the middle of one:

    4 channels a beat, heads of 2     | 0 0 1 1 | 2 2 3 3 | ...     every beat completes two
    4 channels a beat, heads of 8     | 0 0 0 0 | 0 0 0 0 | ...     every second one completes one
    4 channels a beat, heads of 6     | 0 0 0 0 | 0 0 1 1 | ...

Channels that share a head in every beat form a *group*: what is summed before anything
depends on the beat.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from amaranth.hdl import Const, Value

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
        return max(len(self._completed(beat)) for beat in range(self.beats))

    @property
    def spans(self) -> bool:
        """Whether some head is spread over several beats."""
        return any(self._begun(beat) for beat in range(self.beats))

    def completes(self, place: int) -> Pattern:
        """Beats that complete more than ``place`` heads."""
        return self._pattern(lambda beat: len(self._completed(beat)) > place)

    def member(self, place: int, group: int) -> Pattern:
        """Beats in which ``group`` is part of the head in ``place``: the completed ones in order.

        What belongs to no head that the beat completes counts for the first place if there is
        none: then it adds to what is kept of the head so far.
        """

        def is_member(beat: int) -> bool:
            completed = self._completed(beat) or [self._begun(beat)]
            return place < len(completed) and group in completed[place]

        return self._pattern(is_member)

    def begun(self, group: int) -> Pattern:
        """Beats in which ``group`` begins a head after one that they complete."""
        return self._pattern(lambda beat: bool(self._completed(beat)) and group in self._begun(beat))

    @cached_property
    def patterns(self) -> tuple[Pattern, ...]:
        """Those of the patterns above that differ from beat to beat."""
        members = [self.member(place, group) for place in range(self.at_once) for group in range(self.groups)]
        begun = [self.begun(group) for group in range(self.groups)]
        ends = [self.completes(place) for place in range(self.at_once)]
        return tuple(sorted({p for p in (*members, *begun, *ends) if 0 < p < self._always}))

    @property
    def vary(self) -> bool:
        """Whether anything must be known of a beat; otherwise each completes the heads that it begins."""
        return self.spans or bool(self.patterns)

    def flag(self, pattern: Pattern, flags: Value) -> Value:
        """``pattern`` in a beat, given ``flags``, the values of `patterns` in that beat."""
        return flags[self.patterns.index(pattern)] if pattern in self.patterns else Const(int(pattern > 0), 1)

    @property
    def _always(self) -> Pattern:
        return 2**self.beats - 1

    def _pattern(self, holds: Callable[[int], bool]) -> Pattern:
        return sum(int(holds(beat)) << beat for beat in range(self.beats))

    def _completed(self, beat: int) -> list[list[int]]:
        """Groups of each head that ``beat`` completes."""
        end = (beat + 1) * self.simd
        last = end // self.head_channels
        heads: dict[int, list[int]] = {}
        for group in range(self.groups):
            heads.setdefault(self._head(beat, group), []).append(group)
        return [members for head, members in heads.items() if head < last]

    def _begun(self, beat: int) -> list[int]:
        """Groups of the head that ``beat`` does not complete."""
        completed = {group for members in self._completed(beat) for group in members}
        return [group for group in range(self.groups) if group not in completed]

    def _head(self, beat: int, group: int) -> int:
        return (beat * self.simd + group * self.group) // self.head_channels
