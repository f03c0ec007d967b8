"""Requantise: ``saturate(round(acc * multiplier / 2^out_shift))`` for all sums and multipliers.

It is proven for ever, by k-induction, for every sum within the unit's proven range and every multiplier up to
`MULTIPLIER`, on every target with its own latency and rounding. The builds have few bits.
``tests/hw/unit/test_requantise.py`` samples wide ones.
"""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

import numpy as np
from amaranth.hdl import Module, Signal
from amaranth.lib.wiring import In

from hw.plan.shapes import Shapes, shape_of
from hw.unit import requantise
from hw.unit.requantise import Requantise
from tests.proofs.proof import Bug, Harness, Proof
from tests.proofs.rounding import claim_rounded
from tests.support.units import SIMULATED, changed, unit_shapes

#: The largest multiplier.
MULTIPLIER = 13


def _config(target: str, **fields: Any) -> Shapes:
    shapes = unit_shapes(
        simd=1,
        pe=1,
        target=target,
        in_channels=1,
        out_channels=1,
        kernel=1,
        attn_offsets=(),
        in_bits=2,
        weight_bits=2,
        out_bits=3,
        **fields,
    )
    layer = dataclasses.replace(shapes.layer.config, out_shift=4)
    arrays = {"bias": np.array([-9]), "multiplier": np.array([MULTIPLIER])}
    return changed(shapes, layer=dataclasses.replace(shapes.layer, config=layer, **arrays))


class RequantiseHarness(Harness):
    def __init__(self, target: str, fields: dict[str, Any]) -> None:
        self._shapes = _config(target, **fields)
        acc = shape_of(self._shapes.ranges.accumulator)
        super().__init__({"acc": In(acc), "multiplier": In(self._shapes.multiplier)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        shapes, sums = self._shapes, self._shapes.ranges.accumulator
        m.submodules.dut = dut = Requantise(shapes)
        self.assume(m, (self.acc >= sums.low) & (self.acc <= sums.high) & (self.multiplier <= MULTIPLIER))
        m.d.comb += [dut.i_acc.eq(self.acc), dut.i_multiplier.eq(self.multiplier)]
        product = Signal((self.acc * self.multiplier).shape())
        m.d.comb += product.eq(self.acc * self.multiplier)
        c = shapes.layer.config
        cycles = requantise.latency(shapes)
        claim_rounded(self, m, product, c.out_shift, c.out_range, dut.o_y, cycles=cycles, rounding=c.rounding)
        return m


PROOF = Proof(
    name="requantise",
    claim="every sum is scaled, rounded as the layer says and saturated",
    unbounded=True,
    depth=10,
    builds={
        f"{target}, {name}": partial(RequantiseHarness, target, fields)
        for target in SIMULATED
        for name, fields in {
            "unsigned": {"out_signed": False, "relu": False},
            "signed": {"out_signed": True, "relu": False},
        }.items()
    }
    | {
        f"{target}, {rounding}": partial(
            RequantiseHarness, target, {"out_signed": True, "relu": False, "rounding": rounding}
        )
        for target, rounding in (("generic", "half_up"), ("xcup", "floor"))
    },
    bugs=(
        Bug(
            name="the shift is one too small",
            module="hw.unit.requantise",
            old="settings.out_shift.allowed.high,",
            new="settings.out_shift.allowed.high - 1,",
            build="generic, signed",
        ),
        Bug(
            name="a product loses its upper bit",
            module="hw.unit.requantise",
            old="proven=shape_of(proven)",
            new="proven=shape_of(self._shapes.ranges.accumulator)",
            build="xcup, unsigned",
        ),
        Bug(
            name="rounds half up",
            module="hw.blocks.rounding",
            old="Cat(odd, fraction)",
            new="Cat(1, fraction)",
            build="ecp5, signed",
        ),
        Bug(
            name="the layer is not asked for its rounding",
            module="hw.unit.requantise",
            old="rounding=c.rounding",
            new='rounding="half_even"',
            build="generic, half_up",
        ),
    ),
)
