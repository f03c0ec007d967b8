"""The cases that are simulated reach every corner of the contract."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pytest

from golden.model import integer
from hw.plan.config import UnitConfig
from hw.targets.families import TARGETS
from sim.cases.frozen import CASES, SMALL_CASES, named_case, random_case
from sim.cases.stimulus import extreme_frames, random_frames

SEED = 11


@pytest.fixture(scope="module")
def named() -> list[UnitConfig]:
    return [named_case(name) for name in (*CASES, *SMALL_CASES)]


@pytest.fixture(scope="module")
def random() -> list[UnitConfig]:
    return [random_case(np.random.default_rng([SEED, index])) for index in range(400)]


#: Each family with and without shared multipliers.
PACKINGS = {(name, pack) for name in TARGETS if name != "generic" for pack in (False, True)} | {("generic", True)}
#: What a set of cases must contain: name and, per case, the value.
FEATURES = {
    "kernel": (lambda case: case.layer.config.kernel, {1, 3, 5, 7}),
    "stride": (lambda case: case.layer.config.stride, {1, 2}),
    "padding": (lambda case: case.layer.config.padding, {"same", "valid"}),
    "depthwise": (lambda case: case.layer.config.depthwise, {False, True}),
    "in_bits": (lambda case: case.layer.config.in_bits, {2, 8}),
    "in_signed": (lambda case: case.layer.config.in_signed, {False, True}),
    "weight_bits": (lambda case: case.layer.config.weight_bits, {2, 8}),
    "out_bits": (lambda case: case.layer.config.out_bits, {2, 16}),
    "out_signed": (lambda case: case.layer.config.out_signed, {False, True}),
    "relu": (lambda case: case.layer.config.relu, {False, True}),
    "attn_shift": (lambda case: case.layer.config.attn_shift, {0, 15}),
    "out_shift": (lambda case: case.layer.config.out_shift, {0, 47}),
    "no offsets": (lambda case: not case.layer.config.attn_offsets, {False, True}),
    "offset [0, 0]": (lambda case: (0, 0) in case.layer.config.attn_offsets, {False, True}),
    "offset distance": (
        lambda case: max((abs(d) for offset in case.layer.config.attn_offsets for d in offset), default=0),
        {1, 2, 3},
    ),
    "height 1": (lambda case: case.layer.config.height == 1, {False, True}),
    "width 1": (lambda case: case.layer.config.width == 1, {False, True}),
    "frame within the kernel": (
        lambda case: max(case.layer.config.height, case.layer.config.width) < case.layer.config.kernel,
        {False, True},
    ),
    "simd 1": (lambda case: case.folding.simd == 1, {False, True}),
    "simd all": (lambda case: case.folding.simd == case.layer.config.in_channels, {False, True}),
    "pe 1": (lambda case: case.folding.pe == 1, {False, True}),
    "pe all": (lambda case: case.folding.pe == case.layer.config.out_channels, {False, True}),
    "target and pack": (lambda case: (case.target.name, case.pack), PACKINGS),
    "TDATA with padding": (lambda case: case.folding.pe * case.layer.config.out_bits % 8 != 0, {False, True}),
}


@pytest.mark.parametrize("cases", ["named", "random"])
@pytest.mark.parametrize("feature", FEATURES)
def test_every_feature_occurs(feature: str, cases: str, request: pytest.FixtureRequest) -> None:
    value, wanted = FEATURES[feature]
    found = {value(case) for case in request.getfixturevalue(cases)}
    assert wanted <= found, f"seed {SEED}: {wanted - found} missing"


def test_a_seed_is_a_case() -> None:
    cases = [random_case(np.random.default_rng([SEED, index])) for index in (3, 3, 4)]
    texts = [
        (
            case.layer.config.to_json(),
            case.folding,
            case.target,
            case.pack,
            *(getattr(case.layer, f.name).tobytes() for f in arrays(case)),
        )
        for case in cases
    ]
    assert texts[0] == texts[1] != texts[2]


def arrays(case: UnitConfig) -> Sequence[dataclasses.Field]:
    return [f for f in dataclasses.fields(case.layer) if f.name != "config"]


@pytest.mark.parametrize("cases", ["named", "random"])
def test_outputs_tell_errors(cases: str, request: pytest.FixtureRequest) -> None:
    """Most outputs are neither saturated nor all the same."""
    telling = 0
    population = request.getfixturevalue(cases)
    for case in population:
        config = case.layer.config
        y = integer.run(case.layer, random_frames(np.random.default_rng(SEED), config, 2))
        saturated = np.isin(y, (config.out_range.low, config.out_range.high)).mean()
        telling += saturated < 0.6 and len(np.unique(y)) > 2
    assert telling > 0.7 * len(population)


def test_extreme_frames_reach_both_limits() -> None:
    config = named_case("signed_input").layer.config
    frames = extreme_frames(config)
    layer = named_case("signed_input").layer
    assert (layer.check_input(frames) == frames).all()
    assert [(int(f.min()), int(f.max())) for f in frames] == [
        (127, 127),
        (0, 0),
        (-128, -128),
        (-128, 127),
        (-128, 127),
    ]
    assert (frames[3] + frames[4] == -1).all()
