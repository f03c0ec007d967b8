"""Automatic folding of a network: each step within a number of cycles, as cheap as it can be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from golden.contract.folding import Folding
from golden.contract.network.layer import LayerStep
from golden.contract.network.linear import Linear
from golden.contract.network.network import naming
from golden.contract.network.step import Step
from golden.support.cli import UserError
from golden.support.numbers import number
from hw.estimate.estimate import estimate
from hw.network.config import NetworkConfig
from hw.network.folding import Sides, divisors, sides_of
from hw.network.ideal import ideal_cycles
from hw.network.lower import unit_config
from hw.plan.config import UnitConfig
from hw.plan.dsp_count import dsp_counts
from hw.plan.shapes import Shapes


def cheapest_within(config: NetworkConfig, cycles: int) -> dict[str, Folding]:
    """For each step the folding with the fewest DSPs, then LUTs, that takes at most ``cycles`` a frame.

    Raises `UserError`, naming the step, where a step has none.
    """
    found = {}
    for number_, step in enumerate(config.network.steps):
        with naming(step.name):
            found[step.name] = _cheapest(config, number_, step, cycles)
    return found


def _cheapest(config: NetworkConfig, place: int, step: Step, cycles: int) -> Folding:
    sides = sides_of(config.network, step)
    ideals = {folding: ideal_cycles(config.network, step, folding) for folding in _foldings(sides)}
    enough = [folding for folding, ideal in ideals.items() if ideal <= cycles]
    if isinstance(step, LayerStep | Linear):
        base = unit_config(config, place, step)
        chosen = _cheapest_unit([replace(base, folding=folding) for folding in enough], cycles)
    else:
        # What is not a unit costs by its lanes.
        chosen = min(enough, key=lambda f: (f.simd * f.pe, f.simd), default=None)
    if chosen is None:
        raise UserError(f"at least {number(min(ideals.values()))} cycles a frame, asked for {number(cycles)}")
    return chosen


def _cheapest_unit(candidates: list[UnitConfig], cycles: int) -> Folding | None:
    best: tuple[int, int] | None = None
    chosen = None
    for candidate in sorted(candidates, key=lambda c: c.folding.simd * c.folding.pe):
        try:
            shapes = Shapes(candidate)
        except UserError:  # more lanes than a vector holds
            continue
        dsps = sum(dsp_counts(shapes).values())
        if (best is not None and dsps > best[0]) or shapes.schedule.frame_cycles > cycles:
            continue
        cost = (dsps, estimate(candidate).lut)
        if best is None or cost < best:
            best, chosen = cost, candidate.folding
    return chosen


def _foldings(sides: Sides) -> Iterator[Folding]:
    for simd in divisors(sides.taken):
        for pe in [simd] if sides.alike else divisors(sides.given):
            yield Folding(simd=simd, pe=pe)
