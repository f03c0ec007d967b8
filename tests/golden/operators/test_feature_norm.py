"""X-volution whose attention sees features less their mean: merged it is an ordinary layer."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from golden.operators.xvolution import XVolution
from golden.support.cli import UserError


def settled(**options: Any) -> XVolution:
    """In eval mode and float64, with statistics as after training."""
    torch.manual_seed(4)
    print("seed 4")
    layer = XVolution(8, 8, feature_norm=True, **options).double()
    for part in layer.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean = torch.randn_like(part.running_mean)
            part.running_var = torch.rand_like(part.running_var) + 0.5
    return layer.eval()


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": 2},
        {"padding": "valid"},
        {"product": "inner", "heads": 2},
        {"groups": 8},
        {"kernel_size": 5, "shift": 2, "directions": ((0, 1), (-1, 1))},
        {"directions": ((0, 0), (1, 0))},
        {"branch_norm": False},
    ],
    ids=str,
)
def test_merged_it_computes_the_same_up_to_the_border(options: dict[str, Any]) -> None:
    layer = settled(**options)
    x = torch.rand(2, 8, 7, 6, dtype=torch.float64)
    assert torch.allclose(layer(x), layer.merge()(x), rtol=1e-9, atol=1e-9)


def test_the_attention_is_that_of_normed_features() -> None:
    layer = settled(padding="valid")  # no border, where the zeros outside would matter
    plain = XVolution(8, 8, padding="valid").double().eval()
    with torch.no_grad():
        plain.attention.load_state_dict(layer.attention.state_dict())
        x = torch.rand(2, 8, 7, 6, dtype=torch.float64)
        assert layer.feature_norm is not None
        normed = layer.feature_norm(x)
        ours = layer._attended(x, layer.centres(x))
        assert torch.allclose(ours, plain.attention(normed, plain.centres(x)))
    # Unlike features, one above its mean and one below, have a negative product although none is negative.
    assert x.min() >= 0 and normed.min() < 0


def test_training_moves_the_statistics_and_evaluation_does_not() -> None:
    layer = XVolution(4, 4, feature_norm=True)
    assert layer.feature_norm is not None and layer.feature_norm.running_mean is not None
    x = torch.rand(8, 4, 6, 6) + 3
    for _ in range(100):
        layer(x)
    mean = layer.feature_norm.running_mean.clone()
    assert torch.allclose(mean, x.mean((0, 2, 3)), atol=1e-3)
    layer.eval()(x + 1)
    assert torch.equal(layer.feature_norm.running_mean, mean)
    layer.train()(x).sum().backward()
    assert layer.attention.weight.grad is not None


def test_what_cannot_be_merged_is_refused() -> None:
    for options, text in (
        ({"product": "dynamic"}, "product 'dynamic' is not for feature_norm"),
        ({"product": "softmax"}, "product 'softmax' is not for feature_norm"),
        ({"weighting": 3}, "weighting 3 is not for feature_norm"),
        ({"stack": 2}, "stack 2 is not for feature_norm"),
        ({"shift": 2}, "feature_norm with shift 2 reaches 2 pixels, allowed are 1"),
        ({"feature_norm": 1}, "feature_norm 1 is not one of True, False"),
    ):
        with pytest.raises(UserError, match=text):
            XVolution(4, 4, **{"feature_norm": True} | options)  # type: ignore[arg-type]
