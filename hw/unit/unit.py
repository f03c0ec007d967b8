"""The unit: wiring of the stages in data-flow order, between two AXI4-Stream ports.

s_axis -> row_store -> window -> similarity -> lanes -> output_stream -> m_axis
              ^           ^      (dynamic)       ^             |
              +------ sequencer                  +-- weights   | credit
                          ^------------------------------------+
"""

from __future__ import annotations

from amaranth.hdl import Cat, ClockDomain, ClockSignal, Instance, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Member, Out

from hw.blocks.pipeline import delay
from hw.plan.config import UnitConfig
from hw.unit.head_sum import control_word
from hw.unit.lane import Lane
from hw.unit.output_stream import OutputStream
from hw.unit.row_store import RowStore
from hw.unit.sequencer import Sequencer
from hw.unit.similarity import Similarity
from hw.unit.weight_store import WeightStore, constant_words, weight_skew, weight_words
from hw.unit.window import Window

LANE_MODULE = "xvolution_lane"


class Unit(wiring.Component):
    """The streaming X-volution unit of ``config``.

    Members:
        aclk, aresetn: clock, and synchronous reset (active low).
        s_axis_*: input beats of ``simd`` channels.
        m_axis_*: output beats of ``pe`` channels; ``tlast`` marks a frame's last.

    Attributes:
        sequencer, row_store, window, weights, biases, multipliers: components of which others must know.
        similarity: None without similarities.
        lane: the component that `LANE_MODULE` holds; the unit only has instances of it.
        latency: cycles from the issue of a sum's last beat to its transfer at ``m_axis``.
    """

    def __init__(self, config: UnitConfig) -> None:
        self._config = config
        self.row_store = RowStore(config)
        self.window = Window(config)
        self.lane = Lane(config)
        self.similarity = None if config.heads is None else Similarity(config)
        self.latency = self._at_output + OutputStream.latency
        # Enough entries that a ready sink never makes the sequencer wait for a free one.
        self.fifo_depth = -(-(self.latency + 1) // config.beats_per_output) + 2
        self.sequencer = Sequencer(config, fifo_depth=self.fifo_depth)
        self.output_stream = OutputStream(config, depth=self.fifo_depth)
        self._set_bits = None if config.reload is None else config.reload.set_bits
        self.weights = WeightStore(
            weight_words(config),
            config.weight,
            target=config.target,
            name="weights",
            skew=weight_skew(config),
            parts=config.weight_parts,
            set_bits=self._set_bits,
        )
        self.biases, self.multipliers = (
            WeightStore(constant_words(config, values), shape, target=config.target, name=name, set_bits=self._set_bits)
            for name, values, shape in (
                ("biases", config.layer.bias, config.bias),
                ("multipliers", config.layer.multiplier, config.multiplier),
            )
        )
        super().__init__(self._ports)

    @property
    def _ports(self) -> dict[str, Member]:
        return {
            "aclk": In(1),
            "aresetn": In(1),
            "s_axis_tvalid": In(1),
            "s_axis_tready": Out(1),
            "s_axis_tdata": In(8 * self._config.input_payload.bytes),
            "m_axis_tvalid": Out(1),
            "m_axis_tready": In(1),
            "m_axis_tdata": Out(8 * self._config.output_payload.bytes),
            "m_axis_tlast": Out(1),
        }

    @property
    def _at_window(self) -> int:
        """Cycles from the issue of a beat to its column: the row store has its address a cycle later."""
        return 1 + self.row_store.latency

    @property
    def _at_taps(self) -> int:
        return self._at_window + self.window.latency

    @property
    def sims_wait(self) -> int:
        """Cycles that lanes begin later than they could, so that similarities are there in time."""
        return 0 if self.similarity is None else max(0, self.similarity.latency - self.lane.sims_latency)

    @property
    def _at_lane(self) -> int:
        return self._at_taps + self.sims_wait

    @property
    def _at_output(self) -> int:
        return self._at_lane + self.lane.latency

    def elaborate(self, platform: object) -> Module:
        m = Module()
        reset = self._add_clock(m)
        m.submodules.sequencer = self.sequencer
        m.submodules.row_store = self.row_store
        m.submodules.window = self.window
        m.submodules.weights = self.weights
        m.submodules.biases = self.biases
        m.submodules.multipliers = self.multipliers
        m.submodules.output_stream = self.output_stream
        self._add_input(m, reset)
        self._add_window(m)
        self._add_constants(m)
        self._add_lanes(m)
        self._add_output(m, reset)
        return m

    def _add_clock(self, m: Module) -> Signal:
        """The clock domain; returns its reset."""
        m.domains.sync = sync = ClockDomain()
        # The reset has a register of its own: it goes far. Without a reset the unit starts as if after one.
        reset = Signal(reset_less=True)
        m.d.sync += reset.eq(~self.aresetn)
        m.d.comb += [sync.clk.eq(self.aclk), sync.rst.eq(reset)]
        return reset

    def _add_input(self, m: Module, reset: Value) -> None:
        row_store, sequencer = self.row_store, self.sequencer
        m.d.comb += [
            row_store.i.payload.eq(self.s_axis_tdata),
            row_store.i.valid.eq(self.s_axis_tvalid),
            # A beat taken while the unit is in reset would be lost, which is all that can happen to it.
            self.s_axis_tready.eq(row_store.i.ready & self.aresetn & ~reset),
            sequencer.i_written.eq(row_store.o_written),
            row_store.i_release.eq(sequencer.o_release),
        ]

    def _add_window(self, m: Module) -> None:
        row_store, sequencer, window, at_window = self.row_store, self.sequencer, self.window, self._at_window
        m.d.comb += [
            row_store.i_address.eq(sequencer.o_address),
            row_store.i_slot.eq(sequencer.o_slot),
            row_store.i_row_valid.eq(sequencer.o_row_valid),
        ]
        m.d.comb += [
            window.i_column.eq(row_store.o_column),
            window.i_valid.eq(delay(m, sequencer.o_valid, at_window - window.ahead, reset_less=False)),
            window.i_push.eq(delay(m, sequencer.o_push, at_window - window.ahead)),
            window.i_channel.eq(delay(m, sequencer.o_channel, at_window - window.ahead)),
        ]
        # What the sequencer gives a cycle later, and the window wants a cycle earlier.
        self._mask_columns(m, at_window - 2)

    def _mask_columns(self, m: Module, cycles: int) -> None:
        m.d.comb += self.window.i_x.eq(delay(m, self.sequencer.o_x, cycles))

    @property
    def _at_bias(self) -> int:
        return self._at_lane + self.lane.bias_latency

    def _add_constants(self, m: Module) -> None:
        at_multiplier = self._at_lane + self.lane.multiplier_latency
        weights, biases, multipliers, constant = (
            self.weights,
            self.biases,
            self.multipliers,
            self.sequencer.o_constant,
        )
        m.d.comb += [
            weights.i_address.eq(delay(m, self.sequencer.o_weight, self._at_lane - 1 - weights.latency)),
            biases.i_address.eq(delay(m, constant, self._at_bias - biases.latency)),
            multipliers.i_address.eq(delay(m, constant, at_multiplier - multipliers.latency)),
        ]

    def _add_lanes(self, m: Module) -> None:
        config, lane, window, sequencer = self._config, self.lane, self.window, self.sequencer
        shared = {"i_clk": ClockSignal(), **self._lane_settings(m)}
        if config.beats_per_output > 1:
            shared["i_valid"] = delay(m, sequencer.o_valid, self._at_bias)
            shared["i_first"] = delay(m, sequencer.o_first, self._at_bias)
        taps = delay(m, window.o_taps, self.sims_wait)
        if self.similarity is None:
            centre = delay(m, window.o_centre, lane.centre_latency)
        else:
            shared |= self._add_similarity(m, self.similarity)
        y = Value.cast(self.output_stream.i_beat)
        for index in range(config.lanes):
            own = slice(index * config.plan.outputs, (index + 1) * config.plan.outputs)
            ports = dict(shared)
            if config.geometry.attn_taps and self.similarity is None:
                ports["i_centre"] = centre[index] if config.layer.config.depthwise else centre
            m.submodules[f"lane_{index}"] = Instance(
                LANE_MODULE,
                i_taps=taps[index] if config.layer.config.depthwise else taps,
                i_weights=self.weights.o_words[index],
                i_bias=Cat(self.biases.o_words[own]),
                i_multiplier=Cat(self.multipliers.o_words[own]),
                o_y=y[own.start * config.result.width : own.stop * config.result.width],
                **ports,
                **self._lane_outputs(own),
            )

    def _lane_settings(self, m: Module) -> dict[str, Value]:
        """Ports of all lanes that only a reloadable unit has."""
        return {}

    def _lane_outputs(self, outputs: slice) -> dict[str, Value]:
        """The same of each lane."""
        return {}

    def _add_output(self, m: Module, reset: Value) -> None:
        output_stream, sequencer, at_output = self.output_stream, self.sequencer, self._at_output
        m.d.comb += [
            output_stream.i_valid.eq(delay(m, sequencer.o_last, at_output, reset_less=False)),
            output_stream.i_last.eq(delay(m, sequencer.o_frame_last, at_output - 1)),
            sequencer.i_popped.eq(output_stream.o_popped),
        ]
        m.d.comb += [
            # What is offered while the reset is on its way is not there any more after it.
            self.m_axis_tvalid.eq(output_stream.o.valid & ~reset),
            self.m_axis_tdata.eq(output_stream.o.payload.beat),
            self.m_axis_tlast.eq(output_stream.o.payload.last),
            output_stream.o.ready.eq(self.m_axis_tready),
        ]

    def _add_similarity(self, m: Module, similarity: Similarity) -> dict[str, Value]:
        """The stage that the lanes share; returns their ports that it brings."""
        heads, lane, sequencer = self._config.heads, self.lane, self.sequencer
        assert heads is not None
        m.submodules.similarity = similarity
        beat = control_word(heads, valid=sequencer.o_valid, first=sequencer.o_first, channel=sequencer.o_channel)
        m.d.comb += [
            similarity.i_taps.eq(self.window.o_taps),
            similarity.i_control.eq(delay(m, beat, self._at_taps + similarity.control_latency, reset_less=False)),
        ]
        early = self._at_lane + lane.sims_latency - self._at_taps - similarity.latency
        ports: dict[str, Value] = {"i_sims": delay(m, Value.cast(similarity.o_sims), early)}
        if heads.vary:
            ports["i_control"] = delay(m, beat, self._at_lane + lane.control_latency, reset_less=False)
        return ports
