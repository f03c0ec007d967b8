"""Width adapter: the elements that come out are those that went in, in order, and each beat moves in its cycle.

It is proven for ever, by k-induction, with pauses at both ends and resets at any time, for adapters that make
beats narrower and wider by a whole number, and for those that do neither. It is assumed that a beat that waits
at the input stays as it is. What is claimed:

- An output beat is offered exactly if its elements are there, be they kept or in the input beat.
- An input beat leaves exactly when fewer of its elements are still wanted than an output beat has.
- Elements come out in order, none lost or doubled; what waits at the output stays as it is.

Order is proven about one element of arbitrary number. The harness keeps that element, counts the elements in
front of it, and compares when it comes to the port.
"""

from __future__ import annotations

from functools import partial
from math import gcd

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import In

from hw.blocks.pipeline import index_shape
from hw.network.beat import Beat
from hw.network.edges.adapter import Adapter, kept_elements, moves
from tests.proofs.inside import Inside
from tests.proofs.proof import Bug, Harness, Proof
from tests.proofs.streams import assume_patient, claim_patient

#: Bits of an element.
BITS = 2


class AdapterHarness(Harness):
    def __init__(self, a: int, b: int) -> None:
        self._a, self._b = a, b
        ports = {"valid": In(1), "payload": In(a * BITS), "ready": In(1), "chosen": In(1), "lane": In(index_shape(a))}
        super().__init__(ports)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        a, b = self._a, self._b
        dut = Adapter(Beat(lanes=a, bits=BITS, signed=False), b)
        inside = self.inside(m, "dut", dut)
        m.d.comb += [
            dut.i.valid.eq(self.valid),
            Value.cast(dut.i.payload).eq(self.payload),
            dut.o.ready.eq(self.ready),
        ]
        waited, waiting = assume_patient(self, m, dut.i)
        claim_patient(self, m, dut.o)
        took, left = dut.i.valid & dut.i.ready, dut.o.valid & dut.o.ready

        # Elements of beats that have come less those that have gone: kept ones, or, negative, parts of the input beat.
        ahead = Signal(signed(8))
        m.d.sync += ahead.eq(ahead + Mux(took, a, 0) - Mux(left, b, 0))
        complete = ahead + a >= b
        rest = ahead + a - Mux(complete, b, 0)
        self.claim(m, dut.o.valid == (self.valid & complete))
        self.claim(m, ~self.valid | (dut.i.ready == ((~complete | self.ready) & (rest < b))))
        self.claim(m, (ahead <= kept_elements(a, b)) & (ahead > -a))

        # One element is chosen while its beat is at the input. Its place is that from the next output's first element.
        watching, place, watched = Signal(name="watching"), Signal(signed(8)), Signal(BITS)
        now, element, seen = Signal(signed(8)), Signal(BITS), Signal(name="seen")
        here = ahead + self.lane
        chosen = self.valid & self.chosen & (self.lane < a) & (here >= 0)
        m.d.comb += [
            seen.eq(watching | chosen),
            now.eq(Mux(watching, place, here)),
            element.eq(Mux(watching, watched, self.payload.word_select(self.lane, BITS))),
        ]
        gone = left & (now < b)
        m.d.sync += [watching.eq(seen & ~gone), place.eq(now - Mux(left, b, 0)), watched.eq(element)]
        at_port = Value.cast(dut.o.payload).word_select(now[: index_shape(b).width], BITS)
        self.claim(m, ~(seen & dut.o.valid & (now < b)) | (at_port == element))

        if self.lemmas:
            self.lemma(m, ~watching | ((place >= 0) & (place < ahead + a)))
            # An element that has not been taken along is one of the beat that has waited.
            lane = (place - ahead)[: index_shape(a).width]
            outside = watching & (place >= ahead)
            self.lemma(m, ~outside | (waited & (waiting.word_select(lane, BITS) == watched)))
            self._know_moves(m, inside, ahead, watching, place, watched)
        return m

    def _know_moves(
        self, m: Module, inside: Inside, ahead: Signal, watching: Signal, place: Signal, watched: Signal
    ) -> None:
        unit = gcd(self._a, self._b)
        plan = moves(self._a, self._b)
        step = inside.register("step") if len(plan) > 1 else Value.cast(0)
        self.lemma(m, step < len(plan))
        if len(plan) > 1:
            self.lemma(m, inside.register("step_last") == (step == len(plan) - 1))
        kept = kept_elements(self._a, self._b) // unit
        flags = {"gives": [move.gives for move in plan], "takes": [move.takes for move in plan]}
        for number in range(kept):
            flags[f"fills_{number}"] = [
                move.takes and 0 <= number - move.stay < self._a // unit - move.end for move in plan
            ]
        for name, values in flags.items():
            if len(set(values)) > 1:
                flag = inside.register(name)
                for number, value in enumerate(values):
                    self.lemma(m, (step != number) | (flag == int(value)))
        for number, move in enumerate(plan):
            self.lemma(m, (step != number) | (ahead == (move.held - move.start) * unit))
        for number in range(kept):
            register = inside.register(f"kept_{number}")
            for offset in range(unit):
                at = watching & (place == number * unit + offset) & (place < ahead)
                self.lemma(m, ~at | (register.word_select(offset, BITS) == watched))


def _bug(name: str, old: str, new: str, build: str) -> Bug:
    return Bug(name=name, module="hw.network.edges.adapter", old=old, new=new, build=build, depth=12)


PAIRS = ((2, 2), (4, 2), (3, 1), (2, 4), (1, 3), (2, 3), (3, 2), (4, 6), (6, 4), (3, 5), (5, 3))

PROOF = Proof(
    name="width_adapter",
    claim="elements leave in order, none lost or doubled, and each beat is taken and offered in its cycle",
    unbounded=True,
    depth=2,
    builds={f"{a} to {b}": partial(AdapterHarness, a, b) for a, b in PAIRS},
    bugs=(
        _bug("the input beat leaves too early", "takes & (self.o.ready | ~gives)", "self.o.ready | ~gives", "4 to 2"),
        _bug("an output is offered with parts missing", "self.i.valid & gives)", "self.i.valid)", "1 to 3"),
        _bug("parts are taken while the sink waits", "takes & (self.o.ready | ~gives)", "takes", "2 to 3"),
        _bug(
            "the moves go on while the sink waits",
            "go.eq(self.i.valid & (self.o.ready | ~gives))",
            "go.eq(self.i.valid)",
            "3 to 2",
        ),
        _bug("what is kept is overwritten", "m.If(go & fills)", "m.If(go)", "1 to 3"),
        _bug("units go to the wrong place", "move.start + unit - move.held", "move.start + unit", "3 to 2"),
        _bug(
            "the next elements are kept, not the rest",
            "arrived[move.end + unit - move.stay]",
            "arrived[unit - move.stay]",
            "6 to 4",
        ),
    ),
)
