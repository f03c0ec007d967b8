"""The fast model of networks against plain Python, an element at a time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from golden.contract.network.add import Add
from golden.contract.network.avg_pool import AvgPool
from golden.contract.network.linear import Linear
from golden.contract.network.network import IMAGE, IntegerNetwork
from golden.contract.network.result import Result
from golden.layers.random_network import random_network
from golden.model.network import network as fast
from golden.model.network import plain
from golden.support.cli import UserError
from tests.support.networks import extreme_frames
from tests.support.tiers import seeds


@pytest.mark.parametrize("seed", seeds(60, costly=True))
def test_random_network(seed: int) -> None:
    network = random_network(np.random.default_rng(seed), modes=np.random.default_rng(seed), blocks=seed % 2 == 1)
    frames = extreme_frames(network, 3, seed)
    y = fast.run(network, frames)
    np.testing.assert_array_equal(y, plain.run(network, frames), err_msg=f"seed {seed}")
    assert y.dtype == np.int64 and y.shape == (3, *network.output_result.shape)


@pytest.mark.parametrize("seed", seeds(30))
def test_results_keep_their_formats(seed: int) -> None:
    network = random_network(np.random.default_rng(seed), steps=9)
    frames = extreme_frames(network, 3, seed)
    for name, values in fast.results(network, frames).items():
        result = network.results[name]
        assert values.shape[1:] == result.shape, f"seed {seed}: {name}"
        assert values.min() >= result.limits.low and values.max() <= result.limits.high, f"seed {seed}: {name}"


def test_rounding_of_each_op() -> None:
    """Quotients with a fraction of 0, 1/4, 1/2 and 3/4, of both signs, by each op that requantises."""
    x = Result(channels=1, height=1, width=1, bits=4, signed=True)
    form = {"out_bits": 8, "out_signed": True}
    frames = np.arange(-8, 8).reshape(-1, 1, 1, 1)
    for rounding, wanted in {
        "half_even": [-2, -2, -2, -1, -1, -1, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2],
        "half_up": [-2, -2, -1, -1, -1, -1, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2],
        "floor": [-2, -2, -2, -2, -1, -1, -1, -1, 0, 0, 0, 0, 1, 1, 1, 1],
    }.items():
        own: dict[str, Any] = {"name": "y", "inputs": (IMAGE,), "rounding": rounding, **form}
        one = np.ones((1, 1), np.int64)
        for step in (
            Add(**(own | {"inputs": (IMAGE, IMAGE)}), multipliers=(1, 1), shift=3, relu=False),
            AvgPool(**own, kernel=1, stride=1, multiplier=1, shift=2),
            Linear(**own, weight_bits=2, weight=one, bias=one[0] * 0, multiplier=one[0], out_shift=2, relu=False),
        ):
            network = IntegerNetwork(image=x, steps=(step,), output="y")
            assert fast.run(network, frames).ravel().tolist() == wanted, (rounding, step.op)
            assert plain.run(network, frames).ravel().tolist() == wanted, (rounding, step.op)


def test_batches_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    network = random_network(np.random.default_rng(5))
    frames = extreme_frames(network, 7, 5)
    whole = fast.run(network, frames)
    monkeypatch.setattr(fast, "BATCH_ELEMENTS", 1)
    done: list[int] = []
    np.testing.assert_array_equal(fast.run(network, frames, done.append), whole)
    assert done == [1] * 7
    np.testing.assert_array_equal(fast.results(network, frames)[network.output], whole)


def test_frames_that_are_not_the_image() -> None:
    network = random_network(np.random.default_rng(6))
    with pytest.raises(UserError, match="input has shape"):
        fast.run(network, np.zeros((1, 99, 1, 1), int))
    with pytest.raises(UserError, match="input has a value 300"):
        fast.run(network, np.full(network.results[IMAGE].shape, 300))
