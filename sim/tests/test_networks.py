"""Networks by name in a real simulator: bits, stream rules and predicted cycles under any pauses and resets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hw.export.network_verilog import NetworkCore, generate_network
from hw.network.plan import NetworkPlan
from sim.bulk.simulate import simulate
from sim.cases.graphs import GRAPHS, graph_case
from sim.cases.stimulus import extreme_images, random_images
from sim.tests.support import installed

#: Those that ``make test`` runs in brief.
QUICK = ("taken_twice_by_one_step", "identity_pool_last")
#: Those that run on Verilator. They take Icarus longest.
ON_VERILATOR = ("xcup_packed", "projections_from_windows", "identities_from_windows")
#: Those that only ``make nightly`` runs. They take no branch of `hw` that no other takes, and have the nodes of others
#: in other orders and sizes. `sim.tests.test_symptoms` has deep skips, several consumers and slow steps, too.
NIGHTLY = frozenset(
    {
        *("nested_skips", "branches_of_different_producers", "joins_of_several_levels", "taken_twice_by_one_step"),
        *("strided_with_projections", "slow_step_in_the_middle", "identity_pool_last", "valid_layers"),
        *("five_by_five_strided", "generic_packed", "ecp5_packed", "xc7_packed"),
        *("taken_many_times", "row_of_pixels", "depthwise_separable", "slow_step_first", "slow_step_at_the_end"),
        *("padded_pools", "pools_that_drop", "upsampled_by_3_and_4", "raw_output", "identity_pool_alone"),
        *("gaps_in_the_first_group", "pools", "joins", "scores"),
        *("ecp5_unpacked", "xc7_unpacked", "xcup_unpacked"),
    }
)
#: Pauses of source and sink.
PAUSES = ((0.6, 0.0), (0.0, 0.6), (0.3, 0.3))


def frames_for(core: NetworkCore, seed: int) -> np.ndarray:
    """Random and extreme frames in turn, so that whatever is kept of a frame shows in the next."""
    image = core.config.network.image
    extremes = extreme_images(image)
    noise = random_images(np.random.default_rng(seed), image, len(extremes))
    return np.stack([noise, extremes], axis=1).reshape(-1, *image.shape)


def verify(name: str, seed: int, *, brief: bool = False) -> None:
    """At full rate, behind a reset in mid-frame too, cycles are as predicted. Under pauses, bits are right.

    In ``brief``, only a reset comes before the run at full rate, and both sides pause in one run. Of the recorded
    mutants of networks, two runs like these keep all kills but those by a source or a sink that is much slower.
    """
    simulator = installed("verilator" if name in ON_VERILATOR else "icarus").name
    core = generate_network(NetworkPlan(graph_case(name)), jobs=1)
    timing, frames = core.manifest["timing"], frames_for(core, seed)
    # More intervals than the steady state takes to come, and the last of them has no frame behind it.
    assert len(frames) > len(timing["predicted_first_intervals"]) + 2
    rng = np.random.default_rng(seed)
    busy = timing["predicted_latency"] + 2 * timing["predicted_frame_cycles"]
    for reset_at in (0, int(rng.integers(5, 5 + busy)))[brief:]:
        result = simulate(core, frames, simulator=simulator, seed=seed, reset_at=reset_at)
        wrong = result.complaints() + result.timing_complaints(timing)
        assert not wrong, f"{name}, seed {seed}, reset at {reset_at}: {'; '.join(wrong)}"
    for idle, stall in PAUSES[-1:] if brief else PAUSES:
        result = simulate(core, frames[:4], simulator=simulator, idle=idle, stall=stall, seed=seed)
        assert result.passed, f"{name}, seed {seed}, idle {idle}, stall {stall}: {'; '.join(result.complaints())}"


@pytest.mark.parametrize(
    "name",
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.thorough)
        for name in GRAPHS
        if name in QUICK or name not in NIGHTLY
    ],
)
def test_network_in_brief(name: str, seed: int) -> None:
    verify(name, seed, brief=True)


@pytest.mark.nightly
@pytest.mark.parametrize("name", GRAPHS)
def test_network(name: str, seed: int) -> None:
    verify(name, seed)


@pytest.mark.thorough
def test_a_reset_behind_the_end_is_told() -> None:
    """A run that is over before its reset has not shown what a reset does."""
    core = generate_network(NetworkPlan(graph_case("identity_pool_last")), jobs=1)
    with pytest.raises(ValueError, match=r"^reset_at 90000 is behind the end of the run$"):
        simulate(core, frames_for(core, 0), simulator=installed("icarus").name, reset_at=90_000)


@pytest.mark.thorough
def test_a_pacer_that_is_late_is_found(seed: int) -> None:
    """It lets every second beat pass a cycle late, which no output shows."""
    core = generate_network(NetworkPlan(graph_case("pools")), jobs=1)
    assert (core.plan.graph.image_beats, core.plan.schedule.interval) == (48, 216)
    # A token is there when the sum passes 0, not when it comes to 0.
    late = core.verilog.replace("$signed(lead) >= $signed(1'h0)", "$signed(lead) > $signed(1'h0)")
    assert late != core.verilog
    result = simulate(replace(core, verilog=late), frames_for(core, seed), simulator=installed("icarus").name)
    count = len(result.input_cycles)
    assert result.passed and result.timing_complaints(core.manifest["timing"]) == [
        f"{count // 2 - 1} input beats are not taken when predicted, first beat 2 in cycle 10, predicted 9"
    ]
