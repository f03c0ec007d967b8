"""Join: each result is that of the beats of the same number of all operands, in order, none lost or doubled.

It is proven for ever, by k-induction, of the node that rescales: with two operands that are multiplied, shifted
or left as they are, and with one; and of the node whose source and sink may be far away, which counts without a
carry. Sources and sink pause as they like, the sources each for itself, and resets come at any time. It is assumed
that a beat that waits at an input stays as it is. What is claimed:

- The operands of a result leave together, exactly if all are there and fewer results are inside than there is
  room for.
- A result is offered exactly if one inside has been there for the latency.
- Results come out in order, and each is the sum of its operands, rounded half to even and saturated; what waits
  at the output stays as it is.

Order is proven about one result of arbitrary number. The harness keeps the exact sum of its operands, counts the
results in front of it, and compares when it comes to the port, as `tests.proofs.rounding` does.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import In

from golden.contract.ranges import Range
from hw.blocks.outlet import LATENCY, queue_depth
from hw.blocks.pipeline import delay
from hw.network.beat import Beat
from hw.network.nodes.rescale import Rescale
from hw.targets.families import GENERIC
from tests.proofs.inside import Inside
from tests.proofs.proof import Bug, Harness, Proof
from tests.proofs.streams import assume_patient, claim_patient

#: Formats of the operands: bits, and whether they are signed.
FORMATS = ((2, True), (3, False))
#: Results are signed and of two bits.
LIMITS, SHIFT = Range(-2, 1), 1


class JoinHarness(Harness):
    def __init__(self, *multipliers: int, relays: bool = False) -> None:
        self._node = Rescale(
            inputs=tuple(Beat(lanes=1, bits=bits, signed=sign) for bits, sign in FORMATS[: len(multipliers)]),
            output=Beat(lanes=1, bits=2, signed=True),
            multipliers=multipliers,
            shift=SHIFT,
            limits=LIMITS,
            frame_beats=1,
            target=replace(GENERIC, relays=relays),
        )
        ports = {"ready": In(1), "chosen": In(1), "valid": In(len(multipliers))}
        super().__init__(ports | {f"operand_{n}": In(beat.shape) for n, beat in enumerate(self._node.inputs)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        node = self._node
        dut = node.component()
        inside = self.inside(m, "dut", dut)
        inputs = [getattr(dut, f"i_{number}") for number in range(len(node.inputs))]
        operands = [getattr(self, f"operand_{number}") for number in range(len(node.inputs))]
        for port, valid, operand in zip(inputs, self.valid, operands, strict=True):
            m.d.comb += [port.valid.eq(valid), Value.cast(port.payload).eq(operand)]
            assume_patient(self, m, port)
        m.d.comb += dut.o_0.ready.eq(self.ready)
        claim_patient(self, m, dut.o_0)

        total = Signal(signed(8))
        m.d.comb += total.eq(sum(m * operand for m, operand in zip(node.multipliers, operands, strict=True)))
        start, left = inputs[0].valid & inputs[0].ready, dut.o_0.valid & dut.o_0.ready
        room = queue_depth(node.pipeline, 1)
        count, old = Signal(range(room + 2)), Signal(range(room + 2))
        on_way = [delay(m, start, cycles, reset_less=False) for cycles in range(node.pipeline + LATENCY)]
        m.d.sync += [count.eq(count + start - left), old.eq(old + on_way[-1] - left)]
        self.claim(m, start == (self.valid.all() & (count < room)))
        for port in inputs:
            self.claim(m, (port.valid & port.ready) == start)
        self.claim(m, dut.o_0.valid == (old > 0))

        # One result is chosen when its operands leave, and the results in front of it are counted.
        watching, ahead, watched = Signal(name="watching"), Signal(range(room + 2)), Signal.like(total, name="watched")
        age = Signal(range(node.pipeline + 2))
        with m.If(watching & (age <= node.pipeline)):
            m.d.sync += age.eq(age + 1)
        with m.If(~watching), m.If(start & self.chosen):
            m.d.sync += [watching.eq(1), ahead.eq(count - left), watched.eq(total), age.eq(1)]
        with m.Elif(left):
            m.d.sync += [ahead.eq(ahead - 1), watching.eq(ahead > 0)]
        shown = Value.cast(dut.o_0.payload).as_signed()
        self.claim(m, ~(watching & dut.o_0.valid & (ahead == 0)) | _is_rounded(watched, shown))

        if self.lemmas:
            self.lemma(m, (count <= room) & (count == old + sum(on_way[1:], start=Value.cast(0))))
            self._know_credit(m, inside, count, room)
            self._know_results(m, inside, old, room)
            sums = [delay(m, total, cycles) for cycles in range(node.pipeline + LATENCY)]
            for cycles in range(1, node.pipeline + LATENCY):
                here = watching & (age == cycles)
                before = sum(on_way[cycles + 1 :], start=Value.cast(0))
                self.lemma(m, ~here | (on_way[cycles] & (sums[cycles] == watched) & (ahead == old + before)))
            stored = watching & (age > node.pipeline)
            self.lemma(m, ~watching | ((age > 0) & (age <= node.pipeline + 1)))
            self.lemma(m, ~stored | (ahead < old))
            place = inside.register("results_first") + ahead
            word = inside.word("results", Mux(place >= room, place - room, place))
            self.lemma(m, ~stored | _is_rounded(watched, word.as_signed()))
        return m

    def _know_credit(self, m: Module, inside: Inside, count: Signal, room: int) -> None:
        if not self._node.target.relays:
            self.lemma(m, inside.register("results_spare").as_signed() == room - 1 - count)
            return
        free = inside.register("results_free")
        for number in range(room):
            self.lemma(m, free[number] == (room - count > number))

    def _know_results(self, m: Module, inside: Inside, old: Signal, room: int) -> None:
        """The queue holds the results that are old enough, in order."""
        tail, first = inside.register("results_tail"), inside.register("results_first")
        self.lemma(m, (inside.register("results_level") == old) & (inside.register("results_some") == (old > 0)))
        self.lemma(m, (tail < room) & (first < room))
        behind = Mux(tail >= first, tail - first, tail + room - first)
        self.lemma(m, Mux((old == 0) | (old == room), behind == 0, behind == old))


def _is_rounded(total: Value, y: Value) -> Value:
    """Whether ``y`` is ``total / 2^SHIFT``, rounded half to even and saturated."""
    off, tie = 2 * total - (y << SHIFT + 1), 2**SHIFT
    above = (y == LIMITS.high) | (off < tie) | ((off == tie) & ~y[0])
    below = (y == LIMITS.low) | (off > -tie) | ((off == -tie) & ~y[0])
    return Cat((y >= LIMITS.low) & (y <= LIMITS.high), above, below).all()


def _bug(name: str, module: str, old: str, new: str, build: str = "3 a + 2 b") -> Bug:
    return Bug(name=name, module=module, old=old, new=new, build=build)


NODE, SUM, OUTLET = "hw.network.nodes.rescale", "hw.blocks.weighted_sum", "hw.blocks.outlet"

PROOF = Proof(
    name="join",
    claim="results leave in order, none lost or doubled, and each is that of operands of the same number",
    unbounded=True,
    depth=10,
    builds={
        "3 a + 2 b": partial(JoinHarness, 3, 2),
        "far away": partial(JoinHarness, 3, 2, relays=True),
        "a + b": partial(JoinHarness, 1, 1),
        "0 a + 5 b": partial(JoinHarness, 0, 5),
        "4 a": partial(JoinHarness, 4),
    },
    bugs=(
        _bug("an operand leaves alone", NODE, "Cat(end.credit, *others).all()", "end.credit"),
        _bug("a result is made of one operand alone", NODE, "valid.all() & end.credit", "valid.any() & end.credit"),
        _bug("an operand is a cycle late", SUM, "max(0, len(addends) - 1)", "len(addends)"),
        _bug(
            "an operand without a multiplier is not waited for",
            NODE,
            "start.eq(valid.all()",
            "start.eq(valid[-1]",
            "0 a + 5 b",
        ),
        _bug("there is always credit", OUTLET, "credit.eq(~self._spare[-1])", "credit.eq(1)"),
        _bug("credit comes back for nothing", OUTLET, "self._port.valid & self._port.ready", "self._port.ready"),
        _bug("credit does not come back", OUTLET, "self._spare + popped - started", "self._spare - started"),
        _bug(
            "credit does not come back from far away",
            OUTLET,
            "Mux(popped, Cat(",
            "Mux(popped & started, Cat(",
            "far away",
        ),
        _bug(
            "what leaves and comes at once counts twice",
            OUTLET,
            "m.If(popped ^ started)",
            "m.If(popped | started)",
            "far away",
        ),
        _bug("a result of before a reset comes after it", OUTLET, "self._cycles, reset_less=False", "self._cycles"),
    ),
)
