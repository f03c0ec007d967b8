"""Fork: each consumer gets each beat once and as soon as it is there, and none waits for another.

It is proven for ever, by k-induction, with pauses of the source and of every consumer, and resets at any time.
It is assumed that a beat that waits at the input stays as it is. What is claimed:

- A consumer is offered the input beat, and no other, exactly if it has not had it yet.
- The input beat leaves exactly when every consumer has had it.
- A beat that waits at an output stays as it is.
"""

from __future__ import annotations

from functools import partial

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib.wiring import In

from hw.network.beat import Beat
from hw.network.edges.fork import Fork
from tests.proofs.proof import Bug, Harness, Proof
from tests.proofs.streams import assume_patient, claim_patient

BEAT = Beat(lanes=1, bits=2, signed=False)


class ForkHarness(Harness):
    def __init__(self, consumers: int) -> None:
        self._consumers = consumers
        super().__init__({"valid": In(1), "payload": In(BEAT.size), "ready": In(consumers)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        dut = Fork(BEAT, self._consumers)
        inside = self.inside(m, "dut", dut)
        outputs = [getattr(dut, f"o_{number}") for number in range(self._consumers)]
        m.d.comb += [dut.i.valid.eq(self.valid), Value.cast(dut.i.payload).eq(self.payload)]
        m.d.comb += [output.ready.eq(ready) for output, ready in zip(outputs, self.ready, strict=True)]
        assume_patient(self, m, dut.i)

        # How often the input and each output have passed a beat, modulo 4.
        passed = Signal(2)
        m.d.sync += passed.eq(passed + (dut.i.valid & dut.i.ready))
        served = []
        done = inside.register("done") if self.lemmas else None
        for number, output in enumerate(outputs):
            had = Signal(2, name=f"had_{number}")
            left = output.valid & output.ready
            m.d.sync += had.eq(had + left)
            ahead = (had - passed)[:2]
            self.claim(m, ahead <= 1)
            self.claim(m, output.valid == (self.valid & (ahead == 0)))
            self.claim(m, ~output.valid | (Value.cast(output.payload) == self.payload))
            claim_patient(self, m, output)
            served.append((ahead == 1) | left)
            if done is not None:
                self.lemma(m, done[number] == (ahead == 1))
        self.claim(m, ~self.valid | (dut.i.ready == Cat(served).all()))
        return m


def _bug(name: str, old: str, new: str) -> Bug:
    return Bug(name=name, module="hw.network.edges.fork", old=old, new=new, build="2 consumers", depth=6)


PROOF = Proof(
    name="fork",
    claim="each consumer gets each beat once, as soon as it is there, and none waits for another",
    unbounded=True,
    depth=2,
    builds={f"{consumers} consumers": partial(ForkHarness, consumers) for consumers in (1, 2, 3)},
    bugs=(
        _bug("a consumer gets a beat again", "self.i.valid & ~has", "self.i.valid"),
        _bug("a consumer waits for the others", "self.i.valid & ~has", "self.i.valid & ~has & served.all()"),
        _bug("the beat leaves with the first consumer", "ready.eq(served.all())", "ready.eq(served.any())"),
        _bug("a consumer misses the next beat", "served & ~served.all().replicate(self._consumers)", "served"),
        _bug("a ready consumer has had a beat that is not there", "m.If(self.i.valid)", "m.If(1)"),
    ),
)
