"""FIFO: beats in order, in LUT RAM where they are few, and in block RAM where they are many.

``ready`` is a register. A beat is taken in a cycle exactly if fewer than ``depth`` beats are inside: pushed
in a cycle before, and not popped in a cycle before. It does not matter whether a beat is in the memory or in
a register behind it.

    memory     a pushed beat is offered
    register   1 cycle later; of a single beat
    lut        1 cycle later: the head is read from LUT RAM, ``valid`` is a register
    block      3 cycles later: the block RAM reads, and has an output register; where the target has relays,
               4 cycles later: a relay behind it, so that a block RAM does not wait for what a far sink says

A FIFO that is deeper than its latency takes and gives a beat in every cycle.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.blocks import memory
from hw.blocks.memory import LATENCY, lut_style, random_access
from hw.blocks.pipeline import Counter
from hw.blocks.queue import Queue, count
from hw.network.beat import Beat
from hw.network.edges import relay
from hw.targets.families import Target

#: A FIFO of up to so many times the words that the target best keeps in LUTs is kept there, however wide it is: a
#: beat passes sooner. On ECP5 deeper ones miss 200 MHz. Where LUTs have a price in block RAMs, deeper ones are kept
#: there, too, if that is cheaper.
SHALLOW = 2
#: One of up to so many times the words is kept there if it fills less than `FEW_BITS` of a block RAM.
SMALL = 4
FEW_BITS = 1 / 16


def memory_kind(beat: Beat, depth: int, target: Target) -> str:
    """``register``, ``lut`` or ``block``: what a FIFO of ``depth`` beats is kept in."""
    if depth == 1:
        return "register"
    few = depth * beat.size <= target.fabric.block_kbit * 1024 * FEW_BITS
    if depth <= (SMALL if few else SHALLOW) * target.ram_depth:
        return "lut"
    return memory.kind(target, depth, beat.size, read_only=False)


def fifo_latency(beat: Beat, depth: int, target: Target) -> int:
    """Cycles from a push to the first cycle in which the beat is offered, where none is in front of it."""
    if memory_kind(beat, depth, target) != "block":
        return 1
    return 1 + LATENCY + (relay.LATENCY if target.relays else 0)


def needed_depth(pushes: np.ndarray, pops: np.ndarray) -> int:
    """The least depth with which no beat waits to be pushed; 0 where no beat is pushed.

    Args:
        pushes: int64, the cycle in which each beat is pushed.
        pops: int64, the cycle in which each beat is popped; as many.
    """
    gone = np.searchsorted(pops, pushes, side="left")
    return int((np.arange(len(pushes)) - gone).max(initial=-1)) + 1


class Fifo(wiring.Component):
    """A FIFO of ``depth`` beats, at least 1.

    Args:
        kind: what it is kept in, by default as `memory_kind` says.

    Members:
        i, o: the beats.
    """

    def __init__(self, beat: Beat, depth: int, target: Target, *, kind: str | None = None) -> None:
        assert depth >= 1, "a FIFO of no beats passes none"
        self._beat, self._depth, self._target = beat, depth, target
        self._kind = kind or memory_kind(beat, depth, target)
        super().__init__({"i": In(beat.signature), "o": Out(beat.signature)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        push, pop = Signal(name="push"), Signal(name="pop")
        m.d.comb += [push.eq(self.i.valid & self.i.ready), pop.eq(self.o.valid & self.o.ready)]
        if self._kind == "register":
            self._keep_one(m, push, pop)
            return m
        if self._kind == "lut":
            queue = Queue(
                m,
                self._beat.layout,
                self._depth,
                push=push,
                entry=self.i.payload,
                pop=pop,
                name="queue",
                attrs=lut_style(self._target),
                late=self._target.relays,
            )
            m.d.comb += [self.o.valid.eq(queue.some), self.o.payload.eq(queue.head)]
            level = queue.level
        else:
            level = Signal(range(self._depth + 1))
            count(m, level, push, pop, late=self._target.relays)
            self._read_block(m, push, self._relayed(m) if self._target.relays else self.o)
        ready = Signal(init=1)
        m.d.sync += ready.eq(pop | ~((level == self._depth) | (push & (level == self._depth - 1))))
        m.d.comb += self.i.ready.eq(ready)
        return m

    def _keep_one(self, m: Module, push: Value, pop: Value) -> None:
        valid = Signal()
        kept = Signal(self._beat.size, reset_less=True)
        m.d.sync += valid.eq(push | (valid & ~pop))
        with m.If(push):
            m.d.sync += kept.eq(self.i.payload)
        m.d.comb += [self.i.ready.eq(~valid), self.o.valid.eq(valid), Value.cast(self.o.payload).eq(kept)]

    def _relayed(self, m: Module) -> Any:
        """The input of a relay at the output."""
        m.submodules.relay = behind = relay.Relay(self._beat)
        wiring.connect(m, behind.o, wiring.flipped(self.o))
        return behind.i

    def _read_block(self, m: Module, push: Value, output: Any) -> None:
        """Fetch from the block RAM as soon as what it has read before has moved on to ``output``."""
        unread = Signal(range(self._depth + 1))
        some, was_read, valid, fetch, move = (
            Signal(name=name) for name in ("some", "was_read", "valid", "fetch", "move")
        )
        m.d.comb += [
            move.eq(was_read & (~valid | output.ready)),
            fetch.eq(some & (~was_read | move)),
        ]
        count(m, unread, push, fetch, late=self._target.relays)
        m.d.sync += [
            some.eq(push | Mux(fetch, unread > 1, some)),
            was_read.eq(fetch | (was_read & ~move)),
            valid.eq(move | (valid & ~output.ready)),
        ]
        tail = Counter(m, self._depth, push, name="tail").value
        first = Counter(m, self._depth, fetch, name="first").value
        word = random_access(
            m,
            self._target,
            depth=self._depth,
            width=self._beat.size,
            write=(push, tail, Value.cast(self.i.payload)),
            address=first,
            name="store",
            enables=(fetch, move),
        )
        m.d.comb += [output.valid.eq(valid), Value.cast(output.payload).eq(word)]
