"""AXI4-Lite slave: one response for each request, within a fixed number of cycles, and one access to the registers.

It is proven for ever, by k-induction, for any order of addresses and data, any pauses of the master, any
answers of the registers, and resets at any time. Nothing is assumed of the master. What is claimed:

- One write and one read are under way at most.
- A response comes only for a request, and once.
- BVALID and RVALID stay with their response until it is taken.
- Whether a channel is ready depends only on what has been taken and answered before. So no channel waits
  for another, and there is no path through the slave.
- A complete write is answered three cycles later, a read two cycles later, whatever the master does.
- The registers see each access once, with the address, data and byte strobes that were taken. Those of a write
  stay for three cycles more.
- The response tells the answer of the registers.
"""

from __future__ import annotations

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib.wiring import In

from hw.blocks.pipeline import delay
from hw.control.axi_lite import AxiLite, Response, axi_lite_members
from hw.control.register_table import WORD
from tests.proofs.proof import Bug, Harness, Proof

ADDRESS_BITS = 4
INPUTS = {name: member for name, member in axi_lite_members(ADDRESS_BITS).items() if member.flow is In}


class AxiLiteHarness(Harness):
    def __init__(self) -> None:
        super().__init__(INPUTS | {"write_ok": In(1), "read_data": In(WORD), "read_ok": In(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._dut = dut = AxiLite(ADDRESS_BITS)
        self._inside = self.inside(m, "dut", dut)
        m.d.comb += [getattr(dut, name).eq(getattr(self, name)) for name in INPUTS]
        m.d.comb += [
            dut.bus.write_ok.eq(self.write_ok),
            dut.bus.read_data.eq(self.read_data),
            dut.bus.read_ok.eq(self.read_ok),
        ]
        # In the first cycle after a reset nothing is taken.
        awake = Signal()
        m.d.sync += awake.eq(1)
        self._check_write(m, awake)
        self._check_read(m, awake)
        return m

    def _check_write(self, m: Module, awake: Value) -> None:
        dut, bus = self._dut, self._dut.bus
        answered = dut.bvalid & self.bready
        address, address_there = self._taken(m, self.awvalid & dut.awready, answered, self.awaddr)
        word, word_there = self._taken(m, self.wvalid & dut.wready, answered, self.wdata)
        strobes, _ = self._taken(m, self.wvalid & dut.wready, answered, self.wstrb)
        self.claim(m, dut.awready == (awake & ~address_there))
        self.claim(m, dut.wready == (awake & ~word_there))
        there = address_there & word_there
        self.claim(m, ~dut.bvalid | there)
        self._check_answer(m, there, dut.bvalid, self.bready, dut.bresp, most=3)

        done = self._check_access(m, bus.write, there, answered, dut.bvalid)
        judged = delay(m, bus.write, 1, reset_less=False)
        written = delay(m, judged, 1, reset_less=False)
        seen = bus.write | judged | written | delay(m, written, 1, reset_less=False)
        self.claim(m, ~seen | ((bus.write_address == address) & (bus.write_data == word)))
        self.claim(m, ~seen | (bus.write_partial == ~strobes.all()))
        ok = Signal()
        with m.If(written):
            m.d.sync += ok.eq(self.write_ok)
        self.claim(m, ~dut.bvalid | (dut.bresp == Mux(ok, Response.OKAY, Response.SLVERR)))
        if self.lemmas:
            self.lemma(m, self._inside.register("judged") == judged)
            self.lemma(m, self._inside.register("done") == written)
            self.lemma(m, ~(judged & written))
            self.lemma(m, ~there | dut.bvalid | (done == (judged | written)))
            self.lemma(m, ~(judged | written) | (done & there & ~dut.bvalid))
            self.lemma(m, ~done | there)
            self.lemma(m, ~address_there | (bus.write_address == address))
            self.lemma(m, ~word_there | ((bus.write_data == word) & (bus.write_partial == ~strobes.all())))

    def _check_read(self, m: Module, awake: Value) -> None:
        dut, bus = self._dut, self._dut.bus
        answered = dut.rvalid & self.rready
        address, there = self._taken(m, self.arvalid & dut.arready, answered, self.araddr)
        self.claim(m, dut.arready == (awake & ~there))
        self.claim(m, ~dut.rvalid | there)
        self._check_answer(m, there, dut.rvalid, self.rready, Value.cast(dut.rresp), most=2)
        self._check_answer(m, there, dut.rvalid, self.rready, dut.rdata, most=2)

        done = self._check_access(m, bus.read, there, answered, dut.rvalid)
        self.claim(m, ~bus.read | (bus.read_address == address))
        ok, word, read = Signal(), Signal(WORD), delay(m, bus.read, 1, reset_less=False)
        with m.If(read):
            m.d.sync += [ok.eq(self.read_ok), word.eq(self.read_data)]
        self.claim(m, ~dut.rvalid | ((dut.rresp == Mux(ok, Response.OKAY, Response.SLVERR)) & (dut.rdata == word)))
        if self.lemmas:
            self.lemma(m, self._inside.register("shown") == read)
            self.lemma(m, bus.read == (there & ~done))
            self.lemma(m, ~done | (there & (dut.rvalid ^ read)))
            self.lemma(m, ~read | done)

    def _taken(self, m: Module, takes: Value, answered: Value, value: Value) -> tuple[Signal, Signal]:
        """The value that a channel has taken last, and whether it is still to be answered.

        Two values at once would break a claim.
        """
        there, kept = Signal(), Signal.like(value, reset_less=True)
        m.d.sync += there.eq(takes | (there & ~answered))
        with m.If(takes):
            m.d.sync += kept.eq(value)
        return kept, there

    def _check_answer(self, m: Module, there: Value, valid: Value, ready: Value, payload: Value, *, most: int) -> None:
        """Claim that a response comes within ``most`` cycles of its complete request, and stays until taken."""
        waited, kept = Signal(), Signal(len(payload))
        m.d.sync += [waited.eq(valid & ~ready), kept.eq(payload)]
        self.claim(m, ~waited | (valid & (payload == kept)))
        late = Signal(range(most + 3))
        m.d.sync += late.eq(Mux(there & ~valid, late + (late <= most), 0))
        self.claim(m, late <= most)

    def _check_access(self, m: Module, strobe: Value, there: Value, answered: Value, valid: Value) -> Signal:
        """Claim that registers are accessed once, between request and response. Returns whether they have been."""
        done = Signal()
        m.d.sync += done.eq((done | strobe) & ~answered)
        self.claim(m, ~strobe | (there & ~done))
        self.claim(m, ~valid | done)
        return done


def _bug(name: str, old: str, new: str) -> Bug:
    return Bug(name=name, module="hw.control.axi_lite", old=old, new=new, build="4 bits of address", depth=12)


PROOF = Proof(
    name="axi_lite",
    claim="each request is answered once, in a fixed number of cycles, and reaches the registers once",
    unbounded=True,
    depth=6,
    builds={"4 bits of address": AxiLiteHarness},
    bugs=(
        _bug(
            "a write is done again while its response waits",
            "address_there & data_there & ~judged & ~done & ~self.bvalid",
            "address_there & data_there & ~judged & ~done",
        ),
        _bug(
            "address waits for data",
            "self.awready.eq(awake & ~address_there)",
            "self.awready.eq(awake & ~address_there & self.wvalid)",
        ),
        _bug(
            "a second address replaces the first", "self.awready.eq(awake & ~address_there)", "self.awready.eq(awake)"
        ),
        _bug("a write response does not wait", "with m.If(self.bvalid & self.bready):", "with m.If(self.bvalid):"),
        _bug("data is forgotten after its response", "address_there.eq(0), data_there.eq(0)]", "address_there.eq(0)]"),
        _bug("one byte strobe is enough", "partial.eq(~self.wstrb.all())", "partial.eq(~self.wstrb.any())"),
        _bug(
            "a read is taken while the one before waits",
            "awake & ~there & ~shown & ~self.rvalid",
            "awake & ~there & ~shown",
        ),
        _bug("read data follows the registers", "with m.If(shown):", "with m.If(shown | self.rvalid):"),
        _bug(
            "a refused read is answered as if it were not",
            "Mux(bus.read_ok, Response.OKAY, Response.SLVERR)",
            "Response.OKAY",
        ),
    ),
)
