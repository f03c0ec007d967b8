"""Head sums: sums over the channels of each head, over as many beats as a head takes.

groups of a beat -> a tree for each head in the beat -> + what is kept of the head -> sums of completed heads
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, Value
from amaranth.lib import data

from hw.blocks.latency import tree_latency
from hw.blocks.pipeline import adder_tree, delay, pick
from hw.plan.heads import Heads, Pattern

#: Cycles that a beat's control comes before its values.
CONTROL_AHEAD = 2


def head_control(heads: Heads) -> data.StructLayout:
    """What `HeadSum` must know of a beat: whether there is one, whether it is the first of a sum, and the flags."""
    return data.StructLayout({"valid": 1, "first": 1, "flags": len(heads.patterns)})


def beat_flag(heads: Heads, pattern: Pattern, flags: Value) -> Value:
    """``pattern`` in a beat, given ``flags``, the values of ``heads.patterns`` in that beat."""
    return flags[heads.patterns.index(pattern)] if pattern in heads.patterns else Const(int(pattern > 0), 1)


@dataclass(frozen=True, kw_only=True)
class _BeatTiming:
    """Flags of a beat when its sums are there.

    Attributes:
        valid: there is a beat.
        clear: a head begins with the next beat, and nothing is kept for it.
        ends: the beat completes a head and begins another; None where no beat does both.
    """

    valid: Value
    clear: Value
    ends: Value | None


class HeadSum:
    """Sums of one value per group and tap: for each tap, a sum for each head that a beat may complete.

    Attributes:
        latency: cycles from values to sums.
    """

    def __init__(self, heads: Heads, *, parts: int, radix: int) -> None:
        """``parts``: terms that each group's value comes in."""
        self._heads, self._radix = heads, radix
        most = max(sum(map(bool, patterns)) for patterns in (*heads.members, heads.begun))
        self._tree = tree_latency(parts * most, radix)
        self.latency = self._tree + heads.spans

    def flags(self, m: Module, control: Value, cycles: int) -> Value:
        """The flags of a beat, ``cycles`` cycles after its values."""
        return delay(m, data.View(head_control(self._heads), control).flags, cycles + CONTROL_AHEAD)

    def sums(
        self, m: Module, terms: Sequence[Sequence[Sequence[Value]]], shapes: Sequence[Shape], control: Value
    ) -> list[list[Value]]:
        """The sums ``[tap][place]``. A place means nothing in a beat that completes fewer heads.

        Args:
            terms: the terms of each tap's groups.
            shapes: for each tap, the shape that holds every sum and partial sum.
            control: `head_control` of the beat, `CONTROL_AHEAD` cycles before its terms.
        """
        heads, flags = self._heads, self.flags(m, control, 0)
        within = [
            [self._tree_of(m, groups, shape, patterns, flags) for patterns in heads.members]
            for groups, shape in zip(terms, shapes, strict=True)
        ]
        return self._over_beats(m, terms, shapes, within, flags, control) if heads.spans else within

    def _over_beats(
        self,
        m: Module,
        terms: Sequence[Sequence[Sequence[Value]]],
        shapes: Sequence[Shape],
        within: Sequence[Sequence[Value]],
        flags: Value,
        control: Value,
    ) -> list[list[Value]]:
        """Add what a beat has of a head to what is kept of it. ``within`` are the sums of a beat."""
        timing = self._beat_timing(m, control)
        sums = []
        for groups, shape, (first, *others) in zip(terms, shapes, within, strict=True):
            kept, total = (Signal(shape, reset_less=True, name=name) for name in ("kept", "total"))
            grown = kept + first
            after = grown
            if timing.ends is not None:
                after = Mux(timing.ends, self._tree_of(m, groups, shape, self._heads.begun, flags), grown)
            m.d.sync += total.eq(grown)
            with m.If(timing.valid):
                m.d.sync += kept.eq(after)
            with m.If(timing.clear):
                m.d.sync += kept.eq(0)
            sums.append([total, *(delay(m, tree, 1) for tree in others)])
        return sums

    def _beat_timing(self, m: Module, control: Value) -> _BeatTiming:
        """When a beat is added, and when a head begins with nothing kept.

        What is kept is cleared a cycle ahead, so that only an adder is in the loop.
        """
        heads, beat = self._heads, data.View(head_control(self._heads), control)
        valid, starts = delay(m, beat.valid, self._tree + 2), delay(m, beat.valid & beat.first, self._tree)
        if any(heads.begun):
            ends = beat_flag(heads, heads.completes[0], self.flags(m, control, self._tree))
            return _BeatTiming(valid=valid, clear=delay(m, starts, 1), ends=ends)
        ends = beat_flag(heads, heads.completes[0], self.flags(m, control, self._tree - 1))
        clear = delay(m, starts | (ends & delay(m, beat.valid, self._tree + 1)), 1)
        return _BeatTiming(valid=valid, clear=clear, ends=None)

    def _tree_of(
        self, m: Module, terms: Sequence[Sequence[Value]], shape: Shape, patterns: Sequence[int], flags: Value
    ) -> Value:
        """Sum of the terms of the groups that the beat's flags choose."""
        chosen: list[Value] = []
        for pattern, group in zip(patterns, terms, strict=True):
            if pattern:
                flag = beat_flag(self._heads, pattern, flags)
                chosen += [term if isinstance(flag, Const) else Mux(flag, term, 0) for term in group]
        if not chosen:
            return Const(0, shape)
        return delay(m, adder_tree(m, chosen, shape, self._radix), self._tree - tree_latency(len(chosen), self._radix))


def control_word(heads: Heads, *, valid: Value, first: Value, channel: Value) -> Value:
    """`head_control` of the beat whose channel beat is ``channel``."""
    bits = [[Const(pattern >> beat & 1, 1) for beat in range(heads.beats)] for pattern in heads.patterns]
    flags = [pick(options, channel) for options in bits]
    return Cat(valid, first, *flags)
