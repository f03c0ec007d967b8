"""Post-training quantisation: a float layer and calibration frames to an integer layer.

One step of the accumulator of output channel ``o`` is worth ``unit[o]`` in output values. The
convolution, the attention and the bias of a channel all count these steps. So the attention scale
``s_a[o]`` is tied to the convolution's weight scale ``s_c[o]``. With the activation scale ``s_x``,
the output scale ``s_y`` and n = ``attn_shift``,

    s_a[o] = s_c[o] 2^-n / s_x
    unit[o] = s_x s_c[o] / 2^n = s_x^2 s_a[o]
    multiplier[o] / 2^out_shift = unit[o] / s_y

With the ``dynamic`` product a similarity takes the place of ``x0``. One step of a similarity is
worth ``s_x^2 2^sim_shift / m`` in heads of ``m`` channels, so ``s_a[o]`` is tied by
``unit[o] = s_x^3 2^sim_shift s_a[o] / m``.

A channel *needs* a unit in which its weights fit the symmetric format and its bias fits 32 bits.
The multipliers do not approximate the units. The units follow from the multipliers:

1. ``out_shift`` is the largest at which the multiplier of the coarsest channel fits 16 bits.
   That multiplier has its highest bit set, unless the contract's limit of 47 comes first.
2. Each channel takes the smallest multiplier, at least 1, that gives it the unit it needs. Its
   unit is exactly what this multiplier makes.

So rounding a multiplier up makes the weights of its channel coarser, never wrong in scale. Tiny
weights or a huge bias make the weights of a channel coarser, too. Where no multiplier is large
enough, the layer is refused. A channel whose weights are all 0 would fit the finest unit, in which
its bias would widen the accumulator of the whole layer. So it asks for the coarsest unit of the
other channels, or for `ZERO_CHANNEL_UNIT` where that is finer.

With scales that are powers of two, each channel takes the smallest power of two that gives it the unit
it needs. So its weights reach to more than half of their format. Multipliers and shift are in lowest
terms: the smallest multiplier is 1, or the shift is 0.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import get_args

import numpy as np
import torch
from torch import Tensor, nn

from golden.contract.layer import Layer
from golden.contract.layer_config import BIAS_BITS, FIELD_RANGES, MULTIPLIER_BITS, LayerConfig, LayerError
from golden.contract.powers import in_lowest_terms, least_power
from golden.contract.ranges import Range
from golden.contract.rounding import HALF_EVEN, Rounding
from golden.contract.scales import dequantise_output, to_steps
from golden.model import integer
from golden.operators.dynamic_conv import DynamicConv2d
from golden.operators.merge import merged_form
from golden.operators.parts import in_float64
from golden.quantise.calibration import Method, Scales, activation_scale, as_frames, full_sim_shift
from golden.support.arrays import plain
from golden.support.cli import UserError

#: Unit, in output steps, that a channel whose weights are all zero asks for at most.
ZERO_CHANNEL_UNIT = 2.0**-8
#: Clipped ranges of weights that ``mse`` tries, as fractions of the full range.
WEIGHT_FRACTIONS = 2.0 ** (-np.arange(9) / 4)
#: The same where multipliers are powers of two: between these nothing changes.
POWER_FRACTIONS = 2.0 ** -np.arange(3)


def quantise(
    layer: nn.Module,
    calibration: Tensor | np.ndarray,
    *,
    norm: nn.Module | None = None,
    in_bits: int = 8,
    in_signed: bool | None = None,
    weight_bits: int = 8,
    out_bits: int = 8,
    out_signed: bool | None = None,
    relu: bool = False,
    method: Method = "minmax",
    scales: Scales = "float",
    in_scale: float | None = None,
    out_scale: float | None = None,
    attn_shift: int | None = None,
    sim_bits: int | None = None,
    sim_shift: int | None = None,
    rounding: Rounding = HALF_EVEN,
) -> Layer:
    """The integer layer that stands for ``layer`` on data like ``calibration``.

    Args:
        layer: a `DynamicConv2d`, the atomic form of X-volution (arXiv 2106.02253); an X-volution, which
            is merged; or a Conv2d. It stays as it is.
        calibration: input frames of ``layer``, real ``[N, C, H, W]``. H and W become the layer's.
        norm: the norm that follows ``layer`` in its network, to be folded in. None: nothing is folded.
        in_bits, weight_bits, out_bits: number formats.
        in_signed: whether inputs have a sign. None: where the calibration frames hold a negative value.
        out_signed: whether outputs have a sign. None: where the float output for the calibration
            frames holds a negative value and ``relu`` is off. An unsigned output saturates at 0,
            which is a ReLU.
        relu: whether a ReLU follows, at once or behind ``norm``. Where a norm that is not folded or an
            addition comes before the ReLU, the ReLU is not the layer's.
        method: ``minmax`` gives activations, outputs and weights their full range. ``mse`` clips
            a range where that lessens the squared error of the output on the calibration frames.
            Inputs have one range, outputs have one, and the weights of each channel have one.
        scales: ``po2`` makes all multipliers powers of two, so that requantising is a shift. Scales that
            are not given are powers of two, too.
        in_scale, out_scale: value of one step, where the layers before and after have decided
            it. None: as ``method`` says.
        attn_shift: bits by which the convolution's sum is shifted up. None: the shift with the least
            squared error of the output on the calibration frames, among those that the accumulator
            bound accepts. It is 0 for a layer without offsets.
        sim_bits: format of similarities, for the ``dynamic`` product only. None: 8.
        sim_shift: bits that similarities lose, for the ``dynamic`` product only. None: the search
            starts at the smallest shift at which no similarity of the calibration frames saturates.
            The shift is lowered as long as that lessens the squared error of the output on these
            frames. Few similarities are large, and to round all is often worse than to clip these.
        rounding: of the layer's results (`golden.contract.rounding`). Weights and what comes in are rounded
            half to even in any case.

    Returns:
        A `Layer` with ``in_scale`` and ``out_scale`` recorded.

    Raises:
        UserError: for a layer or norm that `merged_form` refuses; for calibration data that is not
            ``[N, C, H, W]``, empty, not finite, zero everywhere or negative where ``in_signed``
            is False; for weights that are not finite; for an unknown method or kind of scales; and as
            `LayerError` for all that the contract refuses.
    """
    merged = merged_form(layer, norm)
    x = _checked_input(merged, calibration, method=method, scales=scales)
    config = _formats(
        merged,
        x,
        in_bits=in_bits,
        in_signed=in_signed,
        weight_bits=weight_bits,
        out_bits=out_bits,
        out_signed=out_signed,
        relu=relu,
        attn_shift=0 if attn_shift is None else attn_shift,
        sim_bits=sim_bits,
        sim_shift=sim_shift,
        rounding=rounding,
    )
    problem, config = _with_scales(
        merged, x, config, method=method, scales=scales, in_scale=in_scale, out_scale=out_scale
    )
    attn_shifts = _attn_shifts(config, attn_shift)
    if sim_shift is None and config.similarity is not None:
        full = full_sim_shift(config, config.similarity, problem.frames)
        return problem.least_sim_shift(dataclasses.replace(config, sim_shift=full), attn_shifts)
    return problem.best_layer(config, attn_shifts)[1]


def _checked_input(
    merged: DynamicConv2d, calibration: Tensor | np.ndarray, *, method: Method, scales: Scales
) -> np.ndarray:
    """The calibration frames in float64, after all checks. Raises `UserError` as `quantise` does."""
    for name, value, choices in (("method", method, get_args(Method)), ("scales", scales, get_args(Scales))):
        if value not in choices:
            raise UserError(f"{name} {value!r} is not one of {', '.join(map(repr, choices))}")
    x = _checked_frames(merged, calibration)
    for name in ("conv_weight", "attn_weight", "bias"):
        _finite(name, getattr(merged, name))
    return x


def _formats(
    merged: DynamicConv2d,
    x: np.ndarray,
    *,
    in_signed: bool | None,
    out_signed: bool | None,
    relu: bool,
    sim_bits: int | None,
    sim_shift: int | None,
    rounding: Rounding,
    **formats: int,
) -> LayerConfig:
    """Geometry and number formats, before scales and shifts are chosen. A sign that is None follows from the frames."""
    dynamic = merged.product == "dynamic"
    config = LayerConfig(
        product=merged.product,
        in_channels=merged.in_channels,
        out_channels=merged.out_channels,
        height=x.shape[2],
        width=x.shape[3],
        kernel=merged.kernel_size,
        stride=merged.stride,
        padding=merged.padding,
        groups=merged.groups,
        attn_offsets=merged.attn_offsets,
        in_signed=bool(x.min() < 0) if in_signed is None else in_signed,
        out_signed=False if out_signed is None else out_signed,
        relu=relu,
        out_shift=0,
        heads=merged.heads,
        sim_bits=8 if sim_bits is None and dynamic else sim_bits,
        sim_shift=0 if sim_shift is None and dynamic else sim_shift,
        rounding=rounding,
        **formats,
    )
    if not config.in_signed and x.min() < 0:
        raise UserError(
            f"calibration has a value {x.min():g}, which an unsigned input (in_signed False) does not allow"
        )
    if out_signed is None:
        negative = bool(_float_output(_in_double(merged), x).min() < 0)
        config = dataclasses.replace(config, out_signed=negative and not config.relu)
    return config


def _with_scales(
    merged: DynamicConv2d,
    x: np.ndarray,
    config: LayerConfig,
    *,
    method: Method,
    scales: Scales,
    in_scale: float | None,
    out_scale: float | None,
) -> tuple[_Problem, LayerConfig]:
    """All that is settled before shifts are searched, and ``config`` with its scales."""
    double = _in_double(merged)
    least = 0.0 if config.out_range.low == 0 else -np.inf

    def float_layer(frames: np.ndarray) -> np.ndarray:
        return np.maximum(_float_output(double, frames), least)

    target = float_layer(x)
    if in_scale is None:
        in_scale = activation_scale(x, config.in_range, method, float_layer, scales=scales)
    if out_scale is None:
        # An output that is 0 on all frames says nothing of its scale. Any scale will do.
        out_scale = activation_scale(target, config.out_range, method, scales=scales) if target.any() else in_scale
    in_scale, out_scale = plain(in_scale), plain(out_scale)
    config = dataclasses.replace(config, in_scale=in_scale, out_scale=out_scale)
    conv_weight, attn_weight, bias = (
        _finite(name, getattr(merged, name)) for name in ("conv_weight", "attn_weight", "bias")
    )
    problem = _Problem(
        in_scale=in_scale,
        out_scale=out_scale,
        conv_weight=conv_weight,
        attn_weight=attn_weight,
        bias=bias,
        frames=to_steps(x, in_scale, config.in_range),
        scales=scales,
        fractions=(POWER_FRACTIONS if scales == "po2" else WEIGHT_FRACTIONS) if method == "mse" else np.ones(1),
        target=target,
    )
    return problem, config


def _attn_shifts(config: LayerConfig, attn_shift: int | None) -> range:
    """Shifts of the convolution to try: all where ``attn_shift`` is None and there is attention, else one."""
    if attn_shift is None and config.attn_offsets:
        low, high = FIELD_RANGES["attn_shift"]
        return range(low, high + 1)
    return range(config.attn_shift, config.attn_shift + 1)


def _in_double(merged: DynamicConv2d) -> DynamicConv2d:
    return copy.deepcopy(merged).cpu().double()


@dataclass(frozen=True, kw_only=True, eq=False)
class _Problem:
    """All that is settled before weights are rounded.

    Attributes:
        in_scale, out_scale: values of one step.
        conv_weight, attn_weight, bias: of the float layer, float64.
        frames: calibration frames as the layer takes them, int64 ``[N, C, H, W]``.
        target: the float layer's output for the unrounded frames, float64 ``[N, O, Ho, Wo]``.
        scales: which multipliers there are.
        fractions: the parts of their full range that weights may be clipped to.
    """

    in_scale: float
    out_scale: float
    conv_weight: np.ndarray
    attn_weight: np.ndarray
    bias: np.ndarray
    frames: np.ndarray
    target: np.ndarray
    scales: Scales
    fractions: np.ndarray

    def least_sim_shift(self, config: LayerConfig, attn_shifts: range) -> Layer:
        """The best layer, ``config``'s ``sim_shift`` lowered as long as the output error lessens.

        One bit less rounds similarities half as coarsely, and saturates more of them. It also makes
        the tied scale of the attention weights twice as coarse. One more ``attn_shift`` undoes that.
        """
        loss, layer = self.best_layer(config, attn_shifts)
        while layer.config.sim_shift:
            finer = dataclasses.replace(layer.config, sim_shift=layer.config.sim_shift - 1)
            near = (n for n in attn_shifts if 0 <= n - finer.attn_shift <= 2)
            try:
                finer_loss, finer_layer = self.best_layer(finer, near)
            except LayerError:
                break
            if finer_loss >= loss:
                break
            loss, layer = finer_loss, finer_layer
        return layer

    def best_layer(self, config: LayerConfig, attn_shifts: Iterable[int]) -> tuple[float, Layer]:
        """The least output error over ``attn_shifts``, and its layer. The first shift wins a tie.

        Raises the `LayerError` of the last shift where the contract refuses all of them.
        """
        best: tuple[float, Layer] | None = None
        refusal: LayerError | None = None
        for shift in attn_shifts:
            try:
                layer = self._clipped_layer(dataclasses.replace(config, attn_shift=shift))
            except LayerError as error:
                refusal = error
                continue
            loss = float(self._channel_errors(layer).mean())
            if best is None or loss < best[0]:
                best = loss, layer
        if best is None:
            assert refusal is not None
            raise refusal
        return best

    def _clipped_layer(self, config: LayerConfig) -> Layer:
        """The layer whose channels each clip their weights to the fraction with the least output error."""
        uniform = [self._rounded_layer(config, np.full(config.out_channels, part)) for part in self.fractions]
        if len(uniform) == 1:
            return uniform[0]
        errors = np.stack([self._channel_errors(layer) for layer in uniform])
        return self._rounded_layer(config, self.fractions[errors.argmin(axis=0)])

    def _rounded_layer(self, config: LayerConfig, fraction: np.ndarray) -> Layer:
        """The integer layer of ``config`` whose weights span ``fraction`` ``[O]`` of their range."""
        conv_worth, attn_worth = weight_worths(config)
        conv, attn = self.conv_weight * conv_worth, self.attn_weight * attn_worth
        limit = config.weight_limit
        largest = np.maximum(_channel_peak(conv), _channel_peak(attn))
        bias_limit = 2 ** (BIAS_BITS - 1) - 1
        needed = np.maximum(fraction * largest / limit, np.abs(self.bias) / bias_limit) / self.out_scale
        idle = min(float(needed.max()), ZERO_CHANNEL_UNIT)
        needed = np.where(largest == 0, np.maximum(needed, idle), needed)
        multiplier, out_shift = choose_multipliers(needed, self.scales)
        unit = self.out_scale * np.ldexp(multiplier, -out_shift)
        return Layer(
            config=dataclasses.replace(config, out_shift=out_shift),
            conv_weight=to_steps(conv, unit[:, None, None, None], Range(-limit, limit)),
            attn_weight=to_steps(attn, unit[:, None, None], Range(-limit, limit)),
            bias=np.rint(self.bias / unit).astype(np.int64),
            multiplier=multiplier,
        )

    def _channel_errors(self, layer: Layer) -> np.ndarray:
        """Mean squared output error ``[O]`` of ``layer`` on the calibration frames."""
        output = dequantise_output(layer, integer.run(layer, self.frames))
        return np.square(output - self.target).mean(axis=(0, 2, 3))


def weight_worths(config: LayerConfig) -> tuple[float, float]:
    """What a convolution and an attention weight of 1 are worth in output values, per step of what they multiply.

    A weight times its worth, divided by the unit of its channel, is the integer weight before
    rounding. The unit is the value of one step of the channel's accumulator.
    """
    assert config.in_scale is not None
    form = config.similarity
    # The value of one step of ``x0`` or ``sim``. The float layer's ``sim`` is a mean, the integer layer's a sum.
    factor = config.in_scale if form is None else config.in_scale**2 * 2**form.shift / form.head_channels
    return config.in_scale / 2**config.attn_shift, config.in_scale * factor


def choose_multipliers(needed: np.ndarray, scales: Scales = "float") -> tuple[np.ndarray, int]:
    """Multipliers ``[O]`` (int64) and the shift they share, for units of at least ``needed``.

    Args:
        needed: positive ``[O]``, the smallest unit of each channel's accumulator, in output steps.
        scales: ``po2`` for powers of two, in lowest terms.

    Raises:
        LayerError: where a unit would have to be more output steps than the largest multiplier.
    """
    largest = 2**MULTIPLIER_BITS - 1
    if scales == "po2":
        needed, largest = least_power(needed), 2 ** (MULTIPLIER_BITS - 1)
    low, high = FIELD_RANGES["out_shift"]
    top = float(needed.max())
    if top > largest:
        raise LayerError(
            f"output channel {int(needed.argmax())} needs an accumulator step (from its weights, or its bias in "
            f"{BIAS_BITS} bits) of {top:g} output steps, allowed is at most {largest}"
        )
    out_shift = next(s for s in range(high, low - 1, -1) if math.ceil(math.ldexp(top, s)) <= largest)
    multiplier = np.maximum(np.ceil(np.ldexp(needed, out_shift)).astype(np.int64), 1)
    return (multiplier, out_shift) if scales == "float" else in_lowest_terms(multiplier, out_shift)


def _channel_peak(weight: np.ndarray) -> np.ndarray:
    """Largest magnitude of each output channel's weights: ``[O]``, 0 where it has none."""
    return np.abs(weight).reshape(weight.shape[0], -1).max(axis=1, initial=0.0)


def _checked_frames(merged: DynamicConv2d, calibration: Tensor | np.ndarray) -> np.ndarray:
    frames = as_frames(calibration)
    shape = list(frames.shape)
    if len(shape) != 4 or shape[1] != merged.in_channels or 0 in shape:
        allowed = f"[N, {merged.in_channels}, H, W] with none of them 0"
        raise UserError(f"calibration has shape {shape}, allowed is {allowed}")
    return _finite("calibration", frames)


def _float_output(double: DynamicConv2d, x: np.ndarray) -> np.ndarray:
    return _finite("output for the calibration frames", double(torch.from_numpy(x)))


def _finite(name: str, tensor: Tensor) -> np.ndarray:
    array = in_float64(tensor).numpy()
    if not np.isfinite(array).all():
        raise UserError(f"{name} has a value that is NaN or infinite, allowed are finite numbers")
    return array
