"""Streams: what is assumed of every input and claimed of every output."""

from __future__ import annotations

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import stream

from tests.proofs.proof import Harness


def assume_patient(harness: Harness, m: Module, port: stream.Interface) -> tuple[Signal, Signal]:
    """Assume that a beat that waits at an input stays as it is. Returns whether one has waited, and that beat."""
    waited, kept, stays = _waiting(m, port)
    harness.assume(m, ~waited | stays)
    return waited, kept


def claim_patient(harness: Harness, m: Module, port: stream.Interface) -> None:
    """Claim that a beat that waits at an output stays as it is."""
    waited, _, stays = _waiting(m, port)
    harness.claim(m, ~waited | stays)


def _waiting(m: Module, port: stream.Interface) -> tuple[Signal, Signal, Value]:
    shown = Value.cast(port.payload)
    waited, kept = Signal(name="waited"), Signal(len(shown), name="kept")
    m.d.sync += [waited.eq(port.valid & ~port.ready), kept.eq(shown)]
    return waited, kept, port.valid & (shown == kept)
