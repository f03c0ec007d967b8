"""Reloadable unit: the stages, and a control plane through which software changes what they compute with.

s_axi, s_axis_weights -> control -> frame_sets
                            |           | sets
input ------------------- words -> frame_writer -> row_store -> ... -> output
                                        ^    | position
                                        +-- frame_walk in the sequencer
"""

from __future__ import annotations

from amaranth.hdl import Cat, Const, DomainRenamer, Module, Mux, Signal, Value
from amaranth.lib import data

from hw.blocks.latency import tree_latency
from hw.blocks.pipeline import adder_tree, delay, index_shape
from hw.control.control import Control
from hw.plan.settings import Setting
from hw.plan.shapes import Shapes
from hw.reloadable.frame_sets import FrameSets, pick_set
from hw.reloadable.frame_walk import FrameWalk, follow
from hw.reloadable.frame_writer import FrameWriter, WritePort
from hw.reloadable.loaded_words import LoadedWords
from hw.reloadable.positions import TaggedPositions
from hw.unit.front import Front
from hw.unit.timetable import Timetable
from hw.unit.unit import Streams, Unit

CONTROL_DOMAIN = "control"


def reloadable_unit(shapes: Shapes, control: Control) -> Unit:
    """The unit whose layer comes at run time through ``control``, which becomes a part of it."""
    walk = FrameWalk(shapes)
    front = Front(writer=WritePort(shapes), walk=walk, positions=TaggedPositions(shapes))
    return Unit(shapes, front, Loaded(shapes, control, walk))


class Loaded:
    """The `hw.unit.unit.RunTime` of a unit that software loads."""

    marks = True

    def __init__(self, shapes: Shapes, control: Control, walk: FrameWalk) -> None:
        self._shapes, self._control, self._walk = shapes, control, walk
        self._set_bits = shapes.config.limits.set_bits
        self.keeper = LoadedWords(shapes.target, set_bits=self._set_bits)
        self._sets = FrameSets(shapes, latency=Timetable(shapes).at_output)
        self._writer = FrameWriter(shapes)
        self._cut = Signal(shapes.folding.pe, name="_cut")

    def connect_input(self, m: Module, unit: Unit, streams: Streams) -> None:
        control, sets, writer = self._control, self._sets, self._writer
        assert streams.in_last is not None
        m.submodules.control = DomainRenamer(CONTROL_DOMAIN)(control)
        m.submodules.frame_sets = sets
        m.submodules.frame_writer = writer
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
            # The control plane is as after a reset a cycle earlier than the data path.
            control.i_errors.eq(Mux(streams.reset, 0, writer.o_errors)),
        ]
        awake = Signal()
        first, *others = streams.running
        for condition in others:
            first = first & condition
        m.d.comb += [
            awake.eq(first),
            # What is taken as a reset comes has no effect after it.
            writer.i_valid.eq(streams.in_valid),
            writer.i_beat.eq(streams.in_beat),
            writer.i_last.eq(streams.in_last),
            writer.i_sets.eq(sets.o_sets),
            writer.i_set.eq(sets.o_set),
            writer.i_run.eq(sets.o_configured & ~control.o_hold),
            writer.i_ignore_tlast.eq(control.o_ignore_tlast),
            writer.i_release.eq(unit.sequencer.o_release),
            streams.in_ready.eq(writer.o_ready & awake),
            unit.row_store.i_write.eq(writer.o_write),
        ]
        m.d.comb += self._walk.i_sets.eq(sets.o_sets)
        follow(m, self._walk, writer)

    def connect_words(self, m: Module, unit: Unit) -> None:
        times, sequencer = unit.timetable, unit.sequencer
        assert unit.multipliers is not None, "multipliers that come at run time may be any"
        # The constants' number comes a cycle earlier than the tag.
        constant = delay(m, sequencer.o_constant, 1)
        for store, word, part, cycles in (
            (unit.weights, sequencer.o_weight, "weights", times.at_lane),
            (unit.biases, constant, "constants", times.at_bias),
            (unit.multipliers, constant, "constants", times.at_multiplier),
        ):
            late = cycles - 1 - unit.word_latency
            chosen = self._in_force(m, unit, 1 + late)[part]
            m.d.comb += store.i_address.eq(self._address(delay(m, word, late), chosen, store.depth))
        weight, constant_write, sets = self._control.o_weight, self._control.o_constant, self._sets
        m.d.comb += [
            unit.weights.i_write.enable.eq(weight.enable),
            unit.weights.i_write.bank.eq(weight.bank),
            unit.weights.i_write.value.eq(weight.value),
            unit.weights.i_write.word.eq(self._address(weight.word, sets.o_free_weights, unit.weights.depth)),
        ]
        for store, enable in ((unit.biases, constant_write.bias), (unit.multipliers, constant_write.multiplier)):
            write = store.i_write
            m.d.comb += [
                write.enable.eq(enable),
                write.bank.eq(constant_write.lane),
                write.value.eq(constant_write.value),
                write.word.eq(self._address(constant_write.word, sets.o_free_constants, store.depth)),
            ]

    def settings(self, m: Module, unit: Unit) -> dict[str, Value]:
        def in_force(setting: Setting) -> Value:
            at = unit.timetable.at_lane + unit.timetable.lane.setting(setting)
            return delay(m, self._in_force(m, unit, at - 1)[setting.name], 1)

        return {setting.name: in_force(setting) for setting in self._shapes.settings.ports}

    def lane_outputs(self, outputs: slice) -> dict[str, Value]:
        return {"o_cut": self._cut[outputs]}

    def connect_output(self, m: Module, unit: Unit, streams: Streams) -> None:
        control, stream = self._control, unit.output_stream
        assert streams.out_user is not None
        m.d.comb += [
            self._sets.i_done.eq(stream.i_valid & stream.i_last),
            stream.i_user.eq(delay(m, unit.sequencer.o_tag.damaged, unit.timetable.at_output - 1)),
            streams.out_user.eq(stream.o.payload.user),
        ]
        counts = control.i_counts
        m.d.comb += [
            counts.saturated.eq(self._saturated(m, unit, streams)),
            counts.frames.eq(streams.out_valid & streams.out_ready & streams.out_last),
            counts.starved.eq(streams.in_ready & ~streams.in_valid),
            counts.stalled.eq(streams.out_valid & ~streams.out_ready),
        ]

    def _saturated(self, m: Module, unit: Unit, streams: Streams) -> Value:
        """Elements that were cut, counted as they leave the lanes."""
        pe = self._shapes.folding.pe
        radix = self._shapes.target.radix(pe)
        cut = [delay(m, bit & unit.output_stream.i_valid, 1) for bit in self._cut]
        saturated = adder_tree(m, cut, index_shape(pe + 1), radix)
        # What was being added up before a reset is not counted after it.
        awake = delay(m, Const(1), 1 + tree_latency(pe, radix), reset_less=False) & ~streams.reset
        return Mux(awake, saturated, 0)

    def _in_force(self, m: Module, unit: Unit, cycles: int) -> data.View:
        """The set of a beat, ``cycles`` cycles after the beat's issue."""
        number = delay(m, unit.sequencer.o_tag.set, cycles - 1)
        return pick_set(self._shapes, self._sets.o_sets, number)

    def _address(self, word: Value, chosen: Value, depth: int) -> Value:
        """Address of ``word`` in the set ``chosen``. The set is the upper bit of the address, where there are two."""
        bits = (depth - 1).bit_length()
        return Cat(word[:bits], chosen) if self._set_bits else word
