"""Reloadable units to simulate.

Named units cover every feature and edge. Random units have any limits that hold their layer.
"""

from __future__ import annotations

import dataclasses
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from golden.contract.folding import Folding
from golden.contract.layer_config import FIELD_RANGES
from golden.contract.ranges import Range
from golden.layers.random_layer import random_layer
from golden.support.cli import UserError
from hw.plan.config import UnitConfig
from hw.plan.reload import Reload
from hw.plan.shapes import Shapes
from hw.targets.families import GENERIC, TARGETS
from sim.cases.frozen import BASE, named_case, neighbours, random_case, spread

#: Prefix of a reloadable unit's name where names of frozen units are allowed, too.
PREFIX = "reloadable/"
ALL_SHIFTS = Range(*FIELD_RANGES["out_shift"])
#: Units by name: the fields that differ from `BASE`. ``attn_range``, ``out_range`` and ``single_buffered``
#: are for `Reload`.
RELOADABLE: Mapping[str, dict[str, Any]] = {
    "hadamard": {},
    "conv_3x3": {"attn_offsets": ()},
    "conv_1x1": {"kernel": 1, "attn_offsets": ()},
    "dynamic": {"heads": 2, "in_signed": True},
    "dynamic_stride_2": {"heads": 1, "stride": 2, "height": 6, "width": 7},
    "depthwise": {"groups": 4, "height": 4},
    "stride_2": {"stride": 2, "height": 7, "width": 6, "in_channels": 2, "simd": 1},
    "stride_2_parallel": {"stride": 2, "height": 6, "width": 6, "simd": 4, "pe": 4},
    "valid": {"padding": "valid", "height": 6, "relu": True},
    "valid_stride_2": {"padding": "valid", "stride": 2, "height": 7, "width": 7},
    "valid_7": {"padding": "valid", "kernel": 7, "height": 8, "width": 9, "in_channels": 2, "simd": 1},
    "kernel_5": {"kernel": 5, "in_channels": 2, "simd": 1, "attn_offsets": neighbours(2)},
    "offsets_asymmetric": {"attn_offsets": ((-3, 1), (0, 2), (1, -1), (0, 0)), "in_channels": 2, "width": 8},
    "parallel": {"simd": 4, "pe": 4},
    "sequential": {"simd": 1, "pe": 1, "in_channels": 2, "out_channels": 2},
    "odd_channels": {"in_channels": 3, "out_channels": 5, "simd": 3, "pe": 1, "in_bits": 5, "out_bits": 3},
    "frame_1x1": {"height": 1, "width": 1},
    "frame_1xn": {"height": 1, "width": 9},
    "frame_nx1": {"height": 9, "width": 1, "stride": 2},
    "single_buffered": {"single_buffered": True},
    "single_buffered_parallel": {"single_buffered": True, "simd": 4, "pe": 4, "height": 3, "width": 3},
    "narrow_shifts": {"attn_shift": 4, "attn_range": Range(4, 4), "out_range": Range(20, 22), "out_bits": 8},
    "wide_shifts": {"attn_range": Range(0, 12), "in_signed": True, "in_channels": 2, "simd": 1, "out_bits": 16},
    "bits_2": {"in_bits": 2, "weight_bits": 2, "out_bits": 2, "out_signed": False, "attn_shift": 1},
    "half_up": {"rounding": "half_up", "in_bits": 4, "weight_bits": 4, "out_bits": 5},
    "floor": {"rounding": "floor", "in_bits": 4, "weight_bits": 4, "out_bits": 5, "in_signed": True},
    "unsigned_relu": {"out_signed": False, "relu": True, "out_bits": 8},
    "ecp5": {"target": "ecp5", "in_signed": True},
    "ecp5_4_bit": {"target": "ecp5", "in_bits": 4, "weight_bits": 4, "height": 4},
    "xc7": {"target": "xc7", "height": 4},
    "xcup": {"target": "xcup", "in_signed": True, "height": 4},
    "xcup_dynamic": {"target": "xcup", "heads": 2, "simd": 4, "pe": 1, "height": 4, "width": 4},
}


def reloadable_case(name: str) -> UnitConfig:
    """The case of `RELOADABLE` called ``name``; its weights are the same every time."""
    fields = BASE | {"attn_shift": 3} | RELOADABLE[name]
    if "heads" in fields:
        fields["product"] = "dynamic"
    simd, pe = fields.pop("simd"), fields.pop("pe")
    target = TARGETS[fields.pop("target", GENERIC.name)]
    reload = Reload(
        attn_shift=fields.pop("attn_range", Range(0, 7)),
        out_shift=fields.pop("out_range", ALL_SHIFTS),
        single_buffered=fields.pop("single_buffered", False),
    )
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    layer = spread(rng, random_layer(rng, **fields))
    shift = int(np.clip(layer.config.out_shift, reload.out_shift.low, reload.out_shift.high))
    layer = dataclasses.replace(layer, config=dataclasses.replace(layer.config, out_shift=shift))
    return UnitConfig(layer=layer, folding=Folding.choose(layer.config, simd, pe), target=target, reload=reload)


def any_case(name: str) -> UnitConfig:
    """The case called ``name``: of `RELOADABLE` where the name begins with `PREFIX`, else of `sim.cases.frozen`."""
    return reloadable_case(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else named_case(name)


#: The most input beats, and output beats, of a random unit's largest frame. A scenario then takes a second.
MAX_BEATS = 250


def random_reloadable_case(rng: np.random.Generator) -> UnitConfig:
    """A random reloadable unit that is small enough, with limits that hold its layer's shifts."""
    while True:
        case = random_case(rng)
        c, folding = case.layer.config, case.folding
        pixels = c.height * c.width
        if pixels * max(c.in_channels // folding.simd, c.out_channels // folding.pe) > MAX_BEATS:
            continue
        attn, out = (
            Range(int(rng.integers(low, value, endpoint=True)), int(rng.integers(value, high, endpoint=True)))
            for value, (low, high) in (
                (c.attn_shift, (0, min(FIELD_RANGES["attn_shift"][1], c.attn_shift + 4))),
                (c.out_shift, FIELD_RANGES["out_shift"]),
            )
        )
        reload = Reload(attn_shift=attn, out_shift=out, single_buffered=bool(rng.random() < 0.2))
        try:
            Shapes(unit := dataclasses.replace(case, reload=reload))
        except UserError:
            continue
        return unit
