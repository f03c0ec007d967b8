"""Frame sets: a set stays as it is while frames that carry its number are under way.

It is proven for ever, by k-induction. Frames have any length, and outputs complete at any time. Orders are for
any parts, with and without a frame to wait for. Resets come at any time.

The next set is *busy* while ``o_pending`` or ``o_switching`` is set, or an order still waits for its
``o_applied``. What is claimed:

- The number of the set in force changes in the cycle after an order's boundary, and in no other cycle.
  That is the first boundary after the order, or the first with as many frames begun as the order waits for.
- The set in force never changes. The other set does not change while frames that carry it are under way.
- The next set is busy while frames that carry the set before are under way, and ``o_switching`` is set only
  then.
- The memories said to be free are not those of a frame under way.
- A new set has the size that was prepared if settings were ordered, otherwise the size of the set before.
- The number of frames begun is right, and so is whether any frame is under way, each some cycles late.

What is assumed, as `hw.control.control` makes sure:

- An order comes only while the next set is not busy.
- The frame number that an order waits for is there four cycles before the order.
- Settings stay until they are in force.
- No order waits for a frame more than 2^30 frames away.

It is also assumed that frames complete in order, and that no more are under way than the unit can hold.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib.wiring import In

from hw.blocks.pipeline import delay
from hw.control.register_table import WORD
from hw.control.registers import APPLY_PARTS
from hw.reloadable.frame_sets import FrameSets
from tests.proofs.proof import Bug, Harness, Proof
from tests.proofs.row_store import small_shapes
from tests.support.front_end import reloadable

#: The most frames under way, and the latency of the pipeline that it belongs to, which does not matter otherwise.
MOST, LATENCY = 8, 1
#: Bits of a height and a width, and cycles before an order in which the frame number that it waits for is there.
SIZE, AHEAD = 2, 4


class FrameSetsHarness(Harness):
    def __init__(self) -> None:
        super().__init__(
            {
                "takes": In(1),
                "ends": In(1),
                "done": In(1),
                "apply": In(1),
                "parts": In(len(APPLY_PARTS)),
                "wait": In(1),
                "at": In(WORD),
                "height": In(SIZE),
                "width": In(SIZE),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._dut = dut = FrameSets(reloadable(small_shapes(3, 3, attn_shift=0)), latency=LATENCY)
        self._inside = self.inside(m, "dut", dut)

        # Frames of any length begin and end, and are done some time later.
        within, begins, boundary = Signal(), Signal(), Signal()
        m.d.comb += [begins.eq(self.takes & ~within), boundary.eq(Mux(self.takes, self.ends, ~within))]
        m.d.sync += within.eq(~boundary)
        m.d.comb += [dut.i_begins.eq(begins), dut.i_boundary.eq(boundary), dut.i_done.eq(self.done)]

        applied = dut.o_applied.any()
        order = self._order(m, applied)
        begun = Signal(WORD)
        m.d.sync += begun.eq(begun + begins)
        due = self._due(m, (begun + begins)[:WORD])
        pending, number, configured = Signal(), Signal(), Signal()
        changes = pending & boundary & (due | ~order["wait"])
        m.d.sync += [
            pending.eq(self.apply | (pending & ~changes)),
            number.eq(number ^ changes),
            configured.eq(configured | changes),
        ]
        self.claim(m, dut.o_set == number)
        self.claim(m, dut.o_pending == pending)
        self.claim(m, dut.o_configured == configured)
        changed = delay(m, changes, 1, reset_less=False)
        self.claim(m, dut.o_begun == delay(m, begun, 1, reset_less=False))
        self.claim(m, dut.o_applied == Mux(delay(m, changed, 1, reset_less=False), order["parts"], 0))

        # Frames under way that carry the number of the set before, and those that carry that of the set in force.
        old, new = Signal(range(MOST + 1)), Signal(range(MOST + 1))
        self.assume(m, ~self.done | (old + new > 0))
        self.assume(m, ~begins | (old + new < MOST))
        of_old = self.done & (old > 0)
        still_new = new + begins - (self.done & ~of_old)
        m.d.sync += [old.eq(Mux(changes, old - of_old + still_new, old - of_old)), new.eq(Mux(changes, 0, still_new))]
        old_before, all_before = (
            delay(m, old, 1, reset_less=False),
            delay(m, (old + new)[: len(old)], 1, reset_less=False),
        )
        self.claim(m, dut.o_idle == (all_before == 0))
        busy = self._waits | dut.o_pending | dut.o_switching
        self.claim(m, busy | (old == 0))
        self.claim(m, ~dut.o_switching | (old_before > 0))
        self._check_sets(m, old, new, number, changes, order["parts"])
        if self.lemmas:
            self.lemma(m, self._inside.register("flight") == all_before)
            self.lemma(m, old + new <= MOST)
            self.lemma(m, (self._inside.register("old") == old_before) | changed | applied)
            self.lemma(m, ~(changed | applied) | (self._inside.register("old") == 0))
            self.lemma(m, ~pending | ((old == 0) & (old_before == 0)))
            self.lemma(m, ~(changed & applied))
            self.lemma(m, self._waits == (pending | changed | applied))
            self.lemma(m, self._inside.register("parts") == order["parts"])
            self.lemma(m, self._inside.register("waits") == order["wait"])
            self.lemma(m, ~pending | order["parts"].any())
        return m

    def _order(self, m: Module, applied: Value) -> dict[str, Signal]:
        """Give orders as the control plane does. Returns what the last order asked for."""
        dut = self._dut
        waits = self._waits = Signal()
        m.d.sync += waits.eq((waits | self.apply) & ~applied)
        self.assume(m, ~self.apply | ~(waits | dut.o_pending | dut.o_switching))
        self.assume(m, ~self.apply | self.parts.any())
        kept = {name: Signal.like(getattr(self, name)) for name in ("parts", "wait", "height", "width")}
        with m.If(self.apply):
            m.d.sync += [signal.eq(getattr(self, name)) for name, signal in kept.items()]
        m.d.comb += [
            dut.i_apply.strobe.eq(self.apply),
            dut.i_apply.wait.eq(self.wait),
            dut.i_apply.at.eq(self.at),
            dut.i_settings.height.eq(kept["height"]),
            dut.i_settings.width.eq(kept["width"]),
        ]
        m.d.comb += [dut.i_apply[name].eq(self.parts[bit]) for bit, name in enumerate(APPLY_PARTS)]
        self._kept = kept
        return kept

    def _due(self, m: Module, begun: Value) -> Value:
        """Whether as many frames have begun as the order waits for. That number must be there for some cycles."""
        before, cycles = Signal(WORD), Signal(range(AHEAD + 1))
        same = self.at == before
        m.d.sync += [before.eq(self.at), cycles.eq(Mux(same, Mux(cycles == AHEAD, AHEAD, cycles + 1), 0))]
        self.assume(m, ~self.apply | (same & (cycles >= AHEAD - 1)))
        self.assume(m, ~self._waits | same)
        missing = (self.at - begun)[:WORD]
        self.assume(m, missing[WORD - 2] == missing[WORD - 1])
        return missing[WORD - 1] | (missing == 0)

    def _check_sets(self, m: Module, old: Value, new: Value, number: Value, changes: Value, parts: Value) -> None:
        dut, kept = self._dut, self._kept
        sets = [Value.cast(dut.o_sets[index]) for index in range(2)]
        before = [Signal(len(value), name=f"set_{index}_before", reset_less=True) for index, value in enumerate(sets)]
        m.d.sync += [register.eq(value) for register, value in zip(before, sets, strict=True)]
        awake, changed = Signal(), delay(m, changes, 1, reset_less=False)
        m.d.sync += awake.eq(1)
        for index in range(2):
            stays = sets[index] == before[index]
            # The set that comes into force is written for the last time in the cycle of the change.
            self.claim(m, ~awake | (number != index) | changed | stays)
            self.claim(m, ~awake | (number == index) | (old == 0) | stays)
        for index, (mine, others) in enumerate(zip(dut.o_sets, reversed(list(dut.o_sets)), strict=True)):
            here = changed & (number == index)
            for name, length in (("height_last", "height"), ("width_last", "width")):
                expected = Mux(parts[0], (kept[length] - 1)[:SIZE], others[name])
                self.claim(m, ~here | (mine[name] == expected))
            for bit, name in ((1, "weights"), (2, "constants")):
                self.claim(m, ~here | (mine[name] == others[name] ^ parts[bit]))
        current = [Mux(number, dut.o_sets[1][name], dut.o_sets[0][name]) for name in ("weights", "constants")]
        self.claim(m, (Cat(dut.o_free_weights, dut.o_free_constants) == ~Cat(current)) | (new == Const(0)))


def _bug(name: str, old: str, new: str) -> Bug:
    return Bug(name=name, module="hw.reloadable.frame_sets", old=old, new=new, build="two sets", depth=12)


PROOF = Proof(
    name="frame_sets",
    claim="a set stays while frames that carry it are under way, and the next takes over at a frame boundary",
    unbounded=True,
    depth=7,
    builds={"two sets": FrameSetsHarness},
    bugs=(
        _bug("a set takes over within a frame", "pending & self.i_boundary & due", "pending & due"),
        _bug("the set in force is prepared", "with m.If(number != index):", "with m.If(number == index):"),
        _bug(
            "a frame that begins with the change is not counted",
            "self._count_frames(m, delay(m, changed, 1, reset_less=False))",
            "self._count_frames(m, changed)",
        ),
        _bug("a frame done with the change is counted", "old.eq(flight - done)", "old.eq(flight)"),
        _bug(
            "frames of the new set count as old", "self.o_switching.eq(old.any())", "self.o_switching.eq(flight.any())"
        ),
        _bug("the frame that begins is not compared", "Mux(self.i_begins, with_one, without)", "without"),
        _bug(
            "weights stay on their side",
            "new.weights.eq(current.weights ^ parts[1])",
            "new.weights.eq(current.weights)",
        ),
    ),
)
