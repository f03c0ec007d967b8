"""Output stream: nothing lost, doubled or reordered, and the AXI4-Stream port keeps its promises.

It is proven for ever, by k-induction, with beats, stalls and resets at any time. What is claimed:

- What comes out is what went in, in order.
- Once valid is high, it and the payload stay until ready.
- An entry that is reported free is free.

It is assumed that a beat comes only where an entry is free. The sequencer's credits make sure of that
(`tests.proofs.row_store`).

Order is proven about one beat of arbitrary number. The harness keeps the payload of that beat, counts the
beats in front of it, and compares when it comes to the port. In reloadable units the payload also has a
mark (``tuser``).
"""

from __future__ import annotations

from functools import partial

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib.wiring import In

from hw.unit.output_stream import OutputStream
from tests.proofs.proof import Bug, Harness, Proof
from tests.support.units import unit_shapes


class OutputStreamHarness(Harness):
    def __init__(self, depth: int, *, marks: bool = False, late: bool = False) -> None:
        self._depth, self._marks = depth, marks
        shapes = unit_shapes(simd=1, pe=1, out_bits=2, attn_shift=3)
        self._dut = OutputStream(shapes.output_beat, depth=depth, marks=marks, late=late)
        ports = {"valid": In(1), "beat": In(2), "last": In(1), "ready": In(1), "chosen": In(1)}
        super().__init__(ports | ({"user": In(1)} if marks else {}))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        dut, depth = self._dut, self._depth
        inside = self.inside(m, "dut", dut)
        shown = Value.cast(dut.o.payload)
        entry = Signal(len(shown))
        parts = [self.beat, self.last]
        if self._marks:
            parts.append(self.user)
            m.d.comb += dut.i_user.eq(self.user)
        m.d.comb += [
            entry.eq(Cat(parts)),
            dut.i_valid.eq(self.valid),
            dut.i_beat.eq(self.beat),
            dut.i_last.eq(self.last),
            dut.o.ready.eq(self.ready),
        ]
        left = dut.o.valid & self.ready

        # Both counts use the ports alone: entries in use, and beats inside, the beat at the port included.
        used = Signal(range(depth + 2))
        inside_count = Signal(range(depth + 3))
        m.d.sync += [used.eq(used + self.valid - dut.o_popped), inside_count.eq(inside_count + self.valid - left)]
        self.assume(m, ~self.valid | (used < depth))
        self.claim(m, ~dut.o_popped | (used > 0))
        self.claim(m, ~dut.o.valid | (inside_count > 0))
        # Each entry is reported free once: the entries in use are those of beats that are not at the port yet.
        self.claim(m, used == inside_count - dut.o.valid)

        # One beat is chosen when it enters, and the beats in front of it are counted.
        watching, ahead, watched = Signal(), Signal(range(depth + 3)), Signal.like(entry)
        with m.If(~watching), m.If(self.valid & self.chosen):
            m.d.sync += [watching.eq(1), ahead.eq(inside_count - left), watched.eq(entry)]
        with m.Elif(left):
            m.d.sync += [ahead.eq(ahead - 1), watching.eq(ahead > 0)]
        here = watching & dut.o.valid & (ahead == 0)
        self.claim(m, ~here | (shown == watched))

        # A beat that waits at the port stays as it is.
        waited, kept = Signal(), Signal.like(entry)
        m.d.sync += [waited.eq(dut.o.valid & ~self.ready), kept.eq(shown)]
        self.claim(m, ~waited | (dut.o.valid & (shown == kept)))
        # Nothing is lost: a beat inside comes to the port within two cycles.
        idle = Signal(2)
        m.d.sync += idle.eq(Mux(dut.o.valid | (inside_count == 0), 0, idle + 1))
        self.claim(m, idle < 2)

        if self.lemmas:
            level, some, head, tail = (
                inside.register(name) for name in ("fifo_level", "fifo_some", "fifo_first", "fifo_tail")
            )
            self.lemma(m, (level == used) & (used <= depth) & (some == (level > 0)))
            self.lemma(m, (head < depth) & (tail < depth))
            behind = Mux(tail >= head, tail - head, tail + depth - head)
            self.lemma(m, Mux((level == 0) | (level == depth), behind == 0, behind == level))
            self.lemma(m, inside_count == level + dut.o.valid)
            self.lemma(m, ~watching | (ahead < inside_count))
            self.lemma(m, ~((inside_count > 0) & ~dut.o.valid) | (idle <= 1))
            place = head + ahead - dut.o.valid
            word = inside.word("fifo", Mux(place >= depth, place - depth, place))
            self.lemma(m, ~(watching & ~here) | (word == watched))
        return m


def _bug(name: str, old: str, new: str, build: str = "depth 4", module: str = "hw.unit.output_stream") -> Bug:
    return Bug(name=name, module=module, old=old, new=new, build=build, depth=10)


PROOF = Proof(
    name="output_stream",
    claim="beats leave in order, none lost or doubled, and stay at the port until taken",
    unbounded=True,
    depth=3,
    builds={f"depth {depth}": partial(OutputStreamHarness, depth) for depth in (2, 3, 4, 7)}
    | {f"depth {depth}, marks": partial(OutputStreamHarness, depth, marks=True) for depth in (2, 4)}
    | {"depth 4, late": partial(OutputStreamHarness, 4, late=True)},
    bugs=(
        _bug("pops without asking the sink", "fifo.some & (~valid | self.o.ready)", "fifo.some"),
        _bug("valid falls in a stall", "Mux(pop, 1, valid & ~self.o.ready)", "pop"),
        _bug(
            "head stays at its end",
            "first.eq(wrap_increment(first, 1, depth))",
            "first.eq(first + (first < 3))",
            module="hw.blocks.queue",
        ),
        _bug("the last entry is forgotten", "self.level > 1", "self.level > 2", module="hw.blocks.queue"),
        _bug(
            "an entry that becomes free is not reported",
            "self.o_popped.eq(pop)",
            "self.o_popped.eq(self.o.ready & fifo.some)",
        ),
        _bug(
            "a mark shows without its beat",
            "self.o.payload.eq(payload)]",
            'self.o.payload.eq(payload), self.o.payload.user.eq(self.i_user) if "user" in self._flags else []]',
            "depth 4, marks",
        ),
        _bug(
            "marks are mixed up with the end of the frame",
            'entry[flag].eq(getattr(self, f"i_{flag}"))',
            'entry[flag].eq(self.i_last & getattr(self, f"i_{flag}"))',
            "depth 4, marks",
        ),
    ),
)
