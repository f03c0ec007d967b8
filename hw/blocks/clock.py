"""Clock: a domain from a clock and the register of its reset."""

from __future__ import annotations

from amaranth.hdl import ClockDomain, Module, Signal, Value


def add_clock(m: Module, clock: Value, reset: Signal, *, domain: str = "sync") -> None:
    """Add a clock domain.

    ``reset`` is a register of its own, as it goes far. Without a reset what is in the domain starts as if after one.
    """
    m.domains += (own := ClockDomain(domain))
    m.d.comb += [own.clk.eq(clock), own.rst.eq(reset)]
