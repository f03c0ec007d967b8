"""Frozen units to simulate.

Named units cover every feature and edge. Random units cover the whole contract.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from golden.contract.folding import Folding
from golden.contract.layer import Layer
from golden.contract.layer_config import FIELD_RANGES, MAX_OFFSET, MULTIPLIER_BITS, NEIGHBOURS, LayerError
from golden.contract.rounding import ROUNDINGS
from golden.layers.random_layer import at_limits, random_layer
from golden.model import integer
from hw.plan.config import UnitConfig
from hw.plan.made_of import MATERIALS, MadeOf
from hw.targets.families import GENERIC, TARGETS, Target
from sim.cases.stimulus import random_frames


def neighbours(distance: int) -> tuple[tuple[int, int], ...]:
    """The neighbours in all eight directions at ``distance`` pixels."""
    return tuple((distance * dy, distance * dx) for dy, dx in NEIGHBOURS)


def spread(rng: np.random.Generator, layer: Layer, multiplier_bits: int = MULTIPLIER_BITS) -> Layer:
    """``layer`` with biases and multipliers under which random frames use the whole output range.

    An error in the accumulator then rarely hides behind saturation. Narrow multipliers meet the
    ties of the rounding more often.
    """
    c = layer.config
    acc = integer.accumulate(layer, random_frames(rng, c, 4)) - layer.bias[:, None, None]
    deviation = np.maximum(acc.std(axis=(0, 2, 3)), 1)
    centre = 0 if c.out_range.low < 0 else 1.5 * deviation
    bias = np.rint(centre - acc.mean(axis=(0, 2, 3)) + rng.uniform(-0.5, 0.5, c.out_channels) * deviation)
    scale = c.out_range.high / (2 * deviation)
    shift = int(np.clip(multiplier_bits - 1 - np.ceil(np.log2(scale.max())), *FIELD_RANGES["out_shift"]))
    return dataclasses.replace(
        layer,
        config=dataclasses.replace(c, out_shift=shift),
        bias=np.clip(bias, -(2**31), 2**31 - 1).astype(np.int64),
        multiplier=np.clip(np.rint(scale * 2.0**shift), 1, 2**MULTIPLIER_BITS - 1).astype(np.int64),
    )


def _positive(layer: Layer) -> Layer:
    return at_limits(layer, np.ones_like)


def _negative(layer: Layer) -> Layer:
    return at_limits(layer, lambda array: -np.ones_like(array))


def _alternating(layer: Layer) -> Layer:
    """Alternating weights: on checkerboard frames, every sum comes close to its bounds."""
    return at_limits(layer, lambda array: 1 - 2 * (np.indices(array.shape).sum(axis=0) % 2))


def _powers(layer: Layer) -> Layer:
    """Multipliers that are powers of two, around their own size."""
    exponents = np.clip(np.rint(np.log2(layer.multiplier)), 0, MULTIPLIER_BITS - 1).astype(int)
    return dataclasses.replace(layer, multiplier=2 ** (exponents - np.arange(len(exponents)) % 4).clip(0))


def _few_bits(layer: Layer) -> Layer:
    """Multipliers of up to five bits, with odd ones and one that ends with zeros."""
    return dataclasses.replace(layer, multiplier=np.resize([27, 1, 12, 5], layer.multiplier.shape))


def _one_power(layer: Layer) -> Layer:
    """All multipliers are the same power of two, around the middle of their sizes."""
    power = 2 ** int(np.rint(np.log2(np.median(layer.multiplier))).clip(0, MULTIPLIER_BITS - 1))
    return dataclasses.replace(layer, multiplier=np.full_like(layer.multiplier, power))


def _just_below_zero(layer: Layer) -> Layer:
    """On a frame of zeros, half of the channels have a sum just below 0.

    Rounding it up to 0 carries through all bits of the result.
    """
    upper = np.arange(len(layer.bias)) >= len(layer.bias) // 2
    return dataclasses.replace(layer, bias=np.where(upper, -1, layer.bias))


def _zero(layer: Layer) -> Layer:
    """All weights are 0: the output is the bias."""
    return dataclasses.replace(
        layer, conv_weight=np.zeros_like(layer.conv_weight), attn_weight=np.zeros_like(layer.attn_weight)
    )


#: Fields of a case that does not give them. Outputs are wide and signed, so that saturation hides few errors.
BASE = {
    "in_channels": 4,
    "out_channels": 4,
    "height": 5,
    "width": 6,
    "out_bits": 12,
    "out_signed": True,
    "relu": False,
    "simd": 2,
    "pe": 2,
}
_TIES = {"in_bits": 3, "weight_bits": 3, "attn_shift": 0, "out_bits": 4}
#: Units by name: the fields that differ from `BASE` and from the defaults of `random_layer`.
UNITS: Mapping[str, dict[str, Any]] = {
    # kernels and attention
    "plain": {},
    "conv_1x1": {"kernel": 1, "attn_offsets": (), "out_bits": 11},
    "conv_3x3": {"attn_offsets": ()},
    "conv_5x5": {"kernel": 5, "attn_offsets": (), "height": 7},
    "kernel_7": {"kernel": 7, "height": 8, "width": 7, "simd": 1},
    "attention_around_1x1": {"kernel": 1},
    "offset_centre": {"attn_offsets": ((0, 0),)},
    "offsets_distance_2": {"attn_offsets": neighbours(2), "kernel": 1},
    "offset_single": {"attn_offsets": ((0, 1),)},
    "offsets_distance_3": {"attn_offsets": neighbours(3), "height": 7, "width": 8, "simd": 1},
    "offsets_asymmetric": {"attn_offsets": ((-3, 1), (0, 2), (1, -1), (0, 0)), "in_channels": 2},
    "offsets_only_below": {"kernel": 1, "attn_offsets": ((3, 0), (2, -3)), "height": 8},
    # geometry
    "stride_2_even": {"stride": 2, "height": 6, "width": 8},
    "stride_2_odd": {"stride": 2, "height": 7, "width": 5},
    "stride_2_1x1": {"stride": 2, "kernel": 1, "height": 5, "width": 4},
    # The next frame's first groups are late, and waited for.
    "stride_2_few_rows": {"stride": 2, "kernel": 5, "height": 2, "width": 4, "simd": 1, "pe": 1},
    "stride_2_valid": {"stride": 2, "padding": "valid", "kernel": 5, "height": 8, "width": 9, "simd": 1},
    "valid": {"padding": "valid"},
    # Columns that no output is centred on are read early, with one beat of channels, and with several.
    "valid_early": {"padding": "valid", "height": 6, "width": 8, "pe": 1},
    "valid_early_one_beat": {"padding": "valid", "kernel": 5, "height": 8, "width": 10, "simd": 4, "pe": 1},
    "valid_7_whole_frame": {"padding": "valid", "kernel": 7, "height": 7, "width": 7, "in_channels": 2, "simd": 1},
    "frame_1x1": {"height": 1, "width": 1},
    "frame_1xn": {"height": 1, "width": 9, "kernel": 5},
    "frame_nx1": {"height": 9, "width": 1},
    "frame_nx1_stride_2": {"height": 9, "width": 1, "stride": 2},
    "frame_smaller_than_kernel": {"height": 2, "width": 3, "kernel": 7, "in_channels": 2, "simd": 1},
    # depthwise
    "depthwise": {"groups": 4},
    "depthwise_stride_2": {"groups": 4, "stride": 2, "height": 7, "width": 7, "simd": 1, "pe": 1},
    "depthwise_parallel": {"groups": 4, "simd": 4, "pe": 4, "padding": "valid", "height": 6},
    # folding
    "fold_sequential": {"simd": 1, "pe": 1, "height": 4, "width": 5},
    "fold_parallel": {"simd": 4, "pe": 4},
    "fold_wide_input": {"simd": 4, "pe": 1},
    "fold_wide_output": {"simd": 1, "pe": 4},
    "fold_odd": {"in_channels": 6, "out_channels": 9, "simd": 3, "pe": 3, "in_bits": 5, "out_bits": 3},
    "single_channel": {"in_channels": 1, "out_channels": 1, "simd": 1, "pe": 1},
    "many_outputs": {"in_channels": 1, "out_channels": 12, "simd": 1, "pe": 2},
    "many_inputs": {"in_channels": 12, "out_channels": 1, "simd": 3, "pe": 1},
    # formats
    "bits_2": {"in_bits": 2, "weight_bits": 2, "out_bits": 2, "out_signed": False, "attn_shift": 1},
    "bits_2_signed": {"in_bits": 2, "in_signed": True, "weight_bits": 2, "out_bits": 2},
    "bits_3_6_5": {"in_bits": 3, "in_signed": True, "weight_bits": 6, "out_bits": 5, "relu": True},
    "bits_7_4_16": {"in_bits": 7, "weight_bits": 4, "out_bits": 16},
    "signed_input": {"in_signed": True},
    "byte_outputs_relu": {"out_bits": 8, "out_signed": False, "relu": True},
    "signed_outputs_relu": {"in_signed": True, "relu": True, "out_bits": 9},
    "attn_shift_0": {"attn_shift": 0},
    "attn_shift_15": {"attn_shift": 15, "in_signed": True, "in_channels": 2},
    "out_shift_0": {"out_shift": 0, "in_bits": 2, "weight_bits": 2, "attn_shift": 0, "out_bits": 16},
    "out_shift_47": {"out_shift": 47, "attn_shift": 15, "in_channels": 2},
    "rounding_ties": {**_TIES, "multiplier_bits": 2},
    "rounding_half_up": {**_TIES, "multiplier_bits": 2, "rounding": "half_up"},
    "rounding_floor": {**_TIES, "multiplier_bits": 2, "rounding": "floor", "relu": True},
    # similarities: heads within a beat, as long as a beat, over several beats, and across the borders of beats
    "dynamic_heads_in_a_beat": {"heads": 4, "in_channels": 8, "simd": 4},
    "dynamic_head_is_a_beat": {"heads": 2, "in_signed": True},
    "dynamic_head_over_beats": {"heads": 2, "in_channels": 8, "in_signed": True},
    "dynamic_one_head": {"heads": 1, "simd": 1, "pe": 1},
    "dynamic_heads_of_1": {"heads": 4, "simd": 4},
    "dynamic_long_heads_across_beats": {"heads": 2, "in_channels": 12, "simd": 4},
    "dynamic_short_heads_across_beats": {"heads": 3, "in_channels": 12, "simd": 6, "in_signed": True},
    "dynamic_single_channel": {"heads": 1, "in_channels": 1, "out_channels": 1, "simd": 1, "pe": 1},
    "dynamic_bits_2": {"heads": 2, "sim_bits": 2, "in_bits": 2, "weight_bits": 2, "in_signed": True, "out_bits": 6},
    "dynamic_bits_3_4_5": {"heads": 2, "sim_bits": 3, "in_bits": 4, "weight_bits": 5, "attn_shift": 0},
    "dynamic_sim_shift_0": {"heads": 2, "sim_shift": 0, "in_signed": True},
    "dynamic_sim_shift_31": {"heads": 2, "sim_shift": 31, "in_signed": True},
    "dynamic_frame_1x1": {"heads": 2, "height": 1, "width": 1, "attn_offsets": ((0, 0), (0, 1))},
    "dynamic_no_tap_in_reach": {"heads": 2, "height": 1, "width": 1},
    "dynamic_no_attention": {"heads": 2, "attn_offsets": ()},
    "dynamic_offsets": {"heads": 2, "attn_offsets": ((0, 0), (-3, 1), (2, 2)), "kernel": 1, "height": 6},
    "dynamic_stride_2_valid": {"heads": 2, "stride": 2, "padding": "valid", "height": 7, "width": 8},
    "dynamic_kernel_5": {"heads": 1, "kernel": 5, "in_signed": True, "in_channels": 2, "simd": 1},
    # limits
    "dynamic_positive_signed": {"heads": 2, "weights": _positive, "in_signed": True, "out_bits": 16},
    "dynamic_negative_unsigned": {"heads": 1, "weights": _negative, "out_bits": 16},
    "dynamic_alternating": {"heads": 2, "weights": _alternating, "in_signed": True, "out_bits": 16, "sim_shift": 0},
    "weights_positive": {"weights": _positive, "in_signed": True, "out_bits": 16},
    "weights_positive_unsigned": {"weights": _positive, "out_bits": 16},
    "weights_negative": {"weights": _negative, "out_bits": 16},
    "weights_alternating": {"weights": _alternating, "in_signed": True, "out_bits": 16},
    "weights_zero": {"weights": _zero},
}
_CONV = {"attn_offsets": (), "height": 4, "width": 4, "requantise": "adders"}
_2_BIT = {**_CONV, "in_bits": 2, "weight_bits": 2}
#: Units whose sums are multiplied by adders: as many digits as beats and fewer, one digit, digits of one bit and of
#: many, shifts and wires; final bits that are kept, of which one is kept, and both, or that are dropped.
ADDER_UNITS: Mapping[str, dict[str, Any]] = {
    "adders_a_bit_a_beat": {**_CONV, "in_channels": 16, "simd": 1, "weights": _positive, "out_bits": 16},
    "adders_fewer_digits": {**_CONV, "in_channels": 12, "simd": 1, "multiplier_bits": 7},
    "adders_3_beats": {**_CONV, "in_channels": 3, "simd": 1, "weights": _negative, "in_signed": True},
    "adders_2_beats": {**_CONV, "out_channels": 6, "weights": _alternating, "in_signed": True, "relu": True},
    "adders_a_single_beat": {"requantise": "adders", "simd": 4},
    "adders_depthwise": {"requantise": "adders", "groups": 4},
    "adders_ties": {**_CONV, "in_channels": 6, "simd": 1, "multiplier_bits": 5, "in_bits": 3, "weight_bits": 3},
    "adders_half_up": {**_CONV, **_TIES, "in_channels": 6, "simd": 1, "multiplier_bits": 5, "rounding": "half_up"},
    "adders_floor": {**_CONV, **_TIES, "in_channels": 6, "simd": 1, "multiplier_bits": 5, "rounding": "floor"},
    "adders_out_shift_0": {**_2_BIT, "out_shift": 0, "multipliers": _few_bits, "out_bits": 16},
    "adders_out_shift_2": {**_2_BIT, "out_shift": 2, "multipliers": _few_bits, "in_channels": 3, "simd": 1},
    "adders_out_shift_5": {**_2_BIT, "out_shift": 5, "multipliers": _few_bits, "in_channels": 8, "simd": 1},
    "adders_out_shift_47": {"requantise": "adders", "out_shift": 47, "attn_shift": 15, "simd": 1},
    "adders_one_output": {**_CONV, "out_channels": 1, "in_channels": 8, "pe": 1, "out_signed": False},
    "adders_attention": {"requantise": "adders", "in_channels": 8},
    "adders_dynamic": {"requantise": "adders", "heads": 2, "in_channels": 8, "in_signed": True},
    "adders_powers": {"requantise": "adders", "multipliers": _powers},
    "adders_wire": {"requantise": "adders", "multipliers": _one_power},
    "adders_valid_stride_2": {**_CONV, "padding": "valid", "stride": 2, "height": 7, "width": 5, "simd": 1},
}
#: Families with primitives of their own.
FAMILIES = tuple(name for name in TARGETS if name != GENERIC.name)
#: Units for each family. Their fields decide how products share multipliers and which products form chains.
FAMILY_UNITS: Mapping[str, dict[str, Any]] = {
    "8_bit": {},
    "8_bit_signed": {"in_signed": True, "stride": 2, "kernel": 5, "simd": 1, "height": 6},
    "4_bit": {"in_bits": 4, "weight_bits": 4, "simd": 4, "pe": 4, "height": 4},
    "2_bit_depthwise": {
        "in_bits": 2,
        "weight_bits": 2,
        "out_bits": 6,
        "in_channels": 8,
        "out_channels": 8,
        "groups": 8,
        "stride": 2,
    },
    "mixed_widths": {
        "in_bits": 7,
        "weight_bits": 3,
        "kernel": 1,
        "attn_offsets": ((-2, 1), (0, 3), (1, 0), (0, 0), (-1, -1)),
    },
    "convolution": {"kernel": 7, "attn_offsets": (), "in_channels": 2, "simd": 1, "pe": 1},
    "dynamic_heads_in_a_beat": {"heads": 2, "simd": 4, "pe": 1, "in_signed": True, "height": 4},
    "dynamic_head_over_beats": {"heads": 1, "pe": 1, "height": 4},
    "adders": {**_CONV, "in_channels": 8, "out_channels": 8, "pe": 4, "out_bits": 8},
    "all_adders": {"products": "adders", "requantise": "adders", "in_signed": True, "height": 3},
    "all_adders_dynamic": {"products": "adders", "requantise": "adders", "heads": 2, "simd": 4, "pe": 1, "height": 3},
    "all_adders_lone_products": {"products": "adders", "requantise": "adders", "heads": 4, "simd": 4, "height": 3},
    "valid_early": {"padding": "valid", "height": 6, "width": 8, "simd": 1, "pe": 1},
    "valid_early_one_beat": {"padding": "valid", "height": 5, "width": 8, "simd": 4, "pe": 1},
}
#: More units for each family, in frames of 3x3 pixels. At the limits, neighbouring fields of a shared multiplier meet.
SMALL_FAMILY_UNITS: Mapping[str, dict[str, Any]] = {
    "positive_unsigned": {"weights": _positive, "out_bits": 16},
    "positive_signed": {"weights": _positive, "out_bits": 16, "in_signed": True},
    "negative_unsigned": {"weights": _negative, "out_bits": 16},
    "negative_signed": {"weights": _negative, "out_bits": 16, "in_signed": True},
    "alternating_unsigned": {"weights": _alternating, "out_bits": 16},
    "alternating_signed": {"weights": _alternating, "out_bits": 16, "in_signed": True},
    "positive_5_bit": {"weights": _positive, "in_bits": 5, "weight_bits": 5},
    "alternating_4_bit": {"weights": _alternating, "in_bits": 4, "in_signed": True, "weight_bits": 4},
    "negative_2_bit": {"weights": _negative, "in_bits": 2, "in_signed": True, "weight_bits": 2},
    "bits_8_2": {"weight_bits": 2, "pe": 4},
    "bits_3_6_signed": {"in_bits": 3, "in_signed": True, "weight_bits": 6, "simd": 1},
    "convolution_1x1": {"kernel": 1, "attn_offsets": (), "simd": 4, "pe": 4},
    "attention_around_1x1": {"kernel": 1},
    "depthwise": {"groups": 4},
    "valid": {"padding": "valid", "height": 4, "width": 4},
    "attn_shift_15": {"attn_shift": 15, "in_signed": True, "in_channels": 2},
    "frame_1x1": {"height": 1, "width": 1},
    "odd_channels": {"in_channels": 3, "out_channels": 5, "simd": 3, "pe": 5},
    "dynamic_positive_unsigned": {"heads": 2, "weights": _positive, "out_bits": 16},
    "dynamic_positive_signed": {"heads": 1, "weights": _positive, "out_bits": 16, "in_signed": True},
    "dynamic_negative_unsigned": {"heads": 1, "weights": _negative, "out_bits": 16},
    "dynamic_negative_signed": {"heads": 2, "weights": _negative, "in_signed": True, "sim_shift": 0},
    "dynamic_alternating_4_bit": {
        "heads": 2,
        "weights": _alternating,
        "in_bits": 4,
        "in_signed": True,
        "weight_bits": 4,
    },
    "dynamic_4_bit": {"heads": 1, "simd": 4, "in_bits": 4, "weight_bits": 4},
    "dynamic_2_bit": {"heads": 2, "in_bits": 2, "weight_bits": 2, "sim_bits": 2, "in_signed": True},
    "dynamic_across_beats": {"heads": 2, "in_channels": 6, "simd": 2, "in_signed": True},
    "dynamic_long_heads": {
        "heads": 1,
        "in_channels": 12,
        "simd": 12,
        "pe": 1,
        "attn_offsets": ((0, 0), (1, 0), (0, 1)),
    },
    "dynamic_single_products": {"heads": 2, "pack": False, "simd": 4, "pe": 1},
    "single_products": {"pack": False, "simd": 1},
    "single_products_4_bit": {"pack": False, "simd": 1, "in_bits": 4, "weight_bits": 4},
}


def _of_families(units: Mapping[str, dict[str, Any]], **common: Any) -> dict[str, dict[str, Any]]:
    return {
        f"{target}_{name}": {**common, **unit, "target": target} for target in FAMILIES for name, unit in units.items()
    }


#: All cases that are simulated cycle by cycle, by name.
CASES: Mapping[str, dict[str, Any]] = {**UNITS, **ADDER_UNITS, **_of_families(FAMILY_UNITS)}
#: Cases that are simulated in bulk on Icarus.
SMALL_CASES: Mapping[str, dict[str, Any]] = _of_families(SMALL_FAMILY_UNITS, height=3, width=3)


def named_case(name: str) -> UnitConfig:
    """The case of `CASES` or `SMALL_CASES` called ``name``; its weights are the same every time."""
    fields = BASE | {**CASES, **SMALL_CASES}[name]
    if "heads" in fields:
        fields["product"] = "dynamic"
    simd, pe = fields.pop("simd"), fields.pop("pe")
    target, pack = TARGETS[fields.pop("target", GENERIC.name)], fields.pop("pack", True)
    shape: Callable[[Layer], Layer] | None = fields.pop("weights", None)
    multiplier_bits = fields.pop("multiplier_bits", MULTIPLIER_BITS)
    made_of = MadeOf(
        **{material: fields.pop(material) for material in ("products", "requantise") if material in fields}
    )
    scales: Callable[[Layer], Layer] = fields.pop("multipliers", lambda layer: layer)
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    layer = random_layer(rng, **fields)
    if shape is not None:
        layer = _just_below_zero(shape(layer))
    elif "out_shift" not in fields:
        layer = spread(rng, layer, multiplier_bits)
    folding = Folding.choose(layer.config, simd, pe)
    return UnitConfig(layer=scales(layer), folding=folding, target=target, pack=pack, made_of=made_of)


#: Limits of `random_case`, so that a simulation takes seconds.
MAX_PRODUCTS = 300
MAX_FRAME_CYCLES = 1200


def random_case(rng: np.random.Generator) -> UnitConfig:
    """A random unit: any layer of the contract that is small enough, any folding that it allows, any target."""
    while True:
        case = _attempt(rng)
        if case is not None:
            target = TARGETS[str(rng.choice(list(TARGETS)))]
            case = dataclasses.replace(case, target=target, pack=bool(rng.random() < 0.7))
            layer = _rounded(rng, _with_scales(rng, case.layer))
            return dataclasses.replace(case, layer=layer, made_of=random_materials(rng, case.target))


def random_materials(rng: np.random.Generator, target: Target) -> MadeOf:
    """DSPs, adders, or nothing that is asked for; products of adders only where the target has DSPs."""
    requantise, products = (MATERIALS[n] if n < len(MATERIALS) else None for n in rng.integers(0, 3, 2))
    return MadeOf(requantise=requantise, products=None if target.a_bits is None else products)


def _with_scales(rng: np.random.Generator, layer: Layer) -> Layer:
    """``layer``, now and then with multipliers that are powers of two."""
    if rng.random() < 0.85:
        return layer
    return (_powers, _one_power)[rng.integers(2)](layer)


def _rounded(rng: np.random.Generator, layer: Layer) -> Layer:
    """``layer`` with a random mode of rounding, which takes nothing of what ``rng`` gives to others."""
    rounding = ROUNDINGS[rng.spawn(1)[0].integers(len(ROUNDINGS))]
    return dataclasses.replace(layer, config=dataclasses.replace(layer.config, rounding=rounding))


def _attempt(rng: np.random.Generator) -> UnitConfig | None:
    """A random case; None if it is outside the contract or too large."""
    depthwise = rng.random() < 0.2
    in_channels = int(rng.integers(2 if depthwise else 1, 12, endpoint=True))
    out_channels = in_channels if depthwise else int(rng.integers(1, 12, endpoint=True))
    simd = int(rng.choice(_divisors(in_channels)))
    pe = simd if depthwise else int(rng.choice(_divisors(out_channels)))
    fields: dict[str, Any] = {
        "in_channels": in_channels,
        "out_channels": out_channels,
        "groups": in_channels if depthwise else 1,
        "height": int(rng.integers(1, 10, endpoint=True)),
        "width": int(rng.integers(1, 10, endpoint=True)),
        "kernel": int(rng.choice([1, 3, 3, 5, 7])),
        "stride": int(rng.choice([1, 2])),
        "padding": str(rng.choice(["same", "same", "valid"])),
        "attn_offsets": _random_offsets(rng),
        "in_bits": int(rng.integers(2, 8, endpoint=True)),
        "in_signed": bool(rng.random() < 0.5),
        "weight_bits": int(rng.integers(2, 8, endpoint=True)),
        "out_bits": int(rng.integers(2, 16, endpoint=True)),
        "out_signed": bool(rng.random() < 0.5),
        "relu": bool(rng.random() < 0.3),
        "attn_shift": int(rng.integers(0, 15, endpoint=True)),
    }
    if rng.random() < 0.1:
        fields["out_shift"] = int(rng.choice([0, 47]))
    if not depthwise and rng.random() < 0.35:
        fields |= {"product": "dynamic", "heads": int(rng.choice(_divisors(in_channels)))}
        fields["sim_bits"] = int(rng.integers(2, 8, endpoint=True))
    try:
        layer = random_layer(rng, **fields)
        if rng.random() < 0.1:
            layer = (_positive, _negative, _alternating)[rng.integers(3)](layer)
        elif "out_shift" not in fields:
            layer = spread(rng, layer, multiplier_bits=int(rng.integers(1, MULTIPLIER_BITS, endpoint=True)))
    except LayerError:
        return None
    c = layer.config
    products = simd * (1 if depthwise else pe) * (c.kernel**2 + len(c.attn_offsets))
    beats = c.in_channels // simd * (1 if depthwise else c.out_channels // pe)
    if products > MAX_PRODUCTS or c.height * c.width * beats > MAX_FRAME_CYCLES:
        return None
    return UnitConfig(layer=layer, folding=Folding.choose(c, simd, pe))


def _divisors(number: int) -> list[int]:
    return [d for d in range(1, number + 1) if number % d == 0]


def _random_offsets(rng: np.random.Generator) -> tuple[tuple[int, int], ...]:
    """All neighbours at one distance, or any set of offsets, the empty set included."""
    if rng.random() < 0.5:
        return neighbours(int(rng.integers(1, MAX_OFFSET, endpoint=True)))
    reach = int(rng.integers(0, MAX_OFFSET, endpoint=True))
    every = [(dy, dx) for dy in range(-reach, reach + 1) for dx in range(-reach, reach + 1)]
    count = int(rng.integers(0, min(8, len(every)), endpoint=True))
    return tuple(every[i] for i in rng.permutation(len(every))[:count])
