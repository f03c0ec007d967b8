"""Random networks in random hardware."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from golden.contract.folding import Folding
from golden.contract.network.network import IntegerNetwork
from golden.layers.random_network import random_network
from hw.network.config import NetworkConfig, multiplying
from hw.network.folding import divisors, sides_of, up_to_lanes
from hw.network.plan import NetworkPlan
from hw.plan.dsp_count import dsp_counts
from hw.targets.families import TARGETS
from sim.cases.frozen import random_materials


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits on a random network.

    Attributes:
        steps: steps that are drawn, before open ends are joined.
        frame_cycles: cycles of a frame, ideally.
        products: multipliers, which simulators compile slowly.
        blocks: whether residual blocks are drawn, too.
    """

    steps: int = 8
    frame_cycles: int = 1_000
    products: int = 250
    blocks: bool = False


def random_network_case(rng: np.random.Generator, limits: Limits | None = None) -> NetworkConfig:
    """Any network of the contract within ``limits``, any folding that it allows, any target."""
    limits = limits or Limits()
    while True:
        steps = int(rng.integers(1, limits.steps, endpoint=True))
        network = random_network(rng, steps, modes=rng.spawn(1)[0], blocks=limits.blocks)
        target = TARGETS[str(rng.choice(list(TARGETS)))]
        config = NetworkConfig(
            network=network,
            foldings=_foldings(rng, network),
            target=target,
            pack=bool(rng.random() < 0.7),
            made_of={name: random_materials(rng, target) for name in multiplying(network) if rng.random() < 0.5},
        )
        plan = NetworkPlan(config)
        units = [placed.node for placed in plan.graph.nodes if hasattr(placed.node, "shapes")]
        products = sum(sum(dsp_counts(unit.shapes).values()) for unit in units)
        if plan.ideal_frame_cycles <= limits.frame_cycles and products <= limits.products:
            return config


def _foldings(rng: np.random.Generator, network: IntegerNetwork) -> dict[str, Folding]:
    """As ``--lanes`` chooses it, or any."""
    if rng.random() < 0.3:
        return up_to_lanes(network, int(rng.integers(1, 8, endpoint=True)))
    found = {}
    for step in network.steps:
        sides = sides_of(network, step)
        both = math.gcd(sides.taken, sides.given)
        simd = int(rng.choice(divisors(both if sides.alike else sides.taken)))
        pe = int(rng.choice(divisors(sides.given)))
        if sides.alike or (both % simd == 0 and rng.random() < 0.3):
            pe = simd
        found[step.name] = Folding(simd=simd, pe=pe)
    return found
