"""The reloadable unit: the same stages, and a control plane through which software changes what they compute with.

s_axi, s_axis_weights -> control -> frame_sets
                            |           | sets
s_axis ------------------ weights -> frame_writer -> row_store -> ... -> m_axis
                                        ^    | position
                                        +-- frame_walk in the sequencer
"""

from __future__ import annotations

from amaranth.hdl import Cat, ClockDomain, Const, DomainRenamer, Module, Mux, Signal, Value
from amaranth.lib import data
from amaranth.lib.wiring import In, Member, Out

from hw.blocks.pipeline import adder_tree, delay, index_shape, tree_latency
from hw.control.control import Control
from hw.plan.config import UnitConfig
from hw.reloadable.frame_sets import FrameSets, pick_set
from hw.reloadable.frame_walk import FrameWalk, follow
from hw.reloadable.frame_writer import FrameWriter
from hw.unit.unit import Unit

CONTROL_DOMAIN = "control"
#: Prefixes of the control plane's ports, which are those of the component.
CONTROL_PORTS = ("s_axi_", "s_axis_weights_")


class ReloadableUnit(Unit):
    """The streaming X-volution unit of ``config``, whose layer comes at run time.

    Members:
        aclk, aresetn, s_axis_*, m_axis_*: as those of a frozen unit.
        s_axis_tlast: marks a frame's last beat, see `hw.reloadable.frame_writer`.
        m_axis_tuser: with ``m_axis_tlast``, the frame is damaged.
        s_axi_*, s_axis_weights_*: see `hw.control.control`.
    """

    def __init__(self, config: UnitConfig) -> None:
        self._control = Control(config)
        super().__init__(config)
        self._sets = FrameSets(config, latency=self._at_output)
        self._writer = FrameWriter(config)

    @property
    def _ports(self) -> dict[str, Member]:
        control = {
            name: member for name, member in self._control.signature.members.items() if name.startswith(CONTROL_PORTS)
        }
        return super()._ports | {"s_axis_tlast": In(1), "m_axis_tuser": Out(1)} | control

    def _add_clock(self, m: Module) -> Signal:
        """The stages also begin anew after a soft reset, which the control plane outlives."""
        m.domains.sync = sync = ClockDomain()
        m.domains.control = control = ClockDomain()
        reset, control_reset = Signal(reset_less=True), Signal(reset_less=True)
        m.d.sync += [reset.eq(~self.aresetn | self._control.o_soft_reset), control_reset.eq(~self.aresetn)]
        m.d.comb += [sync.clk.eq(self.aclk), sync.rst.eq(reset)]
        m.d.comb += [control.clk.eq(self.aclk), control.rst.eq(control_reset)]
        return reset

    def _add_input(self, m: Module, reset: Value) -> None:
        control, sets, writer, walk = self._control, self._sets, self._writer, self.sequencer.input_walk
        assert isinstance(walk, FrameWalk)
        m.submodules.control = DomainRenamer(CONTROL_DOMAIN)(control)
        m.submodules.frame_sets = sets
        m.submodules.frame_writer = writer
        for name, member in self._control.signature.members.items():
            if name.startswith(CONTROL_PORTS):
                port, inner = getattr(self, name), getattr(control, name)
                m.d.comb += inner.eq(port) if member.flow is In else port.eq(inner)
        m.d.comb += [
            sets.i_settings.eq(control.o_settings),
            sets.i_apply.eq(control.o_apply),
            sets.i_boundary.eq(writer.o_boundary),
            sets.i_begins.eq(writer.o_begins),
            control.i_pending.eq(sets.o_pending),
            control.i_switching.eq(sets.o_switching),
            control.i_configured.eq(sets.o_configured),
            control.i_idle.eq(sets.o_idle),
            control.i_applied.eq(sets.o_applied.any()),
            control.i_applied_parts.eq(sets.o_applied),
            control.i_begun.eq(sets.o_begun),
            # The registers are as after a reset a cycle before the data path is.
            control.i_errors.eq(Mux(reset, 0, writer.o_errors)),
        ]
        awake = Signal()
        m.d.comb += [
            awake.eq(self.aresetn & ~reset),
            writer.i_valid.eq(self.s_axis_tvalid & awake),
            writer.i_beat.eq(self.s_axis_tdata),
            writer.i_last.eq(self.s_axis_tlast),
            writer.i_sets.eq(sets.o_sets),
            writer.i_set.eq(sets.o_set),
            writer.i_run.eq(sets.o_configured & ~control.o_hold),
            writer.i_ignore_tlast.eq(control.o_ignore_tlast),
            writer.i_release.eq(self.sequencer.o_release),
            self.s_axis_tready.eq(writer.o_ready & awake),
            self.row_store.i_write.eq(writer.o_write),
        ]
        m.d.comb += walk.i_sets.eq(sets.o_sets)
        follow(m, walk, writer)

    def _mask_columns(self, m: Module, cycles: int) -> None:
        m.d.comb += self.window.i_outside.eq(delay(m, self.sequencer.o_tag.outside, cycles))

    def _in_force(self, m: Module, cycles: int) -> data.View:
        """The set of a beat, so many cycles after its issue."""
        number = delay(m, self.sequencer.o_tag.set, cycles - 1)
        return pick_set(self._config, self._sets.o_sets, number)

    def _add_constants(self, m: Module) -> None:
        sequencer, sets, control = self.sequencer, self._sets, self._control
        at_multiplier = self._at_lane + self.lane.multiplier_latency
        # The constants' word is there a cycle earlier than the tag.
        constant = delay(m, sequencer.o_constant, 1)
        for store, word, part, cycles in (
            (self.weights, sequencer.o_weight, "weights", self._at_lane),
            (self.biases, constant, "constants", self._at_bias),
            (self.multipliers, constant, "constants", at_multiplier),
        ):
            late = cycles - 1 - store.latency
            chosen = self._in_force(m, 1 + late)[part]
            m.d.comb += store.i_address.eq(self._address(delay(m, word, late), chosen, store.depth))
        weight, constant_write = control.o_weight, control.o_constant
        m.d.comb += [
            self.weights.i_write.enable.eq(weight.enable),
            self.weights.i_write.bank.eq(weight.bank),
            self.weights.i_write.value.eq(weight.value),
            self.weights.i_write.word.eq(self._address(weight.word, sets.o_free_weights, self.weights.depth)),
        ]
        for store, enable in ((self.biases, constant_write.bias), (self.multipliers, constant_write.multiplier)):
            write = store.i_write
            m.d.comb += [
                write.enable.eq(enable),
                write.bank.eq(constant_write.lane),
                write.value.eq(constant_write.value),
                write.word.eq(self._address(constant_write.word, sets.o_free_constants, store.depth)),
            ]

    def _address(self, word: Value, chosen: Value, depth: int) -> Value:
        """A word of a set in memory: the set is the upper bit of the address, where there are two."""
        bits = (depth - 1).bit_length()
        return Cat(word[:bits], chosen) if self._set_bits else word

    def _lane_settings(self, m: Module) -> dict[str, Value]:
        lane, at_lane = self.lane, self._at_lane
        return {
            "i_attn_shift": self._in_force(m, at_lane + lane.attn_shift_latency).attn_shift,
            "i_out_shift": self._in_force(m, at_lane + lane.out_shift_latency).out_shift,
            "i_relu": self._in_force(m, at_lane + lane.relu_latency).relu,
        }

    def _lane_outputs(self, outputs: slice) -> dict[str, Value]:
        return {"o_cut": self._cut[outputs]}

    def _add_lanes(self, m: Module) -> None:
        self._cut = Signal(self._config.folding.pe)
        super()._add_lanes(m)

    def _add_output(self, m: Module, reset: Value) -> None:
        super()._add_output(m, reset)
        control, stream = self._control, self.output_stream
        m.d.comb += [
            self._sets.i_done.eq(stream.i_valid & stream.i_last),
            stream.i_user.eq(delay(m, self.sequencer.o_tag.damaged, self._at_output - 1)),
            self.m_axis_tuser.eq(stream.o.payload.user),
        ]
        # Elements that were cut, counted as they leave the lanes.
        pe, counts = self._config.folding.pe, control.i_counts
        radix = self._config.target.radix(pe)
        cut = [delay(m, bit & stream.i_valid, 1) for bit in self._cut]
        saturated = adder_tree(m, cut, index_shape(pe + 1), radix)
        # What was being added up before a reset is not counted after it.
        awake = delay(m, Const(1), 1 + tree_latency(pe, radix), reset_less=False) & ~reset
        m.d.comb += [
            counts.saturated.eq(Mux(awake, saturated, 0)),
            counts.frames.eq(self.m_axis_tvalid & self.m_axis_tready & self.m_axis_tlast),
            counts.starved.eq(self.s_axis_tready & ~self.s_axis_tvalid),
            counts.stalled.eq(self.m_axis_tvalid & ~self.m_axis_tready),
        ]
