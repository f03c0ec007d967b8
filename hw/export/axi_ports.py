"""AXI ports: a unit or a network behind the names of AXI, with its clock and reset."""

from __future__ import annotations

from collections.abc import Sequence

from amaranth.hdl import Const, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Member, Out

from hw.blocks.clock import add_clock
from hw.blocks.memory_file import MemoryFiles
from hw.control.control import LASTING_DOMAIN, Control
from hw.frozen.frozen_unit import frozen_unit
from hw.network.regions import Regions
from hw.network.top import Network
from hw.plan.shapes import Shapes
from hw.reloadable.reloadable_unit import CONTROL_DOMAIN, reloadable_unit
from hw.unit.unit import Streams

#: Prefixes of those ports of the control plane that are ports of the unit.
CONTROL_PORTS = ("s_axi_", "s_axis_weights_")


class FrozenAxi(wiring.Component):
    """A frozen unit behind AXI ports.

    Members:
        aclk, aresetn: clock, and synchronous reset (active low).
        s_axis_*: input beats of ``simd`` channels.
        m_axis_*: output beats of ``pe`` channels; ``tlast`` marks a frame's last beat.
        m_axis_tap_*: beats of ``simd`` channels, the pixels in the centres of the windows (only with a tap).

    Args:
        inside: see `hw.export.verilog.generate`.

    Attributes:
        unit: the unit.
    """

    def __init__(self, shapes: Shapes, files: MemoryFiles | None, *, inside: bool = False) -> None:
        self.unit, self._tap, self._inside = frozen_unit(shapes, files), shapes.tap, inside
        super().__init__(_stream_ports(shapes) | (_tap_ports(8 * shapes.input_payload.bytes) if shapes.tap else {}))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        reset = Signal(reset_less=True)
        m.d.sync += reset.eq(~self.aresetn)
        add_clock(m, self.aclk, reset)
        tap: dict[str, Value] = {}
        if self._tap:
            tap = {
                "tap_valid": self.m_axis_tap_tvalid,
                "tap_ready": self.m_axis_tap_tready,
                "tap_beat": self.m_axis_tap_tdata,
            }
        # No beat is taken while the reset or the register behind it holds.
        running, in_reset = ((), Const(0)) if self._inside else ((self.aresetn, ~reset), reset)
        self.unit.add(m, _streams(self, running, in_reset, **tap))
        return m


class ReloadableAxi(wiring.Component):
    """A reloadable unit behind AXI ports.

    Members:
        aclk, aresetn, s_axis_*, m_axis_*: as in `FrozenAxi`.
        s_axis_tlast: marks a frame's last beat, see `hw.reloadable.frame_writer`.
        m_axis_tuser: with ``m_axis_tlast``, the frame is damaged.
        s_axi_*, s_axis_weights_*: see `hw.control.control`.

    Attributes:
        unit: the unit.
    """

    def __init__(self, shapes: Shapes) -> None:
        self._control = Control(shapes)
        self.unit = reloadable_unit(shapes, self._control)
        own = {"s_axis_tlast": In(1), "m_axis_tuser": Out(1)}
        super().__init__(_stream_ports(shapes) | own | self._control_ports)

    @property
    def _control_ports(self) -> dict[str, Member]:
        members = self._control.signature.members.items()
        return {name: member for name, member in members if name.startswith(CONTROL_PORTS)}

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # What answers the bus outlives a soft reset, after which all else begins anew.
        control, resets = self._control, {}
        for domain, soft_reset in (
            ("sync", control.o_soft_reset),
            (CONTROL_DOMAIN, control.o_restart),
            (LASTING_DOMAIN, Const(0)),
        ):
            resets[domain] = Signal(reset_less=True, name=f"{domain}_reset")
            m.d.sync += resets[domain].eq(~self.aresetn | soft_reset)
            add_clock(m, self.aclk, resets[domain], domain=domain)
        # The reset goes far, so what opens the input has a register of its own.
        running = Signal(init=1, reset_less=True)
        m.d.sync += running.eq(self.aresetn & ~control.o_soft_reset)
        for name, member in self._control_ports.items():
            port, inner = getattr(self, name), getattr(self._control, name)
            m.d.comb += inner.eq(port) if member.flow is In else port.eq(inner)
        further = {"in_last": self.s_axis_tlast, "out_user": self.m_axis_tuser}
        self.unit.add(m, _streams(self, (self.aresetn, running), resets["sync"], **further))
        return m


class NetworkAxi(wiring.Component):
    """A network behind AXI ports.

    Members:
        aclk, aresetn, s_axis_*, m_axis_*: as in `FrozenAxi`.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        graph = network.schedule.graph
        super().__init__(_ports(8 * graph.image.bytes, 8 * graph.output_beat.bytes))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        regions = Regions(m, self._network.target, self.aclk, self.aresetn)
        self._network.add(m, _streams(self, regions.running, regions.in_reset), regions)
        return m


def axi_unit(shapes: Shapes, files: MemoryFiles | None, *, inside: bool = False) -> FrozenAxi | ReloadableAxi:
    """The unit behind AXI ports. ``files`` takes the many words of a frozen unit; None keeps all inline."""
    return FrozenAxi(shapes, files, inside=inside) if shapes.config.reload is None else ReloadableAxi(shapes)


def _stream_ports(shapes: Shapes) -> dict[str, Member]:
    return _ports(8 * shapes.input_payload.bytes, 8 * shapes.output_payload.bytes)


def _ports(in_bits: int, out_bits: int) -> dict[str, Member]:
    return {
        "aclk": In(1),
        "aresetn": In(1),
        "s_axis_tvalid": In(1),
        "s_axis_tready": Out(1),
        "s_axis_tdata": In(in_bits),
        "m_axis_tvalid": Out(1),
        "m_axis_tready": In(1),
        "m_axis_tdata": Out(out_bits),
        "m_axis_tlast": Out(1),
    }


def _tap_ports(bits: int) -> dict[str, Member]:
    return {"m_axis_tap_tvalid": Out(1), "m_axis_tap_tready": In(1), "m_axis_tap_tdata": Out(bits)}


def _streams(
    ports: FrozenAxi | ReloadableAxi | NetworkAxi, running: Sequence[Value], reset: Value, **further: Value
) -> Streams:
    return Streams(
        in_valid=ports.s_axis_tvalid,
        in_ready=ports.s_axis_tready,
        in_beat=ports.s_axis_tdata,
        out_valid=ports.m_axis_tvalid,
        out_ready=ports.m_axis_tready,
        out_beat=ports.m_axis_tdata,
        out_last=ports.m_axis_tlast,
        running=running,
        reset=reset,
        **further,
    )
