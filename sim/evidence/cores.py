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
from sim.cases.stimulus import extreme_images, random_images

#: Prefix of a network's name, which is one of `sim.cases.graphs.GRAPHS`.
NETWORK = "network/"
#: Networks without a unit that together have all other nodes, and all that stands on edges.
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


def pauses_of(core: NetworkCore) -> tuple[tuple[float, float], ...]:
    """Shares of pauses of source and sink, for each run of a network. The last ones starve it, and stall it.

    A sink that is slower than the network makes everything in it wait that can, however seldom it gives a beat.
    """
    cycles = SLOWER * core.manifest["timing"]["predicted_frame_cycles"]
    idle, stall = (1 - core.manifest["streams"][port]["beats_per_frame"] / cycles for port in ("s_axis", "m_axis"))
    return (0.0, 0.0), (PAUSE, PAUSE), (min(idle, MAX_PROBABILITY), 0.0), (0.0, min(stall, MAX_PROBABILITY))


def network_fault(
    core: NetworkCore,
    count: int,
    *,
    seed: int,
    simulator: str,
    plusargs: Mapping[str, int] | None = None,
    coverage: Path | None = None,
) -> str | None:
    """Run random and extreme frames through a network: at full rate, behind a reset amid frames, and with pauses.

    Args:
        core: the network.
        count: random frames of each run.
        seed: seed of frames, pauses and resets.
        simulator: name of the simulator.
        plusargs: plusargs for the network's side.
        coverage: file to write that says what all runs exercised.

    Returns:
        The first run that fails, and why; None if all are right.
    """
    image, timing = core.config.network.image, core.manifest["timing"]
    rng = np.random.default_rng(seed)
    frames = rng.permutation(np.concatenate([random_images(rng, image, count), extreme_images(image)]))
    early = int(rng.integers(5, 5 + timing["predicted_latency"] + timing["predicted_frame_cycles"]))
    texts = []
    for idle, stall, reset_at in (*((*pauses, 0) for pauses in pauses_of(core)), (0.0, 0.0, early)):
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
        wrong = result.complaints() + ([] if idle or stall else result.timing_complaints(timing))
        if wrong:
            return f"idle {idle}, stall {stall}, reset at {reset_at}: {wrong[0]}"
        if coverage:
            texts.append(coverage.read_text())
    if coverage:
        # Counts of a point add up where it is in several files.
        coverage.write_text("\n".join(texts))
    return None
