"""Frozen unit: everything is known when it is built."""

from __future__ import annotations

from functools import reduce
from operator import and_

from amaranth.hdl import Module, Value

from hw.blocks.memory_file import MemoryFiles
from hw.blocks.pipeline import delay
from hw.frozen.beat_writer import BeatWriter
from hw.frozen.frozen_words import FrozenWords
from hw.frozen.input_walk import InputWalk
from hw.frozen.positions import CountedPositions
from hw.plan.shapes import Shapes
from hw.unit.front import Front
from hw.unit.unit import Streams, Unit


def frozen_unit(shapes: Shapes, files: MemoryFiles | None = None) -> Unit:
    """The unit that computes one layer on frames of one size. ``files`` takes its many words; None keeps all inline."""
    front = Front(writer=BeatWriter(shapes), walk=InputWalk(shapes), positions=CountedPositions(shapes))
    return Unit(shapes, front, Nothing(shapes, files))


class Nothing:
    """The `hw.unit.unit.RunTime` of a unit of which nothing changes while it runs."""

    marks = False

    def __init__(self, shapes: Shapes, files: MemoryFiles | None) -> None:
        self.keeper = FrozenWords(shapes.target, files)

    def connect_input(self, m: Module, unit: Unit, streams: Streams) -> None:
        row_store, sequencer = unit.row_store, unit.sequencer
        m.d.comb += [
            row_store.i.payload.eq(streams.in_beat),
            row_store.i.valid.eq(streams.in_valid),
            # A beat that is taken while the unit is in reset would be lost.
            streams.in_ready.eq(reduce(and_, streams.running, row_store.i.ready)),
            sequencer.i_written.eq(row_store.o_written),
            row_store.i_release.eq(sequencer.o_release),
        ]

    def connect_words(self, m: Module, unit: Unit) -> None:
        times, sequencer, latency = unit.timetable, unit.sequencer, unit.word_latency
        m.d.comb += [
            # A weight's number comes a cycle after the issue.
            unit.weights.i_address.eq(delay(m, sequencer.o_weight, times.at_lane - 1 - latency)),
            unit.biases.i_address.eq(delay(m, sequencer.o_constant, times.at_bias - latency)),
        ]
        if unit.multipliers is not None and unit.digit_walk is None:
            late = delay(m, sequencer.o_constant, times.at_multiplier - latency)
            m.d.comb += unit.multipliers.i_address.eq(late)

    def settings(self, m: Module, unit: Unit) -> dict[str, Value]:
        return {}

    def lane_outputs(self, outputs: slice) -> dict[str, Value]:
        return {}

    def connect_output(self, m: Module, unit: Unit, streams: Streams) -> None:
        pass
