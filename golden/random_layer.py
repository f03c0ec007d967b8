"""Random layers that use their number formats fully: for recipes, tests and fuzzing."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from golden.bounds import accumulator_ranges
from golden.layer import FIELD_RANGES, MULTIPLIER_BITS, NEIGHBOURS, Layer, LayerConfig


def random_layer(rng: np.random.Generator, **fields: Any) -> Layer:
    """A layer with uniform random weights and a scale at which outputs spread and some saturate.

    Args:
        rng: source of the weights.
        fields: `LayerConfig` fields. Those left out describe an 8-bit 3x3 ``same`` layer with
            all eight directions; ``out_shift`` left out is chosen with the multipliers.

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
    config = LayerConfig(**(defaults | fields))
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
    # A sum of n random terms is about sqrt(n) of its bound: aim there, not at the bound.
    low, high = accumulator_ranges(layer)
    terms = shape[1] * (config.kernel**2 + len(config.attn_offsets))
    typical = np.maximum(high - low, 1) / np.sqrt(terms) / 4
    scale = 2.0**config.out_bits / typical
    out_shift = int(np.clip(MULTIPLIER_BITS - 1 - np.ceil(np.log2(scale.max())), *FIELD_RANGES["out_shift"]))
    multiplier = np.clip(np.rint(scale * 2.0**out_shift), 1, 2**MULTIPLIER_BITS - 1).astype(np.int64)
    return dataclasses.replace(layer, config=dataclasses.replace(config, out_shift=out_shift), multiplier=multiplier)
