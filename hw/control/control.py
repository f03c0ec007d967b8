"""The control plane: wiring of AXI4-Lite slave, register file, weight loader and counters.

s_axi          -> axi_lite -> register_file -> o_settings, o_constant, o_apply, ...
                                 ^      |
                             counters   | free, restart
                                        v
s_axis_weights ----------------> weight_loader -> o_weight

What is loaded goes into the *next set*, until an apply puts it in force.
"""

from __future__ import annotations

from amaranth.hdl import Cat, DomainRenamer, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.blocks.pipeline import delay, index_shape
from hw.control.axi_lite import AxiLite, axi_lite_members
from hw.control.counters import Counters
from hw.control.interface import Apply, InputErrors, Parts, bank_write, constant_write, counts, settings_layout
from hw.control.register_file import RegisterFile
from hw.control.register_table import WORD
from hw.control.registers import ADDRESS_BITS, APPLY_PARTS, register_table
from hw.control.weight_loader import WeightLoader
from hw.plan.shapes import Shapes
from hw.plan.weight_layout import BEAT_BITS, weight_banks

PREFIX = "s_axi_"
#: Clock domain of what a soft reset leaves alone.
LASTING_DOMAIN = "lasting"


class Control(wiring.Component):
    """The control plane of a reloadable unit.

    A soft reset restarts everything but the AXI4-Lite slave, which answers the command. Settings, errors
    and counters return to their reset values. Nothing is loaded or in force any more. The slave is in
    `LASTING_DOMAIN`. All else must be reset in the cycle after ``o_restart``.

    Members:
        s_axi_*: AXI4-Lite slave with `ADDRESS_BITS` bits of address and 32 of data.
        s_axis_weights_*: weight images, see `hw.plan.weight_layout`.
        o_settings: settings of the next set, always within their limits. They do not change from
            ``o_apply.strobe`` to ``i_applied``.
        o_apply: see `Apply`; valid with its strobe.
        o_restart: strobe: a soft reset, a cycle before ``o_soft_reset``.
        o_soft_reset: strobe: all is as after a reset, from the next cycle on.
        o_hold: begin no new frame, from the next cycle on.
        o_ignore_tlast: report no `InputErrors`.
        o_constant, o_weight: writes to the next set.
        i_pending: an apply waits for its frame boundary. An apply between its strobe and ``i_pending`` is known here.
        i_applied: strobe: an apply has been put in force.
        i_applied_parts: the parts of that apply; with ``i_applied``.
        i_switching: frames of the set before are in the pipeline; at the latest in the cycle after ``i_applied``.
        i_configured: some set is in force.
        i_idle: no frame is under way.
        i_begun: frames begun so far.
        i_errors, i_counts: what happens at the data path's streams.
    """

    def __init__(self, shapes: Shapes) -> None:
        self._single_buffered = shapes.config.limits.single_buffered
        banks = weight_banks(shapes)
        self._axi = AxiLite(ADDRESS_BITS)
        self._table = register_table(shapes)
        self._registers = RegisterFile(self._table)
        self._loader = WeightLoader(banks, shapes.weight_depth)
        self._counters = Counters(shapes)
        super().__init__(
            {
                **{PREFIX + name: member for name, member in axi_lite_members(ADDRESS_BITS).items()},
                "s_axis_weights_tvalid": In(1),
                "s_axis_weights_tready": Out(1),
                "s_axis_weights_tdata": In(BEAT_BITS),
                "s_axis_weights_tlast": In(1),
                "o_settings": Out(settings_layout(shapes)),
                "o_apply": Out(Apply),
                "o_restart": Out(1),
                "o_soft_reset": Out(1),
                "o_hold": Out(1),
                "o_ignore_tlast": Out(1),
                "o_constant": Out(constant_write(shapes)),
                "o_weight": Out(bank_write(banks, index_shape(shapes.weight_depth))),
                "i_pending": In(1),
                "i_applied": In(1),
                "i_applied_parts": In(Parts),
                "i_switching": In(1),
                "i_configured": In(1),
                "i_idle": In(1),
                "i_begun": In(WORD),
                "i_errors": In(InputErrors),
                "i_counts": In(counts(shapes)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        registers, loader, counters = self._registers, self._loader, self._counters
        m.submodules.axi_lite = DomainRenamer(LASTING_DOMAIN)(self._axi)
        m.submodules.register_file = registers
        wiring.connect(m, self._axi.bus, registers.bus)
        m.submodules.weight_loader = loader
        m.submodules.counters = counters
        self._connect_ports(m)

        values, write = registers.o_values, registers.o_write
        restart_load = Signal()
        m.d.sync += [
            self.o_soft_reset.eq(self.o_restart),
            restart_load.eq(write.command & self._written("command", "restart_load")),
        ]
        m.d.comb += [self.o_settings[name].eq(values[name][name]) for name in self.o_settings.shape().members]
        m.d.comb += [
            self.o_hold.eq(Mux(registers.o_changes.control, self._written("control", "hold"), values.control.hold)),
            self.o_ignore_tlast.eq(values.control.ignore_tlast),
            self.o_restart.eq(write.command & self._written("command", "soft_reset")),
            loader.i_restart.eq(restart_load),
            loader.i_used.eq(self.i_applied & self.i_applied_parts.weights),
            counters.i_counts.eq(self.i_counts),
            counters.i_clear.eq(write.command & self._written("command", "clear_counters")),
        ]
        pending, free = self._apply(m)
        self._constants(m, free)
        self._status(m, pending, free)
        self._errors(m)
        return m

    def _written(self, register: str, field: str) -> Value:
        """A bit of the word that is written to a register."""
        return self._registers.o_data[self._table[register].field(field).low]

    def _connect_ports(self, m: Module) -> None:
        for name, member in axi_lite_members(ADDRESS_BITS).items():
            port, inner = getattr(self, PREFIX + name), getattr(self._axi, name)
            m.d.comb += inner.eq(port) if member.flow is In else port.eq(inner)
        loader = self._loader
        m.d.comb += [
            loader.i.valid.eq(self.s_axis_weights_tvalid),
            loader.i.payload.data.eq(self.s_axis_weights_tdata),
            loader.i.payload.last.eq(self.s_axis_weights_tlast),
            self.s_axis_weights_tready.eq(loader.i.ready),
            self.o_weight.eq(loader.o_write),
        ]

    def _apply(self, m: Module) -> tuple[Value, Value]:
        """Pass an apply on. Returns whether an apply is pending, and whether the next set may be written."""
        registers, loader = self._registers, self._loader
        accepted = registers.o_write.apply
        waits = Signal()
        pending = Signal()
        free = Signal()
        m.d.sync += waits.eq(accepted | (waits & ~self.i_applied))
        m.d.comb += pending.eq(waits | self.i_pending)
        if self._single_buffered:
            # A frame that has begun as the hold came is known two cycles later.
            hold = registers.o_values.control.hold
            m.d.comb += free.eq(hold & delay(m, hold, 1, reset_less=False) & self.i_idle & ~pending)
        else:
            m.d.comb += free.eq(~pending & ~self.i_switching)
        # No beat slips in while it is judged whether what is loaded is put in force.
        m.d.comb += loader.i_free.eq(free & ~registers.o_writing)

        selected = Cat(self._written("apply", part) for part in APPLY_PARTS)
        # All but what is loaded holds from the first cycle of the write on.
        refused = Signal()
        m.d.sync += refused.eq(~selected.any() | pending | self.i_switching | (~self.i_configured & ~selected.all()))
        m.d.comb += registers.i_refuse.apply.eq(refused | (self._written("apply", "weights") & ~loader.o_loaded))
        # An apply is passed on at once, so that a frame that begins after the answer already has the new set.
        m.d.comb += [self.o_apply.strobe.eq(accepted), self.o_apply.at.eq(registers.o_values.apply_at.apply_at)]
        m.d.comb += [self.o_apply[name].eq(self._written("apply", name)) for name in (*APPLY_PARTS, "wait")]
        return pending, free

    def _constants(self, m: Module, free: Value) -> None:
        registers = self._registers
        for name in ("bias", "multiplier"):
            strobe = Signal(name=f"write_{name}")
            m.d.sync += strobe.eq(registers.o_write[name])
            m.d.comb += [self.o_constant[name].eq(strobe), registers.i_refuse[name].eq(~free)]
        m.d.comb += [
            self.o_constant.word.eq(registers.o_row),
            self.o_constant.lane.eq(registers.o_lane),
            self.o_constant.value.eq(registers.o_data),
        ]

    def _status(self, m: Module, pending: Value, free: Value) -> None:
        shown = self._registers.i_values
        m.d.comb += [
            shown.status.configured.eq(self.i_configured),
            shown.status.idle.eq(self.i_idle),
            shown.status.pending.eq(pending),
            shown.status.switching.eq(self.i_switching),
            shown.status.free.eq(free),
            shown.status.loading.eq(self._loader.o_loading),
            shown.status.loaded.eq(self._loader.o_loaded),
            shown.frames_begun.frames_begun.eq(self.i_begun),
        ]
        totals = self._counters.o_totals
        m.d.comb += [shown[name][name].eq(totals[name]) for name in totals.shape().members]
        for name in (*self.o_settings.shape().members, "apply_at"):
            m.d.comb += self._registers.i_refuse[name].eq(pending)

    def _errors(self, m: Module) -> None:
        registers, sticky = self._registers, self._registers.i_set.errors
        refused = registers.o_refused
        m.d.comb += [
            sticky.bad_access.eq(registers.o_bad_access),
            sticky.bad_value.eq(registers.o_bad_value),
            sticky.busy.eq(Cat(refused[name] for name in refused.shape().members if name != "apply").any()),
            sticky.apply_refused.eq(refused.apply),
            # What a beat of weights does wrong is known late in its cycle.
            sticky.weights_short.eq(delay(m, self._loader.o_short, 1, reset_less=False)),
            sticky.weights_long.eq(delay(m, self._loader.o_long, 1, reset_less=False)),
            sticky.tlast_early.eq(self.i_errors.tlast_early),
            sticky.tlast_late.eq(self.i_errors.tlast_late),
        ]
