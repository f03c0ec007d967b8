"""AXI4-Lite slave: turns transactions into reads and writes on a register bus.

    write   AW and W taken   write      judged     done       B
    read    AR taken         read       read_data  R
            cycle 0          1          2          3          4

At most one write and one read are under way, independent of each other. Outputs follow from
registers only, so no path leads through the slave.
"""

from __future__ import annotations

import enum

from amaranth.hdl import Module, Mux, Shape, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Member, Out, Signature

from hw.control.register_table import WORD


class Response(enum.IntEnum):
    """Those of AXI's answers that are used."""

    OKAY = 0
    SLVERR = 2


def axi_lite_members(address_bits: int) -> dict[str, Member]:
    """Members of a slave's AXI4-Lite port, by their names in the standard, without a prefix."""
    return {
        "awaddr": In(address_bits),
        "awprot": In(3),
        "awvalid": In(1),
        "awready": Out(1),
        "wdata": In(WORD),
        "wstrb": In(WORD // 8),
        "wvalid": In(1),
        "wready": Out(1),
        "bresp": Out(2),
        "bvalid": Out(1),
        "bready": In(1),
        "araddr": In(address_bits),
        "arprot": In(3),
        "arvalid": In(1),
        "arready": Out(1),
        "rdata": Out(WORD),
        "rresp": Out(2),
        "rvalid": Out(1),
        "rready": In(1),
    }


class RegisterBus(Signature):
    """A bus to registers that always answer in time, as seen from its master.

    Members:
        write: strobe of a write.
        write_address, write_data: address and word of the write; they stay in the three cycles after ``write``.
        write_partial: some byte strobe of the write is 0; it stays in the three cycles after ``write``.
        write_ok: whether the write is done, two cycles after ``write``. Otherwise the write is refused.
        read: strobe of a read.
        read_address: address of the read, in the cycle of ``read``.
        read_data: the word, in the cycle after ``read``.
        read_ok: whether the read is answered, in the cycle after ``read``. Otherwise the read is refused.
    """

    def __init__(self, address_bits: int) -> None:
        super().__init__(
            {
                "write": Out(1),
                "write_address": Out(address_bits),
                "write_data": Out(WORD),
                "write_partial": Out(1),
                "write_ok": In(1),
                "read": Out(1),
                "read_address": Out(address_bits),
                "read_data": In(WORD),
                "read_ok": In(1),
            }
        )


class AxiLite(wiring.Component):
    """The slave.

    Address and data of a write may come in any order. A refused access is answered with SLVERR.

    Members:
        all of `axi_lite_members`: the slave's port.
        bus: the registers, see `RegisterBus`.
    """

    def __init__(self, address_bits: int) -> None:
        self._address_bits = address_bits
        super().__init__({**axi_lite_members(address_bits), "bus": Out(RegisterBus(address_bits))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # Nothing is taken while the slave is in reset.
        awake = Signal()
        m.d.sync += awake.eq(1)
        self._write(m, awake)
        self._read(m, awake)
        return m

    def _write(self, m: Module, awake: Signal) -> None:
        bus = self.bus
        address_there = Signal()
        data_there = Signal()
        judged = Signal()
        done = Signal()
        m.d.comb += [self.awready.eq(awake & ~address_there), self.wready.eq(awake & ~data_there)]
        address = _held(Shape(self._address_bits), "write_address")
        value, partial = _held(Shape(WORD), "write_data"), _held(Shape(1), "write_partial")
        with m.If(self.awvalid & self.awready):
            m.d.sync += [address_there.eq(1), address.eq(self.awaddr)]
        with m.If(self.wvalid & self.wready):
            m.d.sync += [data_there.eq(1), value.eq(self.wdata), partial.eq(~self.wstrb.all())]
        m.d.comb += [
            bus.write.eq(address_there & data_there & ~judged & ~done & ~self.bvalid),
            bus.write_address.eq(address),
            bus.write_data.eq(value),
            bus.write_partial.eq(partial),
        ]
        m.d.sync += [judged.eq(bus.write), done.eq(judged)]
        with m.If(done):
            m.d.sync += [self.bvalid.eq(1), self.bresp.eq(Mux(bus.write_ok, Response.OKAY, Response.SLVERR))]
        with m.If(self.bvalid & self.bready):
            m.d.sync += [self.bvalid.eq(0), address_there.eq(0), data_there.eq(0)]

    def _read(self, m: Module, awake: Signal) -> None:
        bus = self.bus
        there = Signal()
        shown = Signal()
        m.d.comb += self.arready.eq(awake & ~there & ~shown & ~self.rvalid)
        address = _held(Shape(self._address_bits), "read_address")
        m.d.sync += [there.eq(self.arvalid & self.arready), shown.eq(there)]
        with m.If(self.arvalid & self.arready):
            m.d.sync += address.eq(self.araddr)
        m.d.comb += [bus.read.eq(there), bus.read_address.eq(address)]
        with m.If(shown):
            m.d.sync += [
                self.rvalid.eq(1),
                self.rdata.eq(bus.read_data),
                self.rresp.eq(Mux(bus.read_ok, Response.OKAY, Response.SLVERR)),
            ]
        with m.If(self.rvalid & self.rready):
            m.d.sync += self.rvalid.eq(0)


def _held(shape: Shape, name: str) -> Signal:
    return Signal(shape, reset_less=True, name=name)
