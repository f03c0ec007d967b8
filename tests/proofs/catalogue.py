"""All proofs, with the bugs planted to see each fail."""

from __future__ import annotations

from tests.proofs import (
    axi_lite,
    fifo,
    fork,
    frame_sets,
    frame_walk,
    join,
    liveness,
    output_stream,
    packed,
    queue,
    register_file,
    requantise,
    rounding,
    row_store,
    turns,
    weight_loader,
    width_adapter,
)
from tests.proofs.proof import Bug, Proof

PROOFS: dict[str, Proof] = {
    proof.name: proof
    for proof in (
        output_stream.PROOF,
        row_store.PROOF,
        rounding.PROOF,
        requantise.PROOF,
        turns.PROOF,
        packed.PROOF,
        liveness.PROOF,
        queue.PROOF,
        axi_lite.PROOF,
        frame_walk.PROOF,
        frame_walk.VALID,
        frame_sets.PROOF,
        weight_loader.PROOF,
        register_file.PROOF,
        join.PROOF,
        fork.PROOF,
        width_adapter.PROOF,
        fifo.PROOF,
    )
}


def find_bug(proof: str, name: str) -> Bug:
    """The bug called ``name`` of the proof called ``proof``."""
    return next(bug for bug in PROOFS[proof].bugs if bug.name == name)
