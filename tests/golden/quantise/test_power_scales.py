"""Scales that are powers of two: all multipliers become shifts, and no bits are given away for it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from golden.contract.bounds import stage_ranges
from golden.contract.network.add import Add
from golden.contract.network.avg_pool import AvgPool
from golden.contract.network.layer import LayerStep
from golden.contract.network.linear import Linear
from golden.contract.powers import are_powers
from golden.contract.ranges import Range
from golden.contract.scales import to_steps
from golden.experiments.experiment import run_experiment, same_integers
from golden.networks.variants import plain_unit
from golden.operators.network import Network
from golden.operators.step import Step
from golden.quantise.calibration import Method, activation_scale
from golden.quantise.fake import FakeQuantised
from golden.quantise.formats import Format
from golden.quantise.layer import choose_multipliers, quantise
from golden.quantise.network import fine_multipliers, quantise_network
from golden.quantise.precision import Precision
from golden.quantise.quantised import QuantisedNetwork
from golden.support.cli import UserError
from golden.training import Examples
from tests.golden.quantise.test_ops import all_ops
from tests.golden.quantise.test_ops import images as images_of_ops
from tests.support.quantised import images, random_network
from tests.support.tiers import thorough


def is_power(value: float | None) -> bool:
    return value is not None and value > 0 and np.frexp(value)[0] == 0.5


def check_powers(quantised: QuantisedNetwork) -> set[str]:
    """Check the scale of every result and the multipliers of every step. Returns the ops that were there."""
    network = quantised.integers
    assert is_power(network.image.scale)
    for step in network.steps:
        raw = isinstance(step, Linear) and step.raw
        assert raw or is_power(step.scale), step.name
        multipliers, shift = multipliers_of(step)
        assert are_powers(multipliers), step.name
        assert not multipliers or min(multipliers) == 1 or shift == 0, step.name
    return {step.op for step in network.steps}


def multipliers_of(step: object) -> tuple[list[int], int]:
    if isinstance(step, LayerStep):
        return step.layer.multiplier.tolist(), step.layer.config.out_shift
    if isinstance(step, Add):
        return list(step.multipliers), step.shift
    if isinstance(step, AvgPool):
        return [step.multiplier], step.shift
    if isinstance(step, Linear) and step.multiplier is not None and step.out_shift is not None:
        return step.multiplier.tolist(), step.out_shift
    return [], 0


@pytest.mark.parametrize("method", ["minmax", "mse"])
@pytest.mark.parametrize("bits", [8, 4])
def test_every_op_has_powers_of_two(bits: int, method: Method) -> None:
    made = all_ops(bits)
    precision = Precision(bits=bits, scales="po2")
    formats = quantise_network(made, images_of_ops(bits), precision, method)
    assert check_powers(formats) >= {"layer", "add", "avg_pool", "linear", "max_pool", "concat", "upsample"}
    # Training moves weights, never multipliers, and computes the same integers.
    trained = FakeQuantised(made, formats)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(parameter.abs().mean() * torch.randn_like(parameter) / 5)
    integers = trained.quantised()
    check_powers(integers)
    assert same_integers(trained, integers, Examples((255 * images_of_ops(9)).round().byte(), torch.zeros(16)))


@pytest.mark.parametrize("block", ["post", "pre"])
def test_a_residual_network_stays_close(block: str) -> None:
    network = random_network(2, block=block, kind="conv")
    x = images(9)
    with torch.no_grad():
        wanted = network(x).double().numpy()
    errors = []
    for scales in ("float", "po2"):
        quantised = quantise_network(network, images(2), Precision(bits=8, scales=scales))
        scale = quantised.integers.output_result.scale
        assert scale is not None
        found = quantised.scores(quantised.quantise_images(x.numpy())) * scale
        errors.append(float(np.sqrt(np.square(found - wanted).mean()) / wanted.std()))
        if scales == "po2":
            check_powers(quantised)
    print(errors)
    # A power of two is at most one bit coarser than what is needed.
    assert errors[1] < 2 * errors[0]


def test_a_pool_of_another_size_keeps_its_divisor() -> None:
    steps = (
        Step(name="stem", op="layer", inputs=("input",), relu=True),
        Step(name="pool", op="avg_pool", inputs=("stem",), options={"kernel": 3, "stride": 1}),
        Step(name="head", op="linear", inputs=("pool",)),
    )
    torch.manual_seed(0)
    network = Network(steps, {"stem": plain_unit(1, 2, 3), "head": nn.Linear(72, 2)}).eval().merged()
    quantised = quantise_network(network, images(0), Precision(bits=8, scales="po2"))
    pool = quantised.integers.steps[1]
    assert isinstance(pool, AvgPool) and is_power(pool.scale)
    # Nine pixels: the multiplier is as near to a power of two divided by 9 as 16 bits allow.
    scale = quantised.integers.results["stem"].scale
    assert scale is not None and pool.scale is not None
    assert not are_powers([pool.multiplier])
    assert pool.multiplier == round(2**pool.shift * scale / pool.scale / 9)
    assert pool.multiplier * 9 / 2**pool.shift * pool.scale / scale == pytest.approx(1, abs=2**-15)


@pytest.mark.parametrize("method", ["minmax", "mse"])
def test_a_layer_between_given_scales(method: Method) -> None:
    """Its multipliers are powers of two whatever the scales of its input and output."""
    torch.manual_seed(1)
    conv, frames = nn.Conv2d(3, 8, 3, padding=1), torch.rand(4, 3, 6, 6)
    layer = quantise(conv, frames, method=method, scales="po2", in_scale=0.01, out_scale=0.03)
    assert (layer.config.in_scale, layer.config.out_scale) == (0.01, 0.03)
    assert are_powers(layer.multiplier)
    free = quantise(conv, frames, method=method, scales="po2")
    assert is_power(free.config.in_scale) and is_power(free.config.out_scale) and are_powers(free.multiplier)


def test_weights_use_more_than_half_of_their_format() -> None:
    torch.manual_seed(3)
    conv = nn.Conv2d(3, 16, 3, padding=1)
    with torch.no_grad():
        conv.weight.mul_(torch.logspace(-2, 1, 16)[:, None, None, None])
    layer = quantise(conv, torch.rand(4, 3, 6, 6), scales="po2")
    peaks = np.abs(layer.conv_weight).reshape(16, -1).max(axis=1)
    assert (peaks >= 64).all() and (peaks <= 127).all() and len(set(peaks)) > 8
    assert len(set(layer.multiplier.tolist())) > 4
    # The smallest unit decides how narrow the requantised sum can be.
    assert stage_ranges(layer).scaled.high < stage_ranges(quantise(conv, torch.rand(4, 3, 6, 6))).scaled.high


@pytest.mark.parametrize(
    ("needed", "expected"),
    [
        ([0.25, 0.26, 1.0], ([1, 2, 4], 2)),  # a power of two needs no larger one
        ([3.0, 32768.0], ([4, 32768], 0)),
        ([2.0**-20, 2.0**-40], ([32768, 1], 35)),  # 16 bits end, and the finest channel gets a coarser unit
        ([2.0**-60], ([1], 47)),
    ],
)
def test_the_smallest_power_that_suffices(needed: list[float], expected: tuple[list[int], int]) -> None:
    multiplier, shift = choose_multipliers(np.array(needed), "po2")
    assert (multiplier.tolist(), shift) == expected


def test_a_unit_that_no_power_gives() -> None:
    assert choose_multipliers(np.array([32769.0]))[0].tolist() == [32769]
    with pytest.raises(UserError, match=r"channel 0 needs .* of 65536 output steps, allowed is at most 32768"):
        choose_multipliers(np.array([32769.0]), "po2")


def test_sums_in_lowest_terms() -> None:
    result = Format(bits=8, signed=True, scale=0.5)
    assert fine_multipliers(0.25, 2.0, result=result, scales="po2") == ([1, 8], 1)
    assert fine_multipliers(1.0, 2.0, result=result, scales="po2") == ([2, 4], 0)
    (first, second), shift = fine_multipliers(0.25, 2.0, result=result)
    assert (first / 2**shift, second / 2**shift) == (0.5, 4) and first > 1


@pytest.mark.parametrize("seed", range(4))
def test_the_scale_with_the_least_error(seed: int) -> None:
    values = np.random.default_rng(seed).standard_normal(2000) ** 3
    limits = Range.of_format(4, signed=True)

    def loss(scale: float) -> float:
        return float(np.square(to_steps(values, scale, limits) * scale - values).mean())

    best = activation_scale(values, limits, "mse", scales="po2")
    assert best == min(2.0 ** np.arange(-10, 10), key=loss)
    full = activation_scale(values, limits, "minmax", scales="po2")
    assert is_power(full) and best < full
    # Nothing saturates, and at half of it something would.
    assert (values / full).max() <= limits.high and (values / full).min() >= limits.low
    assert (2 * values / full).max() > limits.high or (2 * values / full).min() < limits.low


def test_results_that_are_only_added_give_no_bits_away() -> None:
    """In floats they get their full range, which as a power of two can be twice as coarse as it need be."""
    network = random_network(4, kind="conv")
    precision = Precision(bits=8)
    free, powers = (
        quantise_network(network, images(4), dataclasses.replace(precision, scales=scales)).integers
        for scales in ("float", "po2")
    )
    for name in ("stage1_block1_second", "stage2_block1_shortcut"):
        a, b = free.results[name].scale, powers.results[name].scale
        assert a is not None and b is not None and b < 2 * a


@thorough
def test_an_experiment_with_powers_of_two() -> None:
    few = {"train_images": 200, "validation_images": 100, "test_images": 60, "epochs": 1, "calibration_images": 16}
    kept: dict[tuple[str, int], QuantisedNetwork] = {}
    settings = {**few, "bits": [6], "qat_bits": [4], "scales": "po2", "check_images": 20}
    figures = run_experiment(settings, keep=lambda how, bits, network: kept.update({(how, bits): network}))
    assert figures["settings"]["scales"] == "po2" and figures["qat"]["4"]["equal"] is True
    assert set(kept) == {("ptq", 6), ("qat", 4)}
    for network in kept.values():
        check_powers(network)


def test_other_scales_are_refused() -> None:
    with pytest.raises(UserError, match=r"^scales 'powers' is not one of 'float', 'po2'$"):
        quantise(nn.Conv2d(1, 1, 3), torch.rand(1, 1, 4, 4), scales="powers")  # type: ignore[arg-type]
