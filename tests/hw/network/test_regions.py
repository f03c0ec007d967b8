"""Regions: all are in reset in the same cycles, no beat is taken until all are out of it, and none is offered."""

from __future__ import annotations

import re
from functools import reduce
from operator import and_

import pytest
from amaranth.back import verilog
from amaranth.hdl import Elaboratable, Module, Signal
from amaranth.sim import Simulator

from hw.network.graph import IMAGE
from hw.network.regions import OUTPUT, Regions
from hw.targets.families import TARGETS

PLACES = (IMAGE, 0, 1, OUTPUT)


class Counting(Elaboratable):
    """Counts cycles since the reset of its region."""

    def __init__(self) -> None:
        self.count = Signal(8)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.sync += self.count.eq(self.count + 1)
        return m


def runs(target: str, low: range, cycles: int) -> tuple[list[tuple[int, ...]], list[bool], list[bool], int]:
    """What was seen in each cycle: the counters, whether beats may be taken, and offered; and how many resets."""
    m = Module()
    aclk, aresetn = Signal(), Signal(init=1)
    regions = Regions(m, TARGETS[target], aclk, aresetn)
    counters = []
    for place in PLACES:
        component = Counting()
        regions.add(place, f"part_{place}".replace("-", "_"), component)
        counters.append(component.count)
    running = Signal()
    m.d.comb += running.eq(reduce(and_, regions.running))
    in_reset = Signal()
    m.d.comb += in_reset.eq(regions.in_reset)
    resets = {id(regions.resetn(place)) for place in PLACES}
    seen: list[tuple[int, ...]] = []
    taking: list[bool] = []
    offering: list[bool] = []

    async def bench(context) -> None:  # type: ignore[no-untyped-def]
        for cycle in range(cycles):
            context.set(aresetn, cycle not in low)
            await context.delay(1e-9)
            seen.append(tuple(context.get(count) for count in counters))
            taking.append(bool(context.get(running)))
            offering.append(not context.get(in_reset))
            context.set(aclk, 1)
            await context.delay(1e-9)
            context.set(aclk, 0)
            await context.delay(1e-9)

    simulator = Simulator(m)
    simulator.add_testbench(bench)
    simulator.run()
    return seen, taking, offering, len(resets)


@pytest.mark.parametrize(("target", "behind", "resets"), [("ecp5", 2, len(PLACES)), ("xcup", 1, 1)])
@pytest.mark.parametrize("held", [1, 2, 3])
def test_resets(target: str, behind: int, resets: int, held: int) -> None:
    low = range(5, 5 + held)
    seen, taking, offering, found = runs(target, low, 20)
    assert found == resets
    # A counter is 0 in the cycle after each in which its region is in reset.
    first, last = low[0] + behind + 1, low[-1] + behind + 1
    expected = [cycle if cycle < first else max(0, cycle - last) for cycle in range(20)]
    assert seen == [(count,) * len(PLACES) for count in expected]
    assert [cycle for cycle, takes in enumerate(taking) if not takes] == list(range(low[0], last))
    assert [cycle for cycle, offers in enumerate(offering) if not offers] == list(range(low[0] + 1, last))


@pytest.mark.parametrize(("target", "resets"), [("ecp5", len(PLACES)), ("xcup", 1)])
def test_each_region_has_a_register_of_its_own(target: str, resets: int) -> None:
    """What a component's reset is connected to, in the Verilog."""
    m = Module()
    ports = aclk, aresetn = Signal(name="aclk"), Signal(name="aresetn")
    regions = Regions(m, TARGETS[target], aclk, aresetn)
    components = [Counting() for _ in PLACES]
    for number, (place, component) in enumerate(zip(PLACES, components, strict=True)):
        regions.add(place, f"part_{number}", component)
    text = verilog.convert(m, ports=[*ports, *(component.count for component in components)], emit_src=False)
    connected = re.findall(r"\.(?:\w+_)?rst *\(([^)]*)\)", text)
    assert len(connected) == len(PLACES) and len(set(connected)) == resets


@pytest.mark.parametrize(("target", "apart"), [("ecp5", True), ("xcup", False)])
def test_what_goes_in_waits_for_no_reset_where_regions_are_apart(target: str, apart: bool) -> None:
    regions = Regions(Module(), TARGETS[target], Signal(), Signal())
    assert regions.entering == (() if apart else regions.running) and len(regions.running) == 2 + apart
