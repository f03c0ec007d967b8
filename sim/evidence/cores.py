"""Cores: the gateware whose coverage and mutants are looked at, by name, and runs of networks among it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hw.export.network_verilog import NetworkCore, generate_network
from hw.export.verilog import Core, generate
from hw.network.plan import NetworkPlan
from sim.bulk.simulate import MAX_PROBABILITY, simulate
from sim.cases.graphs import graph_case
from sim.cases.reloadable import any_case
from sim.cases.stimulus import extreme_images, flat_images, random_images

#: Prefix of a network's name, which is one of `sim.cases.graphs.GRAPHS`.
NETWORK = "network/"
#: Networks without a unit that together have all other nodes, and all that stands on edges but relays.
NETWORKS = (NETWORK + "pools", NETWORK + "joins", NETWORK + "scores")
#: Share of pauses of source and sink of a network, where they do not decide what it is that waits.
PAUSE = 0.3
#: How many times slower than a network its source is where it starves it, and its sink where it stalls it.
SLOWER = 4


def core_of(name: str) -> Core | NetworkCore:
    """The network called ``name`` where the name begins with `NETWORK`, else the unit of `any_case`."""
    if name.startswith(NETWORK):
        return generate_network(NetworkPlan(graph_case(name.removeprefix(NETWORK))), inline=True, jobs=1)
    return generate(any_case(name))


def network_runs(core: NetworkCore, rng: np.random.Generator) -> dict[str, tuple[float, float, int]]:
    """The runs of a network by name, each with the shares of pauses of source and sink, and the cycle of a reset or 0.

    A sink that is slower than the network makes everything in it wait that can, however seldom it gives a beat.
    """
    timing, streams = core.manifest["timing"], core.manifest["streams"]
    cycles = SLOWER * timing["predicted_frame_cycles"]
    idle, stall = (min(1 - streams[port]["beats_per_frame"] / cycles, MAX_PROBABILITY) for port in ("s_axis", "m_axis"))
    early = int(rng.integers(5, 5 + timing["predicted_latency"] + timing["predicted_frame_cycles"]))
    return {
        "full rate": (0.0, 0.0, 0),
        "pauses": (PAUSE, PAUSE, 0),
        "starved": (idle, 0.0, 0),
        "stalled": (0.0, stall, 0),
        "reset": (0.0, 0.0, early),
    }


def network_fault(
    core: NetworkCore,
    count: int,
    *,
    seed: int,
    simulator: str,
    plusargs: Mapping[str, int] | None = None,
    coverage: Path | None = None,
) -> str | None:
    """Run random, flat and extreme frames through a network: at full rate, with pauses, behind a reset amid frames.

    Args:
        core: the network.
        count: random and flat frames of each run, as many of one as of the other.
        seed: seed of frames, pauses and resets.
        simulator: name of the simulator.
        plusargs: plusargs for the network's side.
        coverage: file to write that says what all runs exercised.

    Returns:
        The first run that fails, and why; None if all are right.
    """
    image = core.config.network.image
    rng = np.random.default_rng(seed)
    flat = count // 2
    drawn = random_images(rng, image, count - flat), flat_images(rng, image, flat), extreme_images(image)
    frames = rng.permutation(np.concatenate(drawn))
    texts = []
    for name, (idle, stall, reset_at) in network_runs(core, rng).items():
        result = simulate(
            core,
            frames,
            simulator=simulator,
            idle=idle,
            stall=stall,
            seed=seed,
            reset_at=reset_at,
            plusargs=plusargs,
            coverage=coverage,
        )
        wrong = result.complaints()
        if not (idle or stall):
            wrong += result.timing_complaints(core.manifest["timing"])
        if wrong:
            return f"{name}: {wrong[0]}"
        if coverage:
            texts.append(coverage.read_text())
    if coverage:
        # Counts of a point add up where it is in several files.
        coverage.write_text("\n".join(texts))
    return None
