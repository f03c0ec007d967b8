"""Liveness: while the source offers and the sink takes, an output appears within a known number of cycles.

Proven for `DEPTH` cycles after power-up (bounded model checking), not for ever: in every cycle
the source may pause, the sink stall and the reset come, as they like; from any cycle on in which
source and sink are both willing and stay so, an output leaves within ``latency`` cycles of

    the first output of the cycle model (`hw.cycles`: from the first input beat to the issue), plus
    the pipeline's latency (``Unit.latency``), plus one, as the claim counts the cycle of the transfer.

The control of the unit is real (row store, sequencer, output stream, wired as in `hw.top`); what
lies between issue and output stream never stalls and is a delay here.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib.wiring import In

from hw.output_stream import OutputStream
from hw.pipeline import delay
from hw.row_store import RowStore
from hw.sequencer import Sequencer
from proofs.proof import Bug, Harness, Proof
from proofs.row_store import small_config

#: Cycles looked at, and cycles between an issue and its output's entry into the FIFO.
DEPTH, PIPELINE = 30, 2


class LivenessHarness(Harness):
    def __init__(self, height: int, width: int, fields: dict[str, Any]) -> None:
        self._config = small_config(height, width, **fields)
        super().__init__({"valid": In(1), "ready": In(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        latency = PIPELINE + OutputStream.latency
        fifo_depth = latency + 1 + 2
        m.submodules.row_store = row_store = RowStore(config)
        m.submodules.sequencer = sequencer = Sequencer(config, fifo_depth=fifo_depth)
        m.submodules.output_stream = output_stream = OutputStream(config, depth=fifo_depth)
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
        most = config.prediction.first_output_issue + latency + 1
        waited = Signal(range(most + 2))
        willing = self.valid & self.ready & ~output_stream.o.valid
        m.d.sync += waited.eq(Mux(willing, waited + (waited <= most), 0))
        self.claim(m, waited <= most)
        return m


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
    claim="an output leaves within the cycle model's first output while the source offers and the sink takes",
    unbounded=False,
    depth=DEPTH,
    builds=BUILDS,
    bugs=(
        _bug(
            "credits never come back",
            "hw.sequencer",
            "for event in (self.i_popped, self.o_last))",
            "for event in (self.i_popped & 0, self.o_last))",
        ),
        _bug(
            "a frame's last outputs wait for the next frame",
            "hw.sequencer",
            "between_frames & (True if flush_always else ~walk.o_arrived)",
            "between_frames & 0",
        ),
        _bug(
            "a beat more is waited for than needed",
            "hw.input_walk",
            "missing.eq(Cat((written - beat.needed)[sign] for beat in front))",
            "missing.eq(Cat((written - beat.needed - 1)[sign] for beat in front))",
        ),
        _bug(
            "groups release no room",
            "hw.row_store",
            "amount.eq(pick(amounts, Value.cast(self.i_release)) - 1)",
            "amount.eq(-1)",
        ),
    ),
    slow=frozenset(BUILDS) - {"1x1"},
)
