"""AXI4-Lite slave: each transaction once, one stable answer each, whatever the order and the pauses."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Elaboratable, Module, Signal

from hw.control.axi_lite import AxiLite
from tests.support.components import simulate
from tests.support.control_bench import OKAY, SLVERR, Master, protocol_monitor

ADDRESS_BITS = 12
COUNT = 200


class Registers(Elaboratable):
    """The slave, and registers whose answers depend on address and data alone."""

    def __init__(self) -> None:
        self.axi = AxiLite(ADDRESS_BITS)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.axi = self.axi
        bus = self.axi.bus
        asked, judged, read = Signal(), Signal(), Signal()
        m.d.sync += [asked.eq(bus.write), judged.eq(asked), read.eq(bus.read)]
        m.d.comb += [
            # An answer at any other time is wrong.
            bus.write_ok.eq(judged == (bus.write_address[3] ^ bus.write_data[0])),
            bus.read_data.eq(bus.read_address * 0x9E3779B1 + read),
            bus.read_ok.eq(read == bus.read_address[3]),
        ]
        return m


def simulate_with_monitors(dut: Registers, *benches: Any) -> list[tuple[int, int, int]]:
    """Run benches beside monitors; returns all writes that reached the registers."""
    writes: list[tuple[int, int, int]] = []
    running = list(benches)

    def ending(bench: Any) -> Any:
        async def run(ctx: Any) -> None:
            await bench(ctx)
            running.remove(bench)

        return run

    async def record(ctx: Any) -> None:
        bus = dut.axi.bus
        while running:
            if ctx.get(bus.write):
                writes.append((ctx.get(bus.write_address), ctx.get(bus.write_data), ctx.get(bus.write_partial)))
            await ctx.tick()

    simulate(dut, *map(ending, benches), protocol_monitor(dut.axi, running, prefix=""), record)
    return writes


@pytest.mark.parametrize("pace", [1, 0.5, 0.15])
def test_reads_and_writes_at_random(pace: float) -> None:
    seed = int(100 * pace)
    print(f"seed {seed}")
    dut = Registers()
    rng = np.random.default_rng(seed)
    addresses, values = rng.integers(0, 1 << ADDRESS_BITS, COUNT).tolist(), rng.integers(0, 1 << 32, COUNT).tolist()
    strobes = np.where(rng.random(COUNT) < 0.7, 15, rng.integers(0, 16, COUNT)).tolist()

    async def write(ctx: Any) -> None:
        master = Master(ctx, dut.axi, np.random.default_rng([seed, 1]), prefix="", pace=pace)
        for address, value, strobe in zip(addresses, values, strobes, strict=True):
            response = await master.write(address, value, strobe)
            assert response == (OKAY if (address >> 3 ^ value) & 1 else SLVERR)

    async def read(ctx: Any) -> None:
        master = Master(ctx, dut.axi, np.random.default_rng([seed, 2]), prefix="", pace=pace)
        for address in rng.integers(0, 1 << ADDRESS_BITS, COUNT).tolist():
            value, response = await master.read(address)
            assert value == (address * 0x9E3779B1 + 1) & 0xFFFFFFFF
            assert response == (OKAY if address >> 3 & 1 else SLVERR)

    writes = simulate_with_monitors(dut, write, read)
    assert writes == [(a, v, int(s != 15)) for a, v, s in zip(addresses, values, strobes, strict=True)]


@pytest.mark.parametrize("first", ["aw", "w"])
def test_address_and_data_in_either_order(first: str) -> None:
    """The channel that comes first is taken without the other one, and nothing is written until both are there."""
    dut = Registers()
    axi = dut.axi

    async def bench(ctx: Any) -> None:
        await ctx.tick()
        ctx.set(axi.awaddr, 8)
        ctx.set(axi.wdata, 0x1234)
        ctx.set(axi.wstrb, 15)
        second = "w" if first == "aw" else "aw"
        ctx.set(getattr(axi, f"{first}valid"), 1)
        assert ctx.get(getattr(axi, f"{first}ready"))
        await ctx.tick()
        # A second one must wait for the answer to the first.
        for _cycle in range(5):
            assert not ctx.get(getattr(axi, f"{first}ready")) and not ctx.get(axi.bus.write)
            await ctx.tick()
        ctx.set(getattr(axi, f"{first}valid"), 0)
        ctx.set(getattr(axi, f"{second}valid"), 1)
        await ctx.tick()
        ctx.set(getattr(axi, f"{second}valid"), 0)
        seen = [ctx.get(axi.bus.write)]
        while not ctx.get(axi.bvalid):
            await ctx.tick()
            seen.append(ctx.get(axi.bus.write))
        assert sum(seen) == 1 and ctx.get(axi.bresp) == OKAY

    simulate(dut, bench)


def test_a_waiting_answer_stops_no_other_channel() -> None:
    """Reads go on while a write's answer is not taken, and the other way round."""
    dut = Registers()
    axi = dut.axi

    async def bench(ctx: Any) -> None:
        master = Master(ctx, axi, np.random.default_rng(0), prefix="")

        async def while_waiting(valid: Any, other: Coroutine[Any, Any, Any]) -> None:
            while not ctx.get(valid):
                await ctx.tick()
            await other
            assert ctx.get(valid)

        await ctx.tick()
        ctx.set(axi.awvalid, 1)
        ctx.set(axi.wvalid, 1)
        await ctx.tick()
        ctx.set(axi.awvalid, 0)
        ctx.set(axi.wvalid, 0)
        await while_waiting(axi.bvalid, master.read(8))
        ctx.set(axi.bready, 1)
        await ctx.tick()
        ctx.set(axi.arvalid, 1)
        await ctx.tick()
        ctx.set(axi.arvalid, 0)
        await while_waiting(axi.rvalid, master.write(8, 0))

    simulate(dut, bench)


@pytest.mark.parametrize("ready", [1, 0.3])
def test_transactions_offered_before_the_answer(ready: float) -> None:
    """Masters that never wait for an answer get one for each transaction, in order."""
    dut = Registers()
    axi = dut.axi
    rng = np.random.default_rng(7)
    addresses = rng.integers(0, 1 << ADDRESS_BITS, 60).tolist()

    async def bench(ctx: Any) -> None:
        sent = {"ar": 0, "aw": 0, "w": 0}
        answers: dict[str, list[tuple[int, ...]]] = {"r": [], "b": []}
        while min(map(len, answers.values())) < len(addresses):
            for channel, count in sent.items():
                ctx.set(getattr(axi, f"{channel}valid"), count < len(addresses))
            for name in ("ar", "aw"):
                ctx.set(getattr(axi, f"{name}addr"), addresses[min(sent[name], len(addresses) - 1)])
            ctx.set(axi.wstrb, 15)
            for channel, seen in answers.items():
                ctx.set(getattr(axi, f"{channel}ready"), rng.random() < ready)
                if ctx.get(getattr(axi, f"{channel}valid") & getattr(axi, f"{channel}ready")):
                    data = (ctx.get(axi.rdata),) if channel == "r" else ()
                    seen.append((*data, ctx.get(getattr(axi, f"{channel}resp"))))
            for channel in sent:
                sent[channel] += ctx.get(getattr(axi, f"{channel}valid") & getattr(axi, f"{channel}ready"))
            await ctx.tick()
        responses = [OKAY if address >> 3 & 1 else SLVERR for address in addresses]
        values = [(address * 0x9E3779B1 + 1) & 0xFFFFFFFF for address in addresses]
        assert answers == {"r": list(zip(values, responses, strict=True)), "b": [(r,) for r in responses]}

    simulate_with_monitors(dut, bench)


def test_nothing_is_taken_in_reset() -> None:
    dut = Registers()

    async def bench(ctx: Any) -> None:
        for ready in (dut.axi.awready, dut.axi.wready, dut.axi.arready):
            assert not ctx.get(ready)
        await ctx.tick()
        for ready in (dut.axi.awready, dut.axi.wready, dut.axi.arready):
            assert ctx.get(ready)

    simulate(dut, bench)
