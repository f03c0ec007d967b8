"""Regions: each node lies with the parts of edges beside it, and may have a reset of its own.

A reset that reaches a whole device in a cycle would limit the clock. So where the target has relays, each region has
two registers in a row from ``aresetn``. They lie anywhere between where the reset comes from and where it is needed.
All regions are in reset in the same cycles. Elsewhere all share one register.
"""

from __future__ import annotations

from typing import Any

from amaranth.hdl import DomainRenamer, Module, Signal, Value

from hw.blocks.clock import add_clock
from hw.network.graph import IMAGE
from hw.targets.families import Target

#: The region of a network's output. It is the domain that is meant where none is named.
OUTPUT = "sync"


class Regions:
    """The regions of a network.

    Attributes:
        running: what must hold for the network to tell that it takes a beat; it does outside of resets.
        entering: what must hold for it to take one. Where regions are apart that is nothing, so that nothing waits for
            ``aresetn``: in the cycles before a reset beats may go in that the source still has. The reset forgets them.
        in_reset: the network's output is in reset, or about to be.
    """

    def __init__(self, m: Module, target: Target, clock: Value, aresetn: Value) -> None:
        self._m, self._clock, self._aresetn, self._apart = m, clock, aresetn, target.relays
        self._arriving: dict[str, Value] = {}
        self._resets: dict[str, Signal] = {}
        output, image = self._domain(OUTPUT), self._domain(IMAGE)
        self.running: tuple[Value, ...] = (aresetn, ~self._resets[image])
        self.in_reset: Value = self._resets[output]
        self.entering: tuple[Value, ...] = self.running
        if self._apart:
            self.running += (self._arriving[image],)
            self.entering = ()
            self.in_reset |= ~self._arriving[output]

    def add(self, place: int | str, name: str, component: Any) -> None:
        """Add a component to the region of a node, of the image, or `OUTPUT`."""
        self._m.submodules[name] = DomainRenamer(self._domain(place))(component)

    def resetn(self, place: int | str) -> Value:
        """What is low a cycle before the region is in reset."""
        return self._arriving[self._domain(place)]

    def _domain(self, place: int | str) -> str:
        """The clock domain of a region."""
        name = "image" if place == IMAGE else f"node_{place}"
        if place == OUTPUT or not self._apart:
            name = OUTPUT
        if name not in self._resets:
            suffix = "" if name == OUTPUT else f"_{name}"
            arriving = self._aresetn
            if self._apart:
                arriving = Signal(init=1, reset_less=True, name=f"resetn{suffix}")
                self._m.d.sync += arriving.eq(self._aresetn)
            reset = Signal(reset_less=True, name=f"reset{suffix}")
            self._m.d.sync += reset.eq(~arriving)
            add_clock(self._m, self._clock, reset, domain=name)
            self._arriving[name], self._resets[name] = arriving, reset
        return name
