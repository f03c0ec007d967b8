"""Reduce: the largest element or the sum of each window of items, along one dimension of a frame.

An item is ``item_beats`` beats: a pixel where windows lie along a row, a row where they lie across rows. Window ``o``
holds the items from ``o stride - pad`` to ``o stride - pad + kernel - 1`` that there are. It is complete with the last
of them. Windows that the end cuts off are complete together, so each has an output of its own.

What has come of the windows that are open waits in a memory of ``item_beats`` words. A word holds one place for each
such window, the oldest first. When the oldest is complete, the others move up by a place.

    cycle         0             reads         reads + 1       latency
             beat, address    word; combined    result        offered
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.contract.ranges import Range
from hw.blocks import memory
from hw.blocks.memory import random_access
from hw.blocks.outlet import LATENCY, Outlet, queue_depth
from hw.blocks.pipeline import Counter, delay, exceeds
from hw.network.beat import Beat
from hw.network.node import EVER, Times, offered_behind, one_a_cycle
from hw.targets.families import Target


@dataclass(frozen=True, kw_only=True)
class Reduce:
    """Windows over ``items`` items, again and again.

    Output 0 gives the first ``windows - extra`` windows in order. Each of the ``extra`` last windows has an output of
    its own.

    Attributes:
        beat: what is taken.
        operation: largest element, or sum.
        items: items that windows are laid over.
        item_beats: beats of an item.
        kernel, stride, pad: the windows; each holds at least one item.
        target: family, which decides where partial results are kept.
        repeats: how often a frame has so many items.
    """

    beat: Beat
    operation: Literal["max", "sum"]
    items: int
    item_beats: int
    kernel: int
    stride: int
    pad: int
    target: Target
    repeats: int = 1

    def __post_init__(self) -> None:
        for name in ("items", "item_beats", "kernel", "stride", "repeats"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}, not at least 1")
        if not 0 <= self.pad < self.kernel:
            raise ValueError(f"pad is {self.pad}, not from 0 to {self.kernel - 1}: windows of padding only")
        if self.windows < 1:
            raise ValueError(f"kernel is {self.kernel}, more than {self.items} items and twice {self.pad} of padding")

    @property
    def windows(self) -> int:
        """Number of windows."""
        return (self.items + 2 * self.pad - self.kernel) // self.stride + 1

    @property
    def extra(self) -> int:
        """Windows that the last item completes, but for the first of them."""
        return max(0, self.at_end - 1)

    @property
    def at_end(self) -> int:
        """Windows that the last item completes."""
        earlier = max(0, -(-(self.items - self.kernel + self.pad) // self.stride))
        return self.windows - earlier

    @property
    def open(self) -> int:
        """The most windows that an item is in."""
        return min(self.windows, -(-self.kernel // self.stride))

    @property
    def kept(self) -> int:
        """The most windows that items before an item are in, and it or later ones too."""
        return min(self.windows, -(-(self.kernel - 1) // self.stride))

    @cached_property
    def result(self) -> Beat:
        """What is given. No sum is too wide for it."""
        if self.operation == "max":
            return self.beat
        total = Range.of_format(self.beat.bits, self.beat.signed).times(self.kernel)
        bits = total.signed_bits - (not self.beat.signed)
        return Beat(lanes=self.beat.lanes, bits=bits, signed=self.beat.signed)

    @property
    def inputs(self) -> tuple[Beat, ...]:
        return (self.beat,)

    @property
    def outputs(self) -> tuple[Beat, ...]:
        return (self.result,) * (1 + self.extra)

    @property
    def frame_inputs(self) -> tuple[int, ...]:
        return (self.repeats * self.items * self.item_beats,)

    @property
    def frame_outputs(self) -> tuple[int, ...]:
        beats = self.repeats * self.item_beats
        return ((self.windows - self.extra) * beats, *[beats] * self.extra)

    @property
    def in_memory(self) -> bool:
        """Whether partial results are kept in a memory. Where an address comes again too soon, registers keep them."""
        return self.kept > 0 and self.item_beats >= self._memory_reads + 2

    @property
    def reads(self) -> int:
        """Cycles from a beat to its combination with what has come before."""
        return self._memory_reads if self.in_memory else 1

    @property
    def latency(self) -> int:
        """Cycles from taking the last beat of a result to offering it."""
        return self.reads + 1 + LATENCY

    @property
    def clears(self) -> bool:
        """Whether what is no part of a window is cleared on its way, a cycle ahead of what it is combined with.

        It is where there is a register on that way beside the one that has the sum or the largest element.
        """
        return self.reads > memory.LATENCY if self.in_memory else self.item_beats > 1

    @property
    def _memory_reads(self) -> int:
        # A block RAM may be far from the logic. Where the clock counts, the way back is a cycle of its own.
        return memory.LATENCY + int(self.target.fast)

    def component(self) -> wiring.Component:
        return _Component(self)

    def times(self, arrivals: Sequence[np.ndarray], left: Sequence[np.ndarray] | None = None) -> Times:
        earliest, frames = arrivals[0], len(arrivals[0]) // self.frame_inputs[0]
        for output, gone in enumerate(left or ()):
            # Results that have been started by the beats before each.
            before = np.cumsum(np.tile(self._starts(output), frames)) - np.tile(self._starts(output), frames)
            free = np.concatenate([np.full(queue_depth(self.reads + 1, 1), EVER), gone + 1])
            earliest = np.maximum(earliest, free[before])
        taken = one_a_cycle(earliest)
        by_item = taken.reshape(-1, self.items, self.item_beats)
        ends = np.arange(self.windows - self.extra) * self.stride - self.pad + self.kernel - 1
        first = by_item[:, np.minimum(ends, self.items - 1)] + self.latency
        last = by_item[:, -1] + self.latency
        given = [first.ravel(), *[last.ravel()] * self.extra]
        return Times(taken=[taken], given=offered_behind(given, left))

    def _starts(self, output: int) -> np.ndarray:
        """For each input beat of a frame, whether a result of ``output`` comes of it."""
        ends = np.zeros((self.items, self.item_beats), np.int64)
        if output:
            ends[-1] = 1
        else:
            places = np.arange(self.windows - self.extra) * self.stride - self.pad + self.kernel - 1
            ends[np.minimum(places, self.items - 1)] = 1
        return np.tile(ends.ravel(), self.repeats)


@dataclass(frozen=True, kw_only=True)
class _Beat:
    """What is known of a beat when it is taken.

    Attributes:
        step: whether there is one.
        address: which of its item's beats it is.
        last: whether its item is the last.
        closes: whether it completes the oldest window.
        going_on: for each place that is kept, whether the window there holds earlier items.
    """

    step: Value
    address: Value
    last: Value
    closes: Value
    going_on: Value

    def later(self, m: Module, cycles: int) -> _Beat:
        """The same, ``cycles`` later."""
        return _Beat(
            step=delay(m, self.step, cycles, reset_less=False),
            address=delay(m, self.address, cycles),
            last=delay(m, self.last, cycles),
            closes=delay(m, self.closes, cycles),
            going_on=delay(m, self.going_on, cycles),
        )


class _Component(wiring.Component):
    def __init__(self, reduce: Reduce) -> None:
        self._reduce = reduce
        self._place = data.ArrayLayout(reduce.result.shape, reduce.beat.lanes)
        self._word = data.ArrayLayout(self._place, reduce.kept)
        outputs = {f"o_{index}": Out(beat.signature) for index, beat in enumerate(reduce.outputs)}
        super().__init__({"i_0": In(reduce.beat.signature), **outputs})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        r = self._reduce
        step = Signal()
        taken = self._follow(m, step)
        combining = taken.later(m, r.reads)
        done = combining.later(m, 1)
        places = self._combine(m, taken, combining, done)

        credit = []
        for index in range(1 + r.extra):
            # The windows that the last item completes lie in the first places, in order.
            port = getattr(self, f"o_{index}")
            outlet = Outlet(m, port, cycles=r.reads + 1, late=r.target.relays, name=f"queue_{index}")
            outlet.give(m, taken.step & (taken.last if index else taken.closes), places[index])
            credit.append(outlet.credit)
        # Every beat asks all outputs for credit, so that the answer does not depend on the beat.
        m.d.comb += [self.i_0.ready.eq(Cat(credit).all()), step.eq(self.i_0.valid & self.i_0.ready)]
        return m

    def _follow(self, m: Module, step: Value) -> _Beat:
        """Count beats and items, and follow which windows are open."""
        r = self._reduce
        address = Counter(m, r.item_beats, step, name="address")
        next_item = step & address.last
        item = Counter(m, r.items, next_item, name="item")
        opens = self._every_stride(m, next_item, item.last, first=-r.pad % r.stride, name="opens")
        complete = self._every_stride(m, next_item, item.last, first=r.kernel - 1 - r.pad, name="complete")
        closes = complete | (item.last if r.at_end else 0)
        going_on = Signal(r.kept)
        first = Signal(init=1)
        if r.kept and r.items > 1:
            # Padding lets several windows begin with the first item, which may complete the oldest.
            begun = min(1 + r.pad // r.stride, r.windows) - (r.kernel - 1 == r.pad)
            after_first = (1 << min(begun, r.kept)) - 1
            after_other = Mux(opens, Mux(closes, going_on, Cat(1, going_on)), Mux(closes, going_on >> 1, going_on))
            with m.If(next_item):
                m.d.sync += first.eq(item.last)
                m.d.sync += going_on.eq(Mux(item.last, 0, Mux(first, after_first, after_other)))
        return _Beat(step=step, address=address.value, last=item.last, closes=closes, going_on=going_on)

    def _every_stride(self, m: Module, next_item: Value, last_item: Value, *, first: int, name: str) -> Value:
        """Whether the item is number ``first`` or a multiple of the stride behind it. The last item may not count."""
        r = self._reduce
        if first >= r.items - 1:
            return Const(0)
        if first == 0 and r.stride == 1:
            return Const(1)
        wait = Signal(range(max(first, r.stride - 1) + 1), init=first, name=f"{name}_in")
        now = Signal(init=int(first == 0), name=name)
        with m.If(next_item):
            m.d.sync += wait.eq(Mux(last_item, first, Mux(now, r.stride - 1, wait - 1)))
            m.d.sync += now.eq(Mux(last_item, int(first == 0), Mux(now, int(r.stride == 1), wait == 1)))
        return now

    def _combine(self, m: Module, taken: _Beat, combining: _Beat, done: _Beat) -> data.View:
        """What each place holds with the beat, ``reads + 1`` cycles after it is taken."""
        r = self._reduce
        beat = data.View(r.beat.layout, delay(m, Value.cast(self.i_0.payload), r.reads))
        places = data.ArrayLayout(self._place, r.open)
        now, result = Signal(places), Signal(places, reset_less=True)
        m.d.sync += result.eq(now)
        word: data.View | None = None
        if r.in_memory:
            write = (done.step, done.address, Value.cast(self._move_up(m, result, done.closes)))
            word_bits = random_access(
                m, r.target, depth=r.item_beats, width=self._word.size, write=write, address=taken.address, name="open"
            )
            word = data.View(self._word, word_bits)
            if r.clears:
                known = self._known(m, word, delay(m, taken.going_on, memory.LATENCY))
                word = data.View(self._word, delay(m, Value.cast(known), r.reads - memory.LATENCY))
        elif r.kept:
            word = self._move_up(m, now, combining.closes)
            for _ in range(r.item_beats - 1):
                word = self._stored(m, word, combining.step)
            if r.clears:
                # For the next beat that is taken. The first beat ever has nothing before it.
                known = self._known(m, word, taken.going_on)
                word = self._stored(m, known, combining.step, init=[[self._nothing] * r.beat.lanes] * r.kept)
            else:
                word = self._stored(m, word, combining.step)
        for place in range(r.open):
            for lane in range(r.beat.lanes):
                element = beat[lane]
                if word is not None and place < r.kept:
                    going_on = Const(1) if r.clears else combining.going_on[place]
                    element = self._with_earlier(element, word[place][lane], going_on)
                m.d.comb += now[place][lane].eq(element)
        return result

    def _with_earlier(self, element: Value, earlier: Value, going_on: Value) -> Value:
        if self._reduce.operation == "max":
            return Mux(going_on & exceeds(earlier, element), earlier, element)
        return element + Mux(going_on, earlier, 0)

    @property
    def _nothing(self) -> int:
        """What changes no element that it is combined with."""
        beat = self._reduce.beat
        return Range.of_format(beat.bits, beat.signed).low if self._reduce.operation == "max" else 0

    def _stored(self, m: Module, word: data.View, step: Value, init: Any = None) -> data.View:
        """``word`` as it was before the last ``step``; after a reset ``init``, or anything where that is None."""
        register = Signal(self._word, reset_less=init is None, init=init, name="open")
        with m.If(step):
            m.d.sync += register.eq(word)
        return register

    def _known(self, m: Module, word: data.View, going_on: Value) -> data.View:
        """``word``, with nothing in places of windows that hold no earlier items."""
        r = self._reduce
        known = Signal(self._word, name="known")
        for place in range(r.kept):
            for lane in range(r.beat.lanes):
                m.d.comb += known[place][lane].eq(Mux(going_on[place], word[place][lane], self._nothing))
        return known

    def _move_up(self, m: Module, places: data.View, closes: Value) -> data.View:
        """The word that is kept: without the oldest window if that is complete."""
        word = Signal(self._word, name="keep")
        for place in range(self._reduce.kept):
            behind = min(place + 1, self._reduce.open - 1)
            m.d.comb += word[place].eq(Mux(closes, Value.cast(places[behind]), Value.cast(places[place])))
        return word
