"""Post-training quantisation of a whole network: scales that fit together, then step by step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from golden.contract.layer_config import FIELD_RANGES, MULTIPLIER_BITS
from golden.contract.network.add import Add
from golden.contract.network.argmax import Argmax
from golden.contract.network.avg_pool import FRAME, AvgPool
from golden.contract.network.builder import NetworkBuilder
from golden.contract.network.concat import Concat
from golden.contract.network.layer import LayerStep
from golden.contract.network.linear import Linear
from golden.contract.network.max_pool import MaxPool
from golden.contract.network.network import IMAGE
from golden.contract.network.result import Result
from golden.contract.network.step import Step as IntegerStep
from golden.contract.network.upsample import Upsample
from golden.contract.powers import in_lowest_terms
from golden.contract.ranges import Range
from golden.contract.rounding import HALF_EVEN, Rounding
from golden.contract.scales import to_steps
from golden.operators.dynamic_conv import DynamicConv2d
from golden.operators.network import Network, takes_means
from golden.operators.parts import in_float64, refuse_hooks
from golden.operators.step import Step
from golden.quantise.calibration import Method, Scales, as_frames
from golden.quantise.formats import Format, result_formats
from golden.quantise.layer import choose_multipliers, quantise
from golden.quantise.precision import Precision
from golden.quantise.quantised import QuantisedNetwork
from golden.support.cli import UserError


def quantise_network(
    network: Network, calibration: Tensor | np.ndarray, precision: Precision, method: Method = "mse"
) -> QuantisedNetwork:
    """The integer network that stands for ``network`` on images like ``calibration``.

    Each result gets a scale from its values on the calibration images. All steps that take the result
    share this scale. Then `golden.quantise.layer.quantise` quantises each layer between the scales of
    its input and its output. A linear map at the end gives raw sums.

    Args:
        network: merged (`Network.merged`), in eval mode.
        calibration: images ``[N, C, H, W]``.
        precision: bits of weights and activations.
        method: how scales are chosen, as for `golden.quantise.layer.quantise`. Images, and results that
            are only added to another, have bits enough and always get ``minmax``, but for scales that are
            powers of two.

    Raises:
        UserError: for a network that is not merged or has hooks, results that are not finite, and all that
            the contract refuses, naming the step.
    """
    if any(not isinstance(part, (DynamicConv2d, nn.Linear)) for part in network.parts.values()):
        raise UserError("network is not merged, allowed is what its merged() returns")
    refuse_hooks(network, name="network")
    dtype = next(network.parameters()).dtype
    with torch.no_grad():
        values = network.values(as_frames(calibration).to(dtype))
    formats = result_formats(network, values, precision, method)
    quantiser = _Quantiser(network=network, values=values, formats=formats, precision=precision, method=method)
    _, channels, height, width = values[IMAGE].shape
    image = formats[IMAGE]
    builder = NetworkBuilder(
        Result(channels=channels, height=height, width=width, bits=image.bits, signed=image.signed, scale=image.scale)
    )
    for step in network.steps:
        try:
            builder.append(QUANTISE[step.op](quantiser, step))
        except UserError as error:
            raise UserError(f"{step.op} {step.name!r}: {error}") from None
    return QuantisedNetwork(
        integers=builder.network(network.steps[-1].name),
        attended=network.attended,
        weight_scales=quantiser.weight_scales,
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Quantiser:
    """What the steps of a network are quantised from.

    Attributes:
        network: the merged float network.
        values: the result of every step on the calibration images, by name.
        formats: the format of every result but a raw one, by name.
        precision, method: those of `quantise_network`.
        weight_scales: collects those of `QuantisedNetwork`.
    """

    network: Network
    values: Mapping[str, Tensor]
    formats: Mapping[str, Format]
    precision: Precision
    method: Method
    weight_scales: dict[str, float] = field(default_factory=dict)

    def source(self, step: Step) -> Format:
        """The format of the first input of ``step``."""
        return self.formats[step.inputs[0]]

    def layer(self, step: Step) -> LayerStep:
        part = self.network.parts[step.name]
        assert isinstance(part, DynamicConv2d)
        source, result = self.source(step), self.formats[step.name]
        layer = quantise(
            part,
            self.values[step.inputs[0]],
            in_bits=source.bits,
            in_signed=source.signed,
            weight_bits=self.precision.weights(self.network, step),
            out_bits=result.bits,
            out_signed=result.signed,
            relu=step.relu,
            method=self.method,
            scales=self.precision.scales,
            in_scale=source.scale,
            out_scale=result.scale,
            rounding=self.precision.rounding,
        )
        return LayerStep(name=step.name, inputs=step.inputs, scale=result.scale, layer=layer)

    def add(self, step: Step) -> Add:
        a, b = (self.formats[name].scale for name in step.inputs)
        return quantise_add(step, a, b, self.formats[step.name], self.precision.scales, self.precision.rounding)

    def max_pool(self, step: Step) -> MaxPool:
        kernel, stride, pad = (int(step.options[name]) for name in ("kernel", "stride", "pad"))
        scale = self.formats[step.name].scale
        return MaxPool(name=step.name, inputs=step.inputs, scale=scale, kernel=kernel, stride=stride, pad=pad)

    def avg_pool(self, step: Step) -> AvgPool:
        result, kernel = self.formats[step.name], step.options["kernel"]
        pixels = self.values[step.inputs[0]][0, 0].numel() if kernel == FRAME else int(kernel) ** 2
        worth = self.source(step).scale / pixels
        (multiplier,), shift = fine_multipliers(worth, result=result, scales=self.precision.scales)
        return AvgPool(
            name=step.name,
            inputs=step.inputs,
            scale=result.scale,
            kernel=kernel,
            stride=int(step.options["stride"]),
            multiplier=max(multiplier, 1),
            shift=shift,
            out_bits=result.bits,
            out_signed=result.signed,
            rounding=self.precision.rounding,
        )

    def linear(self, step: Step) -> Linear:
        part = self.network.parts[step.name]
        assert isinstance(part, nn.Linear)
        x = self.values[step.inputs[0]]
        bits = self.precision.weights(self.network, step)
        if step.name in self.formats:
            result, scales, rounding = self.formats[step.name], self.precision.scales, self.precision.rounding
            return quantise_linear(step, part, self.source(step), x.shape[1:], bits, result, scales, rounding)
        raw, self.weight_scales[step.name] = quantise_scores(step, part, self.source(step), x.shape[1:], bits)
        return raw

    def concat(self, step: Step) -> Concat:
        return Concat(name=step.name, inputs=step.inputs, scale=self.formats[step.name].scale)

    def upsample(self, step: Step) -> Upsample:
        factor = int(step.options["factor"])
        return Upsample(name=step.name, inputs=step.inputs, scale=self.formats[step.name].scale, factor=factor)

    def argmax(self, step: Step) -> Argmax:
        return Argmax(name=step.name, inputs=step.inputs)


#: What makes the integer step of each op.
QUANTISE: Mapping[str, Callable[[_Quantiser, Step], IntegerStep]] = {
    "layer": _Quantiser.layer,
    "add": _Quantiser.add,
    "max_pool": _Quantiser.max_pool,
    "avg_pool": _Quantiser.avg_pool,
    "linear": _Quantiser.linear,
    "concat": _Quantiser.concat,
    "upsample": _Quantiser.upsample,
    "argmax": _Quantiser.argmax,
}


def quantise_add(
    step: Step, a: float, b: float, result: Format, scales: Scales = "float", rounding: Rounding = HALF_EVEN
) -> Add:
    """The sum, in the format ``result``, of two results whose steps are worth ``a`` and ``b``.

    Raises `UserError` where a step of ``a`` or ``b`` is more than 65535 steps of the sum.
    """
    (first, second), shift = fine_multipliers(a, b, result=result, scales=scales)
    return Add(
        name=step.name,
        inputs=step.inputs,
        scale=result.scale,
        multipliers=(first, second),
        shift=shift,
        out_bits=result.bits,
        out_signed=result.signed,
        relu=step.relu,
        rounding=rounding,
    )


def fine_multipliers(*worths: float, result: Format, scales: Scales = "float") -> tuple[list[int], int]:
    """Multipliers for terms whose steps are worth ``worths``, and their shift, as fine as 16 bits allow.

    Where scales are powers of two, so are the multipliers: ratios of such scales. They are in lowest terms.

    Raises `UserError` where a step of a term is more than 65535 steps of the result.
    """
    ratios = np.array(worths) / result.scale
    largest = 2**MULTIPLIER_BITS - 1
    low, high = FIELD_RANGES["out_shift"]
    shifts = (s for s in range(high, low - 1, -1) if np.rint(np.ldexp(ratios.max(), s)) <= largest)
    shift = next(shifts, None)
    if shift is None:
        raise UserError(f"an operand has steps of {ratios.max():g} of the result's, allowed are {largest}")
    multipliers = np.rint(np.ldexp(ratios, shift)).astype(np.int64)
    if scales == "po2":
        multipliers, shift = in_lowest_terms(multipliers, shift)
    return multipliers.tolist(), shift


def quantise_scores(
    step: Step, linear: nn.Linear, source: Format, shape: torch.Size, bits: int
) -> tuple[Linear, float]:
    """The raw sums of ``linear`` behind frames of ``shape`` in the format ``source``, and the scale of its weights.

    All outputs share the scale of the weights, so that scores compare.
    """
    weight, pixels = _weight(linear, shape)
    limit = 2 ** (bits - 1) - 1
    # For weights that are all 0 any scale will do.
    weight_scale = float(np.abs(weight).max()) / limit or 1.0
    scale = weight_scale * source.scale / pixels
    raw = Linear(
        name=step.name,
        inputs=step.inputs,
        scale=scale,
        weight_bits=bits,
        weight=to_steps(weight, weight_scale, Range(-limit, limit)),
        bias=np.rint(_bias(linear) / scale).astype(np.int64),
        out_bits=48,
        out_signed=True,
    )
    channels, height, width = shape
    taken = Result(channels=channels, height=height, width=width, bits=source.bits, signed=source.signed)
    return raw.as_narrow_as_its_bound(taken), weight_scale


def quantise_linear(
    step: Step,
    linear: nn.Linear,
    source: Format,
    shape: torch.Size,
    bits: int,
    result: Format,
    scales: Scales = "float",
    rounding: Rounding = HALF_EVEN,
) -> Linear:
    """``linear`` behind frames of ``shape`` in the format ``source``, requantised to the format ``result``.

    Multipliers and units are chosen as those of layers (`golden.quantise.layer`).
    """
    weight, pixels = _weight(linear, shape)
    worth = source.scale / pixels
    bias = _bias(linear)
    limit, bias_limit = 2 ** (bits - 1) - 1, 2**31 - 1
    peak = np.abs(weight).reshape(len(weight), -1).max(axis=1)
    needed = np.maximum(peak * worth / limit, np.abs(bias) / bias_limit) / result.scale
    multiplier, shift = choose_multipliers(np.maximum(needed, np.finfo(np.float64).tiny), scales)
    unit = result.scale * np.ldexp(multiplier.astype(np.float64), -shift)
    return Linear(
        name=step.name,
        inputs=step.inputs,
        scale=result.scale,
        weight_bits=bits,
        weight=to_steps(weight * worth, unit.reshape(-1, *[1] * (weight.ndim - 1)), Range(-limit, limit)),
        bias=np.rint(bias / unit).astype(np.int64),
        multiplier=multiplier,
        out_bits=result.bits,
        out_signed=result.signed,
        out_shift=shift,
        relu=step.relu,
        rounding=rounding,
    )


def _weight(linear: nn.Linear, shape: torch.Size) -> tuple[np.ndarray, int]:
    """Float weights ``[K, C]`` or ``[K, C, H, W]``, and how many pixels of a sum make the mean that they multiply."""
    weight = in_float64(linear.weight).numpy()
    if takes_means(linear, shape[0]):
        return weight, shape[1] * shape[2]
    return weight.reshape(len(weight), *shape), 1


def _bias(linear: nn.Linear) -> np.ndarray:
    return np.zeros(linear.out_features) if linear.bias is None else in_float64(linear.bias).numpy()
