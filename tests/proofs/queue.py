"""Queue: what comes out is what went in, in order. No entry is lost or doubled; each is there a cycle after it came.

It is proven for ever, by k-induction, for any pushes and pops, and resets at any time. It is assumed that an
entry is pushed only while there is room, and popped only while there is one. Writer and walk of a reloadable
unit make sure of that (`tests.proofs.frame_walk`).

Order is proven about one entry of arbitrary number. The harness keeps that entry, counts the entries in front
of it, and compares when it is the head.
"""

from __future__ import annotations

from functools import partial

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.blocks.queue import Queue
from tests.proofs.proof import Bug, Harness, Proof

#: Bits of an entry.
ENTRY = 2


class _Wrapped(wiring.Component):
    """A queue with ports."""

    def __init__(self, depth: int, late: bool) -> None:
        self._depth, self._late = depth, late
        super().__init__(
            {
                "push": In(1),
                "entry": In(ENTRY),
                "pop": In(1),
                "some": Out(1),
                "head": Out(ENTRY),
                "level": Out(range(depth + 1)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        ports = {"push": self.push, "entry": self.entry, "pop": self.pop}
        queue = Queue(m, unsigned(ENTRY), self._depth, **ports, name="queue", late=self._late)
        m.d.comb += [self.some.eq(queue.some), self.head.eq(queue.head), self.level.eq(queue.level)]
        return m


class QueueHarness(Harness):
    def __init__(self, depth: int, *, late: bool = False) -> None:
        self._depth, self._late = depth, late
        super().__init__({"push": In(1), "entry": In(ENTRY), "pop": In(1), "chosen": In(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        depth, dut = self._depth, _Wrapped(self._depth, self._late)
        inside = self.inside(m, "dut", dut)
        m.d.comb += [dut.push.eq(self.push), dut.entry.eq(self.entry), dut.pop.eq(self.pop)]
        count = Signal(range(depth + 2))
        m.d.sync += count.eq(count + self.push - self.pop)
        self.assume(m, ~self.push | (count < depth))
        self.assume(m, ~self.pop | (count > 0))
        self.claim(m, dut.level == count)
        self.claim(m, dut.some == (count > 0))

        # One entry is chosen when it is pushed, and the entries in front of it are counted.
        watching, ahead, watched = Signal(), Signal(range(depth + 2)), Signal(ENTRY)
        with m.If(~watching), m.If(self.push & self.chosen):
            m.d.sync += [watching.eq(1), ahead.eq(count - self.pop), watched.eq(self.entry)]
        with m.Elif(self.pop):
            m.d.sync += [ahead.eq(ahead - 1), watching.eq(ahead > 0)]
        here = watching & (ahead == 0)
        self.claim(m, ~here | (dut.some & (dut.head == watched)))

        if self.lemmas:
            tail, first = inside.register("queue_tail"), inside.register("queue_first")
            self.lemma(m, (count <= depth) & (tail < depth) & (first < depth))
            behind = Mux(tail >= first, tail - first, tail + depth - first)
            self.lemma(m, Mux((count == 0) | (count == depth), behind == 0, behind == count))
            self.lemma(m, ~watching | (ahead < count))
            place = first + ahead
            word = inside.word("queue", Mux(place >= depth, place - depth, place))
            self.lemma(m, ~watching | (word == watched))
        return m


def _bug(name: str, old: str, new: str, build: str = "depth 3") -> Bug:
    return Bug(name=name, module="hw.blocks.queue", old=old, new=new, build=build, depth=10)


PROOF = Proof(
    name="queue",
    claim="entries leave in order, none lost or doubled, each there a cycle after it came",
    unbounded=True,
    depth=2,
    builds={f"depth {depth}": partial(QueueHarness, depth) for depth in (1, 2, 3, 4, 16)}
    | {f"depth {depth}, late": partial(QueueHarness, depth, late=True) for depth in (1, 3, 4, 16)},
    bugs=(
        _bug(
            "the last entry is forgotten", "Mux(pop, self.level > 1, self.some)", "Mux(pop, self.level > 2, self.some)"
        ),
        _bug("an entry shows after the last has left", "Mux(pop, self.level > 1, self.some)", "self.some"),
        _bug("a push and a pop at once count as one push", "+ push - pop", "+ push - (pop & ~push)"),
        _bug("a late push counts as a pop", "Mux(push, 1, -1)", "Mux(push, -1, 1)", "depth 3, late"),
        _bug("the first entry is left where it is", "first.eq(wrap_increment(first, 1, depth))", "first.eq(first)"),
        _bug("the end is not wrapped", "tail.eq(wrap_increment(tail, 1, depth))", "tail.eq(tail + 1)"),
    ),
)
