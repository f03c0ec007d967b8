"""Head sums: every head's sum in its place, whatever lies between the beats and was there before the first."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module, Shape, signed, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.blocks.pipeline import index_shape
from hw.plan.heads import Heads
from hw.unit.head_sum import CONTROL_AHEAD, HeadSum, control_word, head_control
from tests.support.components import stream_through
from tests.support.heads import completed, control

TERM = signed(4)
LOW, HIGH = -8, 7
#: Channels of a beat, beats of a sum, channels of a head.
LAYOUTS = {
    "a_head_a_channel": (3, 2, 1),
    "several_in_a_beat": (6, 2, 3),
    "a_head_is_a_beat": (4, 3, 4),
    "over_beats": (4, 4, 8),
    "one_head": (2, 5, 10),
    "one_channel_a_beat": (1, 6, 3),
    "long_across_beats": (4, 3, 6),
    "longer_across_beats": (4, 5, 10),
    "short_across_beats": (6, 2, 4),
    "shorter_across_beats": (5, 3, 3),
    "single_beat": (8, 1, 2),
    "wide": (18, 2, 18),
    "wide_across_beats": (20, 3, 30),
}


class Sums(wiring.Component):
    """A `HeadSum` with ports."""

    def __init__(self, heads: Heads, parts: int, radix: int) -> None:
        self._heads = heads
        self.head_sum = HeadSum(heads, parts=parts, radix=radix)
        most = heads.head_channels // heads.group * parts
        self._shape = signed(3 + (most - 1).bit_length() + 1)
        terms = data.ArrayLayout(data.ArrayLayout(TERM, parts), heads.groups)
        ports = {"i_terms": In(terms), "i_control": In(head_control(heads))}
        super().__init__({**ports, "o_sums": Out(data.ArrayLayout(self._shape, heads.at_once))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        terms = [[part for part in group] for group in self.i_terms]
        [sums] = self.head_sum.sums(m, [terms], [self._shape], self.i_control)
        assert len(sums) == self._heads.at_once
        for output, total in zip(self.o_sums, sums, strict=True):
            m.d.comb += output.eq(total)
        return m


def check(layout: str, *, parts: int, radix: int, idle: float, seed: int = 1) -> None:
    """Sums back to back and with gaps, the first ones at their limits, after one that was broken off."""
    rng = np.random.default_rng(seed)
    simd, beats, size = LAYOUTS[layout]
    heads = Heads(simd=simd, beats=beats, head_channels=size)
    dut = Sums(heads, parts, radix)
    shape = (beats, heads.groups, parts)
    stimuli = [np.full(shape, LOW), np.full(shape, HIGH), np.full(shape, LOW)]
    stimuli += [rng.integers(LOW, HIGH, shape, endpoint=True) for _ in range(8)]

    # Of each cycle: control, terms, and what it completes.
    lines: list[tuple[int, np.ndarray, list[int]]] = []

    def garbage(valid: bool, first: bool) -> None:
        channel = int(rng.integers(beats))
        terms = rng.integers(LOW, HIGH, shape[1:], endpoint=True)
        lines.append((control(heads, valid=valid, first=first, channel=channel), terms, []))

    for _ in range(7):
        garbage(valid=True, first=bool(rng.integers(2)))
    # What is left over of a sum must not be 0, or nothing would have to be cleared.
    lines.append((control(heads, valid=True, first=False, channel=0), np.full(shape[1:], HIGH), []))
    for terms in stimuli:
        groups = terms.sum(axis=2).ravel()
        for beat in range(beats):
            while rng.random() < idle:
                garbage(valid=False, first=bool(rng.integers(2)))
            own = [
                int(groups[head * size // heads.group : (head + 1) * size // heads.group].sum())
                for head in completed(heads, beat)
            ]
            lines.append((control(heads, valid=True, first=beat == 0, channel=beat), terms[beat], own))

    last = len(lines) - 1
    inputs: list[dict[str, Any]] = [
        {"i_control": lines[min(t, last)][0], "i_terms": lines[max(t - CONTROL_AHEAD, 0)][1].tolist()}
        for t in range(last + 1 + CONTROL_AHEAD)
    ]
    [shown] = stream_through(dut, inputs, [dut.o_sums])
    delays = [
        cycles
        for cycles in range(12)
        if all(shown[cycle + CONTROL_AHEAD + cycles][: len(own)] == own for cycle, (_, _, own) in enumerate(lines))
    ]
    assert delays[:1] == [dut.head_sum.latency]


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("radix", [2, 4])
@pytest.mark.parametrize("idle", [0, 0.4])
def test_sums_and_latency(layout: str, radix: int, idle: float) -> None:
    check(layout, parts=1, radix=radix, idle=idle)


@pytest.mark.parametrize("layout", ["several_in_a_beat", "over_beats", "long_across_beats", "short_across_beats"])
@pytest.mark.parametrize("parts", [2, 3])
@pytest.mark.parametrize("radix", [2, 3])
def test_values_in_several_terms(layout: str, parts: int, radix: int) -> None:
    check(layout, parts=parts, radix=radix, idle=0.2)


class Word(wiring.Component):
    """`control_word` with ports."""

    def __init__(self, heads: Heads) -> None:
        self._heads = heads
        channel = index_shape(heads.beats)
        word = Shape.cast(head_control(heads)).width
        super().__init__({"valid": In(1), "first": In(1), "channel": In(channel), "word": Out(unsigned(word))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        word = control_word(self._heads, valid=self.valid, first=self.first, channel=self.channel)
        m.d.comb += self.word.eq(word)
        return m


@pytest.mark.parametrize("layout", LAYOUTS)
def test_control_says_what_a_beat_is(layout: str) -> None:
    simd, beats, size = LAYOUTS[layout]
    heads = Heads(simd=simd, beats=beats, head_channels=size)
    dut = Word(heads)
    inputs = [
        {"valid": valid, "first": first, "channel": channel}
        for channel in range(beats)
        for valid in (0, 1)
        for first in (0, 1)
    ]
    [shown] = stream_through(dut, inputs, [dut.word], drain=0)
    assert shown == [control(heads, valid=i["valid"], first=i["first"], channel=i["channel"]) for i in inputs]
