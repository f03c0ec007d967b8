"""Watches all ports of a reloadable unit, cycle by cycle: what passes through them, and whether the rules hold.

The rules:

- A ``valid`` of the unit stays up until ``ready``, and what goes with it holds.
- Nothing is offered straight after reset.
- Every handshake signal is defined.
- AXI4-Lite requests are answered one by one.
- Nothing is answered that was not asked.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge


@dataclass(frozen=True, slots=True)
class Write:
    """A write that has been answered; ``okay`` is false where the answer is SLVERR."""

    address: int
    value: int
    strobes: int
    okay: bool


@dataclass(frozen=True, slots=True)
class Read:
    """A read that has been answered; ``okay`` is false where the answer is SLVERR."""

    address: int
    value: int
    okay: bool


@dataclass(slots=True)
class Cycle:
    """What happens in a cycle.

    Attributes:
        number: number of rising edges of ``aclk`` up to the end of the cycle.
        reset: whether ``aresetn`` is low; nothing else happens then.
        input, weight: TDATA and TLAST of a transfer; None without one.
        output: TDATA, TLAST and TUSER of a transfer; None without one.
        write, read: an access whose answer is up for the first time; None without one.
        starved: whether the input could take a beat and none is offered.
        stalled: whether an output beat is offered and not taken.
    """

    number: int
    reset: bool = False
    input: tuple[int, bool] | None = None
    weight: tuple[int, bool] | None = None
    output: tuple[int, bool, bool] | None = None
    write: Write | None = None
    read: Read | None = None
    starved: bool = False
    stalled: bool = False


class PortMonitor:
    """Calls ``observe`` with every `Cycle`. An exception of ``observe`` fails the test, and so does a broken rule.

    Attributes:
        cycle: number of the latest cycle.
        inputs: cycles of the input transfers since the last reset or call of `restart`.
        outputs: cycles of the output transfers since the last reset or call of `restart`.
        ends: cycles of the output transfers with TLAST since the last reset or call of `restart`.
        active: the latest cycle in which anything moved at a port.
    """

    def __init__(self, dut: Any, observe: Callable[[Cycle], None]) -> None:
        self._dut, self._observe = dut, observe
        self._ports: dict[str, Any] = {}
        self.cycle = self.active = 0
        self.restart()
        self._forget()
        cocotb.start_soon(self._watch())

    def restart(self) -> None:
        """Begin the lists of cycles anew."""
        self.inputs: list[int] = []
        self.outputs: list[int] = []
        self.ends: list[int] = []

    def drop_output(self) -> None:
        """Allow that what is offered at the output goes: a soft reset does that."""
        self._held.pop("m_axis_t", None)

    def _forget(self) -> None:
        """Forget all that a reset ends."""
        #: The payload that is offered and not yet taken, by channel.
        self._held: dict[str, tuple[Any, ...]] = {}
        #: The request that is taken and not yet answered, by channel.
        self._taken: dict[str, tuple[int, ...]] = {}
        self._fresh = True

    async def _watch(self) -> None:
        while True:
            await RisingEdge(self._dut.aclk)
            self.cycle += 1
            now = Cycle(number=self.cycle)
            if self._dut.aresetn.value != 1:
                now.reset = True
                self.restart()
                self._forget()
            else:
                self._streams(now)
                self._writes(now)
                self._reads(now)
                self._fresh = False
            self._observe(now)

    def _streams(self, now: Cycle) -> None:
        offered, taken = self._handshake("s_axis_t")
        if taken:
            now.input = (self._number("s_axis_tdata"), self._flag("s_axis_tlast"))
            self.inputs.append(self.cycle)
        now.starved = not offered and self._flag("s_axis_tready")
        if self._handshake("s_axis_weights_t")[1]:
            now.weight = (self._number("s_axis_weights_tdata"), self._flag("s_axis_weights_tlast"))
        offered, taken = self._offer("m_axis_t", ("data", "last", "user"))
        now.stalled = offered and not taken
        if taken:
            last = self._flag("m_axis_tlast")
            now.output = (self._number("m_axis_tdata"), last, self._flag("m_axis_tuser"))
            self.outputs.append(self.cycle)
            if last:
                self.ends.append(self.cycle)

    def _writes(self, now: Cycle) -> None:
        for channel, payload in (("aw", ("addr",)), ("w", ("data", "strb"))):
            self._request(channel, payload)
        new, taken = self._answer("b", ("resp",), ("aw", "w"))
        if new:
            (address,), (value, strobes) = self._taken["aw"], self._taken["w"]
            now.write = Write(address, value, strobes, self._number("s_axi_bresp") == 0)
        if taken:
            del self._taken["aw"], self._taken["w"]

    def _reads(self, now: Cycle) -> None:
        self._request("ar", ("addr",))
        new, taken = self._answer("r", ("data", "resp"), ("ar",))
        if new:
            (address,) = self._taken["ar"]
            now.read = Read(address, self._number("s_axi_rdata"), self._number("s_axi_rresp") == 0)
        if taken:
            del self._taken["ar"]

    def _request(self, channel: str, payload: tuple[str, ...]) -> None:
        if self._handshake(f"s_axi_{channel}")[1]:
            assert channel not in self._taken, f"cycle {self.cycle}: another {channel} is taken before the answer"
            self._taken[channel] = tuple(self._number(f"s_axi_{channel}{name}") for name in payload)

    def _answer(self, channel: str, payload: tuple[str, ...], requests: tuple[str, ...]) -> tuple[bool, bool]:
        """Watch a channel of answers. Returns whether there is a new answer, and whether an answer is taken."""
        waited = f"s_axi_{channel}" in self._held
        offered, taken = self._offer(f"s_axi_{channel}", payload)
        missing = [request for request in requests if offered and request not in self._taken]
        assert not missing, f"cycle {self.cycle}: {channel} answers without {', '.join(missing)}"
        return offered and not waited, taken

    def _offer(self, channel: str, payload: tuple[str, ...]) -> tuple[bool, bool]:
        """Watch a channel that the unit drives. Returns whether something is offered, and whether it is taken."""
        offered, taken = self._handshake(channel)
        shown = tuple(self._value(channel + name) for name in payload) if offered else ()
        before = self._held.pop(channel, None)
        if before is not None:
            assert offered, f"cycle {self.cycle}: {channel}valid fell before {channel}ready"
            assert shown == before, f"cycle {self.cycle}: {channel} changed before {channel}ready"
        assert not (offered and self._fresh), f"cycle {self.cycle}: {channel}valid is up straight after reset"
        if offered and not taken:
            self._held[channel] = shown
        return offered, taken

    def _handshake(self, channel: str) -> tuple[bool, bool]:
        valid, ready = self._flag(f"{channel}valid"), self._flag(f"{channel}ready")
        if valid and ready:
            self.active = self.cycle
        return valid, valid and ready

    def _flag(self, name: str) -> bool:
        return bool(self._value(name))

    def _number(self, name: str) -> int:
        return int(self._value(name))

    def _value(self, name: str) -> Any:
        port = self._ports.get(name)
        if port is None:
            port = self._ports[name] = getattr(self._dut, name)
        value = port.value
        assert value.is_resolvable, f"cycle {self.cycle}: {name} is undefined"
        return value
