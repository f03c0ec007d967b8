"""The unit: wiring of the stages in data-flow order, between two AXI4-Stream ports.

s_axis -> row_store -> window -> pe lanes -> output_stream -> m_axis
              ^           ^         ^             |
              +------ sequencer     +-- weights   | credit
                          ^-----------------------+
"""

from __future__ import annotations

from amaranth.hdl import ClockDomain, ClockSignal, Instance, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.config import UnitConfig
from hw.lane import Lane
from hw.output_stream import OutputStream
from hw.pipeline import delay
from hw.row_store import RowStore
from hw.sequencer import Sequencer
from hw.weight_store import WeightStore, constant_words, weight_words
from hw.window import Window

LANE_MODULE = "xvolution_lane"


class Unit(wiring.Component):
    """The streaming X-volution unit of ``config``.

    Members:
        aclk, aresetn: clock, and synchronous reset (active low).
        s_axis_*: input beats of ``simd`` channels.
        m_axis_*: output beats of ``pe`` channels; ``tlast`` marks a frame's last.

    Attributes:
        lane: the component that `LANE_MODULE` holds; the unit only has instances of it.
        latency: cycles from the issue of a sum's last beat to its transfer at ``m_axis``.
    """

    def __init__(self, config: UnitConfig) -> None:
        self._config = config
        self.lane = Lane(config)
        taps = RowStore.latency + Window.latency
        self.latency = taps + self.lane.latency + OutputStream.latency
        # Enough entries that a ready sink never makes the sequencer wait for a free one.
        self.fifo_depth = -(-self.latency // config.beats_per_output) + 1
        super().__init__(
            {
                "aclk": In(1),
                "aresetn": In(1),
                "s_axis_tvalid": In(1),
                "s_axis_tready": Out(1),
                "s_axis_tdata": In(8 * config.input_payload.bytes),
                "m_axis_tvalid": Out(1),
                "m_axis_tready": In(1),
                "m_axis_tdata": Out(8 * config.output_payload.bytes),
                "m_axis_tlast": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config, lane = self._config, self.lane
        m.domains.sync = sync = ClockDomain()
        m.d.comb += [sync.clk.eq(self.aclk), sync.rst.eq(~self.aresetn)]

        m.submodules.sequencer = sequencer = Sequencer(config, fifo_depth=self.fifo_depth)
        m.submodules.row_store = row_store = RowStore(config)
        m.submodules.window = window = Window(config)
        m.submodules.weights = weights = WeightStore(weight_words(config), config.weight, name="weights")
        m.submodules.biases = biases = WeightStore(
            constant_words(config, config.layer.bias), config.bias, name="biases"
        )
        m.submodules.multipliers = multipliers = WeightStore(
            constant_words(config, config.layer.multiplier), config.multiplier, name="multipliers"
        )
        m.submodules.output_stream = output_stream = OutputStream(config, depth=self.fifo_depth)

        # Cycles after the issue of a beat at which it is needed.
        at_window = RowStore.latency
        at_lane = at_window + Window.latency
        at_output = at_lane + lane.latency

        m.d.comb += [
            row_store.i.payload.eq(self.s_axis_tdata),
            row_store.i.valid.eq(self.s_axis_tvalid),
            # A beat taken while the unit is in reset would be lost.
            self.s_axis_tready.eq(row_store.i.ready & self.aresetn),
        ]
        m.d.comb += [
            sequencer.i_written.eq(row_store.o_written),
            row_store.i_address.eq(sequencer.o_address),
            row_store.i_slot.eq(sequencer.o_slot),
            row_store.i_row_valid.eq(sequencer.o_row_valid),
            row_store.i_release.eq(sequencer.o_release),
        ]
        m.d.comb += [
            window.i_column.eq(row_store.o_column),
            window.i_valid.eq(delay(m, sequencer.o_valid, at_window, reset_less=False)),
            window.i_push.eq(delay(m, sequencer.o_push, at_window)),
            window.i_channel.eq(delay(m, sequencer.o_channel, at_window)),
            window.i_x.eq(delay(m, sequencer.o_x, at_window - 1)),
        ]
        m.d.comb += [
            weights.i_address.eq(delay(m, sequencer.o_weight, at_lane - WeightStore.latency)),
            biases.i_address.eq(delay(m, sequencer.o_constant, at_lane + lane.bias_latency - WeightStore.latency)),
            multipliers.i_address.eq(
                delay(m, sequencer.o_constant, at_lane + lane.multiplier_latency - WeightStore.latency)
            ),
        ]
        shared = {"i_clk": ClockSignal()}
        if config.beats_per_output > 1:
            shared["i_valid"] = delay(m, sequencer.o_valid, at_lane + lane.bias_latency)
            shared["i_first"] = delay(m, sequencer.o_first, at_lane + lane.bias_latency)
        for index in range(config.folding.pe):
            m.submodules[f"lane_{index}"] = Instance(
                LANE_MODULE,
                i_taps=window.o_taps[index] if config.layer.config.depthwise else window.o_taps,
                i_weights=weights.o_words[index],
                i_bias=biases.o_words[index],
                i_multiplier=multipliers.o_words[index],
                o_y=output_stream.i_beat[index],
                **shared,
            )
        m.d.comb += [
            output_stream.i_valid.eq(delay(m, sequencer.o_last, at_output, reset_less=False)),
            output_stream.i_last.eq(delay(m, sequencer.o_frame_last, at_output)),
            sequencer.i_popped.eq(output_stream.o_popped),
        ]
        m.d.comb += [
            self.m_axis_tvalid.eq(output_stream.o.valid),
            self.m_axis_tdata.eq(output_stream.o.payload.beat),
            self.m_axis_tlast.eq(output_stream.o.payload.last),
            output_stream.o.ready.eq(self.m_axis_tready),
        ]
        return m
