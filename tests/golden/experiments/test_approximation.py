"""The study of pixel shifts in the place of self-attention: what it fits, measures and counts, and its command."""

from __future__ import annotations

import csv
import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from golden.experiments.approximation import growth
from golden.experiments.approximation.denoiser import NOISE, Denoiser, train
from golden.experiments.approximation.fit import (
    attention_inputs,
    convolution_inputs,
    fitted_outputs,
    output_rows,
    score,
)
from golden.experiments.approximation.images import digits, photograph_tiles
from golden.experiments.approximation.receptive_field import receptive_field
from golden.experiments.approximation.study import Plan, study
from golden.operators.self_attention import SelfAttention
from golden.operators.sliding import every_pixel
from golden.operators.xvolution import XVolution
from golden.support.cli import UserError
from scripts import approximation

PLAN = Plan(
    product="inner", heads=2, channels=4, shift=2, stack=2, tiles=4, side=10, digits=20, steps=4, largest=16, seed=3
)


# --- fits ---


@pytest.mark.parametrize("product", ["hadamard", "inner", "dynamic"])
@pytest.mark.parametrize(("stack", "weighting"), [(1, 1), (2, 1), (1, 3), (2, 3)])
def test_what_is_fitted_is_the_attention_branch(product: str, stack: int, weighting: int) -> None:
    """Inputs times the branch's weights are the branch's outputs; and a fit to these finds them on other frames."""
    torch.manual_seed(stack + weighting)
    heads = None if product == "hadamard" else 2
    layer = XVolution(4, 3, product=product, heads=heads, shift=2, stack=stack, weighting=weighting).double()
    frames = torch.rand(2, 12, 4, 9, 8, dtype=torch.float64) + 0.5
    form: dict[str, Any] = {"product": product, "heads": heads, "stack": stack, "weighting": weighting}
    inputs = [attention_inputs(x, layer.attn_offsets, **form) for x in frames]
    with torch.no_grad():
        targets = [output_rows(layer.attention(x, every_pixel(x))) for x in frames]
        weight = layer.attention.weight.flatten(1).numpy()
    np.testing.assert_allclose(inputs[0] @ weight.T, targets[0], rtol=1e-9, atol=1e-12)
    found = score(fitted_outputs(inputs[0], targets[0], inputs[1]), targets[1])
    assert found.error < 0.2 and found.correlation > 0.98
    shuffled = score(fitted_outputs(inputs[0], np.random.default_rng(0).permutation(targets[0]), inputs[1]), targets[1])
    assert shuffled.error > 0.9 and abs(shuffled.correlation) < 0.4


def test_a_convolution_is_found_exactly() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 2, 3, padding=1, dtype=torch.float64)
    x = torch.randn(2, 10, 3, 7, 6, dtype=torch.float64)
    inputs = [convolution_inputs(part) for part in x]
    targets = [output_rows(conv(part)) for part in x]
    weight = conv.weight.detach().flatten(1).numpy()
    np.testing.assert_allclose(inputs[0] @ weight.T + conv.bias.detach().numpy(), targets[0], rtol=1e-9)
    assert score(fitted_outputs(inputs[0], targets[0], inputs[1]), targets[1]).error < 2e-3


def test_scores() -> None:
    target = np.array([[0.0, 10.0], [2.0, 10.0], [4.0, 13.0]])
    assert dataclasses.astuple(score(target, target)) == (0.0, 1.0)
    constant = score(np.broadcast_to(target.mean(axis=0), target.shape), target)
    assert (constant.error, constant.correlation) == (1.0, 0.0)
    assert score(2 * target.mean(axis=0) - target, target).correlation == pytest.approx(-1)
    shifted = score(target + np.array([0.0, 3.0]), target)
    # Power around the means is 8 + 6; the difference has 3 * 9.
    assert (shifted.error, shifted.correlation) == (pytest.approx((27 / 14) ** 0.5), pytest.approx(1))
    with pytest.raises(UserError, match="target is the same at every pixel"):
        score(target, np.ones((3, 2)))


# --- receptive fields ---


@pytest.mark.parametrize(
    ("kernel_size", "dilation", "pixels", "reach"), [(1, 1, 1, 0), (3, 1, 9, 1), (5, 1, 25, 2), (3, 3, 9, 3)]
)
def test_receptive_field_of_a_convolution(kernel_size: int, dilation: int, pixels: int, reach: int) -> None:
    torch.manual_seed(kernel_size)
    conv = nn.Conv2d(2, 3, kernel_size, padding="same", dilation=dilation, dtype=torch.float64)
    assert dataclasses.astuple(receptive_field(conv, 2, 11)) == (pixels, reach)


def test_receptive_field_of_one_side_of_a_frame_and_of_none() -> None:
    field = receptive_field(lambda x: x.roll((0, 4), (2, 3)), 1, 11)
    assert (field.pixels, field.reach) == (1, 4)
    field = receptive_field(lambda x: 0 * x.detach() + x.new_ones(1, requires_grad=True) * 0 + 0 * x, 1, 5)
    assert (field.pixels, field.reach) == (0, 0)


# --- cost ---


def test_multiplications_of_self_attention_are_what_pytorch_counts() -> None:
    attention = SelfAttention(8, 4, heads=2)
    x = torch.randn(1, 8, 5, 6)
    with FlopCounterMode(display=False) as counter, nn.attention.sdpa_kernel(nn.attention.SDPBackend.MATH):
        attention(x, every_pixel(x))
    assert growth.multiplications(attention, 30) == counter.get_total_flops() // 2


@pytest.mark.parametrize(
    ("product", "heads", "groups", "stack", "weighting"),
    [
        ("hadamard", None, 1, 1, 1),
        ("hadamard", None, 4, 2, 3),
        ("inner", 2, 1, 3, 3),
        ("inner", 4, 4, 1, 1),
        ("dynamic", 2, 1, 1, 3),
        ("dynamic", 1, 1, 2, 1),
    ],
)
def test_multiplications_of_pixel_shifts(
    product: str, heads: int | None, groups: int, stack: int, weighting: int
) -> None:
    """Counted one by one, as the equations have them."""
    channels, out_channels, pixels = 4, 4, 30
    layer = XVolution(
        channels, out_channels, product=product, heads=heads, groups=groups, stack=stack, weighting=weighting
    )
    count = 0
    for _level, _tap, _c in itertools.product(range(stack), range(8), range(channels)):
        count += 1  # x0[c] x_t[c]
        count += product == "dynamic"  # sim_t[h(c)] x_t[c]
    features = heads if product == "inner" and heads is not None else channels
    for o, f, _tap, _k in itertools.product(range(out_channels), range(features), range(8), range(weighting**2)):
        count += groups == 1 or o == f
    assert isinstance(layer.attention, growth.PixelShiftAttention)
    assert growth.multiplications(layer.attention, pixels) == pixels * count


def test_exponent_is_the_power_of_the_size() -> None:
    sizes = [16, 81, 300]
    for power in (0.5, 1, 2):
        assert growth.exponent(sizes, [7 * size**power for size in sizes]) == pytest.approx(power)


def test_the_fastest_run_counts_and_the_first_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, costs = [0.0], iter([0.1, 5.0, 3.0, 4.0])

    def work() -> None:
        clock[0] += next(costs)

    monkeypatch.setattr("time.perf_counter", lambda: clock[0])
    assert growth.fastest(work, 3) == pytest.approx(3.0)


# --- images and network ---


def test_images_are_real_and_no_tile_is_there_twice() -> None:
    tiles = photograph_tiles(24)
    assert tiles.shape == (48, 3, 24, 24) and digits().shape == (1797, 1, 8, 8)
    for images in (tiles, digits()):
        assert images.min() >= 0 and images.max() <= 1 and images.std() > 0.2
    assert len(tiles.flatten(1).unique(dim=0)) == 48
    # The first photograph is a bright sky above a dark roof: the upper row of tiles is brighter.
    assert tiles[:6].mean() > tiles[18:24].mean() + 0.1
    assert photograph_tiles(96).shape == (2, 3, 96, 96)


def test_the_denoiser_learns_and_its_attention_too() -> None:
    torch.manual_seed(1)
    network = Denoiser(1, 4, 2)
    before = {name: p.detach().clone() for name, p in network.self_attention.named_parameters()}
    steps: list[float] = []
    train(network, digits()[:200], 60, steps.append)
    assert sum(steps) == 60 and not network.training
    assert all(not torch.equal(p, before[name]) for name, p in network.self_attention.named_parameters())
    clean = digits()[1000:1100]
    with torch.no_grad():
        left = (network(clean + NOISE * torch.randn_like(clean)) - clean).square().mean()
    assert left < 0.7 * NOISE**2


# --- the study and its command ---


def test_study() -> None:
    amounts: list[float] = []
    found = study(PLAN, amounts.append)
    assert sum(amounts) == PLAN.amount
    keys = [(fit.images, fit.layer, fit.by, fit.weighting, fit.stack, fit.shift) for fit in found.fits]
    images, layers = ("photographs", "digits"), ("trained", "random")
    expected = {(*layer, "convolution", None, None, None) for layer in itertools.product(images, layers)}
    expected |= set(itertools.product(images, layers, ("pixel shifts", "both"), (1, 3), (1, 2), (1, 2)))
    assert len(keys) == len(expected) and set(keys) == expected
    assert all(0 < fit.error < np.inf and -1 <= fit.correlation <= 1 for fit in found.fits)
    for field in found.fields[:-1]:
        assert field.shift and field.stack and field.weighting
        assert field.reach == field.shift * field.stack + field.weighting // 2
    whole = found.fields[-1]
    assert (whole.shift, whole.pixels, whole.reach) == (None, whole.frame, 6)
    for name, power in (("pixel shifts", 1), ("pixel shifts, weighting 3, stack 2", 1), ("self-attention", 1.8)):
        own = [cost for cost in found.costs if cost.attention == name]
        assert [cost.pixels for cost in own] == [16, 36, 64, 144, 256]
        grown = growth.exponent([c.pixels for c in own], [c.multiplications for c in own])
        assert grown == pytest.approx(1) if power == 1 else grown > 1.5
        assert all(cost.seconds > 0 for cost in own)
    again = study(PLAN, lambda amount: None)
    assert again.fits == found.fits, "the seed decides everything but the times"


def test_both_contain_the_convolution() -> None:
    """Enough data, so that more inputs never lose much; the layer's own form is at least as good as its parts."""
    plan = dataclasses.replace(PLAN, product="hadamard", shift=1, stack=1, digits=300, steps=30)
    fits = {(f.images, f.layer, f.by, f.weighting): f.error for f in study(plan, lambda amount: None).fits}
    for layer in ("trained", "random"):
        both = fits["digits", layer, "both", 3]
        assert both < 1.02 * fits["digits", layer, "pixel shifts", 3]
        assert both < 1.02 * fits["digits", layer, "convolution", None]


def test_heads_that_do_not_divide_the_channels() -> None:
    with pytest.raises(UserError, match="heads 2 does not divide channels 3"):
        dataclasses.replace(PLAN, channels=3)


def test_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    sizes = {"channels": 2, "shift": 2, "stack": 2, "tiles": 3, "side": 8, "digits": 10, "steps": 2, "largest": 8}
    argv = [f"--{name}={value}" for name, value in sizes.items()] + ["--heads=1", "--out", str(tmp_path / "out")]
    threads = torch.get_num_threads()
    try:
        assert approximation.main(argv) == 0
    finally:
        torch.set_num_threads(threads)
    shown = capsys.readouterr()
    assert shown.err == "" and "shift 2" in shown.out and "self-attention: multiplications" in shown.out
    assert (tmp_path / "out" / "approximation.png").read_bytes().startswith(b"\x89PNG")
    rows = {}
    for name in ("approximation", "receptive_field", "growth"):
        with (tmp_path / "out" / f"{name}.csv").open(newline="") as stream:
            rows[name] = list(csv.DictReader(stream))
    assert [len(part) for part in rows.values()] == [4 * (1 + 2 * 8), 8 + 1, 3 * 5]
    first, second = rows["approximation"][0], rows["approximation"][4]
    assert first["by"] == "convolution" and first["shift"] == "" and second["by"] == "both"
    assert f"{float(first['error']):.3f}" in shown.out
