"""A network that is trained as it will run: its forward pass computes the integer network's integers.

All values are integers in floating point. A sum of products whose proven bound is at most 2^24
runs in float32. Any other runs in float64, and its bound must be below 2^53. So sums are exact, in
whatever order their terms are added. A fast convolution that multiplies sums, like Winograd's,
would break this and must not be chosen. Each rounding is that of its step, of an exact quotient by a
power of two.

Backwards, a rounding passes the gradient on (straight-through). A saturation of activations stops
the gradient. A saturation of weights passes it on, or a saturated weight would never come back.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from golden.contract.layer import Layer
from golden.contract.layer_config import BIAS_BITS, LayerConfig
from golden.contract.network.add import Add
from golden.contract.network.argmax import Argmax
from golden.contract.network.avg_pool import AvgPool
from golden.contract.network.concat import Concat
from golden.contract.network.layer import LayerStep
from golden.contract.network.linear import Linear
from golden.contract.network.max_pool import MaxPool
from golden.contract.network.network import IMAGE
from golden.contract.network.step import Step
from golden.contract.network.upsample import Upsample
from golden.contract.ranges import Range
from golden.contract.rounding import HALF_EVEN, Rounding
from golden.model.integer import FLOAT32_EXACT
from golden.operators.dynamic_conv import DynamicConv2d
from golden.operators.network import Network
from golden.operators.parts import refuse_hooks
from golden.operators.pixel_shift import pixel_shift_attention, shifted_pixels, transformed_features
from golden.operators.sliding import Centres
from golden.quantise.layer import weight_worths
from golden.quantise.quantised import QuantisedNetwork
from golden.support.cli import UserError

#: Sums stay below this. float64 holds every integer up to it.
EXACT = 2**53
BIAS_LIMIT = 2 ** (BIAS_BITS - 1) - 1


class FakeQuantised(nn.Module):
    """Images ``[N, C, H, W]`` to scores ``[N, outputs]``, exactly the scores of `quantised`.

    Args:
        network: merged. Its parameters are the ones that train.
        formats: the quantised ``network``. Its scales, multipliers and shifts hold. Its weights do not.

    Attributes:
        network: the given network.
        formats: the given formats. They may be set anew at any time.

    Raises:
        UserError: for a network with hooks, by the names of part and hook.
    """

    def __init__(self, network: Network, formats: QuantisedNetwork) -> None:
        super().__init__()
        # No part is called, so no hook would run, not even those of pruning and weight norm.
        refuse_hooks(network, name="network", allowed=())
        self.network = network
        self.formats = formats

    def forward(self, images: Tensor) -> Tensor:
        """Scores in real values, float64 ``[N, outputs]``, or the last result where that has rows and columns."""
        integers = self.formats.integers
        scale = integers.output_result.scale
        y = self.values(images)[integers.output]
        y = y.flatten(1) if y.shape[2:] == (1, 1) else y
        return y if scale is None else y * scale

    def values(self, images: Tensor) -> dict[str, Tensor]:
        """The result of every step, and the images, as integers in float32 (a raw one in float64), by name."""
        image = self.formats.integers.image
        assert image.scale is not None
        steps = (images.double() / image.scale).round().clamp(image.limits.low, image.limits.high)
        values = {IMAGE: steps.float()}
        # Of PyTorch's convolutions for the CPU only that of NNPACK multiplies sums.
        with torch.backends.nnpack.flags(enabled=False):
            for step in self.formats.integers.steps:
                values[step.name] = RESULT[step.op](self, step, [values[name] for name in step.inputs])
        return values

    def quantised(self) -> QuantisedNetwork:
        """The integer network with the present weights. Raises `UserError` for what the contract refuses."""
        with torch.no_grad():
            steps = tuple(self._with_present_weights(step) for step in self.formats.integers.steps)
        return dataclasses.replace(self.formats, integers=self.formats.integers.with_steps(steps))

    def _with_present_weights(self, step: Step) -> Step:
        if isinstance(step, LayerStep):
            conv, attn, bias = map(_as_integers, integer_parameters(self.network.parts[step.name], step.layer))
            layer = dataclasses.replace(step.layer, conv_weight=conv, attn_weight=attn, bias=bias)
            return dataclasses.replace(step, layer=layer)
        if isinstance(step, Linear):
            weight, bias = map(_as_integers, self.linear_parameters(step))
            return dataclasses.replace(step, weight=weight, bias=bias)
        return step

    def linear_parameters(self, step: Linear) -> tuple[Tensor, Tensor]:
        """Weights and bias of a linear part as integers of ``step``, in float64."""
        part = self.network.parts[step.name]
        assert isinstance(part, nn.Linear) and step.scale is not None
        limit = 2 ** (step.weight_bits - 1) - 1
        weight = part.weight.double().reshape(step.weight.shape)
        bias = torch.zeros(len(weight), dtype=torch.float64) if part.bias is None else part.bias.double()
        if step.raw:
            steps = _Steps.apply(weight / self.formats.weight_scales[step.name], limit)
            return steps, _Steps.apply(bias / step.scale, BIAS_LIMIT)
        (x,) = (self.formats.integers.results[name] for name in step.inputs)
        assert x.scale is not None and step.multiplier is not None and step.out_shift is not None
        unit = torch.from_numpy(step.scale * np.ldexp(step.multiplier.astype(np.float64), -step.out_shift))
        worth = x.scale / (x.height * x.width if weight.ndim == 2 else 1)
        units = unit.reshape(-1, *[1] * (weight.ndim - 1))
        return _Steps.apply(weight * worth / units, limit), _Steps.apply(bias / unit, BIAS_LIMIT)


def _layer_step(fake: FakeQuantised, step: LayerStep, taken: Sequence[Tensor]) -> Tensor:
    return _layer(step.name, fake.network.parts[step.name], step.layer, taken[0])


def _add(fake: FakeQuantised, step: Add, taken: Sequence[Tensor]) -> Tensor:
    first, second = (x.double() * m for x, m in zip(taken, step.multipliers, strict=True))
    return _requantised(first + second, None, step.shift, step.limits, step.rounding).float()


def _max_pool(fake: FakeQuantised, step: MaxPool, taken: Sequence[Tensor]) -> Tensor:
    return F.max_pool2d(taken[0], step.kernel, step.stride, step.pad)


def _avg_pool(fake: FakeQuantised, step: AvgPool, taken: Sequence[Tensor]) -> Tensor:
    window = step.window(*taken[0].shape[2:])
    total = F.avg_pool2d(taken[0].double(), window, step.stride, divisor_override=1)
    return _requantised(total * step.multiplier, None, step.shift, step.limits, step.rounding).float()


def _linear(fake: FakeQuantised, step: Linear, taken: Sequence[Tensor]) -> Tensor:
    weight, bias = fake.linear_parameters(step)
    x = taken[0].double()
    elements = x.sum((2, 3)) if step.weight.ndim == 2 else x.flatten(1)
    acc = elements @ weight.flatten(1).T + bias
    if step.multiplier is None or step.out_shift is None:
        return acc[:, :, None, None]
    multiplier = torch.from_numpy(step.multiplier.astype(np.float64))
    scaled = float(acc.detach().abs().max()) * int(step.multiplier.max())
    if scaled >= EXACT:
        raise UserError(f"linear {step.name!r} has |acc| multiplier of {scaled:.0f}, QAT allows below 2^53")
    return _requantised(acc, multiplier, step.out_shift, step.limits, step.rounding).float()[:, :, None, None]


def _concat(fake: FakeQuantised, step: Concat, taken: Sequence[Tensor]) -> Tensor:
    return torch.cat(list(taken), dim=1)


def _upsample(fake: FakeQuantised, step: Upsample, taken: Sequence[Tensor]) -> Tensor:
    return taken[0].repeat_interleave(step.factor, 2).repeat_interleave(step.factor, 3)


def _argmax(fake: FakeQuantised, step: Argmax, taken: Sequence[Tensor]) -> Tensor:
    # PyTorch does not say which of several largest it takes, so the first is looked for.
    scores = taken[0].detach()
    order = torch.arange(scores.shape[1], 0, -1, dtype=torch.float64)[:, None, None]
    return ((scores == scores.amax(1, keepdim=True)) * order).argmax(1, keepdim=True).double()


#: What each op makes of an integer step and what it takes, integers in floating point ``[N, C, H, W]``.
RESULT: Mapping[str, Callable[[FakeQuantised, Any, Sequence[Tensor]], Tensor]] = {
    LayerStep.op: _layer_step,
    Add.op: _add,
    MaxPool.op: _max_pool,
    AvgPool.op: _avg_pool,
    Linear.op: _linear,
    Concat.op: _concat,
    Upsample.op: _upsample,
    Argmax.op: _argmax,
}


def integer_parameters(part: nn.Module, form: Layer) -> tuple[Tensor, Tensor, Tensor]:
    """Convolution weights, attention weights and bias of a merged ``part`` as integers of ``form``, in float64."""
    assert isinstance(part, DynamicConv2d)
    config = form.config
    assert config.out_scale is not None
    unit = torch.from_numpy(config.out_scale * np.ldexp(form.multiplier.astype(np.float64), -config.out_shift))
    conv_worth, attn_worth = weight_worths(config)
    limit = config.weight_limit
    return (
        _Steps.apply(part.conv_weight.double() * (conv_worth / unit)[:, None, None, None], limit),
        _Steps.apply(part.attn_weight.double() * (attn_worth / unit)[:, None, None], limit),
        _Steps.apply(part.bias.double() / unit, BIAS_LIMIT),
    )


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
    return _requantised(acc, multiplier, config.out_shift, config.out_range, config.rounding).float()


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
    sims = _requantised(sums.double(), None, form.shift, form.limits, HALF_EVEN).float()
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


def _requantised(acc: Tensor, multiplier: Tensor | None, shift: int, limits: Range, rounding: Rounding) -> Tensor:
    """``saturate(round(acc * multiplier / 2^shift))`` of exact float64 integers.

    A multiplier of None counts as 1. The gradient passes where nothing saturates.
    """
    return _Requantise.apply(acc, multiplier, shift, limits, rounding)


class _Requantise(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, acc: Tensor, multiplier: Tensor | None, shift: int, limits: Range, rounding: Rounding
    ) -> Tensor:
        slope = torch.tensor(2.0**-shift, dtype=torch.float64)
        if multiplier is not None:
            slope = slope * multiplier  # exact: at most 16 bits, times a power of two
        rounded = _ROUND[rounding](acc * slope)
        ctx.save_for_backward(slope, (rounded >= limits.low) & (rounded <= limits.high))
        return rounded.clamp_(limits.low, limits.high)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None, None]:
        slope, inside = ctx.saved_tensors
        return gradients[0] * inside * slope, None, None, None, None


def _half_up(values: Tensor) -> Tensor:
    """``floor(values + 1/2)``, where that sum may need more bits than a float64 has."""
    down = values.floor()
    return down + (values - down >= 0.5)


_ROUND: Mapping[Rounding, Callable[[Tensor], Tensor]] = {
    "half_even": torch.round,
    "half_up": _half_up,
    "floor": torch.floor,
}
