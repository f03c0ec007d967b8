"""Frames that find faults: what flat and provoking ones reach."""

from __future__ import annotations

import numpy as np
import pytest

from golden.contract.bounds import accumulator_ranges
from golden.contract.network.result import Result
from golden.layers.random_layer import random_layer
from golden.model.integer import accumulate
from sim.cases.stimulus import extreme_frames, flat_images, provoking_frames, random_frames, random_images


@pytest.mark.parametrize(
    "fields",
    [
        {"in_bits": 2, "in_signed": True, "weight_bits": 2},
        {"in_bits": 8, "stride": 2, "kernel": 5},
        {"product": "dynamic", "heads": 2, "in_signed": True, "attn_shift": 2},
    ],
    ids=["2 bit", "stride 2", "dynamic"],
)
def test_accumulators_go_further_than_at_random(fields: dict[str, object]) -> None:
    """Of each output channel, to either side, at the position in the middle; no bound is passed."""
    rng = np.random.default_rng(3)
    layer = random_layer(rng, in_channels=2, out_channels=3, height=5, width=6, **fields)
    config = layer.config
    frames = provoking_frames(rng, layer)
    limits = config.in_range
    assert frames.shape == (6, 2, 5, 6)
    assert limits.low <= frames.min() and frames.max() <= limits.high
    row, column = config.out_height // 2, config.out_width // 2
    others = np.concatenate([random_frames(rng, config, 1000), extreme_frames(config)])
    usual, provoked = (accumulate(layer, some)[:, :, row, column] for some in (others, frames))
    low, high = accumulator_ranges(layer)
    for channel in range(3):
        lowest, highest = provoked[2 * channel, channel], provoked[2 * channel + 1, channel]
        assert low[channel] <= lowest < usual[:, channel].min()
        assert usual[:, channel].max() < highest <= high[channel]
    # No element alone brings it further.
    for number, frame in enumerate(frames):
        channel, sign = number // 2, (-1, 1)[number % 2]
        best = sign * provoked[number, channel]
        for place in np.ndindex(frame.shape):
            changed = np.stack([frame] * 3)
            changed[(slice(None), *place)] = limits.low, 0, limits.high
            assert (sign * accumulate(layer, changed)[:, channel, row, column] <= best).all()


@pytest.mark.parametrize("signed", [False, True])
def test_flat_images_have_all_sums(signed: bool) -> None:
    """Of six elements, whose sums at random are nearly all in the middle."""
    image = Result(channels=6, height=2, width=3, bits=5, signed=signed)
    rng = np.random.default_rng(1)
    frames, usual = (make(rng, image, 500) for make in (flat_images, random_images))
    limits = image.limits
    assert frames.shape == (500, 6, 2, 3)
    assert frames.min() == limits.low and frames.max() == limits.high
    sums, usual_sums = (set(some.sum(axis=(2, 3)).ravel()) for some in (frames, usual))
    assert sums == set(range(6 * limits.low, 6 * limits.high + 1)) > usual_sums
    # Some frames are flat to the last element, others go far.
    spread = np.ptp(frames, axis=(2, 3)).max(axis=1)
    assert spread.min() == 0 and spread.max() > (limits.high - limits.low) // 2
