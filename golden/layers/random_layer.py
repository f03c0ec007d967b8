"""Random layers that use their number formats fully: for recipes, tests and fuzzing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from golden.contract.bounds import accumulator_ranges, stage_ranges
from golden.contract.layer import Layer
from golden.contract.layer_config import DYNAMIC_RANGES, FIELD_RANGES, MULTIPLIER_BITS, NEIGHBOURS, LayerConfig


def random_layer(rng: np.random.Generator, **fields: Any) -> Layer:
    """A layer with uniform random weights and a scale at which outputs spread and some saturate.

    Args:
        rng: source of the weights.
        fields: `LayerConfig` fields. The defaults describe an 8-bit 3x3 ``same`` layer with all
            eight directions, and one head where the product is ``dynamic``. The default of
            ``out_shift`` is chosen with the multipliers. The default of ``sim_shift`` lets some
            similarities of uniform random frames saturate.

    Raises:
        LayerError: for a field, or a bound on ``|acc|``, outside the contract.
    """
    defaults: dict[str, Any] = {
        "product": "hadamard",
        "kernel": 3,
        "stride": 1,
        "padding": "same",
        "groups": 1,
        "attn_offsets": NEIGHBOURS,
        "in_bits": 8,
        "in_signed": False,
        "weight_bits": 8,
        "out_bits": 8,
        "out_signed": False,
        "relu": True,
        "attn_shift": 5,
        "out_shift": 0,
    }
    if fields.get("product") == "dynamic":
        defaults |= {"heads": 1, "sim_bits": 8, "sim_shift": 0}
    config = LayerConfig(**(defaults | fields))
    if config.product == "dynamic" and "sim_shift" not in fields:
        config = dataclasses.replace(config, sim_shift=_typical_sim_shift(config))
    limit = config.weight_limit
    shape = (config.out_channels, config.fan_in_channels)
    conv = rng.integers(-limit, limit, (*shape, config.kernel, config.kernel), endpoint=True)
    attn = rng.integers(-limit, limit, (*shape, len(config.attn_offsets)), endpoint=True)
    bias_limit = 2 ** min(31, config.in_bits + config.weight_bits + config.attn_shift) - 1
    layer = Layer(
        config=config,
        conv_weight=conv,
        attn_weight=attn,
        bias=rng.integers(-bias_limit, bias_limit, config.out_channels, endpoint=True),
        multiplier=np.ones(config.out_channels, np.int64),
    )
    if "out_shift" in fields:
        top = 2 ** min(MULTIPLIER_BITS, config.out_shift + 1) - 1
        multiplier = rng.integers(1, top, config.out_channels, endpoint=True)
        return dataclasses.replace(layer, multiplier=multiplier)
    # A sum of n random terms is about its bound divided by sqrt(n): aim there, not at the bound.
    low, high = accumulator_ranges(layer)
    terms = shape[1] * (config.kernel**2 + len(config.attn_offsets))
    typical = np.maximum(high - low, 1) / np.sqrt(terms) / 4
    return scaled(layer, 2.0**config.out_bits / typical)


def scaled(layer: Layer, scale: np.ndarray) -> Layer:
    """``layer`` with the multipliers and the shift at which a unit of each ``acc`` is about ``scale`` of its output.

    Args:
        layer: the layer.
        scale: positive, ``[O]``.
    """
    out_shift = int(np.clip(MULTIPLIER_BITS - 1 - np.ceil(np.log2(scale.max())), *FIELD_RANGES["out_shift"]))
    multiplier = np.clip(np.rint(scale * 2.0**out_shift), 1, 2**MULTIPLIER_BITS - 1).astype(np.int64)
    config = dataclasses.replace(layer.config, out_shift=out_shift)
    return dataclasses.replace(layer, config=config, multiplier=multiplier)


def at_limits(layer: Layer, sign: Callable[[np.ndarray], np.ndarray]) -> Layer:
    """``layer`` with all weights, biases and multipliers at the limits of their formats.

    ``out_shift`` becomes such that the bound on ``acc * multiplier`` just fits the output.

    Args:
        layer: the layer.
        sign: a function from an integer array to the signs, 1 or -1, of the values in its place.
    """
    c = layer.config
    limits = dataclasses.replace(
        layer,
        conv_weight=c.weight_limit * sign(layer.conv_weight),
        attn_weight=c.weight_limit * sign(layer.attn_weight),
        bias=np.where(sign(layer.bias) > 0, 2**31 - 1, -(2**31)),
        multiplier=np.full_like(layer.multiplier, 2**MULTIPLIER_BITS - 1),
    )
    shift = max(0, stage_ranges(limits).scaled.signed_bits - c.out_bits)
    return dataclasses.replace(limits, config=dataclasses.replace(c, out_shift=shift))


def _typical_sim_shift(config: LayerConfig) -> int:
    """The largest shift at which the similarity of uniform random elements saturates two deviations from its mean."""
    form = config.similarity
    assert form is not None
    x = config.in_range
    mean, square = (x.low + x.high) / 2, (x.low**2 + x.low * x.high + x.high**2) / 3
    deviation = np.sqrt(form.head_channels * (square**2 - mean**4))
    far = form.head_channels * mean**2 + 2 * deviation
    return int(np.clip(np.floor(np.log2(far / form.limits.high)), *DYNAMIC_RANGES["sim_shift"]))
