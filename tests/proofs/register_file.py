"""Register file behind its AXI4-Lite slave: a refused access changes nothing, any other changes what it should.

It is proven for ever, by k-induction, with any accesses, any values, any refusals from outside, and resets at
any time. The table is small, and has each kind of register and a window. What is claimed:

- A write is done if its address can be written, all its bytes are written, its value is allowed and nothing
  refuses it. It is answered accordingly.
- The registers change as that write says, and at no other time. The strobes are those of that write.
- A write that is not done tells one reason.
- A read is answered with the value, or refused.

The reference is a handwritten list of addresses and of what may be written there.
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In

from golden.contract.ranges import Range
from hw.blocks.pipeline import delay
from hw.control.axi_lite import AxiLite, axi_lite_members
from hw.control.register_file import RegisterFile
from hw.control.register_table import Access, Field, Register, RegisterTable, Window
from tests.proofs.proof import Bug, Harness, Proof

ADDRESS_BITS = 6


def _register(name: str, address: int, access: Access, refused_while: str = "", **field: object) -> Register:
    fields = (Field(name=name, low=0, description="", **field),)  # type: ignore[arg-type]
    return Register(
        name=name, address=address, access=access, fields=fields, description="", refused_while=refused_while
    )


TABLE = RegisterTable(
    name="table",
    description="",
    address_bits=ADDRESS_BITS,
    registers=(
        _register("fixed", 0, Access.CONSTANT, bits=8, reset=0x5A),
        _register("plain", 4, Access.READ_WRITE, bits=4, reset=1, allowed=Range(1, 9)),
        _register("guarded", 8, Access.READ_WRITE, "it is in use", bits=2),
        _register("order", 12, Access.WRITE_ONLY, bits=1),
        _register("sticky", 16, Access.CLEAR, bits=2),
        _register("seen", 20, Access.READ_ONLY, bits=4),
    ),
    windows=(
        Window(
            name="words",
            address=32,
            rows=2,
            lanes=2,
            allowed=Range(0, 200),
            description="",
            refused_while="they are in use",
        ),
    ),
)
INPUTS = {name: member for name, member in axi_lite_members(ADDRESS_BITS).items() if member.flow is In}


class RegisterFileHarness(Harness):
    def __init__(self) -> None:
        super().__init__(INPUTS | {"seen": In(4), "sets": In(2), "refuse_guarded": In(1), "refuse_words": In(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        slave, self._dut = AxiLite(ADDRESS_BITS), RegisterFile(TABLE)
        m.submodules.slave, self._inside = slave, self.inside(m, "dut", self._dut)
        wiring.connect(m, slave.bus, self._dut.bus)
        m.d.comb += [getattr(slave, name).eq(getattr(self, name)) for name in INPUTS]
        m.d.comb += [
            self._dut.i_values.seen.seen.eq(self.seen),
            self._dut.i_set.sticky.sticky.eq(self.sets),
            self._dut.i_refuse.guarded.eq(self.refuse_guarded),
            self._dut.i_refuse.words.eq(self.refuse_words),
        ]
        self._check_reads(m, self._check_writes(m))
        return m

    def _check_writes(self, m: Module) -> dict[str, Signal]:
        """Check what a write does in its third cycle. Returns what the registers should hold, by name."""
        dut, bus = self._dut, self._dut.bus
        judged = delay(m, bus.write, 1, reset_less=False)
        doing = delay(m, judged, 1, reset_less=False)
        address, word = bus.write_address, bus.write_data
        refuse_guarded, refuse_words = (delay(m, port, 1) for port in (self.refuse_guarded, self.refuse_words))
        # For each thing that can be written: whether the write goes there, fits, and is refused.
        window = (address >= 32) & (address < 48) & (address[:2] == 0)
        there: dict[str, tuple[Value, Value, Value]] = {
            "plain": (address == 4, (word >= 1) & (word <= 9), Const(0)),
            "guarded": (address == 8, word < 4, refuse_guarded),
            "order": (address == 12, word < 2, Const(0)),
            "sticky": (address == 16, word < 4, Const(0)),
            "words": (window, word <= 200, refuse_words),
        }
        whole = doing & ~bus.write_partial
        done = {name: whole & hit & fits & ~refused for name, (hit, fits, refused) in there.items()}
        hits = whole & Cat(hit for hit, _, _ in there.values()).any()
        misfits = whole & Cat(hit & ~fits for hit, fits, _ in there.values()).any()
        self.claim(m, ~doing | (bus.write_ok == Cat(done.values()).any()))
        self.claim(m, dut.o_writing == (bus.write | judged | doing))
        self.claim(m, dut.o_bad_value == misfits)
        read = delay(m, bus.read, 1)
        self.claim(m, dut.o_bad_access == ((doing & ~hits) | (read & ~bus.read_ok)))
        for name in ("guarded", "words"):
            hit, fits, refused = there[name]
            self.claim(m, dut.o_refused[name] == (whole & hit & fits & refused))
        for name in ("order", "words"):
            self.claim(m, dut.o_write[name] == done[name])
        self.claim(m, ~done["words"] | ((dut.o_lane == address[2]) & (dut.o_row == address[3])))
        self.claim(m, ~doing | (dut.o_data == word))

        held = {"plain": Signal(4, init=1), "guarded": Signal(2), "sticky": Signal(2)}
        for name in ("plain", "guarded"):
            with m.If(done[name]):
                m.d.sync += held[name].eq(word)
            self.claim(m, dut.o_values[name][name] == held[name])
            self.claim(m, dut.o_changes[name] == done[name])
        cleared = held["sticky"] & ~Mux(done["sticky"], word[:2], 0)
        m.d.sync += held["sticky"].eq(cleared | self.sets)
        if self.lemmas:
            self.lemma(m, self._inside.register("sticky") == held["sticky"])
        return held

    def _check_reads(self, m: Module, held: dict[str, Signal]) -> None:
        bus = self._dut.bus
        shown = {0: Const(0x5A, 8), 4: held["plain"], 8: held["guarded"], 16: held["sticky"], 20: self.seen}
        # The address counts in the first cycle, the values do in the second.
        read, read_address = delay(m, bus.read, 1), delay(m, bus.read_address, 1)
        readable = Cat(read_address == address for address in shown).any()
        self.claim(m, ~read | (bus.read_ok == readable))
        for address, value in shown.items():
            self.claim(m, ~(read & (read_address == address)) | (bus.read_data == value))


def _bug(name: str, old: str, new: str) -> Bug:
    return Bug(name=name, module="hw.control.register_file", old=old, new=new, build="each kind of register", depth=10)


PROOF = Proof(
    name="register_file",
    claim="a refused access changes no register, and any other only what it should",
    unbounded=True,
    depth=4,
    builds={"each kind of register": RegisterFileHarness},
    bugs=(
        _bug("a write of some bytes is done", "~bus.write_partial & _addressed", "_addressed"),
        _bug("a refused write is done", "allowed = allowed & ~self.i_refuse[entry.name]", "allowed = allowed & True"),
        _bug("a limit is one too high", "else value <= limits.high", "else value <= limits.high + 1"),
        _bug(
            "clearing a bit clears all",
            "cleared = bits & ~(value & accepted[register.name].replicate(field.bits))",
            "cleared = bits & ~accepted[register.name].replicate(field.bits)",
        ),
        _bug("an address between words is read", "(place == 0) & (index < count)", "(index < count)"),
    ),
)
