"""Foldings of networks by the cycles of their steps, beside all foldings that there are."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from golden.contract.folding import Folding
from golden.contract.network.layer import LayerStep
from golden.contract.network.network import IntegerNetwork
from golden.contract.network.step import Step
from golden.layers import load_model, load_network
from golden.layers.random_layer import random_layer
from golden.layers.residual import random_resnet
from golden.support.cli import UserError
from hw.estimate.choose_network_folding import cheapest_within, step_foldings
from hw.estimate.nodes import node_area
from hw.network.config import NetworkConfig
from hw.network.folding import divisors, sides_of, up_to_lanes
from hw.network.ideal import ideal_cycles
from hw.network.lower import lower
from hw.network.plan import NetworkPlan
from hw.network.taps import find_taps
from hw.plan.config import UnitConfig
from hw.plan.dsp_count import dsp_counts, fewest_dsps
from hw.plan.shapes import Shapes
from hw.targets.area import Area
from hw.targets.families import TARGETS
from tests.support.tiers import thorough, thorough_from

#: Cycles of a frame of a large network.
CYCLES = 8_192


def residual() -> IntegerNetwork:
    return random_resnet(5, side=6, widths=(4, 8), blocks=(1, 1), classes=6)


def digits() -> IntegerNetwork:
    network = load_model("digits")
    assert isinstance(network, IntegerNetwork)
    return network


def asked(network: IntegerNetwork, target: str) -> NetworkConfig:
    return NetworkConfig(network=network, foldings=up_to_lanes(network, 1), target=TARGETS[target])


def every(config: NetworkConfig, step: Step) -> Iterator[tuple[Folding, int, Area]]:
    """Each folding of a step, with its cycles and its area in the whole network."""
    sides = sides_of(config.network, step)
    for simd in divisors(sides.taken):
        for pe in [simd] if sides.alike else divisors(sides.given):
            folding = Folding(simd=simd, pe=pe)
            plan = NetworkPlan(replace(config, foldings={**config.foldings, step.name: folding}))
            own = [placed.node for placed in plan.graph.nodes if placed.step == step.name]
            area = sum((node_area(node, config.target) for node in own), Area())
            yield folding, plan.step_cycles[step.name], area


@pytest.mark.parametrize("target", thorough_from(["ecp5", "xcup", "generic"], 0, 1))
def test_against_all_foldings(target: str) -> None:
    """Fewest DSPs, then fewest LUTs, then fewest lanes, of all that are fast enough."""
    config = asked(residual(), target)
    candidates = {step.name: list(every(config, step)) for step in config.network.steps}
    slowest = max(min(cycles for _, cycles, _ in found) for found in candidates.values())
    for most in (slowest, 2 * slowest + 1, 7 * slowest):
        chosen = cheapest_within(config, most)
        for step, found in candidates.items():
            enough = [each for each in found if each[1] <= most]
            best = min(enough, key=lambda e: (e[2].dsp, e[2].lut, e[0].simd * e[0].pe, e[0].simd))
            assert chosen[step] == best[0], (step, most)
    with pytest.raises(UserError, match="takes at least"):
        cheapest_within(config, slowest - 1)


def test_taps_count_as_they_will_be_built() -> None:
    """A projection that takes its pixels from a window stores less, and the unit of that window has a queue more."""
    config = asked(load_network("resnet8"), "xcup")
    config = replace(config, foldings=cheapest_within(config, CYCLES))
    taps = find_taps(config)
    assert [name for name, _ in taps] == ["stage1_block1_add", "stage2_block1_shortcut", "stage3_block1_shortcut"]
    beside = {name for name, _ in taps} | {layer.name for layer in taps.values()}
    for step in config.network.steps:
        if step.name in beside and isinstance(step, LayerStep):
            best = min(map(cost, with_taps(config, step)))
            assert cost((config.foldings[step.name], built(config, step))) == best, step.name


def with_taps(config: NetworkConfig, step: Step) -> Iterator[tuple[Folding, Area]]:
    """Each folding of a step that is fast enough, with its area beside the taps that there are then."""
    for folding in step_foldings(sides_of(config.network, step)):
        if ideal_cycles(config.network, step, folding) <= CYCLES:
            yield folding, built(replace(config, foldings={**config.foldings, step.name: folding}), step)


def built(config: NetworkConfig, step: Step) -> Area:
    nodes = lower(config, find_taps(config)).nodes
    return sum((node_area(placed.node, config.target) for placed in nodes if placed.step == step.name), Area())


def cost(found: tuple[Folding, Area]) -> tuple[int, ...]:
    folding, area = found
    return area.dsp, area.lut, folding.simd * folding.pe, folding.simd


def test_refused_by_the_step_that_cannot() -> None:
    """The pool takes each of its beats. No number of lanes makes an 8x8 frame fewer than 64 beats."""
    with pytest.raises(UserError, match=r"step 'stem' takes at least 64 cycles a frame, asked for are 63"):
        cheapest_within(asked(digits(), "ecp5"), 63)
    foldings = cheapest_within(asked(digits(), "ecp5"), 64)
    assert foldings["pool"].simd == 16


def test_all_steps_are_within() -> None:
    config = asked(digits(), "xcup")
    for most in (64, 100, 1000):
        plan = NetworkPlan(replace(config, foldings=cheapest_within(config, most)))
        assert max(plan.step_cycles.values()) <= most
        assert plan.schedule.interval <= most


@pytest.mark.parametrize("target", TARGETS)
def test_the_bound_is_one(target: str) -> None:
    """No unit has fewer multipliers than the bound says, whatever shares them."""
    rng = np.random.default_rng(4)
    for fields in (
        {},
        {"attn_offsets": ()},
        {"in_bits": 4, "weight_bits": 3},
        {"weight_bits": 2, "in_signed": False},
        {"groups": 4, "out_channels": 4},
        {"product": "dynamic", "heads": 2},
        {"padding": "valid", "attn_offsets": ()},
        {"height": 1, "width": 1, "attn_offsets": ()},
    ):
        defaults = {"in_channels": 4, "out_channels": 4, "height": 5, "width": 5, "in_signed": True}
        layer = random_layer(rng, **(defaults | fields))
        for simd in (1, 2, 4):
            for pe in [simd] if layer.config.depthwise else (1, 2, 4):
                config = UnitConfig(layer=layer, folding=Folding(simd=simd, pe=pe), target=TARGETS[target])
                assert fewest_dsps(config) <= sum(dsp_counts(Shapes(config)).values()), (fields, simd, pe)


@thorough
def test_a_large_network_in_seconds() -> None:
    network = random_resnet(1, side=32, widths=(16, 32, 64), blocks=(3, 3, 3), classes=10)
    config, began = asked(network, "ecp5"), time.process_time()
    foldings = cheapest_within(config, 32_768)
    assert time.process_time() - began < 30
    cycles = NetworkPlan(replace(config, foldings=foldings)).step_cycles
    assert max(cycles.values()) <= 32_768
