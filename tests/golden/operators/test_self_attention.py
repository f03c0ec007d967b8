"""X-volution(SA): self-attention over all pixels against softmax written out, and in networks of others."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from golden.operators.replace import replace_convolutions
from golden.operators.self_attention import SelfAttention
from golden.operators.sliding import every_pixel
from golden.operators.xvolution import XVolution
from golden.support.cli import UserError


def reference(attention: SelfAttention, x: np.ndarray) -> np.ndarray:
    """One frame [C, H, W] to [O, H, W], one query after another."""
    channels, height, width = x.shape
    wq, wk, wv = (
        projection.weight.detach().numpy()[:, :, 0, 0]
        for projection in (attention.query, attention.key, attention.value)
    )
    pixels = [x[:, row, column] for row in range(height) for column in range(width)]
    size, out_size = channels // attention.heads, len(wv) // attention.heads
    out = np.zeros((len(wv), height * width))
    for place, pixel in enumerate(pixels):
        for h in range(attention.heads):
            q = (wq @ pixel)[h * size : h * size + size]
            logits = [q @ (wk @ other)[h * size : h * size + size] / math.sqrt(size) for other in pixels]
            exponentials = [math.exp(logit) for logit in logits]
            for share, other in zip(exponentials, pixels, strict=True):
                values = (wv @ other)[h * out_size : h * out_size + out_size]
                out[h * out_size : h * out_size + out_size, place] += share / sum(exponentials) * values
    return out.reshape(-1, height, width)


@pytest.mark.parametrize(("out_channels", "heads"), [(4, 1), (6, 2), (8, 4), (2, 2), (3, 1)])
@pytest.mark.parametrize(
    ("kernel_size", "stride", "padding"), [(3, 1, "same"), (3, 2, "same"), (5, 2, "valid"), (1, 1, "valid")]
)
def test_softmax_written_out(out_channels: int, heads: int, kernel_size: int, stride: int, padding: str) -> None:
    torch.manual_seed(out_channels * heads + stride)
    layer = XVolution(
        4,
        out_channels,
        kernel_size=kernel_size,
        stride=stride,
        padding=padding,
        product="softmax",
        heads=heads,
        branch_norm=False,
        dtype=torch.float64,
    ).eval()
    assert isinstance(layer.attention, SelfAttention)
    for projection in (layer.attention.query, layer.attention.key):
        nn.init.normal_(projection.weight)  # sharper than what a new layer has
    x = torch.randn(2, 4, 5, 6, dtype=torch.float64)
    first = 0 if padding == "same" else kernel_size // 2
    with torch.no_grad():
        attention = layer(x) - layer.conv_norm(layer.conv(x))
    for frame, y in zip(x.numpy(), attention.numpy(), strict=True):
        full = reference(layer.attention, frame)
        expected = full[:, first : 5 - first : stride, first : 6 - first : stride]
        np.testing.assert_allclose(y, expected, rtol=1e-9, atol=1e-9)


def test_every_pixel_matters_to_every_output() -> None:
    torch.manual_seed(1)
    attention = SelfAttention(4, 4, heads=2, dtype=torch.float64)
    x = torch.randn(1, 4, 6, 7, dtype=torch.float64, requires_grad=True)
    attention(x, every_pixel(x))[0, :, 0, 0].sum().backward()
    assert x.grad is not None and (x.grad.abs().sum((0, 1)) > 0).all()


def test_gradients_reach_input_and_parameters() -> None:
    torch.manual_seed(2)
    layer = XVolution(4, 4, stride=2, product="softmax", heads=2, branch_norm=False, dtype=torch.float64).eval()
    x = torch.randn(2, 4, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, *_: layer(x), (x, *layer.parameters()), fast_mode=True)
    layer(x).square().sum().backward()
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().min() > 0, name


def test_state_dicts_carry_everything() -> None:
    torch.manual_seed(3)
    trained, fresh = (XVolution(4, 6, product="softmax", heads=2) for _ in range(2))
    x = torch.randn(3, 4, 5, 5)
    trained(x)
    fresh.load_state_dict(trained.state_dict())
    torch.testing.assert_close(fresh.eval()(x), trained.eval()(x), rtol=0, atol=0)
    branch = [name for name in trained.state_dict() if name.startswith("attention.")]
    assert branch == ["attention.query.weight", "attention.key.weight", "attention.value.weight"]
    assert "product='softmax', heads=2\n" in repr(trained) and "shift" not in repr(trained)


def test_in_the_place_of_a_convolution_it_trains() -> None:
    torch.manual_seed(4)
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, 2, 1), nn.ReLU(), nn.Flatten())
    net.append(nn.Linear(64, 2))
    replace_convolutions(net, "2", product="softmax", heads=2)
    layer = net[2]
    assert isinstance(layer, XVolution) and isinstance(layer.attention, SelfAttention)
    # Whether the upper left corner and the lower right one are alike: no 3x3 window sees both.
    x = torch.zeros(64, 1, 8, 8)
    x[:, 0, 0, 0], x[:, 0, 7, 7] = torch.randint(0, 2, (2, 64)).float() * 2 - 1
    labels = (x[:, 0, 0, 0] == x[:, 0, 7, 7]).long()
    optimiser = torch.optim.Adam(net.parameters(), lr=0.02)
    before = {name: p.detach().clone() for name, p in layer.attention.named_parameters()}
    for _ in range(60):
        loss = nn.functional.cross_entropy(net(x), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.item() < 0.1
    assert all(not torch.equal(p, before[name]) for name, p in layer.attention.named_parameters())
    replace_convolutions(net, "0", product="softmax")
    with pytest.raises(UserError, match=r"module '2' is a XVolution with no Conv2d that could be replaced"):
        replace_convolutions(net, "2")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((4, 4, 0), "heads 0 is not an integer from 1 up"),
        ((4, 4, 3), "heads 3 does not divide in_channels 4"),
        ((4, 6, 4), "heads 4 does not divide out_channels 6"),
        ((0, 4, 1), "in_channels 0 is not an integer from 1 up"),
    ],
)
def test_refused_by_name(arguments: tuple[int, int, int], message: str) -> None:
    with pytest.raises(UserError, match=message):
        SelfAttention(arguments[0], arguments[1], heads=arguments[2])
