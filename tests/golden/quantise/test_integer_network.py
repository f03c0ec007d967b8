"""Networks in exact integers: what stands between their layers, and what they refuse."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
import torch

from golden.contract.layer import Layer
from golden.contract.ranges import Range
from golden.layers.random_layer import random_layer
from golden.model import integer
from golden.networks.step import Step
from golden.quantise.integer_network import IntegerAdd, IntegerHead, IntegerNetwork
from golden.support.cli import UserError

STEPS = (
    Step(name="stem", kind="layer", inputs=("images",), relu=True),
    Step(name="pool", kind="max_pool", inputs=("stem",)),
    Step(name="side", kind="layer", inputs=("pool",)),
    Step(name="add", kind="add", inputs=("side", "pool"), relu=True),
    Step(name="head", kind="head", inputs=("add",)),
)


def head(outputs: int = 3, channels: int = 4) -> IntegerHead:
    rng = np.random.default_rng(5)
    return IntegerHead(
        weight=rng.integers(-127, 128, (outputs, channels)),
        bias=rng.integers(-999, 999, outputs),
        bits=8,
        weight_scale=0.1,
        scale=0.01,
    )


def parts() -> dict[str, Layer | IntegerAdd | IntegerHead]:
    rng = np.random.default_rng(6)
    stem = random_layer(rng, in_channels=2, out_channels=4, height=8, width=9, in_scale=0.5, out_bits=6)
    side = random_layer(
        rng, in_channels=4, out_channels=4, height=4, width=5, in_bits=6, out_bits=10, out_signed=True, relu=False
    )
    add = IntegerAdd(multipliers=(40_000, 65_535), shift=17, limits=Range(0, 63), scale=1.0)
    return {"stem": stem, "side": side, "add": add, "head": head()}


def test_an_addition_rounds_half_to_even_and_saturates() -> None:
    rng = np.random.default_rng(7)
    print("seed 7")
    for shift in (0, 1, 3, 20, 47):
        # Few different values make many ties.
        multipliers = (int(rng.integers(1, 4)), 65_535 if shift > 10 else 2)
        add = IntegerAdd(multipliers=multipliers, shift=shift, limits=Range(-20, 15), scale=1.0)
        a, b = rng.integers(-60, 60, (2, 5, 40)), rng.integers(-60, 60, (2, 5, 40)).astype(np.int32)
        for p, q, z in zip(a.flat, b.flat, add.run(a, b).flat, strict=True):
            exact = round(Fraction(int(p) * multipliers[0] + int(q) * multipliers[1], 2**shift))
            assert z == min(max(exact, -20), 15)


def test_a_network_is_its_parts_one_after_the_other() -> None:
    network = IntegerNetwork(STEPS, parts())
    frames = np.random.default_rng(8).integers(0, 256, (3, 2, 8, 9))
    values = network.values(frames)
    stem, side, add, last = network.parts.values()
    assert isinstance(stem, Layer) and isinstance(side, Layer)
    assert isinstance(add, IntegerAdd) and isinstance(last, IntegerHead)
    expected = integer.run(stem, frames)
    assert (values["stem"] == expected).all()
    pooled = torch.nn.functional.max_pool2d(torch.from_numpy(expected).double(), 3, 2, 1).numpy()
    assert (values["pool"] == pooled).all()
    branch = integer.run(side, pooled.astype(np.int64))
    assert (values["side"] == branch).all()
    z = add.run(branch, pooled.astype(np.int64))
    assert (values["add"] == z).all() and z.min() == 0
    scores = [
        [int(b + (w * image.sum(axis=(1, 2))).sum()) for w, b in zip(last.weight, last.bias, strict=True)]
        for image in z
    ]
    assert network.run(frames).tolist() == scores
    assert list(network.layers) == ["stem", "side"]


def test_batches_do_not_matter() -> None:
    network = IntegerNetwork(STEPS, parts())
    frames = np.random.default_rng(9).integers(0, 256, (7, 2, 8, 9))
    done: list[int] = []
    whole = network.run(frames, done.append)
    assert sum(done) == 7
    assert (whole == np.concatenate([network.run(frames[i : i + 1]) for i in range(7)])).all()


def test_negative_values_are_pooled_too() -> None:
    rng = np.random.default_rng(10)
    stem = random_layer(rng, in_channels=1, out_channels=4, height=5, width=5, out_signed=True, relu=False)
    add = IntegerAdd(multipliers=(1, 0), shift=0, limits=Range(-128, 127), scale=1.0)
    network = IntegerNetwork(
        (STEPS[0], STEPS[1], dataclasses.replace(STEPS[3], inputs=("pool", "pool")), STEPS[4]),
        {"stem": dataclasses.replace(stem, bias=np.full(4, -(2**30))), "add": add, "head": head()},
    )
    values = network.values(np.zeros((1, 1, 5, 5), np.int64))
    assert (values["pool"] == -128).all() and values["pool"].shape == (1, 4, 3, 3)


def test_images_become_steps() -> None:
    network = IntegerNetwork(STEPS, parts())
    images = np.zeros((1, 2, 8, 9), np.float32)
    images[0, 0, 0, :5] = (0.25, 0.75, 1.2, 1e6, -3)
    assert network.quantise_images(images)[0, 0, 0, :5].tolist() == [0, 2, 2, 255, 0]


def test_what_does_not_fit_is_refused() -> None:
    def refused(text: str, **changed: object) -> None:
        with pytest.raises(UserError, match=text):
            IntegerNetwork(STEPS, parts() | changed)  # type: ignore[arg-type]

    rng = np.random.default_rng(11)
    shape = {"in_channels": 4, "out_channels": 4, "height": 4, "width": 5}
    refused("layer 'side' takes", side=random_layer(rng, **shape))  # 8 bits in, where 6 come
    refused("layer 'side' takes", side=random_layer(rng, **shape | {"width": 6}, in_bits=6))
    refused("addition 'add' gets the shapes", side=random_layer(rng, **shape, in_bits=6, stride=2))
    refused("head 'head' has a proven bound of", head=dataclasses.replace(head(), bias=np.array([0, 2**53, 0])))
    with pytest.raises(UserError, match="step 'side' of kind 'layer' has no integer part"):
        IntegerNetwork(STEPS, {name: part for name, part in parts().items() if name != "side"})
    fields = {"multipliers": (1, 1), "shift": 0, "limits": Range(0, 1), "scale": 1.0}
    for name, value, text in (
        ("multipliers", (1, 65_536), "multiplier 65536 of an addition is not from 0 to 65535"),
        ("shift", 48, "shift 48 of an addition is not from 0 to 47"),
    ):
        with pytest.raises(UserError, match=text):
            IntegerAdd(**fields | {name: value})  # type: ignore[arg-type]
    with pytest.raises(UserError, match="addition 'a' has a proven bound of"):
        IntegerAdd(**fields).check("a", Range(0, 2**53), Range(0, 1))  # type: ignore[arg-type]
