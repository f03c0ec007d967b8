"""Units for tests of the hardware: a named unit for each thing that shapes the data flow, and random units."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from golden.contract.folding import Folding
from golden.contract.layer_config import NEIGHBOURS, LayerError
from golden.contract.rounding import ROUNDINGS
from golden.layers.random_layer import random_layer
from hw.plan.config import UnitConfig
from hw.plan.made_of import MadeOf
from hw.plan.shapes import Shapes
from hw.targets.families import TARGETS, Target

#: Names of the stages, in the order of the data flow.
STAGES = (
    "row_store",
    "window",
    "similarity",
    "tap_macs",
    "attention_combine",
    "channel_accumulate",
    "requantise",
    "output_stream",
)

#: Units of the ``hadamard`` product, one for each thing that shapes the data flow. By default they have 4 -> 4
#: channels, 5x6 pixels, simd 2 and pe 2.
HADAMARD: dict[str, dict[str, Any]] = {
    "same": {},
    "valid": {"padding": "valid"},
    "valid_7x7": {"padding": "valid", "kernel": 7, "height": 8, "width": 10},
    "stride_2": {"stride": 2, "height": 6, "width": 8},
    "stride_2_odd": {"stride": 2, "height": 7, "width": 5},
    "stride_2_valid_distance_3": {
        "stride": 2,
        "padding": "valid",
        "height": 7,
        "width": 8,
        "attn_offsets": ((-3, 3), (3, -3), (0, 1)),
    },
    "stride_2_1x1": {"stride": 2, "kernel": 1, "attn_offsets": (), "height": 5, "width": 4},
    "distance_3": {"attn_offsets": tuple((3 * dy, 3 * dx) for dy, dx in NEIGHBOURS), "height": 7, "width": 7},
    "lopsided": {"kernel": 1, "attn_offsets": ((2, -1), (0, 0), (3, 1))},
    "plain_1x1": {"kernel": 1, "attn_offsets": ()},
    "depthwise": {"groups": 4},
    "depthwise_stride_2": {"groups": 4, "stride": 2, "height": 7, "width": 7},
    "sequential": {"simd": 1, "pe": 1, "in_channels": 3, "out_channels": 3, "height": 3, "width": 4},
    "parallel": {"simd": 4, "pe": 4},
    "one_pixel": {"height": 1, "width": 1},
    "one_column": {"height": 5, "width": 1, "kernel": 5},
    "one_column_stride_2": {"height": 5, "width": 1, "stride": 2},
    "one_row": {"height": 1, "width": 6, "kernel": 5},
    "smaller_than_kernel": {"height": 2, "width": 3, "kernel": 7},
    # The columns that no output is centred on are read early.
    "early": {"padding": "valid", "height": 6, "width": 8, "pe": 1},
    "early_one_beat": {"padding": "valid", "height": 5, "width": 7, "simd": 4, "pe": 1},
    "early_5x5": {"padding": "valid", "kernel": 5, "height": 7, "width": 9, "simd": 1, "pe": 1, "out_channels": 6},
    "early_stride_2": {
        "padding": "valid",
        "stride": 2,
        "height": 7,
        "width": 10,
        "simd": 4,
        "pe": 1,
        "out_channels": 8,
    },
    # With as many beats coming in as are worked on, the next frame's first group is late, and waited for.
    "waits_for_next": {"kernel": 5, "stride": 2, "height": 2, "width": 4, "simd": 1, "pe": 1},
}
#: Units of the ``dynamic`` product: heads within a beat, as long as a beat, over several beats, and across the borders
#: of beats. By default they have 4 -> 2 channels, 3x4 pixels, simd 2 and pe 2.
DYNAMIC: dict[str, dict[str, Any]] = {
    name: {"product": "dynamic", "out_channels": 2, "height": 3, "width": 4, **fields}
    for name, fields in {
        "dynamic_heads_in_a_beat": {"heads": 4, "in_channels": 8, "simd": 4, "pe": 1},
        "dynamic_head_is_a_beat": {"heads": 2, "in_signed": True},
        "dynamic_head_over_beats": {"heads": 2, "in_channels": 8, "pe": 1},
        "dynamic_heads_of_one": {"heads": 4, "simd": 4, "in_signed": True},
        "dynamic_long_heads_across_beats": {"heads": 2, "in_channels": 12, "simd": 4, "in_signed": True},
        "dynamic_short_heads_across_beats": {"heads": 3, "in_channels": 12, "simd": 6, "attn_offsets": NEIGHBOURS[1:4]},
        "dynamic_sequential": {"heads": 1, "in_channels": 3, "simd": 1, "pe": 1},
        "dynamic_lopsided": {"heads": 2, "kernel": 1, "attn_offsets": ((2, -1), (0, 0), (2, 1))},
        "dynamic_no_tap_in_reach": {"heads": 2, "height": 1, "width": 1},
        "dynamic_plain": {"heads": 2, "attn_offsets": ()},
    }.items()
}
#: The units of `DYNAMIC` that have similarities.
SIMILAR = {name: fields for name, fields in DYNAMIC.items() if name not in ("dynamic_no_tap_in_reach", "dynamic_plain")}
UNITS = HADAMARD | DYNAMIC


def behavioural(target: Target) -> Target:
    """``target`` without primitives, so that Python can simulate it. Widths, packing, cascades and latencies stay."""
    return dataclasses.replace(target, dsp=None, block_memory=None)


#: The targets in a form that Amaranth's simulator takes.
SIMULATED = {name: behavioural(target) for name, target in TARGETS.items()}


def unit_shapes(
    seed: int = 0,
    *,
    simd: int | None = 2,
    pe: int | None = 2,
    target: str = "generic",
    pack: bool = True,
    **fields: Any,
) -> Shapes:
    """A unit with random weights. Fields of the layer that are not given make it small."""
    defaults = {"in_channels": 4, "out_channels": 4, "height": 5, "width": 6}
    layer = random_layer(np.random.default_rng(seed), **(defaults | fields))
    folding = Folding.choose(layer.config, simd, pe)
    return Shapes(UnitConfig(layer=layer, folding=folding, target=SIMULATED[target], pack=pack))


def random_unit(
    seed: int, target: str = "generic", *, pack: bool = True, product: str = "hadamard", similar: bool = False
) -> Shapes:
    """A small random unit that may have any geometry, folding and number format of the contract.

    If ``similar`` is true, the unit is of the ``dynamic`` product and has similarities.
    """
    rng, rng_of_heads = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    rounding = ROUNDINGS[np.random.default_rng([seed, 2]).integers(len(ROUNDINGS))]
    while True:
        fields = _random_fields(rng) | {"rounding": rounding}
        if similar or product == "dynamic":
            fields |= _random_heads(rng_of_heads, fields["in_channels"])
        divisors = {n: [d for d in range(1, n + 1) if n % d == 0] for n in range(1, 9)}
        simd = int(rng.choice(divisors[fields["in_channels"]]))
        pe = simd if fields["groups"] > 1 else int(rng.choice(divisors[fields["out_channels"]]))
        try:
            shapes = unit_shapes(seed, simd=simd, pe=pe, target=target, pack=pack, **fields)
        except LayerError:  # without padding, the frame is smaller than its kernel
            continue
        if shapes.heads is not None or not similar:
            return shapes


def _random_fields(rng: np.random.Generator) -> dict[str, Any]:
    def one_of(*options: Any) -> Any:
        return options[rng.integers(len(options))]

    places = [(dy, dx) for dy in range(-3, 4) for dx in range(-3, 4)]
    channels = int(rng.integers(1, 7))
    depthwise = rng.random() < 0.25
    return {
        "in_channels": channels,
        "out_channels": channels if depthwise else int(rng.integers(1, 7)),
        "groups": channels if depthwise else 1,
        "height": int(rng.integers(1, 10)),
        "width": int(rng.integers(1, 10)),
        "kernel": one_of(1, 3, 3, 5, 7),
        "stride": one_of(1, 2),
        "padding": one_of("same", "valid"),
        "attn_offsets": one_of((), NEIGHBOURS, tuple(places[i] for i in rng.permutation(49)[: rng.integers(1, 6)])),
        "in_bits": int(rng.integers(2, 9)),
        "in_signed": one_of(False, True),
        "weight_bits": int(rng.integers(2, 9)),
        "out_bits": int(rng.integers(2, 17)),
        "out_signed": one_of(False, True),
        "relu": one_of(False, True),
        "attn_shift": int(rng.integers(0, 16)),
    }


def _random_heads(rng: np.random.Generator, channels: int) -> dict[str, Any]:
    """Random fields that only a ``dynamic`` layer has. Mostly ``sim_shift`` is left to a useful default."""
    fields: dict[str, Any] = {"product": "dynamic", "groups": 1, "sim_bits": int(rng.integers(2, 9))}
    fields["heads"] = int(rng.choice([heads for heads in range(1, channels + 1) if channels % heads == 0]))
    return fields | ({"sim_shift": int(rng.integers(0, 32))} if rng.random() < 0.3 else {})


def changed(shapes: Shapes, **changes: Any) -> Shapes:
    """The unit with ``changes`` in its config."""
    return Shapes(dataclasses.replace(shapes.config, **changes))


def with_arrays(shapes: Shapes, **arrays: np.ndarray) -> Shapes:
    """The unit with ``arrays`` as weights, biases or multipliers."""
    return changed(shapes, layer=dataclasses.replace(shapes.layer, **arrays))


#: Ways to choose the signs of weights at the limits of their format, from an array with the sums of their indices.
SIGNS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "positive": np.ones_like,
    "negative": lambda index: -np.ones_like(index),
    "alternating": lambda index: 1 - 2 * (index % 2),
}


def at_limits(shapes: Shapes, signs: str) -> Shapes:
    """The unit with all weights at the limits of their format, with signs of `SIGNS`."""
    layer = shapes.layer

    def limits(weight: np.ndarray) -> np.ndarray:
        return layer.config.weight_limit * SIGNS[signs](np.indices(weight.shape).sum(axis=0))

    return with_arrays(shapes, conv_weight=limits(layer.conv_weight), attn_weight=limits(layer.attn_weight))


def adder_lane(multipliers: Sequence[int], *, beats: int, out_shift: int, bias: Sequence[int], **fields: Any) -> Shapes:
    """A unit of one lane whose sums take as many beats each and are multiplied by adders.

    Args:
        multipliers: of each output channel.
        bias: of each output channel, again from the first on where they are too few.
    """
    channels = len(multipliers)
    shapes = unit_shapes(simd=1, pe=1, in_channels=beats, out_channels=channels, kernel=1, attn_offsets=(), **fields)
    layer = dataclasses.replace(
        shapes.layer,
        config=dataclasses.replace(shapes.layer.config, out_shift=out_shift),
        bias=np.resize(bias, channels),
        multiplier=np.array(multipliers),
    )
    return changed(shapes, layer=layer, made_of=MadeOf(requantise="adders"))
