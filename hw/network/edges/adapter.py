"""Width adapter: beats of ``b`` elements of beats of ``a`` elements, without latency.

The elements that outputs still want of beats that have left are kept in registers: fewer than ``b``, and by
their greatest common divisor with ``a`` fewer still.

    a 4, b 2   nothing is kept: parts of the input beat are chosen, and the last one takes it along
    a 2, b 4   the first two elements are kept, the last two are those of the input
    a 4, b 6   four elements are kept at most: moves hold 0, 4, 2 elements when they begin

Work is done in *moves*. A move takes the input beat, or gives an output beat, or both. The moves of a pixel
are periodic. So a counter of them says what each does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import gcd

import numpy as np
from amaranth.hdl import Cat, Const, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.blocks.pipeline import Counter, pick
from hw.network.beat import Beat
from hw.network.node import one_a_cycle


@dataclass(frozen=True, kw_only=True)
class Move:
    """What happens in a cycle, in units of the greatest common divisor of both widths.

    Attributes:
        held: units kept from input beats that have left.
        start, end: the units of the input beat that go into the output beat; none where they are equal.
        gives: an output beat is given: the units held, and those from ``start`` on.
        takes: the input beat leaves. Its units from ``end`` on are kept, behind those that stay held.
    """

    held: int
    start: int
    end: int
    gives: bool
    takes: bool

    @property
    def stay(self) -> int:
        """Units that are held before and after."""
        return 0 if self.gives else self.held


def moves(a: int, b: int) -> list[Move]:
    """The moves from beats of ``a`` to beats of ``b`` elements, until as many have been given as were taken."""
    wide, narrow = a // gcd(a, b), b // gcd(a, b)
    found: list[Move] = []
    held = start = 0
    while not found or held or start:
        gives = held + wide - start >= narrow
        end = start + (narrow - held if gives else 0)
        takes = wide - end < narrow
        found.append(move := Move(held=held, start=start, end=end, gives=gives, takes=takes))
        held = move.stay + (wide - end if takes else 0)
        start = 0 if takes else end
    return found


def kept_elements(a: int, b: int) -> int:
    """Elements that an adapter has registers for."""
    return b - gcd(a, b)


def offered(a: int, b: int, arrivals: np.ndarray) -> np.ndarray:
    """When each output beat is offered, where each is taken at once.

    Args:
        arrivals: int64, the cycle from which each input beat is offered once those before it are taken.
    """
    outputs = np.arange(len(arrivals) * a // b)
    return one_a_cycle(one_a_cycle(arrivals)[((outputs + 1) * b - 1) // a])


def taken(a: int, b: int, arrivals: np.ndarray, output_taken: np.ndarray) -> np.ndarray:
    """When each input beat is taken.

    Args:
        arrivals: as for `offered`.
        output_taken: int64, when each output beat was taken; any time from which it was offered.
    """
    inputs = np.arange(len(arrivals))
    outputs = (inputs + 1) * a // b  # that are complete with this beat
    completes = outputs > inputs * a // b
    return one_a_cycle(np.where(completes, output_taken[outputs - 1], arrivals))


class Adapter(wiring.Component):
    """Beats of ``lanes`` elements of beats like ``beat``.

    Members:
        i: beats of ``beat.lanes`` elements.
        o: beats of ``lanes`` elements.
    """

    def __init__(self, beat: Beat, lanes: int) -> None:
        self._beat, self._lanes = beat, lanes
        self._given = Beat(lanes=lanes, bits=beat.bits, signed=beat.signed)
        super().__init__({"i": In(beat.signature), "o": Out(self._given.signature)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        a, b = self._beat.lanes, self._lanes
        plan = moves(a, b)
        size = gcd(a, b) * self._beat.bits
        whole = Value.cast(self.i.payload)
        arrived = [whole[first : first + size] for first in range(0, self._beat.size, size)]
        kept = [Signal(size, reset_less=True, name=f"kept_{unit}") for unit in range(kept_elements(a, b) // gcd(a, b))]

        go = Signal()
        step = Counter(m, len(plan), go, name="step").value
        gives = _follow(m, go, step, [move.gives for move in plan], "gives")
        takes = _follow(m, go, step, [move.takes for move in plan], "takes")
        m.d.comb += [
            self.o.valid.eq(self.i.valid & gives),
            self.i.ready.eq(takes & (self.o.ready | ~gives)),
            go.eq(self.i.valid & (self.o.ready | ~gives)),
        ]
        given = []
        for unit in range(b // gcd(a, b)):
            sources: dict[int, Value] = {
                number: kept[unit] if unit < move.held else arrived[move.start + unit - move.held]
                for number, move in enumerate(plan)
                if move.gives
            }
            given.append(_pick(sources, step, len(plan)))
        m.d.comb += Value.cast(self.o.payload).eq(Cat(given))
        for unit, register in enumerate(kept):
            sources = {
                number: arrived[move.end + unit - move.stay]
                for number, move in enumerate(plan)
                if move.takes and 0 <= unit - move.stay < len(arrived) - move.end
            }
            fills = _follow(m, go, step, [number in sources for number in range(len(plan))], f"fills_{unit}")
            with m.If(go & fills):
                m.d.sync += register.eq(_pick(sources, step, len(plan)))
        return m


def _pick(sources: Mapping[int, Value], step: Value, steps: int) -> Value:
    """The source of this step, which has one."""
    nothing = next(iter(sources.values()))
    return pick([sources.get(number, nothing) for number in range(steps)], step, sources)


def _follow(m: Module, go: Value, step: Value, flags: Sequence[bool], name: str) -> Value:
    """A register that has the entry of ``flags`` at ``step``, which the next ``go`` moves on."""
    if len(set(flags)) == 1:
        return Const(int(flags[0]), 1)
    flag = Signal(init=int(flags[0]), name=name)
    with m.If(go):
        m.d.sync += flag.eq(pick([Const(int(after), 1) for after in (*flags[1:], flags[0])], step))
    return flag
