"""Liveness: while the source offers and the sink takes, an output appears within a known number of cycles.

It is proven for `DEPTH` cycles after power-up (bounded model checking), not for ever. The source may pause, the
sink stall and the reset come in any cycle. An output must come in time, counted from any cycle on in which

- source and sink are both willing and stay so, or
- the sink is willing and stays so, and a complete frame has an output due, whatever the source does.

The time is that of the first output of a unit at full rate: the cycles from the first input beat to the issue
in the cycle model (`hw.plan.schedule`), and the latency of the pipeline.

The control of the unit is real: row store, sequencer and output stream, wired as in `hw.unit.unit`. The stages
between issue and output stream never stall, and are a delay here.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib.wiring import In

from hw.blocks.pipeline import delay
from hw.frozen.beat_writer import BeatWriter
from hw.frozen.input_walk import InputWalk
from hw.frozen.positions import CountedPositions
from hw.unit.output_stream import OutputStream
from hw.unit.row_store import RowStore
from hw.unit.sequencer import Sequencer
from tests.proofs.proof import Bug, Harness, Proof
from tests.proofs.row_store import small_shapes

#: Cycles looked at, and cycles from an issue to the entry of its output into the FIFO.
DEPTH, PIPELINE = 30, 2


class LivenessHarness(Harness):
    def __init__(self, height: int, width: int, fields: dict[str, Any]) -> None:
        self._shapes = small_shapes(height, width, **fields)
        super().__init__({"valid": In(1), "ready": In(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shapes = self._shapes
        latency = PIPELINE + OutputStream.latency
        fifo_depth = latency + 1 + 2
        m.submodules.row_store = row_store = RowStore(shapes, BeatWriter(shapes))
        m.submodules.sequencer = sequencer = Sequencer(
            shapes, InputWalk(shapes), CountedPositions(shapes), fifo_depth=fifo_depth
        )
        m.submodules.output_stream = output_stream = OutputStream(shapes.output_beat, depth=fifo_depth)
        m.d.comb += [
            row_store.i.valid.eq(self.valid),
            sequencer.i_written.eq(row_store.o_written),
            sequencer.i_popped.eq(output_stream.o_popped),
            row_store.i_address.eq(sequencer.o_address),
            row_store.i_slot.eq(sequencer.o_slot),
            row_store.i_row_valid.eq(sequencer.o_row_valid),
            row_store.i_release.eq(sequencer.o_release),
            output_stream.i_valid.eq(delay(m, sequencer.o_last, PIPELINE, reset_less=False)),
            output_stream.o.ready.eq(self.ready),
        ]
        most = shapes.schedule.first_output_issue + latency
        self._answers_within(m, most, self.valid & self.ready & ~output_stream.o.valid)

        # Output beats that are due: those of complete frames, less those that have left.
        g, c = shapes.geometry, shapes.layer.config
        beats, outputs = c.height * c.width * g.channel_beats, c.out_height * c.out_width * g.output_beats
        taken, owed = Signal(range(beats + 1)), Signal(signed(8))
        takes = self.valid & row_store.i.ready
        ends = takes & (taken == beats - 1)
        left = output_stream.o.valid & self.ready
        m.d.sync += [
            taken.eq(Mux(ends, 0, taken + takes)),
            owed.eq(owed + Mux(ends, outputs, 0) - left),
        ]
        self._answers_within(m, most, (owed > 0) & self.ready & ~output_stream.o.valid)
        return m

    def _answers_within(self, m: Module, most: int, waits: Value) -> None:
        """Claim that ``waits`` is not true for more than ``most`` cycles in a row."""
        waited = Signal(range(most + 2))
        m.d.sync += waited.eq(Mux(waits, waited + (waited <= most), 0))
        self.claim(m, waited <= most)


def _bug(name: str, module: str, old: str, new: str) -> Bug:
    return Bug(name=name, module=module, old=old, new=new, build="1x2")


BUILDS = {
    "1x1": partial(LivenessHarness, 1, 1, {}),
    "1x2": partial(LivenessHarness, 1, 2, {}),
    "2x2": partial(LivenessHarness, 2, 2, {}),
    "2x2, stride 2": partial(LivenessHarness, 2, 2, {"stride": 2}),
    "2x2, 2 beats": partial(LivenessHarness, 2, 2, {"in_channels": 2}),
}

PROOF = Proof(
    name="liveness",
    claim="an output comes as soon as the cycle model's first one where both ends are willing or a frame is in",
    unbounded=False,
    depth=DEPTH,
    builds=BUILDS,
    bugs=(
        _bug(
            "credits never come back",
            "hw.unit.sequencer",
            "self._has_credit(m, self.i_popped, ",
            "self._has_credit(m, self.i_popped & 0, ",
        ),
        _bug(
            "a frame's last outputs wait for the next frame",
            "hw.unit.sequencer",
            "kept_empty | (between_frames & late)",
            "kept_empty | (between_frames & 0)",
        ),
        _bug(
            "a beat more is waited for than needed",
            "hw.frozen.input_walk",
            "missing.eq(Cat((written - beat.needed)[sign] for beat in front))",
            "missing.eq(Cat((written - beat.needed - 1)[sign] for beat in front))",
        ),
        _bug(
            "groups release no room",
            "hw.frozen.beat_writer",
            "amount.eq(pick(amounts, Value.cast(release)) - 1)",
            "amount.eq(-1)",
        ),
    ),
    slow=frozenset(BUILDS) - {"2x2"},
    slow_bugs=frozenset({"credits never come back", "groups release no room"}),
)
