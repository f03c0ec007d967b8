"""Streams in Amaranth's simulator: sources that offer beats at given cycles, sinks that pause, and when all moved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from amaranth.hdl import Elaboratable, ResetInserter, Signal

from tests.support.components import look, put, simulate

#: Cycles that are looked at when all beats have left. Nothing may come then.
IDLE = 6
#: Cycles without a transfer after which a run counts as hanging.
PATIENCE = 1000

#: Whether a sink is ready in a cycle.
Ready = Callable[[int], bool]
#: Beats of a stream: each a list of elements.
Beats = Sequence[Sequence[int]]


def always(_cycle: int) -> bool:
    """A sink that never pauses."""
    return True


def sometimes(rng: np.random.Generator, share: float) -> Ready:
    """A sink that is ready in a ``share`` of all cycles, in bursts and alone."""
    slow = (rng.random(2000) < share).tolist()
    bursts = np.repeat(rng.random(200) < share, 10).tolist()
    return lambda cycle: bool((bursts if cycle // 500 % 2 else slow)[cycle % 2000])


def random_arrivals(rng: np.random.Generator, beats: int, share: float) -> np.ndarray:
    """Cycles from which beats are offered: on average every ``1 / share``, some together, some after long pauses."""
    gaps = rng.geometric(share, beats) - 1
    gaps[rng.random(beats) < 0.03] += 25
    return np.cumsum(gaps).astype(np.int64)


def random_beats(rng: np.random.Generator, count: int, lanes: int, bits: int, signed: bool) -> list[list[int]]:
    """Beats of random elements, many of them at the limits of their format."""
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    elements = rng.integers(low, high, (count, lanes), endpoint=True)
    limits = rng.random((count, lanes))
    elements[limits < 0.15], elements[limits > 0.85] = low, high
    return elements.tolist()


@dataclass(frozen=True, kw_only=True)
class Run:
    """What happened, by the name of the stream.

    Attributes:
        taken: the cycle in which each input beat was transferred.
        given: the first cycle in which each output beat was offered.
        left: the cycle in which each output beat was transferred.
        beats: the output beats.
    """

    taken: dict[str, list[int]] = field(default_factory=dict)
    given: dict[str, list[int]] = field(default_factory=dict)
    left: dict[str, list[int]] = field(default_factory=dict)
    beats: dict[str, list[list[int]]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Play:
    """Beats that are offered, and sinks that take what comes.

    Attributes:
        sources: by the name of the input, its beats, and from which cycle on each is offered.
        sinks: by the name of the output, when it is ready.
        counts: by the name of the output, how many beats are to come. None more may come.
        cycles: the cycle in which the play is broken off; None where it goes on until all has come.
    """

    sources: Mapping[str, tuple[Beats, np.ndarray]]
    sinks: Mapping[str, Ready]
    counts: Mapping[str, int]
    cycles: int | None = None


def play(component: Any, *plays: Play) -> list[Run]:
    """Run plays one after the other, with a reset of one cycle between them. Checks the rules of streams."""
    reset, runs = Signal(), []

    async def bench(ctx: Any) -> None:
        for number, one in enumerate(plays):
            if number:
                ctx.set(reset, 1)
                await ctx.tick()
                ctx.set(reset, 0)
            runs.append(await _play(ctx, component, one))

    design: Elaboratable = ResetInserter(reset)(component)
    simulate(design, bench, patience=200_000)
    return runs


async def _play(ctx: Any, component: Any, one: Play) -> Run:
    run = Run(
        taken={name: [] for name in one.sources},
        given={name: [] for name in one.sinks},
        left={name: [] for name in one.sinks},
        beats={name: [] for name in one.sinks},
    )
    waiting: dict[str, Any] = dict.fromkeys(one.sinks)
    cycle, still = 0, 0
    while cycle != one.cycles:
        for name, (beats, arrivals) in one.sources.items():
            port, number = getattr(component, name), len(run.taken[name])
            offers = number < len(beats) and cycle >= int(arrivals[number])
            ctx.set(port.valid, offers)
            if offers:
                put(ctx, port.payload, beats[number])
        for name, ready in one.sinks.items():
            ctx.set(getattr(component, name).ready, ready(cycle))
        moved = False
        for name in one.sources:
            port = getattr(component, name)
            if ctx.get(port.valid) and ctx.get(port.ready):
                run.taken[name].append(cycle)
                moved = True
        for name in one.sinks:
            port, where = getattr(component, name), f"{name}, cycle {cycle}"
            shown = look(ctx, port.payload) if ctx.get(port.valid) else None
            assert waiting[name] is None or shown == waiting[name], f"{where}: a beat that waits has changed"
            if shown is not None and waiting[name] is None:
                run.given[name].append(cycle)
            waiting[name] = shown
            if shown is not None and ctx.get(port.ready):
                run.left[name].append(cycle)
                run.beats[name].append(shown)
                waiting[name], moved = None, True
        await ctx.tick()
        cycle += 1
        still = 0 if moved else still + 1
        complete = all(len(run.taken[name]) == len(beats) for name, (beats, _) in one.sources.items()) and all(
            len(run.left[name]) >= count for name, count in one.counts.items()
        )
        if complete and still > IDLE:
            assert {name: len(beats) for name, beats in run.beats.items()} == dict(one.counts)
            break
        assert still < PATIENCE, f"hangs in cycle {cycle}: {_state(run)}"
    for name in one.sources:
        ctx.set(getattr(component, name).valid, 0)
    return run


def _state(run: Run) -> dict[str, int]:
    return {name: len(cycles) for name, cycles in (run.taken | run.left).items()}
