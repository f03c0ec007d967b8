"""Nodes of a network in Amaranth's simulator: when their beats move, and what they hold under pauses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from amaranth.hdl import ResetInserter, Signal

from hw.network.beat import Beat
from hw.network.node import Node
from tests.support.components import look, put, simulate

#: Cycles that a sink listens after the last beat.
AFTER = 12

Beats = list[list[int]]


def random_beats(rng: np.random.Generator, beat: Beat, count: int) -> Beats:
    """``count`` beats that have the limits of their format among them more often than chance."""
    low, high = (-(1 << beat.bits - 1), (1 << beat.bits - 1) - 1) if beat.signed else (0, (1 << beat.bits) - 1)
    values = rng.integers(low, high, (count, beat.lanes), endpoint=True)
    values = np.where(rng.random(values.shape) < 0.1, rng.choice([low, high], values.shape), values)
    return values.tolist()


def random_arrivals(rng: np.random.Generator, count: int) -> np.ndarray:
    """Cycles from which ``count`` beats are offered: bursts, single beats, several at once, and long gaps."""
    gaps = rng.choice([0, 1, 2, 3, 9], count, p=rng.dirichlet([1, 3, 1, 1, 0.2]))
    return np.cumsum(gaps)


def check_times(node: Node, inputs: Sequence[Beats], outputs: Sequence[Beats], arrivals: Sequence[np.ndarray]) -> None:
    """Beats hold what they should and move exactly when the node says, while every sink is ready."""
    times = node.times(arrivals)
    for side, beats, predicted in (("i", inputs, times.taken), ("o", outputs, times.given)):
        assert [len(beat) for beat in beats] == [len(cycles) for cycles in predicted], side
        assert all(cycles.dtype == np.int64 for cycles in predicted), side
    taken, given = run(
        node,
        inputs,
        outputs,
        offer=lambda port, beat, cycle: cycle >= arrivals[port][beat],
        ready=lambda port, beat, cycle: True,
    )
    for side, measured, predicted in (("i", taken, times.taken), ("o", given, times.given)):
        for port, (cycles, expected) in enumerate(zip(measured, predicted, strict=True)):
            assert cycles == expected.tolist(), f"{side}_{port}"


def check_pauses(node: Node, rng: np.random.Generator, inputs: Sequence[Beats], outputs: Sequence[Beats]) -> None:
    """Beats hold what they should, whatever pauses there are at any port, and whether sinks wait for offers or not."""
    offer, ready = rng.choice([0.15, 0.5, 0.9, 1], len(inputs)), rng.choice([0.15, 0.5, 0.9, 1], len(outputs))
    run(
        node,
        inputs,
        outputs,
        offer=lambda port, beat, cycle: rng.random() < offer[port],
        ready=lambda port, beat, cycle: rng.random() < ready[port],
        sinks_wait=bool(rng.integers(2)),
    )


def check_reset(node: Node, rng: np.random.Generator, inputs: Sequence[Beats], outputs: Sequence[Beats]) -> None:
    """After a reset amid other beats, beats hold what they should."""
    frames = sum(map(len, inputs)) // sum(node.frame_inputs)
    for cycles in (1, rng.integers(2, 2 + 2 * sum(map(len, inputs)) // frames)):
        run(
            node,
            inputs,
            outputs,
            offer=lambda port, beat, cycle: True,
            ready=lambda port, beat, cycle: rng.random() < 0.9,
            before_reset=[random_beats(rng, beat, int(cycles)) for beat in node.inputs],
        )


def run(
    node: Node,
    inputs: Sequence[Beats],
    outputs: Sequence[Beats],
    *,
    offer: Callable[[int, int, int], bool],
    ready: Callable[[int, int, int], bool],
    sinks_wait: bool = False,
    before_reset: Sequence[Beats] = (),
) -> tuple[list[list[int]], list[list[int]]]:
    """Send ``inputs``, expect ``outputs`` and nothing more, and check the rules of streams.

    Args:
        offer, ready: whether a port's beat is offered, or would be taken, in a cycle (by port, beat, cycle). An offer
            stays until it is taken.
        sinks_wait: whether sinks are ready only while there is an offer.
        before_reset: for each input, a beat for each cycle ahead of a reset, after which all begins.

    Returns:
        For each input, when each beat was transferred; for each output, when each beat was offered first.
    """
    dut, reset = node.component(), Signal()
    sources = [getattr(dut, f"i_{port}") for port in range(len(inputs))]
    sinks = [getattr(dut, f"o_{port}") for port in range(len(outputs))]
    taken: list[list[int]] = [[] for _ in inputs]
    given: list[list[int]] = [[] for _ in outputs]
    offered = [False] * len(inputs)
    received = [0] * len(outputs)

    def send(ctx: Any, port: int, cycle: int) -> None:
        source, beats, sent = sources[port], inputs[port], len(taken[port])
        accepts = ctx.get(source.ready)
        offered[port] = sent < len(beats) and (offered[port] or bool(offer(port, sent, cycle)))
        ctx.set(source.valid, offered[port])
        # What is not offered must not matter.
        put(ctx, source.payload, beats[sent] if offered[port] else beats[cycle % len(beats)])
        assert ctx.get(source.ready) == accepts, f"i_{port}: ready follows valid"

    def receive(ctx: Any, port: int, cycle: int) -> None:
        sink, beats, count = sinks[port], outputs[port], received[port]
        offers = bool(ctx.get(sink.valid))
        ctx.set(sink.ready, bool(ready(port, count, cycle)) and (offers or not sinks_wait))
        where = f"o_{port}, beat {count}, cycle {cycle}"
        assert ctx.get(sink.valid) == offers, f"{where}: valid follows ready"
        if not offers:
            assert len(given[port]) == count, f"{where}: valid fell"
            return
        assert count < len(beats), f"{where}: a beat too many"
        # This holds in every cycle of an offer, so a beat that waits does not change.
        assert look(ctx, sink.payload) == beats[count], where
        if len(given[port]) == count:
            given[port].append(cycle)
        received[port] += ctx.get(sink.ready)

    async def bench(ctx: Any) -> None:
        for cycle in range(len(before_reset[0]) if before_reset else 0):
            for source, beats in zip(sources, before_reset, strict=True):
                ctx.set(source.valid, 1)
                put(ctx, source.payload, beats[cycle])
            for port, sink in enumerate(sinks):
                ctx.set(sink.ready, bool(ready(port, 0, cycle)))
            ctx.set(reset, cycle == len(before_reset[0]) - 1)
            await ctx.tick()
        ctx.set(reset, 0)
        cycle, end = 0, None
        while end is None or cycle < end:
            for port in range(len(inputs)):
                send(ctx, port, cycle)
            for port in range(len(outputs)):
                receive(ctx, port, cycle)
            for port, source in enumerate(sources):
                if offered[port] and ctx.get(source.ready):
                    taken[port].append(cycle)
                    offered[port] = False
            if end is None and received == list(map(len, outputs)) and list(map(len, taken)) == list(map(len, inputs)):
                end = cycle + AFTER
            await ctx.tick()
            cycle += 1

    simulate(ResetInserter(reset)(dut), bench)
    return taken, given
