"""A network that is trained as it will run: its forward pass computes the integer network's integers.

All values are integers in floating point. A sum of products whose proven bound is at most 2^24
runs in float32. Any other runs in float64, and its bound must be below 2^53. So sums are exact, in
whatever order their terms are added. A fast convolution that multiplies sums, like Winograd's,
would break this and must not be chosen. Each rounding is the contract's: half to even, of an exact
quotient by a power of two.

Backwards, a rounding passes the gradient on (straight-through). A saturation of activations stops
the gradient. A saturation of weights passes it on, or a saturated weight would never come back.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from golden.contract.layer import Layer
from golden.contract.layer_config import BIAS_BITS, LayerConfig
from golden.model.integer import FLOAT32_EXACT
from golden.networks.network import Network
from golden.networks.step import IMAGES, POOL, Step
from golden.operators.dynamic_conv import DynamicConv2d
from golden.operators.parts import refuse_hooks
from golden.operators.pixel_shift import pixel_shift_attention, shifted_pixels, transformed_features
from golden.operators.sliding import Centres
from golden.quantise.integer_network import EXACT, IntegerAdd, IntegerHead, IntegerNetwork, Part
from golden.quantise.layer import weight_worths
from golden.support.cli import UserError


class FakeQuantised(nn.Module):
    """Images ``[N, C, H, W]`` to scores ``[N, outputs]``, exactly the scores of `integer_network`.

    Args:
        network: merged. Its parameters are the ones that train.
        formats: the quantised ``network``. Its scales, multipliers and shifts hold. Its weights do not.

    Attributes:
        network: the given network.
        formats: the given formats. They may be set anew at any time.

    Raises:
        UserError: for a network with hooks, by the names of part and hook.
    """

    def __init__(self, network: Network, formats: IntegerNetwork) -> None:
        super().__init__()
        # No part is called, so no hook would run, not even those of pruning and weight norm.
        refuse_hooks(network, name="network", allowed=())
        self.network = network
        self.formats = formats

    def forward(self, images: Tensor) -> Tensor:
        """Scores in real values, float64 ``[N, outputs]``."""
        head = self.formats.steps[-1].name
        part = self.formats.parts[head]
        assert isinstance(part, IntegerHead)
        return self.values(images)[head] * part.scale

    def values(self, images: Tensor) -> dict[str, Tensor]:
        """The result of every step, and the images, as integers in float32 (the head's in float64), by name."""
        config = self.formats.input_layer.config
        assert config.in_scale is not None
        steps = (images.double() / config.in_scale).round().clamp(config.in_range.low, config.in_range.high)
        values = {IMAGES: steps.float()}
        # Of PyTorch's convolutions for the CPU only that of NNPACK multiplies sums.
        with torch.backends.nnpack.flags(enabled=False):
            for step in self.formats.steps:
                values[step.name] = self._result(step, [values[name] for name in step.inputs])
        return values

    def integer_network(self) -> IntegerNetwork:
        """The integer network with the present weights. Raises `UserError` for what the contract refuses."""
        parts: dict[str, Part] = {}
        with torch.no_grad():
            for name, form in self.formats.parts.items():
                if isinstance(form, IntegerAdd):
                    parts[name] = form
                    continue
                part = self.network.parts[name]
                if isinstance(form, Layer):
                    conv, attn, bias = map(_as_integers, integer_parameters(part, form))
                    parts[name] = dataclasses.replace(form, conv_weight=conv, attn_weight=attn, bias=bias)
                else:
                    weight, bias = map(_as_integers, head_parameters(part, form))
                    parts[name] = dataclasses.replace(form, weight=weight, bias=bias)
        return IntegerNetwork(self.formats.steps, parts, self.formats.attended)

    def _result(self, step: Step, inputs: list[Tensor]) -> Tensor:
        if step.kind == "max_pool":
            return F.max_pool2d(inputs[0], *POOL)
        form = self.formats.parts[step.name]
        if isinstance(form, IntegerAdd):
            first, second = (x.double() * m for x, m in zip(inputs, form.multipliers, strict=True))
            limits = form.limits
            return _Requantise.apply(first + second, None, form.shift, limits.low, limits.high).float()
        part = self.network.parts[step.name]
        if isinstance(form, Layer):
            return _layer(step.name, part, form, inputs[0])
        weight, bias = head_parameters(part, form)
        return inputs[0].double().sum((2, 3)) @ weight.T + bias


def integer_parameters(part: nn.Module, form: Layer) -> tuple[Tensor, Tensor, Tensor]:
    """Convolution weights, attention weights and bias of a merged ``part`` as integers of ``form``, in float64."""
    assert isinstance(part, DynamicConv2d)
    config = form.config
    assert config.out_scale is not None
    unit = torch.from_numpy(config.out_scale * np.ldexp(form.multiplier.astype(np.float64), -config.out_shift))
    conv_worth, attn_worth = weight_worths(config)
    limit = config.weight_limit
    bias_limit = 2 ** (BIAS_BITS - 1) - 1
    return (
        _Steps.apply(part.conv_weight.double() * (conv_worth / unit)[:, None, None, None], limit),
        _Steps.apply(part.attn_weight.double() * (attn_worth / unit)[:, None, None], limit),
        _Steps.apply(part.bias.double() / unit, bias_limit),
    )


def head_parameters(part: nn.Module, form: IntegerHead) -> tuple[Tensor, Tensor]:
    """Weights and bias of a linear ``part`` as integers of ``form``, in float64."""
    assert isinstance(part, nn.Linear)
    weight = _Steps.apply(part.weight.double() / form.weight_scale, form.limit)
    return weight, _Steps.apply(part.bias.double() / form.scale, EXACT // 2)


def _layer(name: str, part: nn.Module, form: Layer, x: Tensor) -> Tensor:
    """The contract's layer on integers ``[N, C, H, W]`` in float32."""
    config = form.config
    conv_weight, attn_weight, bias = integer_parameters(part, form)
    largest = max(-config.in_range.low, config.in_range.high)
    conv_bound = _bound(conv_weight, largest)
    dtype = _exact_dtype(conv_bound)
    conv = F.conv2d(x.to(dtype), conv_weight.to(dtype), None, config.stride, config.pad, groups=config.groups).double()
    acc = conv * 2**config.attn_shift + bias[:, None, None]
    bound = conv_bound * 2**config.attn_shift + float(bias.detach().abs().max())
    if config.attn_offsets:
        element = largest**2 if config.similarity is None else largest * -config.similarity.limits.low
        attn_bound = _bound(attn_weight, element)
        acc = acc + _attention(config, x, attn_weight, _exact_dtype(attn_bound), largest)
        bound += attn_bound
    scaled = bound * int(form.multiplier.max())
    if scaled >= EXACT:
        raise UserError(f"layer {name!r} has a proven bound on |acc| multiplier of {scaled:.0f}, QAT allows below 2^53")
    multiplier = torch.from_numpy(form.multiplier.astype(np.float64))[:, None, None]
    limits = config.out_range
    return _Requantise.apply(acc, multiplier, config.out_shift, limits.low, limits.high).float()


def _attention(config: LayerConfig, x: Tensor, weight: Tensor, dtype: torch.dtype, largest: int) -> Tensor:
    """The attention sum, float64 ``[N, O, Ho, Wo]``."""
    first = config.first_centre
    rows, columns = (slice(first, size - first, config.stride) for size in (config.height, config.width))
    centres: Centres = (rows, columns)
    offsets, form = config.attn_offsets, config.similarity
    if form is None:
        return pixel_shift_attention(
            x.to(dtype),
            weight.to(dtype),
            offsets,
            product="hadamard",
            heads=None,
            centres=centres,
            groups=config.groups,
        ).double()
    wide = _exact_dtype(form.head_channels * largest**2)
    sums = transformed_features(x.to(wide), offsets, product="inner", heads=form.heads, centres=centres)
    sims = _Requantise.apply(sums.double(), None, form.shift, form.limits.low, form.limits.high).float()
    features = [
        (sims[:, :, t, None] * xt.unflatten(1, (form.heads, -1))).flatten(1, 2)
        for t, (_, xt) in enumerate(shifted_pixels(x, offsets, centres))
    ]
    elements = torch.stack(features, dim=2).flatten(1, 2)
    return F.conv2d(elements.to(dtype), weight.to(dtype).flatten(1)[..., None, None]).double()


def _bound(weight: Tensor, element: int) -> float:
    """The most that any partial sum of ``weight[o, ...]`` times elements up to ``element`` can be."""
    return float(weight.detach().abs().flatten(1).sum(1).max()) * element


def _exact_dtype(bound: float) -> torch.dtype:
    return torch.float32 if bound <= FLOAT32_EXACT else torch.float64


def _as_integers(values: Tensor) -> np.ndarray:
    return values.numpy().astype(np.int64)


class _Steps(torch.autograd.Function):
    """Real weights as whole steps up to ``limit``. The gradient passes as if they were not rounded."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, limit: int) -> Tensor:
        return values.round().clamp(-limit, limit)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


class _Requantise(torch.autograd.Function):
    """``saturate(round_half_even(acc * multiplier / 2^shift))`` of exact float64 integers.

    A multiplier of None counts as 1. The gradient passes where nothing saturates.
    """

    @staticmethod
    def forward(ctx: Any, acc: Tensor, multiplier: Tensor | None, shift: int, low: int, high: int) -> Tensor:
        slope = torch.tensor(2.0**-shift, dtype=torch.float64)
        if multiplier is not None:
            slope = slope * multiplier  # exact: at most 16 bits, times a power of two
        rounded = (acc * slope).round_()
        ctx.save_for_backward(slope, (rounded >= low) & (rounded <= high))
        return rounded.clamp_(low, high)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        slope, inside = ctx.saved_tensors
        return gradients[0] * inside * slope, None, None, None, None
