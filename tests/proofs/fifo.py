"""FIFO and relay: what comes out is what went in, in order, and every beat moves in its cycle.

It is proven for ever, by k-induction, for each kind of memory and for the relay's two registers, with pauses at both
ends and resets at any time. It is assumed that a beat that waits at the input stays as it is. What is claimed:

- A beat is taken exactly while fewer than ``depth`` are inside, wherever they are.
- A beat is offered exactly if one inside has been there for the latency.
- What comes out is what went in, in order; what waits at the output stays as it is.

Order is proven about one beat of arbitrary number, as of the queue. The block RAM is the memory that synthesis
tools make one of; primitives are not proven.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import In

from hw.blocks.pipeline import delay
from hw.network.beat import Beat
from hw.network.edges.fifo import Fifo
from hw.network.edges.relay import PLACES, Relay
from hw.targets.families import GENERIC
from tests.proofs.inside import Inside
from tests.proofs.proof import Bug, Harness, Proof
from tests.proofs.streams import assume_patient, claim_patient

BEAT = Beat(lanes=1, bits=2, signed=False)


class FifoHarness(Harness):
    def __init__(self, kind: str, depth: int, *, relays: bool = False) -> None:
        self._kind, self._depth, self._target = kind, depth, replace(GENERIC, relays=relays)
        super().__init__({"valid": In(1), "payload": In(BEAT.size), "ready": In(1), "chosen": In(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        depth = self._depth
        dut = Relay(BEAT) if self._kind == "relay" else Fifo(BEAT, depth, self._target, kind=self._kind)
        inside = self.inside(m, "dut", dut)
        shown = Value.cast(dut.o.payload)
        m.d.comb += [
            dut.i.valid.eq(self.valid),
            Value.cast(dut.i.payload).eq(self.payload),
            dut.o.ready.eq(self.ready),
        ]
        assume_patient(self, m, dut.i)
        claim_patient(self, m, dut.o)
        push, pop = dut.i.valid & dut.i.ready, dut.o.valid & dut.o.ready

        count, old = Signal(range(depth + 2)), Signal(range(depth + 2))
        latency = {"block": 4 if self._target.relays else 3}.get(self._kind, 1)
        recent = [delay(m, push, cycles, reset_less=False) for cycles in range(latency)]
        m.d.sync += [count.eq(count + push - pop), old.eq(old + recent[-1] - pop)]
        self.claim(m, dut.i.ready == (count < depth))
        self.claim(m, dut.o.valid == (old > 0))

        # One beat is chosen when it is pushed, and the beats in front of it are counted.
        watching, ahead, watched = Signal(name="watching"), Signal(range(depth + 2)), Signal(BEAT.size)
        with m.If(~watching), m.If(push & self.chosen):
            m.d.sync += [watching.eq(1), ahead.eq(count - pop), watched.eq(self.payload)]
        with m.Elif(pop):
            m.d.sync += [ahead.eq(ahead - 1), watching.eq(ahead > 0)]
        self.claim(m, ~(watching & dut.o.valid & (ahead == 0)) | (shown == watched))

        if self.lemmas:
            self.lemma(m, (count <= depth) & (~watching | (ahead < count)))
            self.lemma(m, count == old + sum(recent[1:], start=Value.cast(0)))
            if self._kind == "register":
                self.lemma(m, ~watching | (shown == watched))
            if self._kind == "relay":
                self._know_registers(m, inside, count, watching, ahead, watched)
            if self._kind == "lut":
                self._know_queue(m, inside, count, watching, ahead, watched)
            if self._kind == "block":
                self._know_block(m, inside, recent, count, watching, ahead, watched)
        return m

    def _know_registers(
        self, m: Module, inside: Inside, count: Value, watching: Value, ahead: Signal, watched: Signal
    ) -> None:
        valid, waits, tail, head = (inside.register(name) for name in ("valid", "waits", "tail", "head"))
        self.lemma(m, (count == valid + waits) & (valid | ~waits) & ((tail ^ head) == (count == 1)))
        self.lemma(m, (inside.register("empty") == ~valid) & (inside.register("room") == ~waits))
        places = [inside.register(f"place_{number}") for number in range(PLACES)]
        self.lemma(m, ~watching | (Mux(head ^ ahead[0], *reversed(places)) == watched))

    def _know_queue(
        self, m: Module, inside: Inside, count: Signal, watching: Signal, ahead: Signal, watched: Signal
    ) -> None:
        tail, first = inside.register("queue_tail"), inside.register("queue_first")
        self.lemma(m, inside.register("queue_level") == count)
        self._know_order(m, tail, first, count)
        word = inside.word("queue", self._place(first, ahead))
        self.lemma(m, ~watching | (word == watched))

    def _know_block(
        self,
        m: Module,
        inside: Inside,
        recent: list[Value],
        count: Signal,
        watching: Signal,
        ahead: Signal,
        watched: Signal,
    ) -> None:
        tail, first, unread = (inside.register(name) for name in ("tail", "first", "unread"))
        some, was_read, valid = (inside.register(name) for name in ("some", "was_read", "valid"))
        for name, place in (("tail", tail), ("first", first)):
            self.lemma(m, inside.register(f"{name}_last") == (place == self._depth - 1))
        self.lemma(m, inside.register("level") == count)
        relayed: Value = Const(0)
        if self._target.relays:
            relay = inside.part("relay")
            relayed = relay.register("valid") + relay.register("waits")
            self._know_registers(m, relay, relayed, watching & (ahead < relayed), ahead, watched)
        self.lemma(m, (count == unread + was_read + valid + relayed) & (some == (unread > 0)))
        self._know_order(m, tail, first, unread)
        # The beats of the last cycles are on their way, and nothing else keeps what is behind them waiting.
        places = [unread, was_read, valid, relayed][: len(recent)]
        for number, place in enumerate(places[1:], start=1):
            behind = sum(places[:number], start=Value.cast(0)) - sum(recent[1:number], start=Value.cast(0))
            self.lemma(m, behind >= recent[number])
            self.lemma(m, (place > 0) | (places[number - 1] == recent[number]))
        word = inside.word("store", self._place(first, ahead - relayed - valid - was_read))
        self.lemma(m, ~(watching & (ahead >= relayed + valid + was_read)) | (word == watched))
        read = watching & was_read & (ahead == relayed + valid)
        self.lemma(m, ~read | (inside.register("read__data") == watched))
        self.lemma(m, ~(watching & valid & (ahead == relayed)) | (inside.register("delayed") == watched))

    def _know_order(self, m: Module, tail: Signal, first: Signal, stored: Signal) -> None:
        """The words from ``first`` on, up to ``tail``, are those that are ``stored``."""
        self.lemma(m, (tail < self._depth) & (first < self._depth))
        behind = Mux(tail >= first, tail - first, tail + self._depth - first)
        self.lemma(m, Mux((stored == 0) | (stored == self._depth), behind == 0, behind == stored))

    def _place(self, first: Signal, number: Value) -> Value:
        place = first + number
        return Mux(place >= self._depth, place - self._depth, place)


def _bug(name: str, old: str, new: str, build: str = "block, depth 5") -> Bug:
    module = f"hw.network.edges.{'relay' if build == 'relay' else 'fifo'}"
    return Bug(name=name, module=module, old=old, new=new, build=build, depth=14)


PROOF = Proof(
    name="fifo",
    claim="beats leave in order, none lost or doubled, and each is taken and offered in its cycle",
    unbounded=True,
    depth=3,
    builds={
        "register": partial(FifoHarness, "register", 1),
        "relay": partial(FifoHarness, "relay", PLACES),
        "lut, depth 3, far away": partial(FifoHarness, "lut", 3, relays=True),
    }
    | {f"block, depth {depth}, far away": partial(FifoHarness, "block", depth, relays=True) for depth in (2, 5, 6)}
    | {f"lut, depth {depth}": partial(FifoHarness, "lut", depth) for depth in (2, 3, 4, 7)}
    | {f"block, depth {depth}": partial(FifoHarness, "block", depth) for depth in (2, 3, 4, 5, 8)},
    bugs=(
        _bug("a beat is taken when all is full", "(push & (level == self._depth - 1))", "0", "lut, depth 3"),
        _bug("the last entry is left empty", "level == self._depth)", "level >= self._depth - 1)"),
        _bug("a pop makes room a cycle late", "ready.eq(pop | ", "ready.eq(", "lut, depth 2"),
        _bug("a beat is read before the one before it has moved on", "(~was_read | move)", "1"),
        _bug("a beat at the port is written over", "was_read & (~valid | output.ready)", "was_read"),
        _bug("what is read is forgotten in a stall", "(was_read & ~move)", "0"),
        _bug("the last beat is not read", "Mux(fetch, unread > 1, some)", "Mux(fetch, unread > 2, some)"),
        _bug("a word is read twice", 'self._depth, fetch, name="first"', 'self._depth, move, name="first"'),
        _bug("the register behind the memory does not wait", "enables=(fetch, move)", "enables=(fetch, Value.cast(1))"),
        _bug("the memory does not wait", "enables=(fetch, move)", "enables=(Value.cast(1), move)"),
        _bug(
            "a beat is offered again after a reset", "Signal(name=name) for", "Signal(name=name, reset_less=True) for"
        ),
        _bug("a register takes the next beat too early", "ready.eq(~valid)", "ready.eq(~valid | pop)", "register"),
        _bug("a relay loses its second beat", "tail.eq(tail ^ arrives)", "tail.eq(tail ^ (arrives & ~stays))", "relay"),
        _bug("a relay's second beat is written over", "m.If(~waits & ", "m.If(", "relay"),
        _bug("a relay's first beat is written over", "(tail == number)", "1", "relay"),
        _bug("a relay gives its first beat twice", "head ^ (~empty & self.o.ready)", "head", "relay"),
        _bug("a relay has room for one beat", "(arrives | waits) & stays\n", "arrives | stays\n", "relay"),
    ),
)
