"""The unit: wiring of the stages in data-flow order, between two streams.

input -> front -> row_store -> window -> similarity -> lanes -> output_stream -> output
                      ^           ^      (dynamic)       ^             |
                      +------ sequencer                  +-- words     | credit
                                  ^------------------------------------+
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from amaranth.hdl import Cat, ClockSignal, Instance, Module, Value

from hw.blocks.pipeline import delay
from hw.plan.shapes import Shapes
from hw.plan.weight_layout import constant_words, multiplier_words, weight_skew, weight_words
from hw.unit import similarity, window, word_store
from hw.unit.digit_walk import DigitWalk
from hw.unit.front import Front
from hw.unit.head_sum import control_word
from hw.unit.lane import Lane
from hw.unit.output_stream import OutputStream
from hw.unit.row_store import RowStore
from hw.unit.sequencer import Sequencer
from hw.unit.similarity import Similarity
from hw.unit.timetable import Timetable
from hw.unit.window import Window
from hw.unit.word_store import Keeper, WordStore


@dataclass(frozen=True, kw_only=True)
class Streams:
    """A unit's two streams and its reset, as signals of the module around it.

    The unit drives ``in_ready`` and the output beats.

    Attributes:
        in_valid, in_ready, in_beat, in_last: input beats. Only a reloadable unit looks at ``in_last``.
        out_valid, out_ready, out_beat, out_last, out_user: output beats. Only a reloadable unit drives ``out_user``.
        tap_valid, tap_ready, tap_beat: the pixels in the centres of the windows; None without a tap.
        running: what must hold for a beat to be taken; it does outside of resets.
        reset: the unit is in reset.
    """

    in_valid: Value
    in_ready: Value
    in_beat: Value
    out_valid: Value
    out_ready: Value
    out_beat: Value
    out_last: Value
    running: Sequence[Value]
    reset: Value
    in_last: Value | None = None
    out_user: Value | None = None
    tap_valid: Value | None = None
    tap_ready: Value | None = None
    tap_beat: Value | None = None


class RunTime(Protocol):
    """What of a unit changes while it runs: nothing (`hw.frozen`), or what software loads (`hw.reloadable`)."""

    @property
    def keeper(self) -> Keeper:
        """What keeps the words."""

    @property
    def marks(self) -> bool:
        """Whether output frames may be marked."""

    def connect_input(self, m: Module, unit: Unit, streams: Streams) -> None:
        """Connect the input stream to the row store."""

    def connect_words(self, m: Module, unit: Unit) -> None:
        """Connect the addresses of all words, and the writes of words that are loaded."""

    def settings(self, m: Module, unit: Unit) -> dict[str, Value]:
        """The lanes' inputs for the settings that come at run time."""

    def lane_outputs(self, outputs: slice) -> dict[str, Value]:
        """Outputs, beside the elements, of the lane of these output channels."""

    def connect_output(self, m: Module, unit: Unit, streams: Streams) -> None:
        """Connect what the output has beside the beats."""


class Unit:
    """The stages of a unit, and what they are given.

    Attributes:
        shapes: what the stages follow from.
        timetable: when each stage works on a beat.
        sequencer, row_store, window, weights, biases, multipliers, output_stream: the unit's components.
            ``multipliers`` is None where nothing is kept of them.
        digit_walk: what reads the multipliers digit by digit; None where they are read at once.
        tap_stream: the FIFO of the tap; None without one.
        similarity: the component that all lanes share; None without similarities.
        keeper: what keeps the words.
        lane: the component that all lanes are instances of. Its module is called `lane_module`.
    """

    def __init__(self, shapes: Shapes, front: Front, run_time: RunTime) -> None:
        self.shapes, self.timetable = shapes, Timetable(shapes)
        self._front, self._run_time = front, run_time
        self.keeper = run_time.keeper
        self.row_store = RowStore(shapes, front.writer)
        self.window = Window(shapes, front.positions)
        self.lane = Lane(shapes)
        self.similarity = None if shapes.heads is None else Similarity(shapes)
        depth, tap_depth = self.timetable.fifo_depth, self.timetable.tap_depth
        self.sequencer = Sequencer(
            shapes, front.walk, front.positions, early=front.early, fifo_depth=depth, tap_depth=tap_depth
        )
        late = shapes.target.relays
        self.output_stream = OutputStream(shapes.output_beat, depth=depth, marks=run_time.marks, late=late)
        self.tap_stream: OutputStream | None = None
        if shapes.tap:
            self.tap_stream = OutputStream(shapes.pixel, depth=tap_depth, lasts=False, late=late)
        self.weights = WordStore(
            weight_words(shapes),
            shapes.weight,
            self.keeper,
            name="weights",
            skew=weight_skew(shapes),
            parts=shapes.weight_parts,
        )
        layer = shapes.layer
        self.biases = WordStore(constant_words(shapes, layer.bias), shapes.bias, self.keeper, name="biases")
        self.multipliers: WordStore | None = None
        self.digit_walk: DigitWalk | None = None
        if shapes.stores_multipliers:
            words = multiplier_words(shapes)
            self.multipliers = WordStore(words, shapes.multiplier, self.keeper, name="multipliers")
            if shapes.takes_turns:
                digits = len(words) // shapes.constant_depth
                self.digit_walk = DigitWalk(digits=digits, depth=shapes.constant_depth)

    @property
    def lane_module(self) -> str:
        """Name of the module that holds `lane`."""
        return f"{self.shapes.config.name}_lane"

    @property
    def word_latency(self) -> int:
        """Cycles from an address to its word, in all stores."""
        return word_store.latency(self.shapes.target)

    def add(self, m: Module, streams: Streams) -> None:
        """Add the unit to a module."""
        m.submodules.sequencer = self.sequencer
        m.submodules.row_store = self.row_store
        m.submodules.window = self.window
        m.submodules.weights = self.weights
        m.submodules.biases = self.biases
        if self.multipliers is not None:
            m.submodules.multipliers = self.multipliers
        m.submodules.output_stream = self.output_stream
        self._run_time.connect_input(m, self, streams)
        self._connect_window(m)
        if self.digit_walk is not None and self.multipliers is not None:
            m.submodules.digit_walk = self.digit_walk
            starts = delay(m, self.sequencer.o_last, self.timetable.at_multiplier - self.word_latency, reset_less=False)
            m.d.comb += self.digit_walk.i_starts.eq(starts)
            m.d.comb += self.multipliers.i_address.eq(self.digit_walk.o_address)
        self._run_time.connect_words(m, self)
        self._add_lanes(m)
        self._connect_output(m, streams)
        if self.tap_stream is not None:
            self._connect_tap(m, self.tap_stream, streams)

    def _connect_window(self, m: Module) -> None:
        row_store, sequencer, at_window = self.row_store, self.sequencer, self.timetable.at_window
        m.d.comb += [
            row_store.i_address.eq(sequencer.o_address),
            row_store.i_slot.eq(sequencer.o_slot),
            row_store.i_row_valid.eq(sequencer.o_row_valid),
        ]
        early = at_window - window.ahead(self.shapes.target)
        m.d.comb += [
            self.window.i_column.eq(row_store.o_column),
            self.window.i_valid.eq(delay(m, sequencer.o_valid, early, reset_less=False)),
            self.window.i_push.eq(delay(m, sequencer.o_push, early)),
            self.window.i_channel.eq(delay(m, sequencer.o_channel, early)),
        ]
        if self.shapes.moves_late:
            m.d.comb += self.window.i_last_use.eq(delay(m, sequencer.o_last_use, early))
        if self.shapes.schedule.early:
            m.d.comb += [
                self.window.i_bank.eq(delay(m, sequencer.o_bank, early)),
                self.window.i_early.eq(delay(m, Value.cast(sequencer.o_early), early, reset_less=False)),
            ]
        # The sequencer gives this a cycle after the issue, and the window wants it a cycle before the column.
        self._front.positions.connect(m, sequencer, self.window, at_window - 2)

    def _add_lanes(self, m: Module) -> None:
        shapes, times, sequencer = self.shapes, self.timetable, self.sequencer
        shared = {"i_clk": ClockSignal(), **self._setting_inputs(m)}
        if shapes.beats_per_output > 1:
            shared["i_valid"] = delay(m, sequencer.o_valid, times.at_bias)
            shared["i_first"] = delay(m, sequencer.o_first, times.at_bias)
        if self.digit_walk is not None:
            shared["i_complete"] = delay(m, sequencer.o_last, times.at_lane + times.lane.complete - times.lane.operands)
            late = times.at_lane + times.lane.goes_on - (times.at_multiplier - self.word_latency)
            shared["i_goes_on"] = delay(m, self.digit_walk.o_goes_on, late)
        taps = delay(m, self.window.o_taps, times.sims_wait)
        if self.similarity is None:
            centre = delay(m, self.window.o_centre, times.lane.centre)
        else:
            shared |= self._add_similarity(m, self.similarity)
        y = Value.cast(self.output_stream.i_beat)
        for index in range(shapes.lanes):
            own = slice(index * shapes.plan.outputs, (index + 1) * shapes.plan.outputs)
            ports: dict[str, Any] = dict(shared)
            if shapes.geometry.attn_taps and self.similarity is None:
                ports["i_centre"] = centre[index] if shapes.layer.config.depthwise else centre
            m.submodules[f"lane_{index}"] = Instance(
                self.lane_module,
                i_taps=taps[index] if shapes.layer.config.depthwise else taps,
                i_weights=self.weights.o_words[index],
                i_bias=Cat(self.biases.o_words[own]),
                **({} if self.multipliers is None else {"i_multiplier": Cat(self.multipliers.o_words[own])}),
                o_y=y[own.start * shapes.result.width : own.stop * shapes.result.width],
                **ports,
                **self._run_time.lane_outputs(own),
            )

    def _setting_inputs(self, m: Module) -> dict[str, Value]:
        return {f"i_{name}": value for name, value in self._run_time.settings(m, self).items()}

    def _add_similarity(self, m: Module, stage: Similarity) -> dict[str, Value]:
        """Add the stage that the lanes share. Returns the lanes' ports that come with it."""
        heads, times, sequencer = self.shapes.heads, self.timetable, self.sequencer
        assert heads is not None
        m.submodules.similarity = stage
        beat = control_word(heads, valid=sequencer.o_valid, first=sequencer.o_first, channel=sequencer.o_channel)
        at_control = times.at_taps + similarity.control_latency(self.shapes)
        m.d.comb += [
            stage.i_taps.eq(self.window.o_taps),
            stage.i_control.eq(delay(m, beat, at_control, reset_less=False)),
        ]
        ports: dict[str, Value] = {"i_sims": delay(m, Value.cast(stage.o_sims), times.sims_early)}
        if heads.vary:
            ports["i_control"] = delay(m, beat, times.at_lane + times.lane.control, reset_less=False)
        return ports

    def _connect_output(self, m: Module, streams: Streams) -> None:
        stream, sequencer, at_output = self.output_stream, self.sequencer, self.timetable.at_output
        m.d.comb += [
            stream.i_valid.eq(delay(m, sequencer.o_last, at_output, reset_less=False)),
            stream.i_last.eq(delay(m, sequencer.o_frame_last, at_output - 1)),
            sequencer.i_popped.eq(stream.o_popped),
        ]
        m.d.comb += [
            # A beat that is offered while the reset is on its way would not be there any more after the reset.
            streams.out_valid.eq(stream.o.valid & ~streams.reset),
            streams.out_beat.eq(stream.o.payload.beat),
            streams.out_last.eq(stream.o.payload.last),
            stream.o.ready.eq(streams.out_ready),
        ]
        self._run_time.connect_output(m, self, streams)

    def _connect_tap(self, m: Module, stream: OutputStream, streams: Streams) -> None:
        assert streams.tap_valid is not None and streams.tap_ready is not None and streams.tap_beat is not None
        m.submodules.output_stream_tap = stream
        m.d.comb += [
            stream.i_valid.eq(delay(m, self.sequencer.o_tap, self.timetable.at_tap, reset_less=False)),
            stream.i_beat.eq(self.window.o_centre),
            self.sequencer.i_tap_popped.eq(stream.o_popped),
            streams.tap_valid.eq(stream.o.valid & ~streams.reset),
            streams.tap_beat.eq(stream.o.payload.beat),
            stream.o.ready.eq(streams.tap_ready),
        ]
