"""Post-training quantisation of a whole network: scales that fit together, then layer by layer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from golden.contract.layer import Layer
from golden.contract.layer_config import FIELD_RANGES, MULTIPLIER_BITS
from golden.contract.ranges import Range
from golden.contract.scales import to_steps
from golden.networks.network import Network
from golden.networks.step import IMAGES, Step
from golden.operators.dynamic_conv import DynamicConv2d
from golden.operators.parts import in_float64, refuse_hooks
from golden.quantise.calibration import Method, activation_scale, as_frames
from golden.quantise.integer_network import IntegerAdd, IntegerHead, IntegerNetwork, Part
from golden.quantise.layer import quantise
from golden.quantise.precision import Precision
from golden.support.cli import UserError


@dataclass(frozen=True, kw_only=True)
class Format:
    """How the result of a step is kept: bits, sign and the value of one step."""

    bits: int
    signed: bool
    scale: float

    @property
    def limits(self) -> Range:
        return Range.of_format(self.bits, self.signed)


def quantise_network(
    network: Network, calibration: Tensor | np.ndarray, precision: Precision, method: Method = "mse"
) -> IntegerNetwork:
    """The integer network that stands for ``network`` on images like ``calibration``.

    Each result gets a scale from its values on the calibration images. All steps that take the result
    share this scale. Then `golden.quantise.layer.quantise` quantises each layer between the scales of
    its input and its output.

    Args:
        network: merged (`Network.merged`), in eval mode.
        calibration: images ``[N, C, H, W]``, not negative.
        precision: bits of weights and activations.
        method: how scales are chosen, as for `golden.quantise.layer.quantise`. Images, and results that
            are only added to another, have bits enough and always get ``minmax``.

    Raises:
        UserError: for a network that is not merged or has hooks, results that are not finite, and all that
            the contract refuses, naming the layer.
    """
    if any(not isinstance(part, (DynamicConv2d, nn.Linear)) for part in network.parts.values()):
        raise UserError("network is not merged, allowed is what its merged() returns")
    refuse_hooks(network, name="network")
    dtype = next(network.parameters()).dtype
    with torch.no_grad():
        values = network.values(as_frames(calibration).to(dtype))
    formats = _formats(network, values, precision, method)
    parts: dict[str, Part] = {}
    for step in network.steps:
        source = formats[step.inputs[0]]
        bits = precision.weights(network, step)
        if step.kind == "add":
            parts[step.name] = quantise_add(
                source.scale, formats[step.inputs[1]].scale, formats[step.name], relu=step.relu
            )
        elif step.kind == "head":
            pixels = values[step.inputs[0]][0, 0].numel()
            parts[step.name] = quantise_head(_linear(network, step), source.scale, pixels, bits)
        elif step.kind == "layer":
            try:
                parts[step.name] = _layer(network, step, values, source, formats[step.name], bits, method)
            except UserError as error:
                raise UserError(f"layer {step.name!r}: {error}") from None
    return IntegerNetwork(network.steps, parts, network.attended)


def _layer(
    network: Network,
    step: Step,
    values: Mapping[str, Tensor],
    source: Format,
    result: Format,
    weight_bits: int,
    method: Method,
) -> Layer:
    """The integer layer of ``step`` between the formats of its input and its output."""
    part = network.parts[step.name]
    assert isinstance(part, DynamicConv2d)
    return quantise(
        part,
        values[step.inputs[0]],
        in_bits=source.bits,
        in_signed=source.signed,
        weight_bits=weight_bits,
        out_bits=result.bits,
        out_signed=result.signed,
        relu=step.relu,
        method=method,
        in_scale=source.scale,
        out_scale=result.scale,
    )


def quantise_add(a: float, b: float, result: Format, *, relu: bool) -> IntegerAdd:
    """The sum, in the format ``result``, of two results whose steps are worth ``a`` and ``b``.

    The multipliers are as fine as 16 bits allow. Raises `UserError` where a step of ``a`` or ``b`` is
    more than 65535 steps of the sum.
    """
    ratios = np.array([a, b]) / result.scale
    largest = 2**MULTIPLIER_BITS - 1
    low, high = FIELD_RANGES["out_shift"]
    shifts = (s for s in range(high, low - 1, -1) if np.rint(np.ldexp(ratios.max(), s)) <= largest)
    shift = next(shifts, None)
    if shift is None:
        raise UserError(f"an operand of an addition has steps of {ratios.max():g} of the sum's, allowed are {largest}")
    first, second = (int(m) for m in np.rint(np.ldexp(ratios, shift)))
    limits = Range(0, result.limits.high) if relu else result.limits
    return IntegerAdd(multipliers=(first, second), shift=shift, limits=limits, scale=result.scale)


def quantise_head(linear: nn.Linear, in_scale: float, pixels: int, bits: int) -> IntegerHead:
    """The head behind activations with steps of ``in_scale`` on ``pixels`` pixels. All scores share a weight scale."""
    weight, bias = in_float64(linear.weight).numpy(), in_float64(linear.bias).numpy()
    limit = 2 ** (bits - 1) - 1
    # For weights that are all 0 any scale will do.
    weight_scale = float(np.abs(weight).max()) / limit or 1.0
    scale = weight_scale * in_scale / pixels
    return IntegerHead(
        weight=to_steps(weight, weight_scale, Range(-limit, limit)),
        bias=np.rint(bias / scale).astype(np.int64),
        bits=bits,
        weight_scale=weight_scale,
        scale=scale,
    )


def _formats(network: Network, values: dict[str, Tensor], precision: Precision, method: Method) -> dict[str, Format]:
    """The format of the images and of each step's result but the head's."""
    relus = {step.name: step.relu for step in network.steps}
    formats: dict[str, Format] = {}
    for name in (IMAGES, *(step.name for step in network.steps[:-1])):
        bits = precision.result(network, name)
        pooled = next((step for step in network.steps if step.name == name and step.kind == "max_pool"), None)
        if pooled is not None:
            formats[name] = formats[pooled.inputs[0]]
            continue
        array = in_float64(values[name]).numpy()
        if not np.isfinite(array).all():
            raise UserError(f"step {name!r} gives a value that is NaN or infinite, allowed are finite numbers")
        signed = not relus[name] if name in relus else bool(array.min() < 0)
        full = name == IMAGES or precision.only_added(network, name)
        # A result that is 0 on all images says nothing of its scale. Any scale will do.
        scale = (
            activation_scale(array, Range.of_format(bits, signed), "minmax" if full else method) if array.any() else 1.0
        )
        formats[name] = Format(bits=bits, signed=signed, scale=scale)
    return formats


def _linear(network: Network, step: Step) -> nn.Linear:
    part = network.parts[step.name]
    assert isinstance(part, nn.Linear)
    return part
